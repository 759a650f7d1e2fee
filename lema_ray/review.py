"""`lema review`: look at the references that most attempts contradict, and decide: keep, fix or drop.

Decisions are data, `review/decisions.jsonl` in the run folder, and never change what was collected. The next run takes
them by `questions.reviewed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lema_ray.audit import Audit, DoubtfulReference
from lema_ray.config import ConfigError
from lema_ray.questions.decisions import Decision, dump_decisions, parse_decisions
from lema_ray.runs import RunFolder

FILE = ("review", "decisions.jsonl")
Ask = Callable[[str], str]


def read_review(run: RunFolder) -> dict[str, Decision]:
    """The decisions made so far, by question id."""
    if not run.exists(*FILE):
        return {}
    return parse_decisions(run.read_text(*FILE).splitlines(), run.uri(*FILE))


def decide(run: RunFolder, audit: Audit, said: Iterable[str]) -> int:
    """Save decisions given as `ID=keep`, `ID=drop` or `ID=fix:REFERENCE`; returns how many there are in all.

    Raises `ConfigError` for an id that is not among the doubtful references, or another decision.
    """
    doubtful = {one.question.id: one for one in audit.doubtful}
    decisions = read_review(run)
    for text in said:
        identity, _, choice = text.partition("=")
        if identity not in doubtful:
            raise ConfigError(f"{text!r}: no doubtful reference has the id {identity!r}")
        decisions[identity] = _decision(doubtful[identity], choice)
    run.write_text(dump_decisions(decisions.values()), *FILE)
    return len(decisions)


def _decision(one: DoubtfulReference, said: str) -> Decision:
    choice, _, reference = said.partition(":")
    if choice in ("keep", "drop") and not reference:
        return Decision(one.question.id, choice, one.question.reference)  # type: ignore[arg-type]
    if choice == "fix":
        return Decision(one.question.id, "fix", one.question.reference, reference.strip() or one.answer)
    raise ConfigError(f"{said!r}: expected keep, drop, fix (to what most attempts say) or fix:REFERENCE")


def ask_all(run: RunFolder, audit: Audit, ask: Ask, show: Callable[[str], None]) -> int:
    """Ask about every doubtful reference that is not decided yet; an empty reply leaves it, `quit` ends."""
    decisions = read_review(run)
    for one in audit.doubtful:
        if one.question.id in decisions:
            continue
        show(f"\n{one.question.text}\n  reference: {one.question.reference}")
        show(f"  {one.votes} of {one.attempts} attempts say: {one.answer}")
        reply = ask("keep, drop, fix, fix:REFERENCE, quit, or nothing to leave it").strip()
        if reply == "quit":
            break
        if reply:
            decide(run, audit, [f"{one.question.id}={reply}"])
    return len(read_review(run))
