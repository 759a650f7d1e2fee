"""What the scripted engines of these tests say. They run in Ray's workers, so they are found by module name."""

import os
import sys
import time
from collections.abc import Sequence
from random import Random

from lema_ray.demo.rules import reply
from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.records import Message, Sampling, content_id


def guess(messages: Sequence[Message], sampling: Sampling) -> str:
    """A student who guesses; a third of the guesses are the right answer."""
    if Random(sampling.seed).random() < 1 / 3:
        return teach(messages, sampling)
    return "Step 1: I guess it is 7 + 1 = 8.\nThe answer is 8."


def guess_variously(messages: Sequence[Message], sampling: Sampling) -> str:
    """`guess` whose wrong answers differ, so that each of them is a mistake of its own."""
    if Random(sampling.seed).random() < 1 / 3:
        return teach(messages, sampling)
    number = sampling.seed or 0
    return f"Step 1: I guess it is {number} + 1 = {number + 1}.\nThe answer is {number + 1}."


def err(messages: Sequence[Message], sampling: Sampling) -> str:
    """A student who is always wrong: no question of these tests is about so much."""
    return "Step 1: I guess it is 98765 + 1 = 98766.\nThe answer is 98766."


def teach(messages: Sequence[Message], sampling: Sampling) -> str:
    """The rule-based teacher, without its server."""
    return reply(messages)


def murmur(messages: Sequence[Message], sampling: Sampling) -> str:
    """A student who is right but states no answer, so that the grader cannot tell."""
    answer = teach(messages, sampling).rsplit(maxsplit=1)[-1].rstrip(".")
    return f"Attempt {sampling.seed}: 2 + 3 = 5, oops, so it's {answer}"


def judge_half(messages: Sequence[Message], sampling: Sampling) -> str:
    """A corrector that judges about half of what it is asked to, and says nothing of use otherwise."""
    return "Reason: It is another number.\nVerdict: wrong" if (sampling.seed or 0) % 2 else "I would rather not say."


def refuse_some(messages: Sequence[Message], sampling: Sampling) -> str:
    """A corrector that refuses about half of what it is asked."""
    if (sampling.seed or 0) % 2:
        raise RequestRefused("content_filter", "not this one")
    return teach(messages, sampling)


def dead(messages: Sequence[Message], sampling: Sampling) -> str:
    """An engine that is gone."""
    raise EngineUnavailable("the corrector at 127.0.0.1:1 is down; start it and run again")


def teach_or_write(messages: Sequence[Message], sampling: Sampling) -> str:
    """The teacher, who also writes new questions and answers them."""
    text = messages[-1].content
    if "Created Question" in text:
        return f"Created Question: Story {sampling.seed}: Bob has 4 cups and breaks 1. How many are whole?"
    return "4 - 1 = 3.\nThe answer is 3." if "Bob has 4 cups" in text else teach(messages, sampling)


def guess_slowly(messages: Sequence[Message], sampling: Sampling) -> str:
    """`guess` at about 40 questions a second, noting each request in a file for the test that reads them."""
    time.sleep(0.025)
    with open(os.environ["LEMA_TEST_ASKED"], "a") as file:
        file.write(f"{content_id(messages[-1].content)}\n")
    return guess(messages, sampling)


def poisoned(messages: Sequence[Message], sampling: Sampling) -> str:
    """A corrector that breaks on some of what it is asked, each time."""
    if sum(map(ord, messages[-1].content)) % 3 == 0:
        raise ZeroDivisionError("a fault of ours")
    return teach(messages, sampling)


def silent(messages: Sequence[Message], sampling: Sampling) -> str:
    """A student who never answers."""
    return "I do not know."


def guess_or_edit(messages: Sequence[Message], sampling: Sampling) -> str:
    """A student who guesses, and edits its steps when it is asked to."""
    return (teach if "Step To Edit" in messages[-1].content else guess)(messages, sampling)


def die(messages: Sequence[Message], sampling: Sampling) -> str:
    """An engine whose process ends whenever it is asked, with a word about why."""
    print("no more memory for the cache", file=sys.stderr, flush=True)
    os._exit(1)
