"""A verifier that `lema train-verifier` made, as the policy `verify` asks it: the probability that a solution is wrong.

A `Verifier` like the prompted one (`verifier`), for evaluation and serving. Solutions that are asked about at the same
time are judged as one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from lema_ray.engines import Generate
from lema_ray.models import ModelError, read_json

FILE = "verifier.json"
BATCH = 32


def verifier_text(question: str, solution: str) -> str:
    """What the classifier reads."""
    return f"{question.strip()}\n\n{solution.strip()}"


class TrainedVerifier:
    """The classifier of a folder; its weights are loaded when it is asked for the first time.

    Raises `ModelError` for a folder that is no verifier.
    """

    def __init__(self, folder: str) -> None:
        told = read_json(Path(folder) / FILE, f"{folder}: no verifier: it has no {FILE}; lema train-verifier makes one")
        if not isinstance(told.get("threshold"), float) or not isinstance(told.get("max_length"), int):
            raise ModelError(f"{folder}/{FILE}: it has no threshold and max_length; train the verifier again")
        self.folder, self.threshold, self._max_length = folder, told["threshold"], told["max_length"]
        self._waiting: list[tuple[str, asyncio.Future[float]]] = []
        self._lock = asyncio.Lock()

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            model = AutoModelForSequenceClassification.from_pretrained(self.folder)
            tokenizer = AutoTokenizer.from_pretrained(self.folder)
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.folder}: the verifier does not load: {error}") from error
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer

    async def __call__(self, question: str, solution: str, ask: Generate) -> float | None:
        """The probability; `ask` is not used, as nobody else is asked."""
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((verifier_text(question, solution), done))
        async with self._lock:
            some, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if some:
                await self._answer(some)
        return await done

    async def _answer(self, some: list[tuple[str, asyncio.Future[float]]]) -> None:
        waiting = [future for _, future in some]
        try:
            found = await asyncio.to_thread(self.judge, [text for text, _ in some])
        except Exception as error:
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for future, p in zip(waiting, found, strict=True):
            if not future.done():
                future.set_result(p)

    def judge(self, texts: Sequence[str]) -> list[float]:
        """The probabilities of some `verifier_text`s."""
        return probabilities(*self._loaded, texts, self._max_length)


def probabilities(model: Any, tokenizer: Any, texts: Sequence[str], max_length: int) -> list[float]:
    """The probability of being wrong (class 1) of each text; of one that is too long the end is read."""
    import torch

    tokenizer.truncation_side = "left"
    found: list[float] = []
    for start in range(0, len(texts), BATCH):
        some = list(texts[start : start + BATCH])
        rows = tokenizer(some, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
        with torch.inference_mode():
            scores = model(
                input_ids=rows.input_ids.to(model.device), attention_mask=rows.attention_mask.to(model.device)
            )
        found += torch.softmax(scores.logits.float(), dim=-1)[:, 1].tolist()
    return found
