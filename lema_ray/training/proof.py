"""Does a saved model say the same in transformers as in vLLM? Greedy answers compared token by token.

`on_ray.evaluate` calls `follow` beside the engine that it proves a trained model with. What differs between the two is
a fault of the saved model or of how it is served: a template, a dtype, a tied or a missing weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lema_ray.models import ModelError

NEARLY_AS_LIKELY = {"float32": 0.01}
"""How much less likely (natural log) vLLM's token may be than transformers' own choice, where both work in 32 bits."""
NEARLY_AS_LIKELY_IN_16_BITS = 0.5
TOKENS = 24
CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Agreement:
    """Tokens of an answer that both chose, until its end or a near tie; `gap` is the tie's difference, else 0."""

    tokens: int
    gap: float


def follow(folder: str, prompts: Sequence[Sequence[int]], answers: Sequence[str], dtype: str) -> list[Agreement]:
    """How far transformers' greedy answers go along with vLLM's. `dtype` is the one that vLLM worked in.

    Raises `ModelError` where one takes a token that the other finds clearly less likely than its own.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    allowed = NEARLY_AS_LIKELY.get(dtype, NEARLY_AS_LIKELY_IN_16_BITS)
    return [_follow(folder, model, tokenizer, *pair, allowed) for pair in zip(prompts, answers, strict=True)]


def _follow(folder: str, model: Any, tokenizer: Any, prompt: Sequence[int], answer: str, allowed: float) -> Agreement:
    import torch
    from transformers import GenerationConfig

    ids = torch.tensor([list(prompt)])
    # Of the model's own settings only its ends: a penalty on repetition would be no part of vLLM's greedy answer.
    settings = GenerationConfig(
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=TOKENS,
        output_scores=True,
        return_dict_in_generate=True,
    )
    made = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    chosen = made.sequences[0, ids.shape[1] :].tolist()
    for place, scores in enumerate(made.scores):
        ranked = scores[0].log_softmax(-1).topk(min(CANDIDATES, scores.shape[-1]))
        likely = list(zip(ranked.indices.tolist(), ranked.values.tolist(), strict=True))
        fitting = next(_fitting(tokenizer, chosen[:place], likely, answer), None)
        if fitting is None or likely[0][1] - fitting[1] > allowed:
            raise ModelError(
                f"{folder}: after {tokenizer.decode(chosen[:place])!r} transformers goes on with"
                f" {tokenizer.decode(likely[0][0])!r}, vLLM has {answer!r}: the saved model is not the same in both"
            )
        if fitting[0] != chosen[place]:
            return Agreement(place, likely[0][1] - fitting[1])
    return Agreement(len(chosen), 0.0)


def _fitting(
    tokenizer: Any, begun: list[int], likely: Sequence[tuple[int, float]], answer: str
) -> Iterator[tuple[int, float]]:
    """The tokens, likeliest first, that the answer can go on with: its text, or an end where the text ends."""
    for token, score in likely:
        text = tokenizer.decode([*begun, token], skip_special_tokens=True)
        ends = token in tokenizer.all_special_ids
        if (text == answer) if ends else answer.startswith(text.removesuffix("\ufffd")):
            yield token, score
