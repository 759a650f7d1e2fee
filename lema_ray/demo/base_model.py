"""The demo's base model: a Llama of 0.9 million parameters, taught word problems on the spot in minutes on two cores.

Right about two times in three and wrong in several ways, as a student to learn from its mistakes should be. Called by
`lema_ray.models` on first use, and by tests with smaller settings.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from lema_ray.demo.word_problems import MAX_VALUE

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from lema_ray.demo.lessons import Lesson

EMBEDDING_SCALE = 0.2
PERIODS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30, 40, 50, 66.7, 100, 133, 200, 400)
Row = tuple[list[int], list[bool]]
RECIPE_FILES = (
    "base_model.py", "grammar.py", "lessons.py", "teacher.py", "teacher_lemma.py", "tokenizer.py", "word_problems.py",
    "wordings.py",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BaseModelSettings:
    """What the base model is and how long it learns. Learning rates are those of Muon and of AdamW."""

    problems: int = 17_000
    drills: int = 8_500
    checks: int = 5_500
    steps: int = 700
    batch: int = 32
    max_value: int = MAX_VALUE
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 384
    context: int = 512
    muon_rate: float = 0.02
    adamw_rate: float = 0.004
    threads: int = 1
    seed: int = 0


def recipe_id(settings: BaseModelSettings) -> str:
    """The cache key of these settings: another one as soon as anything that goes into the model changes."""
    from lema_ray.attempts import INSTRUCTIONS

    return taught_id("word-problems", settings, [INSTRUCTIONS["arithmetic"]], RECIPE_FILES)


def taught_id(name: str, settings: BaseModelSettings, prompts: Sequence[str], files: Sequence[str]) -> str:
    """A cache key of all that goes into a taught model: settings, prompts from elsewhere, files of this folder."""
    here = Path(__file__).parent
    parts = [repr(asdict(settings)), *prompts, *((here / file).read_text() for file in files)]
    return f"{name}-{hashlib.blake2b(chr(31).join(parts).encode(), digest_size=8).hexdigest()}"


def train_base_model(settings: BaseModelSettings, folder: Path) -> None:
    """Teach a new model and write it to a folder, with tokenizer and chat template, as transformers and vLLM load it.

    Prints its progress. Minutes of one core with the default settings: a second thread costs more than it gains on a
    model this small.
    """
    from lema_ray.demo.lessons import lessons, teacher_texts
    from lema_ray.demo.word_problems import NAMES, THINGS

    s = settings
    taught = lessons(s.problems, s.drills, s.checks, s.max_value, s.seed)
    teach(s, taught, [*texts_of(taught[:8000]), *teacher_texts(2500, s.seed)], [*NAMES, *THINGS], folder)


def texts_of(lessons: Sequence[Lesson]) -> list[str]:
    """What a tokenizer is to know of lessons: their prompts and their answers."""
    return [text for lesson in lessons for text in (lesson.prompt[-1].content, lesson.text)]


def teach(
    s: BaseModelSettings, lessons: Sequence[Lesson], texts: Sequence[str], words: Sequence[str], folder: Path
) -> None:
    """Teach a new model the lessons and write it to a folder. Its tokenizer learns `texts`; `words` are tokens."""
    import torch

    from lema_ray.demo.tokenizer import train_tokenizer

    threads = torch.get_num_threads()
    torch.set_num_threads(s.threads)
    torch.manual_seed(s.seed)
    tokenizer = train_tokenizer(texts, words, s.max_value, s.context)
    model = _new_model(s, tokenizer)
    _learn(model, [_encode(tokenizer, lesson) for lesson in lessons], s)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    torch.set_num_threads(threads)


def _new_model(s: BaseModelSettings, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    ids: dict[str, Any] = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=s.hidden,
        num_hidden_layers=s.layers,
        num_attention_heads=s.heads,
        num_key_value_heads=s.heads,
        intermediate_size=s.feed_forward,
        max_position_embeddings=s.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        **ids,
    )
    model = LlamaForCausalLM(config)
    _start_embeddings(model.model.embed_tokens.weight.data, tokenizer, s)
    model.generation_config = GenerationConfig(**ids)
    return model


def _start_embeddings(weights: torch.Tensor, tokenizer: PreTrainedTokenizerFast, s: BaseModelSettings) -> None:
    """Start numbers as waves of their value, so that near numbers look alike and sums are easy to learn.

    The scale is ten times the usual one: numbers are found again in the question only when they stand out from what the
    layers add. Both were measured: without the scale half of the operands were misread after the same training, and
    without the waves three times as many calculations came out wrong.
    """
    import torch

    weights.normal_(std=EMBEDDING_SCALE)
    for number in range(s.max_value + 1):
        angles = torch.tensor([2 * torch.pi * number / period for period in PERIODS if period <= 2 * s.max_value])
        waves = torch.cat([angles.cos(), angles.sin()])
        row = weights[tokenizer(f" {number}").input_ids[0]]
        row *= 0.1
        row[: len(waves)] += 1.5 * EMBEDDING_SCALE * waves[: len(row)]


def _encode(tokenizer: PreTrainedTokenizerFast, lesson: Lesson) -> Row:
    """The token ids of a lesson, and which of them are to be learned."""
    turns = [{"role": m.role, "content": m.content} for m in lesson.prompt]
    encode = tokenizer.backend_tokenizer.encode
    ids = encode(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)).ids
    learned = [False] * len(ids)
    for text, learn in [*((s.text, s.learn) for s in lesson.answer), (str(tokenizer.eos_token), True)]:
        piece = encode(text).ids
        ids, learned = ids + piece, learned + [learn] * len(piece)
    return ids, learned


def _learn(model: LlamaForCausalLM, rows: list[Row], s: BaseModelSettings) -> None:
    """A plain loop and not transformers' Trainer: two optimizers, logits for learned positions only, no callbacks."""
    import torch

    optimizers = _optimizers(model, s)
    batches, started = _batches(rows, s), time.monotonic()
    reported = started
    for step in range(s.steps):
        rate = min(1.0, (step + 1) / 20, (s.steps - step) / (0.6 * s.steps))
        loss = _loss(model, next(batches))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * rate
            optimizer.step()
            optimizer.zero_grad()
        now = time.monotonic()
        if now - reported > 5 or step + 1 == s.steps:
            reported, left = now, (now - started) / (step + 1) * (s.steps - step - 1)
            print(f"base model: step {step + 1}/{s.steps}, loss {loss.item():.3f}, {left:.0f} s left", flush=True)


