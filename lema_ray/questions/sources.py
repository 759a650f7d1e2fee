"""Named sources: published question sets as rows of data. Adding one is adding a row to `NAMED`.

Called by `read`. Each loads from the hub, or from a local copy in its published form or in any form with the usual
field names. A name may carry a variant, `asdiv@lema`, where papers counted different rows (LeMa 2,084, Qwen 2,215).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lema_ray.questions.references import Rule
from lema_ray.records import Task


@dataclass(frozen=True, slots=True)
class NamedSource:
    """Where a set lives on the hub, its field names where they are not the usual ones, and how to read its answers.

    `only_split` is set where the hub has one split only. `adjust` rewrites a reference; None leaves the row out.
    `adjust_text` rewrites a question.
    """

    hub_id: str
    hub_config: str | None = None
    only_split: str | None = None
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    answer: Rule = "auto"
    task: Task = "arithmetic"
    adjust: Callable[[str], str | None] | None = None
    adjust_text: Callable[[str], str | None] | None = None


def without_units(answer: str) -> str | None:
    """An ASDiv answer without its "(apples)"."""
    return re.sub(r"\([^()]*\)", "", answer).strip() or None


def one_number(answer: str) -> str | None:
    """LeMa's ASDiv rows: what Python's `float` takes once the unit is gone (arXiv 2310.20689: 2,084 of 2,305)."""
    number = without_units(answer)
    try:
        float(number or "")
    except ValueError:
        return None
    return number


def one_value(answer: str) -> str | None:
    """The Qwen2.5-Math harness's ASDiv rows: no lists of answers (2,215 of 2,305)."""
    return without_units(answer) if ";" not in answer else None


def answerable(answer: str) -> str | None:
    """GSM-Plus rows with an answer: its "critical thinking" rows have none on purpose."""
    return None if answer.strip().lower() in ("", "none", "null") else answer


def as_text(answer: str) -> str | None:
    """A DeepMind-Mathematics text without the quotes of the bytes that the hub stores."""
    match = re.fullmatch(r"b(['\"])(.*?)(?:\\n)?\1", answer.strip(), re.S)
    return (match[2] if match else answer).strip() or None


_ASDIV = NamedSource(
    "EleutherAI/asdiv",
    only_split="validation",
    fields={
        "question": ("Body+Question", "body+question", "question"),
        "reference": ("Answer", "answer"),
        "level": ("Grade", "grade"),
    },
    answer="plain",
    adjust=without_units,
)
_MAWPS = NamedSource(
    "MU-NLPC/Calc-mawps",
    fields={"question": ("question", "sQuestion", "input"), "reference": ("result", "lSolutions", "target", "answer")},
    answer="plain",
)

NAMED: dict[str, NamedSource] = {
    "gsm8k": NamedSource("openai/gsm8k", "main"),
    "math": NamedSource("DigitalLearningGmbH/MATH-lighteval", task="math"),
    "math500": NamedSource("HuggingFaceH4/MATH-500", only_split="test", task="math"),
    "svamp": NamedSource(
        "MU-NLPC/Calc-svamp",
        only_split="test",
        fields={"question": ("Body+Question", "question"), "reference": ("Answer", "answer", "result")},
        answer="plain",
    ),
    "asdiv": _ASDIV,
    "asdiv@lema": replace(_ASDIV, adjust=one_number),
    "asdiv@qwen": replace(_ASDIV, adjust=one_value),
    "mawps": _MAWPS,
    "mawps@refaug": replace(_MAWPS, fields={"question": ("sQuestion",), "reference": ("lSolutions",)}),
    "mawps@qwen": replace(_MAWPS, fields={"question": ("input",), "reference": ("target",)}),
    "csqa": NamedSource(
        "tau/commonsense_qa",
        fields={
            "question": ("question.stem", "question"),
            "choices": ("choices", "question.choices", "options", "candidates"),
            "reference": ("answerKey", "answer"),
        },
        answer="letter",
        task="choice",
    ),
    "aqua": NamedSource(
        "deepmind/aqua_rat",
        fields={"reference": ("correct", "answer"), "solution": ("rationale", "solution")},
        answer="letter",
        task="choice",
    ),
    "gsm_plus": NamedSource("qintongli/GSM-Plus", only_split="test", answer="plain", adjust=answerable),
    "mgsm": NamedSource(
        "juletxara/mgsm",
        fields={"reference": ("answer_number", "answer"), "level": ("language",), "solution": ("worked_solution",)},
        answer="plain",
    ),
    "college_math": NamedSource(
        "qq8933/College_Math_Test",
        only_split="test",
        fields={"type": ("data_topic", "type")},
        answer="plain",
        task="math",
    ),
    "mbpp": NamedSource("google-research-datasets/mbpp", "full", task="code"),
    "humaneval": NamedSource("openai/openai_humaneval", only_split="test", task="code"),
    "deepmind_math": NamedSource(
        "deepmind/math_dataset",
        fields={"type": ("category", "module", "type")},
        answer="plain",
        task="math",
        adjust=as_text,
        adjust_text=as_text,
    ),
}
for language in ["bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh"]:
    NAMED[f"mgsm@{language}"] = replace(NAMED["mgsm"], hub_config=language)
