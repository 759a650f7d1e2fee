"""How the rule-based teacher words what it found, and its repaired solutions. Used by `teacher` and `teacher_lemma`."""

from __future__ import annotations

from random import Random

from lema_ray.demo.diagnosis import Diagnosis, Step
from lema_ray.demo.grammar import Story

CANNOT = "I cannot help with this: I only know short stories about things that are gained, lost and shared."
NO_MISTAKE = "I find no mistake: every step of this solution follows from the question, and so does its answer."
VERBS = {"+": "addition", "-": "subtraction", "*": "multiplication", "/": "division"}
WORDINGS = {
    "arithmetic": (
        "The numbers are the right ones, but {left} {symbol} {right} is {true}, not {result}.",
        "Calculating again, {left} {symbol} {right} makes {true}; the step says {result}.",
        "There is a slip in the calculation: {left} {symbol} {right} = {true} instead of {result}.",
    ),
    "operation": (
        'The sentence "{sentence}" calls for {want_verb}, but the step uses {verb}.',
        'This should be {want_verb} and not {verb}, because the question says "{sentence}"',
    ),
    "operand": (
        'The step uses {right}, but the question says "{sentence}", so the number should be {want_right}.',
        'The number {right} is not what the question gives here: "{sentence}" means {want_right}.',
    ),
    "carried": (
        "The step should go on from {want_left}, the number so far, and not from {left}.",
        "It starts from {left}, although there are {want_left} {things} at this point.",
    ),
    "missed": (
        'The step passes over the sentence "{sentence}"',
        'The question says "{sentence}", and this has not been counted.',
    ),
    "distraction": (
        'The number {right} comes from "{sentence}", which does not change how many {things} there are.',
        'The step uses {right}, but "{sentence}" has nothing to do with the number of {things}.',
    ),
    "extra": (
        "Everything in the question has been counted already, so nothing more may be calculated here.",
        "This calculation belongs to no sentence of the question; the number was already complete.",
    ),
    "answer": (
        "The steps lead to {final}, but the answer given is {answer}.",
        "The calculations are right, yet their result {final} was not taken over: the answer says {answer}.",
    ),
    "no_answer": (
        "The steps lead to {final}, but no answer is given.",
        "The solution stops without saying that the answer is {final}.",
    ),
}


def explain(story: Story, diagnosis: Diagnosis, rng: Random) -> str:
    facts: dict[str, object] = {"sentence": diagnosis.sentence, "things": story.things, "final": story.answer}
    facts["answer"] = diagnosis.step.answer
    if made := diagnosis.made:
        facts |= dict(left=made.left, symbol=made.symbol, right=made.right, result=made.result)
        facts |= dict(true=made.true_result, verb=VERBS[made.symbol])
        position = diagnosis.done + diagnosis.step.calculations.index(made)
        if position < len(story.changes):
            want = story.calculations[position]
            facts |= dict(want_left=want.left, want_right=want.right, want_verb=VERBS[want.symbol])
    return rng.choice(WORDINGS[diagnosis.kind]).format(**facts)


def repair(story: Story, steps: list[Step], diagnosis: Diagnosis) -> str:
    number = diagnosis.step.number
    lines = [story.step(index, number + index - diagnosis.done) for index in range(diagnosis.done, len(story.changes))]
    answer = f"The answer is {story.answer}."
    if any(step.answer is not None and not step.calculations for step in steps) or not lines:
        answer = f"Step {number + len(lines)}: {answer}"
    return "\n".join([*lines, answer])


def spoilt(solution: str, story: Story, slip: int) -> str:
    right = f"The answer is {story.answer}."
    return solution.replace(right, f"The answer is {story.answer + slip}.")
