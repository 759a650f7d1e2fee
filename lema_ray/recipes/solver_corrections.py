"""What solutions and tests agree on, as corrections: one for what is believed, one for each solution against it.

Used by `solver_verifier`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lema_ray.grading.program_tests import ProgramTest
from lema_ray.recipes.agreement import Agreement
from lema_ray.records import Attempt, Correction, content_id

Reply = tuple[list[ProgramTest], str]


def agreed(name: str, found: Agreement, replies: Sequence[Reply]) -> Correction:
    """The first solution believed with the tests that tell, and a reply that has a refuted test in it, if any."""
    tests = "\n".join(map(str, found.telling))
    worse = next((text.strip() for some, text in replies if set(some) & set(found.refuted)), "")
    fields = {"tests": tests} | ({"worse": worse} if worse and tests else {})
    passed = len(found.telling) + len(found.silent)
    said = f"{len(found.believed)} of {found.candidates} solutions agree on {passed} tests."
    first = found.believed[0].attempt
    return _correction(name, "agreed", first, first, said, fields)


def contrasts(name: str, found: Agreement, tests: Sequence[ProgramTest], most: int) -> list[Correction]:
    """The believed solution for each distinct one that fails a test of it, and which test that is."""
    distinct = {candidate.program: candidate for candidate in reversed(found.others)}
    made = []
    for wrong in list(reversed(distinct.values()))[:most]:
        test, instead = wrong.first_failed(tests, found.telling)
        said = f"`{test}` does not hold: {instead}"
        made.append(
            _correction(name, "contrast", wrong.attempt, found.believed[0].attempt, said, {"failed": str(test)})
        )
    return made


def _correction(
    name: str, strategy: str, attempt: Attempt, right: Attempt, said: str, fields: dict[str, str]
) -> Correction:
    return Correction(
        id=content_id(name, strategy, attempt.id, right.id),
        recipe=name,
        attempt_id=attempt.id,
        explanation=said,
        revision=right.text.strip(),
        fields=fields,
        strategy=strategy,
        checks=("agreed",),
        model=right.model,
        requests=0,
    )
