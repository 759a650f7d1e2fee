"""A random Llama with a real tokenizer and chat template, for tests that need a model but not a good one.

Written without torch and transformers, whose imports take longer than everything else here.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CONTEXT_LENGTH = 512
HIDDEN, INTERMEDIATE, LAYERS, HEADS = 64, 128, 2, 2

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
PAD, END = "<|pad|>", "<|end|>"
SPECIAL = [PAD, END, "<|system|>", "<|user|>", "<|assistant|>"]
CORPUS = ["Tom has 12 apples and buys 7 more. Step 1: 12+7=19\nThe answer is 19.", "How many are left? 3-2=1"]


def save_tiny_model(folder: Path, seed: int, vocabulary: int = 400, tied: bool = True) -> Path:
    """Write a model directory in the usual layout; the same seed makes the same weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _train_tokenizer(vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **_special_tokens()})
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    _write(folder / "config.json", _config(tokenizer, tied))
    save_file(_weights(tokenizer, seed, tied), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _write(path: Path, data: dict) -> None:
    path.write_text(json.dumps(data, indent=2))


def _special_tokens() -> dict:
    return {"pad_token": PAD, "eos_token": END, "model_max_length": CONTEXT_LENGTH}


def _config(tokenizer: Tokenizer, tied: bool) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HIDDEN // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": tied,
        "bos_token_id": None,
        "eos_token_id": tokenizer.token_to_id(END),
        "pad_token_id": tokenizer.token_to_id(PAD),
    }


def _weights(tokenizer: Tokenizer, seed: int, tied: bool) -> dict[str, np.ndarray]:
    # A standard deviation that makes the next token depend on more than the last one.
    random = np.random.default_rng(seed)
    embeddings = random.normal(0, 0.3, (tokenizer.get_vocab_size(), HIDDEN)).astype(np.float32)
    embeddings[_unreadable(tokenizer)] = 0
    shapes = {f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"}
    shapes |= {f"mlp.{name}_proj": (INTERMEDIATE, HIDDEN) for name in ("gate", "up")}
    shapes |= {"mlp.down_proj": (HIDDEN, INTERMEDIATE)}
    weights = {"model.embed_tokens.weight": embeddings, "model.norm.weight": np.ones(HIDDEN, np.float32)}
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            weights[f"model.layers.{layer}.{name}.weight"] = random.normal(0, 0.3, shape).astype(np.float32)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{layer}.{name}.weight"] = np.ones(HIDDEN, np.float32)
    return weights if tied else weights | {"lm_head.weight": -embeddings}


def _unreadable(tokenizer: Tokenizer) -> list[int]:
    """Tokens that should not appear in answers: control characters and pieces of other alphabets."""
    texts = {i: tokenizer.decode([i], skip_special_tokens=False) for i in range(tokenizer.get_vocab_size())}
    return [i for i, text in texts.items() if not (text.isascii() and text.isprintable()) or text in SPECIAL[2:]]


def _train_tokenizer(vocabulary: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer
