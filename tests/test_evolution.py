"""Evolution: seeds by multiplicity, majority answers by grading, and every failure a drop with its cost."""

from collections import Counter

from lema_ray.config import SamplingConfig
from lema_ray.evolution import draw_of, draw_seeds, evolve_question, majority_answer
from lema_ray.records import Completion, GradedQuestion, Message, Question, Sampling

SEED = GradedQuestion(Question("s", "Ann has 2 pens and buys 3. How many has she?", "5", "test", level="2"))
NEW = "Created Question: Bob has 4 cups and breaks 1. How many cups are whole?"
QUESTION = Question("q", "?", "", "evolution")


class Teacher:
    """Writes one question, then gives answers in turn."""

    def __init__(self, first: str, *answers: str) -> None:
        self.replies = [first, *(f"So it is {a}.\nThe answer is {a}." for a in answers)]

    async def __call__(self, messages: tuple[Message, ...], sampling: Sampling) -> Completion:
        return Completion(self.replies.pop(0), "stop", "teacher", 10, 5, cost=0.1)


async def evolve(*replies: str) -> GradedQuestion:
    return await evolve_question(SEED, Teacher(*replies), sampling=SamplingConfig())


async def test_the_majority_answer_becomes_the_reference_and_its_solution_is_kept() -> None:
    made = await evolve(NEW, "3", "2", "3.0")
    assert made.question.text == "Bob has 4 cups and breaks 1. How many cups are whole?"
    assert (made.question.reference, made.question.level, made.drops) == ("3", "2", ())
    assert made.question.solution == "So it is 3.\nThe answer is 3."
    assert len(made.attempts) == 3


async def test_without_a_majority_the_seed_comes_back_with_a_drop_and_its_cost() -> None:
    made = await evolve(NEW, "3", "2", "4")
    assert made.question == SEED.question
    assert [(d.reason, d.cost) for d in made.drops] == [("no_majority", 0.1)]


async def test_a_reply_without_a_new_question_is_a_drop() -> None:
    assert [d.reason for d in (await evolve("I would rather not.")).drops] == ["unreadable_reply"]


def test_equal_answers_vote_together_and_a_tie_has_no_majority() -> None:
    half = ["The answer is 1/2.", "The answer is 0.5.", "The answer is 3."]
    assert majority_answer(half, QUESTION) == ("1/2", "The answer is 1/2.")
    assert majority_answer(half[1:], QUESTION) is None
    assert majority_answer(["nothing", "The answer is 3."], QUESTION) is None


def test_seeds_are_drawn_as_often_as_they_were_corrected() -> None:
    drawn = Counter(draw_seeds([("once", 1), ("thrice", 3)], 4000, seed=0))
    assert 2.5 < drawn["thrice"] / drawn["once"] < 3.5
    assert draw_seeds([("a", 1), ("b", 1)], 20, 1) == draw_seeds([("a", 1), ("b", 1)], 20, 1)


async def test_a_seed_drawn_twice_is_asked_with_two_seeds_and_keeps_a_row_of_its_own() -> None:
    class Listening(Teacher):
        async def __call__(self, messages: tuple[Message, ...], sampling: Sampling) -> Completion:
            seeds.append(sampling.seed)
            return await super().__call__(messages, sampling)

    seeds: list[int | None] = []
    draws = [draw_of(SEED.question, number) for number in (0, 1)]
    for draw in draws:
        made = await evolve_question(draw, Listening(NEW, "3", "3", "3"), sampling=SamplingConfig())
        assert made.question.id == draw.question.id != SEED.question.id
    assert draws[0] != draws[1] and len(set(seeds)) == len(seeds) == 8
