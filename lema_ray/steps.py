"""A solution as a list of steps, and back to the same text byte for byte.

Used by recipes (which step is wrong, keep the steps before it) and by the report. Steps keep their own white space, so
`join_steps(split_steps(text)) == text` for every text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

_LABEL = re.compile(r"\s*(?:[#>*_]+\s*)*step\s+(\d+)\s*(?:[*_]+\s*)?[:.)–—-](?:[*_]+)?[ \t]*", re.I)
_INNER_LABEL = re.compile(r"(?:(?<=^)|(?<=[\s*]))[*_]*step\s+(\d+)\s*[:.)]", re.I)
_FINAL = re.compile(
    r"\s*(?:####|[*_#]*(?:(?:so|thus|therefore|hence)\b\W+)?(?:the )?(?:final )?"
    r"(?:answer(?: is\b|\s*:)|solution:|conclusion:))",
    re.I,
)
_CLOSERS = {"\\[": "\\]", "$$": "$$", "```": "```", "[asy]": "[/asy]", "\\begin{": "\\end{"}
_MARK = re.compile("|".join(re.escape(mark) for mark in {*_CLOSERS, *_CLOSERS.values()}))
_ROW = re.compile(r"\s*\|.*\|\s*$")
_CONTINUES = re.compile(r"\s*(?:[a-z(,;.]|\\(?:text|quad|implies|Rightarrow|therefore)|[-+*]\s|[=<>])")
_INTRODUCES = re.compile(r"[:,=]\**\s*$")
_SENTENCE = re.compile(r"""(?:[.!?]["')\]*]*\s+|[。！？]\s*)(?=\S)""")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|e\.g|i\.e|cf|approx|no|nos|fig|eq|eqs|sec|ch|ex|oz|lb|lbs|ft|tbsp|tsp|min|hr|hrs"
    r"|a\.m|p\.m|etc|u\.s)|(?-i:(?:^|[A-Z][\w.]*\s)[A-Z])|(?:^|\n)\s*\(?(?:\d{1,3}|[a-z]))\.\s+$",
    re.I,
)
_TITLE_ONLY = re.compile(r"\b(?:oz|lbs?|ft|tbsp|tsp|min|hrs?|a\.m|p\.m|etc|sec)\.\s+$", re.I)
# A dollar sign before an amount of money opens no formula: what would close it follows a blank or precedes a digit.
_INLINE = re.compile(r"\$(?!\s)[^$\n]*(?<![\s\\])\$(?!\d)|\\\(.*?\\\)|\([^()\n]*\)", re.S)


def split_steps(text: str) -> list[str]:
    """The steps of a solution in order; their concatenation is the text. Empty text has none.

    With `Step k:` lines each label begins a step, and so does a line with the final answer. Otherwise each line is
    one, but a formula block, a table or a list stays with the line that introduces it; a text of one paragraph is
    split at labels inside it, or into its sentences.
    """
    lines = text.splitlines(keepends=True)
    labelled = any(_LABEL.match(line) for line in lines)
    steps = _merged(lines, _starts_labelled(lines) if labelled else _starts_plain(lines))
    if sum(1 for step in steps if step.strip()) == 1:
        steps = [part for step in steps for part in _labels_in_a_line(step) or _sentences(step)]
    return _without_blanks(steps)


def join_steps(steps: Sequence[str]) -> str:
    """The text of steps that keep their own white space."""
    return "".join(steps)


def step_span(steps: Sequence[str], step: int) -> tuple[int, int]:
    """Where a step stands in the text of all of them: its first character, and the one after its last that shows."""
    start = sum(map(len, steps[:step]))
    return start, start + len(steps[step].rstrip())


def number_steps(steps: Sequence[str]) -> str:
    """A solution as `Step 1: ...` lines for a prompt, numbered by position whatever labels it had."""
    return "\n".join(f"Step {number}: {_LABEL.sub('', step, count=1).strip()}" for number, step in enumerate(steps, 1))


def _merged(lines: Sequence[str], starts: Iterator[bool]) -> list[str]:
    steps: list[str] = []
    for line, is_start in zip(lines, starts, strict=True):
        if is_start or not steps:
            steps.append(line)
        else:
            steps[-1] += line
    return steps


def _starts_labelled(lines: Sequence[str]) -> Iterator[bool]:
    for line, inside in zip(lines, _inside_block(lines), strict=True):
        yield not inside and (_LABEL.match(line) or _FINAL.match(line)) is not None


def _starts_plain(lines: Sequence[str]) -> Iterator[bool]:
    before = ""  # the last line with something on it
    for line, inside in zip(lines, _inside_block(lines), strict=True):
        if not line.strip():
            yield False
            continue
        yield not (inside or _belongs(line, before))
        before = line


def _belongs(line: str, before: str) -> bool:
    """Whether a line goes on with what the line before it began."""
    if _ROW.match(line) and _ROW.match(before):
        return True
    opens = line.lstrip().startswith(tuple(_CLOSERS))
    closed = before.rstrip().endswith(("\\]", "$$", "```", "[/asy]")) or "\\end{" in before
    return opens or (closed and _CONTINUES.match(line) is not None) or _INTRODUCES.search(before) is not None


def _inside_block(lines: Sequence[str]) -> Iterator[bool]:
    """For each line, whether it begins inside a formula block, an environment or code that an earlier line opened."""
    last = {closer: at for at, line in enumerate(lines) for closer in _CLOSERS.values() if closer in line}
    closer, depth = "", 0
    for at, line in enumerate(lines):
        yield depth > 0
        for match in _MARK.finditer(line):
            mark = match[0]
            if depth and mark == closer:
                depth -= 1
            elif depth:
                depth += _CLOSERS.get(mark) == closer
            elif mark in _CLOSERS and (last.get(_CLOSERS[mark], -1) > at or _CLOSERS[mark] in line[match.end() :]):
                closer, depth = _CLOSERS[mark], 1  # what is never closed is a slip of the pen, not a block


def _labels_in_a_line(text: str) -> list[str]:
    """A paragraph cut at its `Step k:` labels that count up; empty when it has fewer than two."""
    starts, number = list[int](), 0
    for match in _INNER_LABEL.finditer(text):
        if int(match[1]) == number + 1 or not starts:
            starts, number = [*starts, match.start()], int(match[1])
    if len(starts) < 2:
        return []
    cuts = [0, *starts[1:], len(text)]
    return [text[a:b] for a, b in pairwise(cuts)]


def _sentences(text: str) -> list[str]:
    kept = [match.span() for match in _INLINE.finditer(text)]
    steps, start = [], 0
    for match in _SENTENCE.finditer(text):
        if any(a < match.start() < b - 1 for a, b in kept) or not _ends_sentence(
            text[start : match.end()], text[match.end()]
        ):
            continue
        steps.append(text[start : match.end()])
        start = match.end()
    return [*steps, text[start:]]


def _ends_sentence(sentence: str, following: str) -> bool:
    if following.islower():
        return False
    if _TITLE_ONLY.search(sentence):
        return following.isupper()
    return _ABBREVIATION.search(sentence) is None


def _without_blanks(parts: Sequence[str]) -> list[str]:
    """No step of white space alone: it goes with the step before it, or the first one."""
    steps: list[str] = []
    for part in parts:
        if steps and (not part.strip() or not steps[-1].strip()):
            steps[-1] += part
        elif part:
            steps.append(part)
    return steps
