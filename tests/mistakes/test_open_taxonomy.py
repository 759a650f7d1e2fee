"""Names grow into categories: sorted in batches, merged, the same for a fixed seed, and a file like any taxonomy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from lema_ray.config import AnalysisConfig, SamplingConfig
from lema_ray.engines import RequestRefused
from lema_ray.mistakes.analysis import Analyzer
from lema_ray.mistakes.open_taxonomy import count_names, grow_taxonomy, with_types
from lema_ray.mistakes.taxonomy import load_taxonomy, to_yaml
from lema_ray.records import Analysis, Completion, GradedQuestion, Message, Question, Sampling

ROOTS = {"arith": "calculation", "calc": "calculation", "unit": "units", "conv": "conversion", "read": "misreading"}
NAMES = [f"{root} slip {n}" for root in ROOTS for n in range(30)]
SAMPLING = SamplingConfig(temperature=0.0)


async def sorter(messages: Sequence[Message], sampling: Sampling) -> Completion:
    """Sorts names by their first word, and knows that conversion and units are one."""
    asked = messages[-1].content
    if "to give up" in asked:
        text = "conversion => units\nunits => nowhere" if "- conversion:" in asked else "none"
    else:
        names = re.findall(r"^- (\w+ slip \d+):", asked.partition("New names")[2], re.M)
        lines = [
            f"- {n} => **{ROOTS[n.split()[0]]}** => about {ROOTS[n.split()[0]]}" for n in names if n != "read slip 7"
        ]
        text = "Here they are.\n" + "\n".join(lines)
    return Completion(text, "stop", "sorter", 1, 1)


async def test_names_are_sorted_merged_and_counted() -> None:
    counts = dict.fromkeys(NAMES, 1) | {"unit slip 0": 500}
    taxonomy, unsorted = await grow_taxonomy(counts, {}, sorter, SAMPLING, 0)
    assert [t.name for t in taxonomy.types] == ["units", "calculation", "misreading"]
    assert unsorted == ["read slip 7"]
    units, calculation, _ = taxonomy.types
    assert "conversion" in units.aliases and taxonomy.read("conv slip 3") == units.code
    assert taxonomy.read("calc slip 29") == taxonomy.read("arith slip 0") == calculation.code
    assert taxonomy.read("read slip 7") == "other"


async def test_the_result_does_not_depend_on_the_order_of_arrival() -> None:
    shuffled = Random(1).sample(NAMES, len(NAMES))
    first = await grow_taxonomy(dict.fromkeys(NAMES, 1), {}, sorter, SAMPLING, 3)
    assert await grow_taxonomy(dict.fromkeys(shuffled, 1), {}, sorter, SAMPLING, 3) == first


async def test_it_is_a_file_that_later_runs_can_take(tmp_path: Path) -> None:
    taxonomy, _ = await grow_taxonomy(dict.fromkeys(NAMES, 1), {}, sorter, SAMPLING, 0)
    path = tmp_path / "grown.yaml"
    path.write_text(to_yaml(taxonomy))
    again = load_taxonomy(str(path))
    assert again.types == taxonomy.types
    row = GradedQuestion(Question("q", "?", "1", "t"), analyses=(Analysis("a", 0, "other", "unit  slip 4"),))
    assert with_types(row, again).analyses[0].error_type == again.read("units")
    assert count_names([row])[0] == {"unit slip 4": 1}


@pytest.mark.parametrize("reply", ["", "no idea", "=> =>", "a => b => c => d", RequestRefused("content_filter", "no")])
async def test_useless_replies_leave_names_unsorted(reply: str | Exception) -> None:
    async def useless(messages: Sequence[Message], sampling: Sampling) -> Completion:
        if isinstance(reply, Exception):
            raise reply
        return Completion(reply, "stop", "m", 1, 1)

    taxonomy, unsorted = await grow_taxonomy(dict.fromkeys(NAMES, 1), {}, useless, SAMPLING, 0)
    assert taxonomy.types == () and sorted(unsorted) == sorted(NAMES)


def test_an_open_analysis_asks_for_words_of_ones_own() -> None:
    prompt = Analyzer(AnalysisConfig(taxonomy="open")).prompt(Question("q", "?", "1", "t"), ["1 + 1 = 3"])[0].content
    assert "words of your own" in prompt and "- missing step" not in prompt and "Error Type: " not in prompt
    assert "one of these:\n- calculation" in Analyzer().prompt(Question("q", "?", "1", "t"), ["x"])[0].content
