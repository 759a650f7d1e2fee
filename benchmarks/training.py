"""Training against a bare DeepSpeed loop, packing against padding, and planned memory against measured.

    .venv/bin/python benchmarks/training.py RUN [rows]         a run folder after `lema build`, such as runs/demo
    .venv/bin/python benchmarks/training.py RUN [rows] demo 5 bare padded      these two sides, five times
    .venv/bin/python benchmarks/training.py RUN [rows] large   a random model of 34 M weights in its model's place
    .venv/bin/python benchmarks/training.py memory [batch]     a random model of SmolLM2-135M's shape, 512 tokens a row

Every figure comes from a process of its own with one thread. Rates are learned tokens per second of CPU time between
the third step and the last, so that other work on the machine does not count; batches are the same rows in the same
order. Each pair of processes gives a ratio, of which the median is told (three, unless a number says otherwise).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

WARM_STEPS, RATE = 3, 5e-4
BATCH = {"demo": 16, "large": 4}
"""Rows a step; of packs a quarter."""
ARMS = ("lema", "lemma")
NAMES = {"bare": "bare DeepSpeed loop", "padded": "train_model", "packed": "train_model, packed"}
SHAPE = {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3}
SHAPE |= {"intermediate_size": 1536, "vocab_size": 49152, "tie_word_embeddings": True, "max_position_embeddings": 2048}
LARGE = {"hidden_size": 448, "num_hidden_layers": 8, "num_attention_heads": 7, "num_key_value_heads": 7}
LARGE |= {"intermediate_size": 1216, "vocab_size": 32000, "tie_word_embeddings": True, "max_position_embeddings": 512}


def rows_of(run: str, count: int) -> tuple[str, Any]:
    """The base model of a run, and some rows of its LeMa and LEMMA arms, tokenized."""
    import yaml
    from datasets import Dataset
    from transformers import AutoTokenizer

    from lema_ray.models import resolve_model
    from lema_ray.records import TrainingExample
    from lema_ray.runs import RunFolder
    from lema_ray.training.masking import tokenize_example

    folder = RunFolder(run)
    config = yaml.safe_load(folder.read_text("config.yaml"))
    base = resolve_model(config["train"]["base"] or config["students"][0]["engine"]["model"])
    tokenizer, rows = AutoTokenizer.from_pretrained(base), []
    for arm in ARMS:
        examples = folder.read_records(TrainingExample, "examples", arm, "train.parquet")
        rows += [tokenize_example(example, tokenizer) for _, example in zip(range(count // 2), examples, strict=False)]
    table = {"id": [r.id for r in rows], "input_ids": [r.input_ids for r in rows], "labels": [r.labels for r in rows]}
    return base, Dataset.from_dict(table | {"row": list(range(len(rows)))}).shuffle(seed=0).flatten_indices()


def large_model(base: str, folder: str) -> str:
    """A random Llama with the tokenizer of `base`, whose vocabulary is only a part of its own."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    tokenizer = AutoTokenizer.from_pretrained(base)
    config = LlamaConfig(**LARGE, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def ours(base: str, rows: Any, batch: int, packing: bool = False) -> dict[str, Any]:
    """`train_model` with ZeRO-2 in this process."""
    from transformers import TrainerCallback

    from lema_ray.config import TrainConfig
    from lema_ray.training.loop import TrainJob, load_deepspeed, train_model

    clock = Clock()

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            clock.tick()

    trainer = {"num_train_epochs": 1, "per_device_train_batch_size": batch, "learning_rate": RATE, "logging_steps": 10}
    trainer |= {"save_strategy": "no", "train_sampling_strategy": "sequential"}
    settings = TrainConfig(packing=packing, max_length=512 if packing else None, trainer=trainer)
    with tempfile.TemporaryDirectory() as scratch:
        job = TrainJob(
            base=base,
            rows=rows,
            dev_rows=None,
            output=f"{scratch}/model",
            checkpoints=f"{scratch}/checkpoints",
            best=f"{scratch}/best",
            objective="sft",
            settings=settings,
            deepspeed=load_deepspeed("zero2"),
            seed=0,
            resume_from=None,
            card={"arm": "benchmark", "counts": {}},
        )
        trained = train_model(job, [Watch()])
    return {"steps": trained["steps"], "padding": trained["padding_share"], "each": clock.each}


def bare(base: str, rows: Any, size: int) -> dict[str, Any]:
    """The same steps by DeepSpeed's engine and transformers' own loss, and nothing else."""
    import deepspeed
    import torch
    from transformers import AutoModelForCausalLM

    from lema_ray.training.collating import PaddedRows
    from lema_ray.training.loop import load_deepspeed

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    config = {"train_micro_batch_size_per_gpu": size, "gradient_clipping": 1.0}
    config |= {"zero_optimization": load_deepspeed("zero2")["zero_optimization"]}
    config |= {"zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False}
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
    collate, clock = PaddedRows(0), Clock()
    for start in range(0, len(rows), size):
        batch = collate([rows[i] for i in range(start, min(start + size, len(rows)))])
        loss = engine(**{k: batch[k] for k in ("input_ids", "attention_mask", "labels")}, use_cache=False).loss
        engine.backward(loss)
        engine.step()
        clock.tick()
    return {"steps": clock.steps, "each": clock.each}


class Clock:
    """CPU seconds of each step after the warm ones."""

    def __init__(self) -> None:
        self.steps, self.each, self._last = 0, list[float](), 0.0

    def tick(self) -> None:
        """One more step is done."""
        self.steps += 1
        now = time.process_time()
        if self.steps > WARM_STEPS:
            self.each.append(now - self._last)
        self._last = now


def memory(batch: int) -> dict[str, Any]:
    """Peak resident memory of three real steps, and what the plan says of them."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    from lema_ray.config import TrainConfig
    from lema_ray.training.deepspeed_files import load_presets
    from lema_ray.training.memory import describe, model_shape, needed, training_load
    from lema_ray.training.meter import memory_gb

    with tempfile.TemporaryDirectory() as folder:
        AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE)).save_pretrained(folder)
        small_tokenizer(PreTrainedTokenizerFast).save_pretrained(folder)
        ids = [list(range(10, 522)) for _ in range(3 * batch)]
        table = {"id": list(map(str, range(len(ids)))), "input_ids": ids, "labels": ids, "row": list(range(len(ids)))}
        before = memory_gb()
        ours(folder, Dataset.from_dict(table), batch)
        settings = TrainConfig(trainer={"per_device_train_batch_size": batch})
        shape = model_shape(folder)
        need = needed(shape, training_load(shape, settings, "sft", 512), load_presets()["zero2"], 1)
    return {
        "measured_gb": memory_gb(),
        "after_imports_gb": before,
        "planned_gb": need.total / 1e9,
        "plan": describe(need),
    }


def small_tokenizer(kind: Any) -> Any:
    """Enough of a tokenizer for the end of a turn."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: number for number, word in enumerate(("<pad>", "<end>", "?", ".", "<user>", "<assistant>"))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    roles = ["<user>", "<assistant>"]
    made = kind(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", additional_special_tokens=roles)
    made.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    made.chat_template += "{% if add_generation_prompt %}<assistant>{% endif %}"
    return made


def one(kind: str, run: str, count: int, model: str = "demo") -> dict[str, Any]:
    """One figure, in a process that does nothing else."""
    from lema_ray.training.loop import start_worker

    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    start_worker(1, on_gpu=False)
    if kind == "memory":
        return memory(count)
    base, rows = rows_of(run, count)
    learned = [sum(label >= 0 for label in row) for row in rows["labels"]]
    size = BATCH[model] // (4 if kind == "packed" else 1)
    with tempfile.TemporaryDirectory() as folder:
        base = large_model(base, folder) if model == "large" else base
        found = bare(base, rows, size) if kind == "bare" else ours(base, rows, size, kind == "packed")
    # Rows beyond the warm steps; packs are not in the rows' order, so there the share of the steps counts.
    share = (found["steps"] - WARM_STEPS) / found["steps"]
    return found | {"learned_per_second": sum(learned) * share / sum(found["each"])}


def child(kind: str, *arguments: str) -> SimpleNamespace:
    """Run one figure and read it back."""
    command = [sys.executable, __file__, "--one", kind, *arguments]
    ended = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, check=True)
    return SimpleNamespace(**json.loads(ended.stdout.decode().strip().splitlines()[-1]))


def main(run: str, count: str = "640", model: str = "demo", pairs: str = "3", *kinds: str) -> None:
    """The ratios for the rows of a run. The sides take turns, and every second time in the other order."""
    if not Path(run, "config.yaml").exists():
        print(f"{run} is not a run folder; give one after `lema build`, such as runs/demo after `make demo`")
        return
    found: dict[str, list[SimpleNamespace]] = {kind: [] for kind in kinds or NAMES}
    for number in range(int(pairs)):
        for kind in list(found)[:: 1 if number % 2 == 0 else -1]:
            found[kind].append(one_more := child(kind, run, count, model))
            pace = f"{one_more.learned_per_second:8.0f} learned tokens per CPU second"
            print(f"{NAMES[kind]:<22} {pace}, {one_more.steps} steps", flush=True)
    told("against the bare loop", found["padded"], found["bare"])
    both = zip(found["bare"], found["padded"], strict=True)
    steps = [b / o for their, our in both for b, o in zip(their.each, our.each, strict=True)]
    print(f"the same step on both sides, without what a few steps have beside it: {median(steps):.3f}")
    print(f"padding: {found['padded'][-1].padding:.1%} of all places")
    if "packed" in found:
        told("packed against padded", found["packed"], found["padded"])
        print(f"padding in packs: {found['packed'][-1].padding:.1%}")


def told(name: str, ours: list[SimpleNamespace], theirs: list[SimpleNamespace]) -> None:
    """The median of the pairs' ratios, and each of them."""
    ratios = [a.learned_per_second / b.learned_per_second for a, b in zip(ours, theirs, strict=True)]
    print(f"{name}: {median(ratios):.3f}, of {', '.join(f'{ratio:.3f}' for ratio in ratios)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:])))
    elif sys.argv[1:2] == ["memory"]:
        print(child("memory", "-", *(sys.argv[2:] or ["2"])))
    else:
        main(*(sys.argv[1:] or ["runs/demo"]))
