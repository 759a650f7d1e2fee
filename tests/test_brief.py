"""The one line about a finished stage says what a reader wants of it first."""

from lema_ray.brief import brief


def test_each_stage_says_what_it_came_to() -> None:
    prepared = {"seconds": 1, "train": {"questions": 1600, "rows": 1700}, "test": {"questions": 500}, "overlapping": 3}
    assert brief("questions", prepared) == "1,600 to collect with, 500 held out, 3 in both sets"
    assert brief("collect", {"seconds": 9.1, "rows": 1600, "made_wrong": 7, "unsure": 0}) == "1,600 rows, 7 made wrong"
    arms = {arm: {"train": {"rows": rows}, "dev": {"rows": 9}} for arm, rows in (("cot", 1685), ("lema", 80))}
    assert brief("build", {"seed": 3, "max_length": 512, "arms": arms}) == "rows to train on: cot 1,685, lema 80"
    told = {"examples": 1685, "steps": 106, "final_loss": 0.0568, "seconds": 34.4}
    assert brief("train", {"arms": {"cot": told}}) == "cot 106 steps over 1,685 rows, final loss 0.057"
    assert brief("evaluate", {"pass_at_1": {"base greedy": 0.6662}}) == "right answers: base greedy 66.6%"


def test_attempts_to_import_are_counted_as_they_are_and_nothing_is_done() -> None:
    imported = {"train": {"questions": 3}, "test": None, "overlapping": 0, "attempts": 9}
    assert brief("questions", imported) == "3 to collect with, 9 attempts at them"
    assert brief("verifier", {}) == "done"


def test_a_trial_of_mixes_has_held_out_questions_only() -> None:
    assert brief("questions", {"test": {"questions": 80}}) == "80 held out"
    assert brief("collect", {"taken_from": "runs/demo"}) == "done"
