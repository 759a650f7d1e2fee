"""LEMMA: both ways of going on, every way a corrector can misbehave, smoothing, references, and the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lema_ray.attempts import solve_prompt
from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.engines import RequestRefused
from lema_ray.recipes.lemma import Lemma
from lema_ray.recipes.lemma_options import PARTS
from lema_ray.recipes.lemma_prompts import WORDS
from lema_ray.records import Attempt, Completion, Grade, GradedAttempt, GradedQuestion, Message, Question, Sampling
from lema_ray.self_correction.doubts import opens_with_doubt

SOLUTION = "3 * 4 = 12 apples. 12 - 2 = 10 apples."
QUESTION = Question("q1", "Ann has 3 bags of 4 apples and eats 2. How many are left?", "10", "test", solution=SOLUTION)
ATTEMPT = "Step 1: Ann has 3 * 4 = 12 apples.\nStep 2: After eating 2 there are 12 - 2 = 9 left.\nThe answer is 9."
OTHER = "Step 1: Ann has 3 + 4 = 7 apples.\nStep 2: After eating 2 there are 7 - 2 = 5 left.\nThe answer is 5."
RIGHT = "Eating 2 leaves 2 in one bag.\nThe two others hold 2 * 4 = 8, so 8 + 2 = 10 are left.\nThe answer is 10."
ANALYSIS = "Explanation: 12 - 2 is 10.\nIncorrect Step: 2\nError Type: calculation\nConfidence: 90"
FIX = (
    "Doubt: Wait, 12 - 2 is not 9.\nContinuation:\n"
    "Step 2: After eating 2 there are 12 - 2 = 10 left.\nThe answer is 10."
)
FRESH = (
    "Doubt: Hmm, let me start over, 9 is too few.\nContinuation:\nStep 1: The bags hold 4 + 4 + 4 = 12.\n"
    "Step 2: Without 2 that is 12 - 2 = 10.\nThe answer is 10."
)
SMOOTH_FIX = FIX.replace("Wait, 12 - 2 is not 9.", "Wait, taking 2 from 12 does not leave 9.")
SMOOTH_FRESH = FRESH.replace("Hmm, let me start over", "Hmm, that seems wrong, so let me start over")
INJECTED = f"Wrong Solution:\n{OTHER}\nWrong Step: 1\nExplanation: 3 * 4 is meant."


def kind_of(prompt: str) -> str:
    if "Mistake To Make:" in prompt:
        return "inject"
    if "Way: correct this step" in prompt.rpartition("---")[2]:
        return "fix"
    if "Way: start again" in prompt.rpartition("---")[2]:
        return "fresh"
    if "\n\nBeginning:\n" in prompt:
        return "smooth_fix" if "Doubt: Wait" in prompt else "smooth_fresh"
    return "analysis"


class Corrector:
    """Says what it is told to say to each kind of request, and remembers what it was asked."""

    def __init__(self, **replies: str | Exception | Callable[[str], str]) -> None:
        standard = {"analysis": ANALYSIS, "fix": FIX, "fresh": FRESH, "smooth_fix": SMOOTH_FIX,
                    "smooth_fresh": SMOOTH_FRESH, "inject": INJECTED}  # fmt: skip
        self.replies = standard | replies
        self.asked: list[tuple[str, str, Sampling]] = []

    async def __call__(self, messages: tuple[Message, ...], sampling: Sampling) -> Completion:
        prompt = messages[-1].content
        kind = kind_of(prompt)
        self.asked.append((kind, prompt, sampling))
        reply = self.replies[kind]
        if isinstance(reply, Exception):
            raise reply
        text = reply(prompt) if callable(reply) else reply
        cut = text.endswith("[cut]")
        return Completion(text.removesuffix("[cut]"), "length" if cut else "stop", "corrector", 100, 20, cost=0.5)

    def count(self, kind: str) -> int:
        return sum(asked == kind for asked, _, _ in self.asked)


def graded(*texts: str, question: Question = QUESTION) -> GradedQuestion:
    made = [
        GradedAttempt(Attempt(f"a{k}", t, "student"), Grade("right" if "is 10" in t else "wrong", "?"))
        for k, t in enumerate(texts)
    ]
    return GradedQuestion(question, tuple(made))


def lemma(**options: object) -> Lemma:
    tries = options.pop("tries", 1)
    return Lemma(RecipeConfig(name="lemma", tries=tries, options={"inject": 0, "smoother": "none"} | options))


def text_of(recipe: Lemma, row: GradedQuestion, correction: object) -> str:
    (example,) = recipe.to_examples(row, correction)
    return example.target_text


async def test_a_mistake_is_cut_after_its_wrong_step_and_gone_on_from_in_two_ways() -> None:
    recipe, corrector, row = lemma(), Corrector(), graded(ATTEMPT, RIGHT)
    outcome = await recipe.correct(row, corrector, None)
    assert outcome.drops == ()
    fix, fresh = outcome.corrections
    assert (fix.strategy, fix.wrong_step, fix.error_type, fix.reference) == ("fix", 1, "CA", "solution")
    assert (fresh.strategy, fresh.reference) == ("fresh", "right")
    assert text_of(recipe, row, fix).splitlines() == [
        *ATTEMPT.splitlines()[:2],
        "Wait, 12 - 2 is not 9.",
        "Step 2: After eating 2 there are 12 - 2 = 10 left.",
        "The answer is 10.",
    ]
    assert fix.revision.splitlines() == [ATTEMPT.splitlines()[0], *FIX.splitlines()[2:]]
    assert fresh.revision.splitlines()[0] == "Step 1: The bags hold 4 + 4 + 4 = 12."
    assert "The answer is 9" not in text_of(recipe, row, fresh)
    shown = {kind: prompt.rpartition("---")[2] for kind, prompt, _ in corrector.asked}
    assert SOLUTION in shown["fix"] and RIGHT in shown["fresh"] and "The answer is 9" not in shown["fix"]
    assert [a.wrong_step for a in outcome.analyses] == [1]


async def test_rows_are_asked_as_every_model_is_and_learn_the_wrong_step_unless_told_not_to() -> None:
    row = graded(ATTEMPT)
    correction = (await lemma().correct(row, Corrector(), None)).corrections[0]
    (learned,) = lemma().to_examples(row, correction)
    assert learned.prompt == solve_prompt(QUESTION) and learned.kind == "lemma"
    assert all(span.learn for span in learned.target)
    (masked,) = lemma(parts=[p for p in PARTS if p != "learn_wrong_step"]).to_examples(row, correction)
    assert [s.text for s in masked.target if not s.learn] == [ATTEMPT.splitlines()[1]]
    assert masked.target_text == learned.target_text


BAD = {
    "unreadable_reply": "I would rather not.",
    "called_right": "The solution is correct: every step is right.",
    "no_doubt": FIX.replace("Wait, 12 - 2 is not 9.", "12 - 2 makes 10."),
    "bad_step": FIX.replace("Wait, 12", "Wait, in step 7 the 12"),
    "no_change": "Doubt: Wait, is that right? Let me check.\nContinuation:\n" + "\n".join(ATTEMPT.splitlines()[1:]),
    "prefix_changed": FIX.replace("Continuation:\n", "Continuation:\nStep 1: Ann has 3 + 4 = 7 apples.\n"),
    "reference_leak": FIX.replace("is not 9.", "is not 9, as the reference solution shows."),
    "asserted_answer": "Doubt: Wait, that is wrong.\nContinuation:\nIt must be 10.\nThe answer is 10.",
    "wrong_answer": FIX.replace("10", "11"),
    "cut_off": FIX + "[cut]",
    "content_filter": RequestRefused("content_filter", "no"),
}


@pytest.mark.parametrize(("reason", "reply"), BAD.items(), ids=BAD.keys())
async def test_each_way_to_misbehave_is_a_reason_of_its_own(reason: str, reply: str | Exception) -> None:
    outcome = await lemma(strategies=["fix"]).correct(graded(ATTEMPT), Corrector(fix=reply), None)
    (drop,) = outcome.drops
    assert (drop.stage, drop.id, drop.reason, drop.requests) == ("corrections", "a0", reason, 1)
    assert outcome.corrections == () and (drop.cost == 0.5 or isinstance(reply, Exception))


async def test_what_the_analysis_cannot_find_is_not_corrected() -> None:
    for reply, reason in (("All steps are correct.", "called_right"), (ANALYSIS.replace(": 2", ": 8"), "bad_step")):
        corrector = Corrector(analysis=reply)
        outcome = await lemma().correct(graded(ATTEMPT), corrector, None)
        assert [d.reason for d in outcome.drops] == [reason] and len(corrector.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        FIX.replace("Continuation:\n", f"Continuation:\n{ATTEMPT.splitlines()[0]}\n"),
        FIX.replace("Continuation:\n", "Continuation:\n" + "\n".join(ATTEMPT.splitlines()[:2]) + "\n"),
        FIX.replace("Step 2: ", ""),
        '{"doubt": "Wait, 12 - 2 is not 9.", "continuation": "Step 2: After eating 2 there are 12 - 2 = 10 left.\\nThe answer is 10."}',  # noqa: E501
    ],
    ids=["right steps again", "all kept steps again", "no labels", "json"],
)  # fmt: skip
async def test_the_kept_steps_stand_once_and_to_the_byte(reply: str) -> None:
    row, recipe = graded(ATTEMPT.replace("apples.\n", "apples.  \n\n")), lemma(strategies=["fix"])
    (fix,) = (await recipe.correct(row, Corrector(fix=reply), None)).corrections
    text = text_of(recipe, row, fix)
    kept = row.attempts[0].attempt.text.partition("\nThe answer")[0]
    assert text.startswith(kept + "\nWait,") and text.count("Step 1") == 1
    assert text.splitlines()[-2:] == FIX.splitlines()[2:]


async def test_words_of_doubt_vary_and_all_of_them_are_found_by_the_detector() -> None:
    assert all(opens_with_doubt(f"{words} 12 - 2 is 10.") for words in WORDS)
    given = set()
    for k in range(200):
        corrector = Corrector()
        row = GradedQuestion(QUESTION, (GradedAttempt(Attempt(f"x{k}", ATTEMPT, "m"), Grade("wrong", "9")),))
        await lemma(strategies=["fix"]).correct(row, corrector, None)
        given.add(corrector.asked[-1][1].rpartition("Words: ")[2])
    assert given == set(WORDS)


async def test_smoothing_is_taken_when_it_keeps_everything_and_dropped_when_it_does_not() -> None:
    row, recipe = graded(ATTEMPT), lemma(smoother="corrector", strategies=["fix"])
    (fix,) = (await recipe.correct(row, Corrector(), None)).corrections
    assert "taking 2 from 12" in text_of(recipe, row, fix) and (fix.requests, fix.cost) == (2, 1.0)
    plain = lemma(parts=[p for p in PARTS if p != "smoothing"])
    assert "Wait, 12 - 2 is not 9." in text_of(plain, row, fix)
    lost = {
        "no_doubt": SMOOTH_FIX.replace("Wait, taking", "Taking").replace("does not leave 9", "leaves 10"),
        "wrong_answer": SMOOTH_FIX.replace("answer is 10", "answer is 12"),
        "prefix_changed": SMOOTH_FIX.replace("Continuation:\n", "Continuation:\nStep 1: There are 12.\n"),
    }
    for reason, reply in lost.items():
        outcome = await recipe.correct(row, Corrector(smooth_fix=reply), None)
        assert [(d.stage, d.reason) for d in outcome.drops] == [("smoothing", reason)]
        assert "Wait, 12 - 2 is not 9." in text_of(recipe, row, outcome.corrections[0])
    with pytest.raises(ConfigError, match="no student"):
        await lemma(smoother="student").correct(row, Corrector(), None)
    student = Corrector()
    await lemma(smoother="student").correct(row, Corrector(), student)
    assert {kind for kind, _, _ in student.asked} == {"smooth_fix", "smooth_fresh"}


@pytest.mark.parametrize(
    ("order", "right", "solution", "used"),
    [
        (["right", "solution"], True, True, "right"),
        (["right", "solution"], False, True, "solution"),
        (["right", "solution", "answer"], False, False, "answer"),
        (["none"], True, True, "none"),
        (["right", "solution"], False, False, None),
    ],
)
async def test_the_reference_falls_back_as_configured_and_says_so(
    order: list[str], right: bool, solution: bool, used: str | None
) -> None:
    question = QUESTION if solution else Question("q1", QUESTION.text, "10", "test")
    row = graded(ATTEMPT, *([RIGHT] if right else []), question=question)
    outcome = await lemma(strategies=["fresh"], fresh_reference=order).correct(row, Corrector(), None)
    assert [c.reference for c in outcome.corrections] == ([used] if used else [])
    assert [d.reason for d in outcome.drops] == ([] if used else ["no_reference"])


async def test_mistakes_are_made_on_purpose_located_and_corrected_like_the_students_own() -> None:
    def analysis(prompt: str) -> str:
        return ANALYSIS.replace("Step: 2", "Step: 1") if "3 + 4 = 7" in prompt.rpartition("---")[2] else ANALYSIS

    row, recipe = graded(ATTEMPT), lemma(inject=2, strategies=["fresh"])
    corrector = Corrector(analysis=analysis)
    outcome = await recipe.correct(row, corrector, None)
    assert corrector.count("inject") == 2 and [d.reason for d in outcome.drops] == ["duplicate"]
    first = outcome.attempts[0].attempt
    assert (first.origin, first.cost, outcome.attempts[0].grade.verdict) == ("injected", 0.5, "wrong")
    own, made = outcome.corrections
    assert made.attempt_id == first.id and made.wrong_step == 0 and made.error_type in {"CA", "QM", "CC", "MS", "FC"}
    whole = GradedQuestion(QUESTION, row.attempts + outcome.attempts, outcome.corrections)
    without = lemma(parts=[p for p in PARTS if p != "injected"])
    assert without.to_examples(whole, made) == [] and without.to_examples(whole, own)
    assert whole.wrong == row.wrong, "a mistake that was ordered is not the student's"


@pytest.mark.parametrize(
    ("reason", "reply"),
    [
        ("not_wrong", INJECTED.replace("is 5", "is 10")),
        ("bad_step", INJECTED.replace("Step: 1", "Step: 9")),
        ("step_disagrees", INJECTED),
        ("gives_itself_away", INJECTED.replace("7 apples.", "7 apples. Oops, that is wrong.")),
        ("unreadable_reply", "No."),
        ("cut_off", INJECTED + "[cut]"),
        ("too_long", RequestRefused("too_long", "9,000 tokens")),
    ],
)
async def test_a_mistake_that_is_none_is_dropped(reason: str, reply: str | Exception) -> None:
    outcome = await lemma(inject=1).correct(graded(ATTEMPT), Corrector(inject=reply), None)
    assert [(d.stage, d.reason) for d in outcome.drops] == [("injection", reason)]
    assert {c.attempt_id for c in outcome.corrections} == {"a0"}


async def test_how_many_mistakes_follows_the_failure_rate_and_the_ratio() -> None:
    corrector = Corrector()
    texts = [ATTEMPT, OTHER, ATTEMPT + " ", RIGHT]
    await lemma(inject=3, k_max=8, student_share=0.34).correct(graded(*texts), corrector, None)
    assert (
        corrector.count("inject") == 2
    )  # 8 x 3/4 rows are 3 mistakes with two rows each, a third of them the student's
    none = Corrector()
    await lemma(inject=3).correct(graded(RIGHT), none, None)
    assert none.asked == []
    some = Corrector(analysis=ANALYSIS.replace("Step: 2", "Step: 1"))
    outcome = await lemma(inject=1, inject_unfailed=True).correct(graded(RIGHT), some, None)
    assert len(outcome.attempts) == 1 and [c.strategy for c in outcome.corrections] == ["fresh"]


async def test_some_rows_doubt_twice() -> None:
    row = graded(ATTEMPT, OTHER)
    recipe = lemma(several=1.0)
    outcome = await recipe.correct(row, Corrector(), None)
    whole = GradedQuestion(QUESTION, row.attempts, outcome.corrections)
    fix = next(c for c in outcome.corrections if c.strategy == "fix" and c.attempt_id == "a0")
    lines = text_of(recipe, whole, fix).splitlines()
    assert lines[:2] == OTHER.splitlines()[:2] and lines[2].startswith("Hmm, let me start over")
    assert lines[3:5] == ATTEMPT.splitlines()[:2] and lines[5:] == ["Wait, 12 - 2 is not 9.", *FIX.splitlines()[2:]]
    later = [replace(c, wrong_step=2) if c.attempt_id == "a1" else c for c in whole.corrections]
    assert "Hmm" not in text_of(recipe, replace(whole, corrections=tuple(later)), fix)
    same = graded(ATTEMPT, ATTEMPT.replace("is 9.", "is 8."))
    alike = GradedQuestion(QUESTION, same.attempts, (await recipe.correct(same, Corrector(), None)).corrections)
    assert len(alike.corrections) == 4 and text_of(recipe, alike, alike.corrections[0]).count("Step 1") == 1
    assert "Hmm" not in text_of(lemma(several=0.0), whole, fix)
    assert "Hmm" not in text_of(lemma(several=1.0, parts=[p for p in PARTS if p != "fresh"]), whole, fix)
    assert "Hmm" not in text_of(lemma(several=1.0, parts=[p for p in PARTS if p != "several"]), whole, fix)


async def test_parts_leave_out_what_they_do_not_name() -> None:
    row = graded(ATTEMPT)
    fix, fresh = (await lemma().correct(row, Corrector(), None)).corrections
    assert lemma(parts=["fix", "sampled", "truncation"]).to_examples(row, fresh) == []
    assert lemma(parts=["fresh", "sampled", "truncation"]).to_examples(row, fix) == []
    whole = text_of(lemma(parts=["fix", "sampled"]), row, fix)
    assert whole.startswith(ATTEMPT + "\nWait,")


def test_bad_options_are_named() -> None:
    with pytest.raises(ConfigError, match=r"recipe\.options\.injects"):
        lemma(injects=2)
    with pytest.raises(ConfigError, match=r"parts"):
        lemma(parts=["fixes"])
    with pytest.raises(ConfigError, match="taxonomy"):
        Lemma(RecipeConfig(name="lemma", analysis={"taxonomy": "unheard_of"}))
