"""Rounds: one run each, the student of one is the model of the one before; and the page over all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made_run import make_run

from lema_ray.config import ConfigError, load_config, parse_config, round_configs
from lema_ray.evaluation.compare_rounds import write_rounds
from lema_ray.on_ray.flow import Flow
from lema_ray.planning.student import asked_student
from lema_ray.questions import read_questions
from lema_ray.runs import RunFolder


def _config(**changes: Any) -> Any:
    return parse_config(
        {
            "name": "study",
            "runs_dir": "/runs",
            "seed": 7,
            "questions": {"train": {"source": "word_problems"}, "test": {"source": "word_problems"}},
            "students": [{"engine": {"type": "scripted"}}, {"engine": {"type": "vllm", "model": "some/base"}}],
            "corrector": {"engine": {"type": "scripted"}},
            "rounds": 3,
        }
        | changes
    )


def test_the_student_of_a_round_is_the_model_of_the_one_before() -> None:
    first, second, third = round_configs(_config())
    assert [c.folder for c in (first, second, third)] == ["/runs/study-r1", "/runs/study-r2", "/runs/study-r3"]
    assert [c.students[1].engine.model for c in (first, second, third)] == [
        "some/base",
        "/runs/study-r1/models/lema",
        "/runs/study-r2/models/lema",
    ]
    assert [c.train.base for c in (first, second, third)] == ["some/base"] * 3
    assert [c.seed for c in (first, second, third)] == [7, 8, 9]
    assert third.students[0] == first.students[0] and third.rounds.count == 1
    assert parse_config(yaml.safe_load(yaml.safe_dump(third.model_dump(mode="json")))) == third


def test_a_student_that_corrects_itself_does_so_in_every_round() -> None:
    student = {"type": "vllm", "model": "some/base"}
    own = _config(students=[{"engine": student}], corrector={"engine": student}, rounds=2)
    assert [c.corrector.engine.model for c in round_configs(own)] == ["some/base", "/runs/study-r1/models/lema"]
    for each in round_configs(own):
        assert each.corrector.engine == each.students[0].engine
    of_another = own.model_copy(update={"corrector": _config().corrector})
    assert [c.corrector for c in round_configs(of_another)] == [of_another.corrector] * 2


def test_the_shipped_rounds_hold_beside_their_correctors() -> None:
    shipped = [load_config(path) for path in Path(__file__).parents[2].glob("jobs/configs/*.yaml")]
    rounds = [config for each in shipped if each.rounds.count > 1 for config in round_configs(each)]
    assert rounds
    for config in rounds:
        asked_student(config)


def test_every_round_asks_the_same_questions() -> None:
    source = {"source": "word_problems", "count": 20, "seed": 1}
    rounds = round_configs(_config(questions={"train": source, "test": source | {"seed": 2}}))
    for split in ("train", "test"):
        asked = [[item for _, item in read_questions(getattr(c.questions, split), c.seed)] for c in rounds]
        assert len(asked[0]) == 20 and asked[0] == asked[1] == asked[2], split


def test_training_may_go_on_from_the_last_model_of_another_arm() -> None:
    _, second = round_configs(_config(rounds={"count": 2, "arm": "cot", "start": "last"}))
    assert second.train.base == second.students[1].engine.model == "/runs/study-r1/models/cot"


def test_one_round_is_the_run_itself() -> None:
    config = _config(rounds=1)
    assert round_configs(config) == [config]


def test_rounds_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="no student is a vLLM model"):
        round_configs(_config(students=[{"engine": {"type": "scripted"}}]))
    with pytest.raises(ConfigError, match=r"rounds\.arm: 'lemma' is not one of cot, lema"):
        _config(rounds={"count": 2, "arm": "lemma"})
    with pytest.raises(ConfigError, match="name=study-r1 rounds=1"):
        Flow(_config())


def test_one_page_shows_every_round(tmp_path: Path) -> None:
    runs = []
    for number in (1, 2):
        make_run(folder := str(tmp_path / f"study-r{number}"))
        runs.append(RunFolder(folder))
    page = Path(write_rounds(str(tmp_path / "study"), runs))
    text = page.read_text()
    assert 'href="../study-r1/report.html"' in text and 'href="../study-r2/report.html"' in text
    assert (tmp_path / "study" / "compare.html").exists() and "%" in text
    assert text.count("<td>lema</td>") >= 2 and text.count("<td>base</td>") >= 2
