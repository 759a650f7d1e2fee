"""A made-up run folder with everything a report can show, at the size of a small demo. Used by the report's tests."""

from __future__ import annotations

from random import Random

from lema_ray.evaluation.scores import score_run
from lema_ray.records import (
    Attempt,
    Correction,
    Dropped,
    FinishReason,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Question,
    Verdict,
    content_id,
)
from lema_ray.runs import RunFolder

NAMES = ("Ana", "Ben", "Carla", "Dario", "Elif", "Greta", "Noah", "Rosa")
THINGS = ("marbles", "stamps", "pebbles", "postcards", "glass balls")
CONFIG = """\
name: made-up
runs_dir: runs
seed: 7
questions: {train: {source: word_problems, count: 240}, test: {source: word_problems, count: 400, seed: 1}}
students: [{engine: {type: vllm, model: tiny}, samples: 4, sampling: {temperature: 0.7}}]
corrector: {engine: {type: openai, model: rule-teacher, base_url: "http://127.0.0.1:8100/v1", api_key_env: LEMA_KEY}}
recipe: {name: lema, corrections_per_question: 2}
evaluate: {sampling: [{name: greedy}, {name: "T=0.7", temperature: 0.7, samples: 4}]}
"""


class Story:
    """A chain of additions and subtractions, right or with one slip."""

    def __init__(self, rng: Random) -> None:
        self.name, self.thing, self.start = rng.choice(NAMES), rng.choice(THINGS), rng.randint(40, 200)
        self.changes = [rng.choice((1, -1)) * rng.randint(3, 39) for _ in range(rng.randint(1, 4))]

    def question(self) -> Question:
        told = [f"Then {'finds' if c > 0 else 'gives away'} {abs(c)} more." for c in self.changes]
        text = f"{self.name} has {self.start} {self.thing}. {' '.join(told)} How many {self.thing} are left?"
        reference, level = str(self.start + sum(self.changes)), str(len(self.changes))
        return Question(content_id(text), text, reference, "word_problems", level=level)

    def solution(self, slip_at: int | None = None, slip: int = 0) -> tuple[str, str]:
        """The text, one step a line, and its answer."""
        value, lines = self.start, []
        for i, change in enumerate(self.changes):
            before, value = value, value + change + (slip if i == slip_at else 0)
            lines.append(f"Step {i + 1}: {before} {'+' if change > 0 else '-'} {abs(change)} = {value}")
        return "\n".join([*lines, f"The answer is {value}"]), str(value)


