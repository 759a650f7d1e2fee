"""The build at its seam: what the files of every arm hold, whatever the questions, and what it says when it cannot."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made_up_run import count_words, make_config, make_graded

from lema_ray.attempts import solve_prompt
from lema_ray.config import ConfigError
from lema_ray.examples import BuildError, build_examples
from lema_ray.records import Dropped, GradedAttempt, GradedQuestion, TrainingExample
from lema_ray.runs import RunFolder

Collected = Callable[..., RunFolder]
ARMS: dict[str, Any] = {
    "cot": {"rows": ["cot"]},
    "lema": {"rows": ["cot", "corrections"]},
    "lema_same_rows": {"rows": ["cot", "corrections"], "match": "cot", "by": "rows"},
    "lema_same_tokens": {"rows": ["cot", "corrections"], "match": "cot", "by": "tokens"},
    "cot_revisions": {"rows": ["cot", "revisions"]},
    "mostly_cot": {"rows": ["cot", "corrections"], "corrections_share": 0.2},
    "no_explanation": {"rows": ["cot", "corrections"], "parts": ["step", "solution"]},
}


def read(run: RunFolder, arm: str, split: str = "train") -> list[TrainingExample]:
    return list(run.read_records(TrainingExample, "examples", arm, f"{split}.parquet"))


def learned(row: TrainingExample) -> int:
    return sum(count_words(span.text) for span in row.target if span.learn)


@pytest.fixture(scope="module")
def built(collected: Collected) -> tuple[RunFolder, dict[str, Any]]:
    run = collected(make_graded(n, mistakes=1 + n % 2) for n in range(150))
    return run, build_examples(make_config(arms=ARMS, cot_per_question=3, dev_fraction=0.2), run, count_words)


def test_the_same_questions_are_held_out_in_every_arm(built: tuple[RunFolder, dict[str, Any]]) -> None:
    run, _ = built
    dev = {row.question_id for arm in ARMS for row in read(run, arm, "dev")}
    train = {row.question_id for arm in ARMS for row in read(run, arm)}
    assert 10 < len(dev) < 60
    assert not dev & train
    assert all({row.question_id for row in read(run, arm, "dev")} == dev for arm in ARMS)


def test_matched_arms_have_the_size_of_the_other_and_all_corrections(built: tuple[RunFolder, dict[str, Any]]) -> None:
    run, _ = built
    cot, full = read(run, "cot"), read(run, "lema")
    assert len(read(run, "lema_same_rows")) == len(cot)
    same = read(run, "lema_same_tokens")
    assert abs(sum(map(learned, same)) - sum(map(learned, cot))) <= max(map(learned, same))
    for arm in (same, read(run, "lema_same_rows")):
        assert {r.id for r in arm if r.kind == "lema"} == {r.id for r in full if r.kind == "lema"}
        assert {r.id for r in arm} < {r.id for r in full}


def test_share_of_corrections(built: tuple[RunFolder, dict[str, Any]]) -> None:
    rows = read(built[0], "mostly_cot")
    assert abs(sum(r.kind == "lema" for r in rows) - 0.2 * len(rows)) <= 1
    assert len(rows) > 200


def test_field_ablation_teaches_the_same_corrections_without_the_field(built: tuple[RunFolder, dict[str, Any]]) -> None:
    run, _ = built
    full = {r.correction_id: r for r in read(run, "lema") if r.kind == "lema"}
    ablated = {r.correction_id: r for r in read(run, "no_explanation") if r.kind == "lema"}
    assert full.keys() == ablated.keys()
    assert all("Explanation" in row.target_text for row in full.values())
    assert not any("Explanation" in row.target_text for row in ablated.values())


def test_lineage_leads_back_to_what_was_collected(built: tuple[RunFolder, dict[str, Any]]) -> None:
    run, _ = built
    found = {g.question.id: g for g in run.read_records(GradedQuestion, "collected")}
    for row in (row for arm in ARMS for split in ("train", "dev") for row in read(run, arm, split)):
        graded = found[row.question_id]
        assert row.attempt_id is None or row.attempt_id in {g.attempt.id for g in graded.attempts}
        assert row.correction_id is None or row.correction_id in {c.id for c in graded.corrections}
        if row.kind == "cot":
            assert row.prompt == solve_prompt(graded.question)
    revisions = {r.correction_id: r.target_text for r in read(run, "cot_revisions") if r.correction_id}
    assert revisions == {c.id: c.revision for g in found.values() for c in g.corrections if c.id in revisions}
    assert len(revisions) > 100


def test_card_counts_are_those_of_the_files(built: tuple[RunFolder, dict[str, Any]]) -> None:
    run, card = built
    assert run.read_json("examples", "card.json") == json.loads(json.dumps(card))
    for arm in ARMS:
        rows, counted = read(run, arm), card["arms"][arm]["train"]
        assert counted["rows"] == len(rows) == sum(counted["rows_by_kind"].values())
        assert counted["learned_tokens"] == sum(map(learned, rows))
        prompts = sum(count_words(m.content) for row in rows for m in row.prompt)
        assert counted["tokens"] == prompts + sum(count_words(r.target_text) for r in rows)
    assert card["collected"]["questions"] == 150
    text = run.read_text("examples", "card.md")
    assert "path: lema/train.parquet" in text
    assert f"| lema | train | {card['arms']['lema']['train']['rows']} |" in text


def test_the_seed_decides(collected: Collected) -> None:
    rows = [make_graded(n, mistakes=1) for n in range(60)]
    config = make_config(arms=ARMS, cot_per_question=3, dev_fraction=0.2)
    runs = [collected(rows) for _ in range(3)]
    for run, seed in zip(runs, (0, 0, 1), strict=True):
        build_examples(config.model_copy(update={"seed": seed}), run, count_words)
    ids = [{arm: [row.id for row in read(run, arm)] for arm in ARMS} for run in runs]
    assert ids[0] == ids[1]
    assert all(ids[0][arm] != ids[2][arm] for arm in ARMS)


def test_building_again_gives_the_same_and_leaves_no_old_arm(collected: Collected) -> None:
    run = collected(make_graded(n) for n in range(20))
    build_examples(make_config(arms={"cot": {"rows": ["cot"]}, "old": {"rows": ["cot"]}}), run, count_words)
    before = read(run, "cot")
    build_examples(make_config(arms={"cot": {"rows": ["cot"]}}), run, count_words)
    assert read(run, "cot") == before
    assert not run.exists("examples", "old")


def test_cot_rows_come_from_the_named_sources_only(collected: Collected) -> None:
    graded = make_graded(1)
    right = graded.attempts[0]
    written = replace(right.attempt, id="written", text="A writer's answer is 5", origin="written", model="writer")
    cut_off = replace(right.attempt, id="cut", text="The answer is 5 and", finish_reason="length")
    attempts = (*graded.attempts, GradedAttempt(written, right.grade), GradedAttempt(cut_off, right.grade))
    graded = replace(graded, attempts=attempts)

    def sources(cot: list[str]) -> list[str | None]:
        run = collected([graded])
        config = make_config(arms={"cot": {"rows": ["cot"]}}, cot=cot, cot_per_question=9, dev_fraction=0)
        build_examples(config, run, count_words)
        return [row.attempt_id for row in read(run, "cot")]

    students = {g.attempt.id for g in attempts[:2]}
    assert sources(["solution"]) == [None]
    assert sources(["written"]) == ["written"]
    assert set(sources(["right"])) == students
    assert len(sources(["solution", "right", "written"])) == 4


def test_a_row_that_is_too_long_is_refused_by_name_or_dropped_but_never_cut(collected: Collected) -> None:
    long = make_graded(7)
    long = replace(long, question=replace(long.question, solution="so " * 500 + "The answer is 1"))
    run = collected([make_graded(1), make_graded(2), long])
    with pytest.raises(BuildError, match=rf"1 rows.*\n.*question {long.question.id}\): 5\d\d tokens"):
        build_examples(make_config(dev_fraction=0), run, count_words, max_length=200)
    build_examples(make_config(dev_fraction=0, too_long="drop"), run, count_words, max_length=200)
    assert [d.reason for d in run.read_records(Dropped, "examples", "dropped.parquet")] == ["too_long"]
    assert all(count_words(row.target_text) < 200 for row in read(run, "lema"))
    build_examples(make_config(dev_fraction=0), run, count_words, max_length=None)
    assert any(count_words(row.target_text) > 500 for row in read(run, "lema"))


def test_nothing_wrong_and_nothing_corrected_are_told_apart(collected: Collected) -> None:
    flawless = collected(make_graded(n, mistakes=0) for n in range(5))
    with pytest.raises(BuildError, match=r"No attempt is wrong.*10 attempts at 5 questions: 10 right, 0 wrong"):
        build_examples(make_config(), flawless, count_words)
    drop = Dropped("corrections", "x", "wrong_answer")
    refused = (replace(make_graded(n), corrections=(), drops=(drop, drop)) for n in range(5))
    with pytest.raises(BuildError, match=r"'lema' would teach nothing but CoT.*corrections: wrong_answer 10"):
        build_examples(make_config(), collected(refused), count_words)
    build_examples(make_config(arms={"cot": {"rows": ["cot"]}}), flawless, count_words)


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        ({"a": {"match": "b"}, "b": {"match": "a"}}, "in a circle: "),
        ({"a": {"match": "lema"}}, "no arm 'lema'; there are a"),
        ({"a": {"rows": ["cot"], "match": "b"}, "b": {}}, r"it has \d+ tokens that carry loss, fewer than the \d+"),
        ({"a": {"match": "b", "by": "rows"}, "b": {"rows": ["cot"]}}, "without any CoT it still has"),
        ({"a": {"rows": ["cot"], "corrections_share": 0.5}}, "must name corrections and something else"),
        ({"a/../b": {}}, "names a folder"),
    ],
)
def test_arms_that_cannot_be(collected: Collected, arms: dict[str, Any], says: str) -> None:
    run = collected(make_graded(n) for n in range(10))
    with pytest.raises(BuildError, match=says):
        build_examples(make_config(arms=arms, cot=["solution"], dev_fraction=0), run, count_words)


def test_unknown_parts_and_a_run_without_collect_are_refused(collected: Collected, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="poem"):
        arms = {"a": {"parts": ["poem"]}}
        build_examples(make_config(arms=arms), collected([make_graded(1)]), count_words)
    with pytest.raises(BuildError, match="run the collect stage first"):
        build_examples(make_config(), RunFolder(str(tmp_path / "empty")), count_words)
