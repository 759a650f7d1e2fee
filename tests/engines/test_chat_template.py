"""Prompts as the model's own template writes them, and where a begun answer goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.engines.chat_template import ChatTemplate
from lema_ray.records import Message

USER = Message("user", "How many?")
TRIMMING = "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}</s>{% endfor %}"
DROPPING = "{% for m in messages if m.role != 'assistant' %}{{ m.content }}{% endfor %}"
STRICT = "{% if messages[0].role == 'system' %}{{ raise_exception('no system message') }}{% endif %}"


def text_of(template: ChatTemplate, *messages: Message) -> str:
    return template.tokenizer.decode(template.tokens(messages), skip_special_tokens=False)


def with_template(model: Path, folder: Path, template: str) -> Path:
    shutil.copytree(model, folder)
    (folder / "chat_template.jinja").write_text(template)
    return folder


def test_a_question_opens_the_assistants_turn(tiny_model: Path) -> None:
    assert text_of(ChatTemplate(str(tiny_model)), USER) == "<|user|>\nHow many?<|end|>\n<|assistant|>\n"


@pytest.mark.parametrize("begun", ["Step 1: 12+7=19\n", "Step 1: 12+7=19", "  Step 1:\n\n", "a <|end|> b"])
def test_a_begun_answer_stays_open_at_its_last_character(tiny_model: Path, begun: str) -> None:
    template = ChatTemplate(str(tiny_model))
    expected = "<|user|>\nHow many?<|end|>\n<|assistant|>\n" + begun
    assert text_of(template, USER, Message("assistant", begun)) == expected


def test_an_answer_that_is_still_empty_is_begun(tiny_model: Path) -> None:
    template = ChatTemplate(str(tiny_model))
    assert template.tokens([USER, Message("assistant", "")]) == template.tokens([USER])


def test_a_template_that_trims_does_not_lose_the_line_break(tiny_model: Path, tmp_path: Path) -> None:
    template = ChatTemplate(str(with_template(tiny_model, tmp_path / "m", TRIMMING)))
    assert text_of(template, USER, Message("assistant", "One.\n\n")).endswith("[assistant] One.\n\n")


def test_what_a_template_does_not_take_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    dropping = ChatTemplate(str(with_template(tiny_model, tmp_path / "d", DROPPING)))
    with pytest.raises(RequestRefused, match="cannot_continue"):
        dropping.tokens([USER, Message("assistant", "One.")])
    strict = ChatTemplate(str(with_template(tiny_model, tmp_path / "s", STRICT)))
    with pytest.raises(RequestRefused, match="no system message"):
        strict.tokens([Message("system", "Be brief."), USER])


def test_a_missing_template_or_tokenizer_says_so(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m" / "chat_template.jinja").unlink()
    with pytest.raises(EngineUnavailable, match="no chat template"):
        ChatTemplate(str(tmp_path / "m"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(EngineUnavailable, match="no tokenizer"):
        ChatTemplate(str(tmp_path / "empty"))