def attempt(story: Story, rng: Random, k: int, share_right: float, model: str) -> tuple[GradedAttempt, int | None, int]:
    """A graded attempt, the step of its slip and the size of the slip."""
    luck = rng.random()
    slip_at = None if luck < share_right else min(rng.randrange(4), len(story.changes) - 1)
    slip = rng.choice((-10, -1, 1, 2, 10))
    text, answer = story.solution(slip_at, slip)
    verdict: Verdict = "right" if slip_at is None else "wrong"
    finish: FinishReason = "stop"
    grade = Grade(verdict, answer, ("answer_is", "number"))
    if luck > 0.97:
        text, finish, grade = (
            text[: len(text) // 2] + " and then" * 8,
            "length",
            Grade("wrong", None, ("none",), "cut off"),
        )
    elif luck > 0.95:
        grade = Grade("unsure", "about " + answer, ("answer_is",), "the answer is not a number")
    one = Attempt(
        content_id(story.question().id, model, str(k)), text, model, "sampled", finish, k, 0.7, 62, len(text) // 3
    )
    return GradedAttempt(one, grade), (slip_at if grade.verdict == "wrong" and finish == "stop" else None), slip


def corrected(story: Story, one: Attempt, slip_at: int, slip: int, luck: float) -> Correction | Dropped:
    """What a corrector made of a slip: mostly an accepted correction."""
    if luck > 0.86:
        reason = "bad_step" if luck > 0.95 else "wrong_answer"
        return Dropped(
            "corrections", one.id, reason, "Incorrect Step: Step 9\nExplanation: unclear", 1, 410, 60, 0.0004
        )
    explanation = f"The sum in this step is off by {slip}: adding the two numbers again gives another result."
    kind = "calculation" if abs(slip) < 5 else "carrying"
    return Correction(
        content_id(one.id), "lema", one.id, explanation, story.solution()[0], slip_at, kind, {},
        ("step_exists", "prefix_kept", "differs", "answer_right"), "rule-teacher", 1, 410, 88, 0.0005,
    )  # fmt: skip


def collected(rng: Random, questions: int) -> list[GradedQuestion]:
    """Graded and corrected questions as collect leaves them."""
    rows = []
    for _ in range(questions):
        story = Story(rng)
        made = [attempt(story, rng, k, 0.42, "tiny") for k in range(4)]
        ends = [corrected(story, g.attempt, at, slip, rng.random()) for g, at, slip in made if at is not None][:2]
        corrections = tuple(e for e in ends if isinstance(e, Correction))
        drops = tuple(e for e in ends if isinstance(e, Dropped))
        rows.append(GradedQuestion(story.question(), tuple(g for g, _, _ in made), corrections, drops))
    return rows


def exam(stories: list[Story], rng: Random, share_right: float, samples: int, model: str) -> list[GradedQuestion]:
    """Held-out questions answered by a model of that skill."""
    return [
        GradedQuestion(s.question(), tuple(attempt(s, rng, k, share_right, model)[0] for k in range(samples)))
        for s in stories
    ]


def card() -> dict[str, object]:
    """The data card of two arms of the same learned tokens."""
    split = {"rows": 431, "rows_by_kind": {"cot": 431}, "tokens": 40_110, "learned_tokens": 18_200}
    mixed = {"rows": 540, "rows_by_kind": {"cot": 234, "corrections": 306}, "tokens": 71_002, "learned_tokens": 18_190}
    dev = {"rows": 22, "rows_by_kind": {}, "tokens": 2000, "learned_tokens": 900}
    arms = {"cot": {"train": split, "dev": dev}, "lema": {"train": mixed, "dev": dev, "matched_to": "cot, by tokens"}}
    return {"arms": arms, "dropped_in_build": {"cot": {"near_duplicate": 17}}}


def make_run(root: str, questions: int = 240, held_out: int = 400) -> RunFolder:
    """Write the whole folder."""
    run, rng = RunFolder(root), Random(7)
    run.write_text(CONFIG, "config.yaml")
    run.write_records(collected(rng, questions), GradedQuestion, "collected", "part-0.parquet")
    run.write_json(card(), "examples", "card.json")
    stories = list({s.question().id: s for s in (Story(rng) for _ in range(held_out))}.values())
    for sampling, samples, skills in (("greedy", 1, (0.45, 0.56, 0.66)), ("T=0.7", 4, (0.27, 0.33, 0.34))):
        for model, skill in zip(("base", "cot", "lema"), skills, strict=True):
            rows = exam(stories, Random(f"{model} {sampling}"), skill, samples, model)
            run.write_records(rows, GradedQuestion, "evaluations", f"{model}--{sampling}.parquet")
    score_run(run, ("base", "cot", "lema"), ("greedy", "T=0.7"), {("lema", "greedy"): 12.5})
    for arm, floor in (("cot", 0.31), ("lema", 0.27)):
        losses = [{"step": s, "loss": floor + 2.1 / (1 + s / 12) + rng.random() * 0.04} for s in range(1, 161)]
        for entry in losses[19::20]:
            entry["eval_loss"] = entry["loss"] + 0.08
        run.write_json(losses, "models", arm, "loss.json")
    stages = {
        "collect": (212.4, {"questions": questions, "attempts": 4 * questions}),
        "build": (3.1, {"rows": {"cot": 431, "lema": 737}}),
        "train": (148.0, {"steps": 320, "tokens": 800_000}),
        "evaluate": (61.2, {"answers": 6000}),
    }
    manifest = {
        "versions": {"lema_ray": "0.1.0", "ray": "2.60.0", "vllm": "0.29.0", "torch": "2.13.0"},
        "git_commit": "41899a4", "seed": 7, "fingerprints": {"train": "9c1e55d2a0b1f3e7", "test": "06d4bb7713a9cc20"},
        "stages": {name: {"seconds": seconds, **counts} for name, (seconds, counts) in stages.items()},
    }  # fmt: skip
    run.write_json(manifest, "manifest.json")
    return run