def _optimizers(model: LlamaForCausalLM, s: BaseModelSettings) -> list[torch.optim.Optimizer]:
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = {"params": matrices, "initial_lr": s.muon_rate}
    adamw = {"params": others, "initial_lr": s.adamw_rate}
    return [
        torch.optim.Muon([muon], weight_decay=0.01),
        torch.optim.AdamW([adamw], weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def _batches(rows: list[Row], s: BaseModelSettings) -> Iterator[list[Row]]:
    """Batches of rows of nearly equal length, so that hardly any padding is calculated, in random order for ever."""
    rng = Random(s.seed)
    while True:
        order = sorted(rows, key=lambda row: len(row[0]) + rng.uniform(0, 8))
        batches = [order[i : i + s.batch] for i in range(0, len(order), s.batch)]
        rng.shuffle(batches)
        yield from batches


def _loss(model: LlamaForCausalLM, rows: list[Row]) -> torch.Tensor:
    import torch

    length = max(len(ids) for ids, _ in rows)
    # Padding comes last and attention looks back only, so no attention mask is needed, which is the fast path.
    inputs = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in rows])
    # A position predicts the next token, so it is learned when that one is.
    learned = torch.tensor([marks[1:] + [False] * (length - len(marks) + 1) for _, marks in rows])
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state[learned]
    logits = hidden @ model.model.embed_tokens.weight.T
    loss: torch.Tensor = torch.nn.functional.cross_entropy(logits, inputs.roll(-1, 1)[learned])
    return loss
