"""Error types that grow out of the data instead of a list: proposed, merged and refined as mistakes arrive.

After MWPES-300K (arXiv 2501.15581), which gives the idea and no code. In an open-ended analysis (`taxonomy: open`) the
corrector names each mistake in words of its own; here it then sorts those names into categories, a batch at a time, and
in the end merges categories that are the same. The result is a taxonomy file like any other. Called by `lema analyze`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lema_ray.config import SamplingConfig
from lema_ray.engines import Generate, RequestRefused
from lema_ray.mistakes.taxonomy import OTHER, ErrorType, Taxonomy
from lema_ray.records import GradedQuestion, Message, content_id

BATCH = 40
UNNAMED = "(no name)"
SORT = """\
Mistakes in solutions were named by many people in words of their own. Sort the new names into categories. Take a \
category that is there where one fits; otherwise propose a new one, as general as the others.
Reply with one line for each new name, in their order: name => category => what the category means, in a few words.

Categories until now:
{categories}

New names (an example of each):
{names}"""
MERGE = """\
Some of these categories of mistakes may mean the same. Name every two that should be one.
Reply with one line for each such pair: category to give up => category to keep. Reply with: none, when all differ.

Categories:
{categories}"""


@dataclass(frozen=True, slots=True)
class Category:
    """A category with the names that were sorted into it, and how many mistakes they are."""

    name: str
    meaning: str
    names: tuple[str, ...] = ()
    count: int = 0


@dataclass(slots=True)
class Grown:
    """The categories until now by plain name, and the names that no reply sorted."""

    categories: dict[str, Category] = field(default_factory=dict)
    unsorted: list[str] = field(default_factory=list)


def count_names(rows: Iterable[GradedQuestion]) -> tuple[Counter[str], dict[str, str]]:
    """How often each name was given to a mistake, and the explanation of one that has it: the first in its alphabet."""
    counts, examples = Counter[str](), dict[str, str]()
    for analysis in (a for row in rows for a in row.analyses):
        name = " ".join(analysis.label.split()) or UNNAMED
        counts[name] += 1
        examples[name] = min(examples.get(name, analysis.explanation), analysis.explanation)
    return counts, examples


def with_types(row: GradedQuestion, taxonomy: Taxonomy) -> GradedQuestion:
    """The row with its mistakes' names read as types of this taxonomy."""
    return replace(row, analyses=tuple(replace(a, error_type=taxonomy.read(a.label)) for a in row.analyses))


async def grow_taxonomy(
    names: Mapping[str, int], examples: Mapping[str, str], generate: Generate, sampling: SamplingConfig, seed: int
) -> tuple[Taxonomy, list[str]]:
    """A taxonomy of the names with their counts, and the names that could not be sorted.

    The order in which names are sorted depends on them and the seed alone, so the same names give the same taxonomy,
    in whatever order the mistakes were analysed, as far as the model gives the same replies.
    """
    order = sorted(names, key=lambda name: content_id("open taxonomy", str(seed), name))
    grown = Grown()
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        shown = "\n".join(f"- {name}: {examples.get(name, '')}" for name in batch)
        prompt = SORT.format(categories=_shown(grown.categories) or "(none yet)", names=shown)
        _sort(grown, batch, await _ask(prompt, generate, sampling, seed + start), names)
    if len(grown.categories) > 1:
        merges = await _ask(MERGE.format(categories=_shown(grown.categories)), generate, sampling, seed)
        _merge(grown, merges)
    return _taxonomy(grown.categories.values()), grown.unsorted


async def _ask(prompt: str, generate: Generate, sampling: SamplingConfig, seed: int) -> str:
    try:
        return (await generate((Message("user", prompt),), sampling.with_seed(seed))).text
    except RequestRefused:
        return ""


def _shown(categories: Mapping[str, Category]) -> str:
    return "\n".join(f"- {c.name}: {c.meaning} ({c.count})" for c in categories.values())


def _sort(grown: Grown, batch: Sequence[str], reply: str, counts: Mapping[str, int]) -> None:
    """Put each name of a batch where a line of the reply says."""
    lines = [_parts(line) for line in reply.splitlines()]
    said = {_plain(parts[0]): parts[1:] for parts in lines if len(parts) >= 2 and parts[1]}
    for name in batch:
        placed = said.get(_plain(name))
        if placed is None:
            grown.unsorted.append(name)
            continue
        key = _plain(placed[0])
        meaning = placed[1] if len(placed) > 1 and placed[1] else placed[0]
        old = grown.categories.get(key, Category(placed[0], meaning))
        grown.categories[key] = replace(old, names=(*old.names, name), count=old.count + counts[name])


def _merge(grown: Grown, reply: str) -> None:
    """Give up categories for others, as far as both are there."""
    for parts in (_parts(line) for line in reply.splitlines()):
        if len(parts) != 2:
            continue
        lost, kept = (_plain(part) for part in parts)
        if lost == kept or not {lost, kept} <= grown.categories.keys():
            continue
        gone, stays = grown.categories.pop(lost), grown.categories[kept]
        names = (*stays.names, gone.name, *gone.names)
        grown.categories[kept] = replace(stays, names=names, count=stays.count + gone.count)


def _parts(line: str) -> list[str]:
    return [part.strip(" -*`\"'") for part in line.split("=>")]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _taxonomy(categories: Iterable[Category]) -> Taxonomy:
    """The categories as error types, the most frequent first; a name that two would claim goes to the first."""
    taken, types = {_plain(OTHER)}, list[ErrorType]()
    for number, one in enumerate(sorted(categories, key=lambda c: (-c.count, c.name)), 1):
        names = [name for name in dict.fromkeys((one.name, *one.names)) if _plain(name) and _plain(name) not in taken]
        distinct = list({_plain(name): name for name in reversed(names)}.values())[::-1]
        taken |= {_plain(name) for name in distinct}
        if distinct:
            types.append(ErrorType(f"T{number}", distinct[0], one.meaning, tuple(distinct[1:])))
    return Taxonomy("open", tuple(types), {})
