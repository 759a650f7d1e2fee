"""What is never handed to a computer algebra system: towers of powers, code, and all that could hang it or fill memory.

Called by `compare` and `pool`. Reasons are for people; a refused comparison is `unsure`.
"""

from __future__ import annotations

import re

from lema_ray.grading.numbers import MAX_DIGITS

_CODE = re.compile(r"__|\bimport\b|\bopen\s*\(|\bexec\b|\beval\b|\blambda\b|\bsystem\b")
_TOWER = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*[\w.]+\s*[)}]*\s*(?:\^|\*\*)")
_EXPONENT = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*-?\d{5,}")
_EXPANSION = re.compile(r"[A-Za-z][^()]*\)\s*(?:\^|\*\*)\s*[{(]?\s*\d{3,}")
_RELATIONS = re.compile(r"[<>=]|\\[lg]e(?![a-z])")
_FACTORIAL = re.compile(r"\d{5,}\s*!|\)\s*!|!\s*!")
_LARGE = re.compile(r"\\(?:sum|prod|int|iint|oint|lim)(?![a-z])")


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    return deepest


def why_not_symbolic(answer: str, reference: str) -> str | None:
    """Why an answer is not given to a computer algebra system, None when it may be."""
    checks = {
        "longer than 1,500 characters": len(answer) > 1_500,
        "nested more than 40 deep": _depth(answer) > 40,
        "looks like code": bool(_CODE.search(answer)),
        "a tower of powers": bool(_TOWER.search(answer)),
        "an exponent of more than 4 digits": bool(_EXPONENT.search(answer)),
        "a sum to a power of more than 2 digits": bool(_EXPANSION.search(answer)),
        "more than 20 relations": len(_RELATIONS.findall(answer)) > 20,
        "a huge or nested factorial": bool(_FACTORIAL.search(answer)),
        "sums, integrals or limits that the reference has not": bool(_LARGE.search(answer))
        and not _LARGE.search(reference),
        f"more than {MAX_DIGITS} digits": sum(char.isdigit() for char in answer) > MAX_DIGITS,
    }
    return next((reason for reason, refused in checks.items() if refused), None)
