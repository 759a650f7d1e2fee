"""Which solutions and tests agree with one another, without anybody knowing which are right. Used by `solver_verifier`.

Solutions that pass exactly the same tests are a group; a group weighs its solutions times the tests that they pass, and
the heaviest one is believed. Both halves can be wrong in the same way, which only held-out tests can show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lema_ray.grading.program_tests import ProgramTest
from lema_ray.grading.programs import Tested, parses, program_of
from lema_ray.recipes.recipe import Rejected
from lema_ray.records import Attempt, Dropped


@dataclass(frozen=True, slots=True)
class Candidate:
    """A student's solution, the program in it, and how it did on every test of the question."""

    attempt: Attempt
    program: str
    tested: Tested

    @property
    def never_ends(self) -> bool:
        """No result at all, since it takes for ever."""
        return not any(self.tested.held) and set(self.tested.instead) <= {"timeout", "stalled"}

    def first_failed(self, tests: Sequence[ProgramTest], among: Sequence[ProgramTest]) -> tuple[ProgramTest, str]:
        """The first of some tests that it fails, and what it gave instead."""
        at = next(at for at, test in enumerate(tests) if test in among and not self.tested.held[at])
        return tests[at], self.tested.instead[at] or ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The solutions believed, those that fail a test of theirs, and the tests by what they say.

    `telling` tests tell the believed from others; `silent` ones are passed by all; `refuted` ones fail the believed.
    """

    believed: tuple[Candidate, ...]
    others: tuple[Candidate, ...]
    telling: tuple[ProgramTest, ...]
    silent: tuple[ProgramTest, ...]
    refuted: tuple[ProgramTest, ...]
    candidates: int


def agree(
    candidates: Sequence[Candidate], tests: Sequence[ProgramTest], least_solutions: int, least_tests: int
) -> Agreement:
    """What most solutions and tests agree on.

    Raises `Rejected`: `no_agreement` when no group has so many solutions and tests, `tie` when two weigh the same.
    """
    groups: dict[tuple[bool, ...], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.tested.held].append(candidate)
    weights = {
        held: len(group) * sum(held)
        for held, group in groups.items()
        if len(group) >= least_solutions and sum(held) >= least_tests
    }
    if not weights:
        raise Rejected("no_agreement")
    best = max(weights, key=lambda held: weights[held])
    if list(weights.values()).count(weights[best]) > 1:
        raise Rejected("tie")
    others = [c for c in candidates if any(own and not c.tested.held[at] for at, own in enumerate(best))]
    telling = {at for at, own in enumerate(best) if own and not all(c.tested.held[at] for c in candidates)}
    passed = {at for at, own in enumerate(best) if own}
    chosen = [[test for at, test in enumerate(tests) if at in which] for which in (telling, passed - telling)]
    refuted = tuple(test for at, test in enumerate(tests) if at not in passed)
    return Agreement(tuple(groups[best]), tuple(others), tuple(chosen[0]), tuple(chosen[1]), refuted, len(candidates))


def programs_in(attempts: Sequence[Attempt]) -> tuple[list[tuple[Attempt, str]], list[Dropped]]:
    """The programs in some solutions, and the solutions without one that could be run."""
    found = [(attempt, program_of(attempt.text)) for attempt in attempts]
    good = [(attempt, program[0]) for attempt, program in found if program and parses(program[0])]
    known = {attempt.id for attempt, _ in good}
    bad = [(a.id, "syntax_error" if program else "no_program") for a, program in found if a.id not in known]
    return good, [Dropped("programs", id, reason) for id, reason in bad]
