"""Chat messages to prompt tokens, with the model's own tokenizer and chat template.

Used by the vLLM engine; the template is checked before any weights are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.records import Message
from lema_ray.special_tokens import encode_chat


class ChatTemplate:
    """The tokenizer of one model. Loading raises `EngineUnavailable` when it or its chat template is missing."""

    def __init__(self, path: str) -> None:
        from transformers import AutoTokenizer

        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
        except (OSError, ValueError, ImportError) as error:
            raise EngineUnavailable(f"{path}: no tokenizer could be loaded: {_first_line(error)}") from error
        if not self.tokenizer.chat_template:
            raise EngineUnavailable(
                f"{path}: the tokenizer has no chat template; add chat_template.jinja, or take the instruct variant"
            )
        # The samples of one question ask with the same messages at the same time.
        self._tokens = lru_cache(maxsize=256)(self._tokenize)

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """The prompt. A final assistant message is left open, to be continued from its last character.

        Raises `RequestRefused` when the template does not take these messages, or drops the text to be continued.
        """
        return list(self._tokens(tuple(messages)))

    def _tokenize(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return tuple(encode_chat(self.tokenizer, self._text, messages).ids)

    def _text(self, messages: Sequence[Message]) -> str:
        last = messages[-1]
        if last.role != "assistant":
            return self._render(messages, add_generation_prompt=True)
        if not last.content:
            return self._render(messages[:-1], add_generation_prompt=True)
        text = self._render(messages, continue_final_message=True)
        # Templates that trim messages would lose the line break after a finished step.
        return text if text.endswith(last.content) else text + _trailing_space(last.content)

    def _render(self, messages: Sequence[Message], **how: bool) -> str:
        from jinja2 import TemplateError

        conversation = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return str(self.tokenizer.apply_chat_template(conversation, tokenize=False, **how))
        except (TemplateError, ValueError) as error:
            reason = "cannot_continue" if how.get("continue_final_message") else "bad_request"
            raise RequestRefused(reason, f"chat template: {_first_line(error)}") from error


def _trailing_space(text: str) -> str:
    return text[len(text.rstrip()) :]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
