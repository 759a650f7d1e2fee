"""Graders as papers and harnesses published them, for parity with reported numbers. Not for finding mistakes.

Called by `pool` when a mode other than `default` is named. Each says right or wrong, never unsure, and carries the
original's errors on purpose (docs/evidence.md has their rates); where an original executes the model's text, its
arithmetic is done here by `evaluate` instead.

- `gsm8k_strict`: OpenAI's GSM8K script: the number after the first `####`, equal as text without commas.
- `gsm8k_flexible`: lm-eval's flexible-extract: the last number of the text, equal as text.
- `lema_gsm8k`, `lema_math`: LeMa's `inference_code` (arXiv 2310.20689): what follows "The answer is", compared as a
  float, or as text after Hendrycks' normalisation of MATH answers (arXiv 2103.03874).
- `qwen_math`: the Qwen2.5-Math harness that LEMMA uses (arXiv 2503.17439): floats within 1e-4 of each other, also after
  multiplying or dividing by 100; brackets ignored; the rest by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isclose

from lema_ray.grading.boxes import last_box
from lema_ray.grading.evaluate import compare_values, constant
from lema_ray.records import Grade

_HASHES = re.compile(r"#### (-?[0-9.,]+)")
_LAST_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_SHORT_FRACTION = re.compile(r"\\frac(?!\{)(.)(\{|.)")
_SHORT_ROOT = re.compile(r"\\sqrt(?!\{)(.)")
_SLASH = re.compile(r"(-?\d+)/(-?\d+)")
_REMOVED = ("\n", "\\!", "\\left", "\\right", "^{\\circ}", "^\\circ", "\\$", "\\%")
_ARITHMETIC = re.compile(r"(?=.*[-+*/])[-+*/().\d]+")
_CHOICE = re.compile(r"\b([A-E])\b")


def _grade(right: bool, answer: str | None, rule: str) -> Grade:
    return Grade("right" if right else "wrong", answer, (rule,))


def gsm8k_strict(text: str, reference: str) -> Grade:
    """OpenAI's grade-school-math evaluation."""
    found = _HASHES.search(text)
    answer = found[1].replace(",", "") if found else None
    return _grade(answer == reference.replace(",", "").strip(), answer, "gsm8k_strict")


def gsm8k_flexible(text: str, reference: str) -> Grade:
    """lm-eval's flexible-extract filter and its exact match."""
    found = [match[0] for match in _LAST_NUMBER.finditer(text)]
    answer = _without_marks(found[-1]) if found else None
    return _grade(answer == _without_marks(reference.strip()), answer, "gsm8k_flexible")


def _without_marks(text: str) -> str:
    return re.sub(r"\.$", "", text.replace(",", "").replace("$", ""))


def lema_gsm8k(text: str, reference: str) -> Grade:
    """LeMa on GSM8K: floats after "The answer is"; a text without the phrase counts as 0."""
    answer, wanted = (_lema_float(t) for t in (text, f"The answer is {reference}"))
    return _grade(answer == wanted, f"{answer:g}", "lema_gsm8k")


def _lema_float(text: str) -> float:
    said = re.split(r"\n\n(?:Q|Question): ", text)[0].replace("The answer is: ", "The answer is ")
    _, phrase, said = said.rpartition("The answer is ")
    said = re.sub(r"[£€,]", "", said.removesuffix(".")).removesuffix(".")
    said = said.rpartition("=")[2].rpartition(">>")[2]
    said = re.sub(r'[a-z$"]', "", said.lower().partition(":")[0])
    if "%" in said and not (said := said.strip()).endswith("%"):
        return 0.0
    said = said.removesuffix("%").removesuffix("/").replace(" ", "")
    if not phrase or not said:
        return 0.0
    try:
        return float(said)
    except ValueError:
        value = constant(said) if _ARITHMETIC.fullmatch(said) else None
        return float(value) if value is not None else 0.0


