"""Numbers in words: "two hundred and five", "three and a half", "two thirds", "1.5 million", "3 dozen", 二十四.

Called by `numbers`. English, and the numerals that Chinese and Japanese share.
"""

from __future__ import annotations

import re
from fractions import Fraction

_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_SMALL = {word: number for number, word in enumerate(_TO_TWENTY.split())}
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_SMALL |= {word: 30 + 10 * i for i, word in enumerate(_TENS.split())}
_SCALES = {"dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALES |= {f"{word}s": size for word, size in list(_SCALES.items())} | {"hundred": 100, "hundreds": 100}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8}
_PARTS |= {"ninth": 9, "tenth": 10, "hundredth": 100, "thousandth": 1000, "halve": 2}
_PARTS |= {f"{word}s": size for word, size in list(_PARTS.items())}
_TOKEN = re.compile(r"[\s-]*(\d+/(?:0|[1-9]\d*)(?!\d)|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|[a-z]+)", re.I)
_HAN = {char: number for number, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
_HAN_GROUPS = {"万": 10**4, "億": 10**8, "亿": 10**8}
_HAN_NUMBER = re.compile(rf"(\d[\d,]*(?:\.\d+)?)?([{''.join([*_HAN, *_HAN_SCALES, *_HAN_GROUPS])}]+)")

Spoken = tuple[Fraction, str]
"""A number, and what stands after it."""


def read_number_words(text: str) -> Spoken | None:
    """The number that a text starts with in words, at least partly, and the rest of the text; else None."""
    if han := _HAN_NUMBER.match(text):
        return _han(han[1], han[2]), text[han.end() :]
    tokens = _tokens(text)
    reading = _Reading()
    end = 0
    for at, (token, position) in enumerate(tokens):
        if not reading.take(token, tokens[at + 1][0] if at + 1 < len(tokens) else ""):
            break
        end = position if token not in ("and", "a", "an") else end
    return (reading.value, text[end:]) if reading.spoken and end else None


def _tokens(text: str) -> list[tuple[str, int]]:
    tokens: list[tuple[str, int]] = []
    position = 0
    while len(tokens) < 32 and (match := _TOKEN.match(text, position)):
        tokens.append((match[1].lower(), match.end()))
        position = match.end()
    return tokens


class _Reading:
    """Adds up words as they come: `group` is what the next "thousand" will multiply."""

    def __init__(self) -> None:
        self.total, self.group, self.spoken, self._before = Fraction(0), Fraction(0), False, ""

    @property
    def value(self) -> Fraction:
        return self.total + self.group

    def take(self, token: str, after: str) -> bool:
        """Whether the word belongs to the number."""
        taken = self._take(token, after)
        self._before = token if taken else self._before
        return taken

    def _take(self, token: str, after: str) -> bool:
        if token[0].isdigit() or token[0] == ".":
            if self._before not in ("", "and") or token.endswith("/0"):
                return False
            self.group += Fraction(token.replace(",", ""))
        elif token in _SMALL:
            if self._before in _SMALL and not (_SMALL[self._before] >= 20 > _SMALL[token] > 0):
                return False
            self.group, self.spoken = self.group + _SMALL[token], True
        elif token in _SCALES:
            self._scale(_SCALES[token])
        elif token in _PARTS:
            return self._part(Fraction(1, _PARTS[token]))
        elif token in ("a", "an"):
            return after in _PARTS or after in _SCALES
        elif token == "and":
            self.spoken = True
            return self._before != "" and (after in ("a", "an") or after in _SMALL or "/" in after)
        else:
            return False
        return True

    def _scale(self, size: int) -> None:
        self.spoken = True
        self.group = (self.group or Fraction(1)) * size
        if size >= 1000:
            self.total, self.group = self.total + self.group, Fraction(0)

    def _part(self, part: Fraction) -> bool:
        """ "two thirds", "a half", "three and a half"; a bare "third" is a place in a row."""
        if self._before in ("a", "an") or (self._before == "" and part == Fraction(1, 2)):
            self.group += part
        elif self._before in _SMALL or self._before.isdigit():
            count = Fraction(_SMALL.get(self._before) or self._before)
            self.group += count * part - count
        else:
            return False
        self.spoken = True
        return True


def _han(digits: str | None, numerals: str) -> Fraction:
    total, group, digit = Fraction(0), Fraction(0), Fraction(digits.replace(",", "")) if digits else Fraction(0)
    for char in numerals:
        if char in _HAN:
            digit = digit * 10 + _HAN[char]
        elif char in _HAN_SCALES:
            group, digit = group + (digit or 1) * _HAN_SCALES[char], Fraction(0)
        else:
            total, group, digit = total + (group + digit or 1) * _HAN_GROUPS[char], Fraction(0), Fraction(0)
    return total + group + digit
