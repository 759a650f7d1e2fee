"""The scorer counts what it should on replies whose scores are known by hand, and refuses files it cannot read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lema_ray.config import ConfigError
from lema_ray.demo.erring import labelled_mistakes
from lema_ray.demo.rules import reply
from lema_ray.mistakes.analysis import Analyzer
from lema_ray.mistakes.labelled import Labelled, read_labelled
from lema_ray.mistakes.measure_corrector import to_markdown
from lema_ray.mistakes.score_corrector import Judged, by_source, judge_all, scores
from lema_ray.mistakes.taxonomy import load_taxonomy
from lema_ray.records import Completion, Message, Question, Sampling

TAXONOMY = load_taxonomy()


def row(label: int | None, kind: str | None = None, source: str = "s") -> Labelled:
    return Labelled("r", Question("q", "?", "1", source), ("a", "b", "c", "d"), label, kind)


def test_measures_agree_with_a_count_by_hand() -> None:
    judged = [
        Judged(row(1, "calculation"), 1, "CA", 0.9),
        Judged(row(1, "calculation"), 2, "CO", 0.9),
        Judged(row(2, "counting"), 0, "CO", 0.5),
        Judged(row(3, "counting"), None),
        Judged(row(0), failed="unreadable_reply"),
        Judged(row(None), None),
        Judged(row(None), 0, "CA", 0.1),
        Judged(row(None), failed="cut_off"),
    ]
    found = scores(judged, TAXONOMY)
    assert (found["wrong"]["hits"], found["wrong"]["rows"], found["wrong_within_1"]["hits"]) == (1, 5, 2)
    assert (found["right"]["hits"], found["right"]["rows"]) == (1, 3)
    assert found["f1"] == pytest.approx(2 * (1 / 5) * (1 / 3) / (1 / 5 + 1 / 3))
    assert (found["too_early"], found["too_late"], found["called_right"]) == (1, 1, 1)
    assert found["failed"] == {"unreadable_reply": 1, "cut_off": 1} and found["always_one_step"] == 2
    types = found["types"]
    assert types["accuracy"]["hits"] == 2 and types["accuracy"]["rows"] == 4
    assert types["each"]["CA"]["f1"] == pytest.approx(2 / 3) and types["each"]["CO"]["f1"] == pytest.approx(2 / 4)
    assert types["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    calibration = found["calibration"]
    assert calibration["rows"] == 4 and calibration["accuracy"] == 0.25
    assert calibration["expected_error"] == pytest.approx((abs(1.8 - 1) + 0.5 + 0.1) / 4)
    assert calibration["brier"] == pytest.approx((0.01 + 0.81 + 0.25 + 0.01) / 4)


def test_sources_are_told_apart_and_nothing_is_divided_by_nothing() -> None:
    found = by_source([Judged(row(0), 0, "CA"), Judged(row(None, source="t"))], TAXONOMY)
    assert list(found) == ["s", "t", "all"] and found["s"]["right"] is None and found["s"]["f1"] is None
    assert found["all"]["f1"] == 1.0 and found["s"]["types"] is None and found["s"]["calibration"] is None
    assert scores([], TAXONOMY)["rows"] == 0
    assert "| all | 1/1 = 100.0%" in to_markdown(found)


async def test_the_rule_based_teacher_on_mistakes_made_by_rule(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in labelled_mistakes(300)))
    rows = list(read_labelled(path))

    async def teacher(messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion(reply(messages, True), "stop", "teacher", 1, 1)

    async def always_first(messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion("Incorrect Step: 1\nError Type: calculation", "stop", "first", 1, 1)

    found = scores(await judge_all(rows, teacher, Analyzer()), TAXONOMY)
    assert found["rows"] == 300 and found["f1"] > 0.97 and found["failed"] == {}
    guess = scores(await judge_all(rows, always_first, Analyzer()), TAXONOMY)
    assert guess["right"]["hits"] == 0 and guess["f1"] == 0 and guess["types"]["macro_f1"] < 0.15
    assert len({r.question.id for r in rows}) > 290 and sum(r.wrong_step is None for r in rows) > 40


@pytest.mark.parametrize(
    "line",
    ['{"problem": "p", "steps": ["a"]}', '{"problem": "p", "steps": ["a"], "label": 1}', "[]", "{",
     '{"problem": "p", "steps": [1], "label": 0}', '{"problem": "p", "steps": ["a"], "label": "0"}'],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"problem": "p", "steps": ["a"], "label": -1}\n\n' + line + "\n")
    with pytest.raises(ConfigError, match=r"bad.jsonl: line 3"):
        list(read_labelled(path))


def test_the_command_asks_a_real_server(tmp_path: Path) -> None:
    (tmp_path / "mistakes.jsonl").write_text("".join(json.dumps(r) + "\n" for r in labelled_mistakes(60)))
    (tmp_path / "run.yaml").write_text(
        "name: score\nquestions: {train: {source: word_problems}}\nstudents: [{engine: {type: scripted}}]\n"
        "corrector:\n  engine: {type: openai, model: rule-based-teacher,"
        ' launch: "{python} -m lema_ray.demo.server --port {port}"}\n'
    )
    command = [sys.executable, "-m", "lema_ray.cli", "score-corrector", "run.yaml", "--out", "scores.json"]
    ended = subprocess.run(
        [*command, "--labelled", "mistakes.jsonl", "--limit", "50"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"word problems, mistakes by rule \| 4\d/4\d = ", ended.stdout)
    assert json.loads((tmp_path / "scores.json").read_text())["corrector"] == "rule-based-teacher"
    without = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert without.returncode == 2 and "--labelled FILE" in without.stderr


@pytest.mark.shared_data
def test_the_shared_files_are_read(shared_data: Path) -> None:
    counts = {p.stem: len(list(read_labelled(p))) for p in shared_data.glob("errloc_*.jsonl")}
    assert counts["errloc_processbench_a"] == 1691 and len(counts) == 5
