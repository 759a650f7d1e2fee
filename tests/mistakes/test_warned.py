"""Error-aware prompts: the most frequent types' meanings, from what `lema analyze` wrote, and what is no such file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lema_ray.attempts import BEWARE, INSTRUCTIONS, solve_prompt
from lema_ray.config import ConfigError, ErrorAwareConfig, EvaluationSampling
from lema_ray.evaluation.earlier_answers import Asked
from lema_ray.mistakes.distribution import count_distribution, to_json
from lema_ray.mistakes.taxonomy import OTHER, load_taxonomy, to_yaml
from lema_ray.mistakes.warned import warnings_of
from lema_ray.records import Analysis, Attempt, Grade, GradedAttempt, GradedQuestion, Question
from lema_ray.runs import RunFolder

QUESTION = Question("q", "How many?", "3", "s")


def analysed(run: RunFolder, counts: dict[tuple[str, str], int]) -> str:
    """A distribution with so many mistakes of (model, type); returns its file."""
    rows = []
    for number, (model, kind) in enumerate(key for key, n in counts.items() for _ in range(n)):
        attempt = GradedAttempt(Attempt(f"a{number}", "Step 1: 2", model), Grade("wrong", "2"))
        rows.append(GradedQuestion(QUESTION, (attempt,), analyses=(Analysis(f"a{number}", 0, kind),)))
    run.write_json(to_json(count_distribution(rows), load_taxonomy()), "analyzed", "collected.json")
    return run.uri("analyzed", "collected.json")


COUNTS = {("m", "CA"): 5, ("m", "MS"): 2, ("n", "MS"): 4, ("n", OTHER): 9, ("n", "HA"): 1}


def test_the_most_frequent_types_are_warned_of_in_their_order(tmp_path: Path) -> None:
    path, meaning = analysed(RunFolder(str(tmp_path)), COUNTS), {t.code: t.meaning for t in load_taxonomy().types}
    assert warnings_of(None) == ()
    assert warnings_of(ErrorAwareConfig.model_validate(path)) == (meaning["MS"], meaning["CA"], meaning["HA"])
    assert warnings_of(ErrorAwareConfig(distribution=path, model="m", types=1)) == (meaning["CA"],)


def test_types_that_grew_are_described_by_the_file_beside_them(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    path, grown = analysed(run, COUNTS), to_yaml(load_taxonomy()).replace("meaning: ", "meaning: 'MINE '")
    lines = [line if "MINE" not in line else line.split("'MINE '")[0] + "mine" for line in grown.splitlines()]
    run.write_text("\n".join(lines), "analyzed", "collected-types.yaml")
    assert warnings_of(ErrorAwareConfig(distribution=path, types=1)) == ("mine",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no"),
        ("not json", "is no distribution"),
        ("[1]", "is no distribution"),
        ('{"taxonomy": "lemma", "shares": {"model": []}}', "is no distribution"),
        (
            '{"taxonomy": "lemma", "shares": {"model": [{"group": "m", "error_type": "other", "count": 3}]}}',
            "no mistake of a type",
        ),
    ],
)
def test_a_file_that_is_none_is_refused(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "collected.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        warnings_of(ErrorAwareConfig(distribution=str(path)))


def test_a_model_that_was_not_analysed_is_refused_with_those_that_were(tmp_path: Path) -> None:
    path = analysed(RunFolder(str(tmp_path)), COUNTS)
    with pytest.raises(ConfigError, match=r"no model 'z'; it has m, n"):
        warnings_of(ErrorAwareConfig(distribution=path, model="z"))


def test_the_prompt_shows_them_before_the_instruction_and_its_answers_have_a_key_of_their_own() -> None:
    (plain,), (warned,) = solve_prompt(QUESTION), solve_prompt(QUESTION, warnings=("One.", "Two."))
    assert plain.content == f"How many?\n\n{INSTRUCTIONS['arithmetic']}"
    assert warned.content == f"How many?\n\n{BEWARE}\n- One.\n- Two.\n\n{INSTRUCTIONS['arithmetic']}"
    keys = {Asked("i", "m", EvaluationSampling(), 0, 0, w).key(QUESTION) for w in ((), ("One.",), ("Two.",))}
    assert len(keys) == 3
