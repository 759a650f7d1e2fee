"""A saved model's answers elsewhere are followed token by token; other answers are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lema_ray.engines.chat_template import ChatTemplate
from lema_ray.models import ModelError
from lema_ray.records import Message
from lema_ray.training.proof import TOKENS, follow


@pytest.fixture(scope="module")
def said(tiny_model: Path) -> tuple[list[int], str]:
    """A prompt, and its greedy answer from single forward passes."""
    import torch
    from transformers import AutoModelForCausalLM

    template = ChatTemplate(str(tiny_model))
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    prompt = template.tokens((Message("user", "How many are left?"),))
    ids = list(prompt)
    for _ in range(TOKENS):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return prompt, template.tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True)


def test_the_same_answer_is_followed_to_its_end(tiny_model: Path, said: tuple[list[int], str]) -> None:
    (agreed,) = follow(str(tiny_model), [said[0]], [said[1]], "float32")
    assert agreed.tokens == TOKENS and agreed.gap == 0


def test_another_answer_is_another_model(tiny_model: Path, said: tuple[list[int], str]) -> None:
    with pytest.raises(ModelError, match=r"after '' transformers goes on with .*, vLLM has 'The end\.'"):
        follow(str(tiny_model), [said[0]], ["The end."], "float32")
    half = said[1][: len(said[1]) // 2] + "@@@"
    with pytest.raises(ModelError, match="not the same in both"):
        follow(str(tiny_model), [said[0]], [half], "float32")
