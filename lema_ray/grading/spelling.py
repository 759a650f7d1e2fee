"""One spelling for answers that look the same: no spacing or colour commands, Unicode mathematics as LaTeX.

Called by `compare`, `lists` and `symbolic` on both sides of a comparison, so that they have less to understand.
"""

from __future__ import annotations

import re

from lema_ray.grading.clean import latex_symbols, plain_characters
from lema_ray.grading.units import NO_UNIT, Unit, read_unit

_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|sf|tt)?|math(?:rm|bf|it|sf|tt)|mbox|hbox|operatorname|boldsymbol|underline|emph"
    r"|textcolor\s*\{\w+\}|color\s*\{\w+\})\s*\{([^{}]*)\}"
)
_FONT = re.compile(
    r"\\(?:bf|it|rm|sf|tt|tiny|small|large|Large|LARGE|huge|Huge|displaystyle|textstyle|normalsize)(?![A-Za-z])"
)
_SPACING = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\!\s*|\\limits|\\mathstrut")
_WIDE = re.compile(r"(?<!\\)\\[,;:> ]|\\q?quad(?![a-z])|~|\s+|\\$")
_SAME = {
    "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\cfrac": "\\frac", "\\%": "%", "\\$": "$", "{,}": ",",
    "\\lbrace": "\\{", "\\rbrace": "\\}", "\\langle": "(", "\\rangle": ")", "\\leqslant": "\\le ",
    "\\geqslant": "\\ge ", "\\leq": "\\le ", "\\geq": "\\ge ", "<=": "\\le ", ">=": "\\ge ", "\\lt": "<", "\\gt": ">",
    "\\varnothing": "\\emptyset", "\\{\\}": "\\emptyset", "+/-": "\\pm ", "+-": "\\pm ", "**": "^", "\\colon": ":",
    "\\ast": "*", "\\vert": "|", "\\lvert": "|", "\\rvert": "|", "\\to": "\\to ",
}  # fmt: skip
_COMMAND = {re.escape(key) + ("(?![A-Za-z])" if key[-1].isalpha() else ""): key for key in _SAME}
_SAME_PATTERN = re.compile("|".join(sorted(_COMMAND, key=len, reverse=True)))
_SPOKEN = (
    (re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])"), r"\\pi "),
    (re.compile(r"(?<=\d)pi(?![A-Za-z])"), r"\\pi "),
    (re.compile(r"(?<![\\A-Za-z])(?:infinity|inf|oo)(?![A-Za-z])", re.I), r"\\infty "),
    (re.compile(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\^\s*\(([^()]*)\)"), r"^{\1}"),
    (re.compile(r"\+\s*(?=\\infty)(?<![\w)}]\+)"), ""),
    (re.compile(r"(?:all\s+)?real numbers?|all reals?|\\mathbb\s*\{?\s*R\s*\}?", re.I), r"(-\\infty,\\infty)"),
)  # fmt: skip
_MEMBER = re.compile(r"^[a-z]\s*\\in\s*(?=[\[(\\])", re.I)
_VARIABLE = re.compile(r"[A-Za-z\\]+(?:_\{?\w+\}?)?\s*(?:\([a-z]\)\s*)?|\([a-z](?:\s*,\s*[a-z])+\)\s*")
_LABEL = re.compile(r"^[a-z](?:_\{?\w+\}?)?\s*:\s*(?=[-\d\\$(])")
_OUTER = re.compile(r"\{([^{}]*)\}|\(\(([^()]*)\)\)")
_POWER = r"(?:\s*\^\s*\{?\s*[1-4]\s*\}?)?"
_UNIT_AT_END = re.compile(
    rf"(?:\\[,;:! ]|~|\s)*(?:\\(?:text|mathrm|mbox|textrm|hbox)\s*\{{([^{{}}]+)\}}({_POWER})"
    rf"|(?<=[\s\d}})])([A-Za-z]{{2,}}{_POWER}))[\s.]*$"
)
_MATHS = re.compile(r"\d|\\pi|\\sqrt|\\frac")
_SEVERAL = re.compile(r"\s(?:and|or)\s|;")
_FULL_STOP = re.compile(r"(?<!\.)\.$")
_STRAY = re.compile(r"(?<!\\)\\(?=\d)")
_MARKS = re.compile(r"^(?:\*\*|__|`)+|(?:\*\*|__|`)+$")


def normalise(text: str) -> str:
    """The text of an answer or a reference in the one spelling that comparisons work on."""
    text = latex_symbols(plain_characters(text)).strip()
    if text.isdecimal():
        return text
    text = _WIDE.sub(" ", _SPACING.sub("", _FONT.sub("", _plain_text(text))))
    text = _SAME_PATTERN.sub(lambda match: _SAME[match[0]], text)
    text = _FULL_STOP.sub("", _MARKS.sub("", text.strip()).strip()).strip()
    if text.count("$") % 2 == 0:
        text = text.replace("$", "")
    for spoken, written in _SPOKEN:
        text = spoken.sub(written, text)
    if outer := _OUTER.fullmatch(text):
        text = outer[1] or outer[2] or text
    return _LABEL.sub("", _MEMBER.sub("", _STRAY.sub("", text.strip()))).strip()


def _plain_text(text: str) -> str:
    """Without `\\text{}` and the like, nested ones too."""
    for _ in range(3):
        plain = _TEXT.sub(r" \1 ", text)
        if plain == text:
            break
        text = plain
    return text


def without_unit(text: str) -> tuple[str, Unit]:
    """An expression without the unit after it, and that unit: `144\\pi\\text{ cm}^3`. Other words stay."""
    tail = text[-60:]
    match = _UNIT_AT_END.search(tail)
    if match is None:
        return text, NO_UNIT
    head = text[: len(text) - len(tail) + match.start()]
    unit = read_unit(match[1] + match[2] if match[1] else match[3])
    counted = match[1] is not None and len(match[1].strip()) > 2
    if unit is None or not (unit or counted) or not _MATHS.search(head):
        return text, NO_UNIT
    return head.strip(), unit


def value_side(text: str, other: str) -> str:
    """The value in `x = 5` where the other side is not an equation, and the exact one in `\\sqrt 2 \\approx 1.41`."""
    exact, _, rounded = text.partition("\\approx")
    text = rounded if rounded and _VARIABLE.fullmatch(exact.strip()) else exact if exact.strip() else text
    if (
        "=" not in text
        or "=" in other
        or _SEVERAL.search(text)
        or re.search(r"[<>]|\\[lg]e|,(?![^()]*\))(?!\d{3})", text)
    ):
        return text.strip()
    left, _, right = text.rpartition("=")
    if _VARIABLE.fullmatch(right.strip()) and re.fullmatch(r"[-\d.,/ ]+|\\frac\{-?\d+\}\{\d+\}", left.strip()):
        return left.strip()
    simple = _VARIABLE.fullmatch(left.strip()) or not left.strip() or re.search(r"\d", left)
    whole = all(right.count(a) == right.count(b) for a, b in ("{}", "()"))
    return right.strip() if simple and whole else text.strip()
