"""Programming problems from files in the forms of MBPP and HumanEval, and from the generator."""

from __future__ import annotations

import json
from pathlib import Path

from lema_ray.config import SourceConfig
from lema_ray.questions import read_questions
from lema_ray.records import Dropped, Question

ROWS = [
    {"text": "Double a number.", "code": "def dbl(x):\r\n  return 2*x", "test_list": ["assert set([dbl(2)]) == {4}"]},
    {
        "prompt": 'def inc(x):\n    """Add one."""\n',
        "entry_point": "inc",
        "canonical_solution": "    return x + 1\n",
        "test": "def check(candidate):\n    assert candidate(1) == 2\n    assert abs(candidate(2) - 3) < 1e-6\n",
    },
    {"text": "Nothing to test.", "test_list": ["not a test"]},
    {"text": "No tests.", "test_list": []},
    {"text": "No column."},
]


def test_published_forms(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    found = [item for _, item in read_questions(SourceConfig(source="files", path=str(path), task="code"))]
    mbpp, humaneval, *bad = found
    assert isinstance(mbpp, Question) and isinstance(humaneval, Question)
    assert (
        mbpp.text.endswith("It is called like this: set([dbl(2)])")
        and mbpp.reference == '["assert set([dbl(2)]) == {4}"]'
    )
    assert json.loads(humaneval.reference) == ["assert inc(1) == 2", "assert abs(inc(2) - 3) < 1e-06"]
    assert humaneval.solution is not None and '    """Add one."""\n    return x + 1' in humaneval.solution
    assert [item.reason for item in bad if isinstance(item, Dropped)] == ["no_tests", "no_reference", "missing_field"]


def test_the_generator_makes_different_problems_and_the_same_ones_again() -> None:
    source = SourceConfig(source="program_problems", count=100, seed=3)
    first, again = ([item for _, item in read_questions(source)] for _ in range(2))
    assert first == again and len({q.id for q in first if isinstance(q, Question)}) == 100
    assert all(isinstance(q, Question) and len(json.loads(q.reference)) >= 4 for q in first)