def lema_math(text: str, reference: str) -> Grade:
    """LeMa on MATH: equal after Hendrycks' normalisation."""
    answer = _hendrycks(_lema_stated(text))
    return _grade(bool(answer) and answer == _hendrycks(reference), answer or None, "lema_math")


def _lema_stated(text: str) -> str:
    said = text.split("Q:")[0].split("Question:")[0].strip().replace("The answer is: ", "The answer is ")
    if "The answer is " in said:
        said = said.rpartition("The answer is ")[2].strip().removesuffix(".").replace("$", "").strip()
        if "boxed{" not in said:
            return said
    box = last_box(said)
    return (box.content or "") if box else ""


def _hendrycks(text: str) -> str:
    """The normal form of an answer in the MATH release: spacing, units, percent and degree signs gone."""
    text = text.replace("\\\\", "\\").replace("tfrac", "frac").replace("dfrac", "frac")
    for mark in _REMOVED:
        text = text.replace(mark, "")
    text = text.partition("\\text{ ")[0].replace(" .", " 0.").replace("{.", "{0.")
    text = "0" + text if text.startswith(".") else text
    name, equals, value = text.partition("=")
    if equals and "=" not in value and len(name) <= 2:
        text = value
    text = _SHORT_ROOT.sub(r"\\sqrt{\1}", text).replace(" ", "")
    text = _SHORT_FRACTION.sub(lambda m: f"\\frac{{{m[1]}}}{m[2] if m[2] == '{' else '{' + m[2] + '}'}", text)
    if text == "0.5":
        return "\\frac{1}{2}"
    slash = _SLASH.fullmatch(text)
    return f"\\frac{{{int(slash[1])}}}{{{int(slash[2])}}}" if slash else text


def qwen_math(text: str, reference: str) -> Grade:
    """The Qwen2.5-Math harness's rules on the answer in the last box, after "answer is", or the last number."""
    box = last_box(text)
    after = re.split(r"(?:he|final) answer is:?", text)
    numbers = re.findall(r"-?\d*\.?\d+", text.replace(",", ""))
    found = (box.content or "") if box else after[-1].strip() if len(after) > 1 else numbers[-1] if numbers else ""
    answer = found.strip().split("\n")[0].strip(" $.:").rstrip("/")
    return _grade(_qwen_equal(_hendrycks(answer), _hendrycks(reference)), answer or None, "qwen_math")


def _qwen_equal(answer: str, reference: str) -> bool:
    if answer.lower() == reference.lower():
        return True
    letters = _CHOICE.findall(answer.upper())
    if reference in tuple("ABCDE") and letters and letters[-1] == reference:
        return True
    one, other = _float(answer), _float(reference)
    if one is not None and other is not None:
        return any(isclose(scaled, one, rel_tol=1e-4) for scaled in (other / 100, other, other * 100))
    bare, wanted = (re.sub(r"[{}()\[\]]", "", side).lower() for side in (answer, reference))
    if answer and bare == wanted:
        return True
    if all(re.match(r"[(\[].+[)\]]", side) for side in (answer, reference)):
        said, listed = answer[1:-1].split(","), reference[1:-1].split(",")
        return len(said) == len(listed) and all(map(_qwen_equal, said, listed))
    return _close(answer, reference)


def _close(answer: str, reference: str) -> bool:
    one, other = constant(answer), constant(reference)
    if one is not None and other is not None:
        return isclose(float(other), float(one), rel_tol=1e-4)
    return compare_values(answer.rpartition("=")[2], reference.rpartition("=")[2]) == "right"


def _float(text: str) -> float | None:
    text = text.replace(",", "")
    scale = 0.01 if text.endswith("%") else 1.0
    try:
        return float(text.rstrip("%\\")) * scale
    except ValueError:
        return None


PUBLISHED: dict[str, Callable[[str, str], Grade]] = {
    "gsm8k_strict": gsm8k_strict,
    "gsm8k_flexible": gsm8k_flexible,
    "lema_gsm8k": lema_gsm8k,
    "lema_math": lema_math,
    "qwen_math": qwen_math,
}
