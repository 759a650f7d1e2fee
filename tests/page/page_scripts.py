"""What the server of the page's tests answers, by question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from page_server import LOSE, WAIT, Event, Script, content, error, pieces, said

DRAFT = """Step 1: The shop has 24 boxes with 12 pencils each, so $24 \\times 12 = 288$ pencils.
Step 2: It sells 5 boxes and 30 pencils, so $5 + 30 = 35$ pencils are sold.
Step 3: Then $288 - 35 = 253$ pencils are left.
The answer is 253"""
WRONG = DRAFT.splitlines(keepends=True)[1]
REASON = "The 5 boxes were counted as 5 pencils. Each holds 12, so $5 \\times 12 + 30 = 90$ are sold."
REVISION = """Step 1: The shop has 24 boxes with 12 pencils each, so $24 \\times 12 = 288$ pencils.
Step 2: It sells 5 boxes of 12 and 30 pencils, so $5 \\times 12 + 30 = 90$ pencils are sold.
Step 3: Then $288 - 90 = 198$ pencils are left.
The answer is 198"""
OWN_WORDS = "Wait, that is for all boxes, let me look again."
PLAIN = f"There are 288 pencils \N{PENCIL} \N{GRINNING FACE}.\n{OWN_WORDS}\nIt is 198.\nThe answer is 198"
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "\n$\\href{javascript:document.title='owned'}{click}$ and $\\style{position:fixed;inset:0}{x}$"
    "\n$\\text{<img src=x onerror=document.title=1>}$ **<b onclick=alert(1)>** \\(\\class{unseen}{x}\\)"
    "\n$\\newcommand{\\a}{\\a\\a}\\a$ $\\hspace{99999em}x$ <svg onload=document.title='owned'>"
    "\nThe answer is <iframe src=javascript:alert(1)>"
)
PENCILS = "A shop has 24 boxes with 12 pencils each. It sells 5 boxes and 30 single pencils. How many pencils are left?"


def final(policy: str, drafts: list[tuple[str, str, str]], doubts: list[Event], stop: str, **more: Any) -> Event:
    """The last event: drafts are (text, kind, answer), and the last is the answer unless `more` says otherwise."""
    told = [{"text": text, "kind": kind, "answer": answer} for text, kind, answer in drafts]
    account = {
        "policy": policy, "first_answer": told[0]["answer"], "final_answer": told[-1]["answer"], "drafts": told,
        "doubts": doubts, "final_draft": len(told) - 1, "revisions": len(told) - 1, "probability_wrong": None,
        "prompt_tokens": 412, "completion_tokens": 188, "extra_tokens": 376, "seconds": 3.21, "stop_reason": stop,
    }  # fmt: skip
    return said("final", **{**account, **more})


def doubt(text: str, words: str, reason: str, by: str = "model", kind: str = "judged", **more: Any) -> Event:
    """A doubt about some words of a text."""
    start = text.index(words)
    return {
        "draft": 0,
        "start": start,
        "stop": start + len(words),
        "step": 1,
        "reason": reason,
        "by": by,
        "kind": kind,
        **more,
    }


def corrected(body: Event) -> Iterator[Event]:
    """A draft, a doubt, a revision; without correction or with a doubt of its own, as the policy says."""
    policy = body.get("self_correction", {}).get("policy", "off")
    if policy in ("off", "spontaneous"):
        text = PLAIN if policy == "spontaneous" else DRAFT
        own = [doubt(text, OWN_WORDS, "", kind="said", step=None)] if policy == "spontaneous" else []
        yield from (content(line) for line in text.splitlines(keepends=True))
        yield from (said("doubt", **one) for one in own)
        yield content("", "stop")
        answer = text.split()[-1]
        yield final(policy, [(text, "draft", answer)], own, "doubted" if own else "no_doubt", extra_tokens=0)
        return
    by = {"critique": "critic", "verify": "verifier"}.get(policy, "model")
    yield from revised(policy, by, WAIT, *pieces(1, REVISION, "revision"))


def repeats(body: Event) -> Iterator[Event]:
    """A revision that is held while it still says what the draft said."""
    revision = pieces(1, REVISION, "revision")
    yield from revised("revise", "model", *revision[:8], WAIT, *revision[8:])


def revised(policy: str, by: str, *revision: Event) -> Iterator[Event]:
    """The draft, its doubt, the events of the revision, and how it ended."""
    one = doubt(DRAFT, WRONG, REASON, by=by)
    yield from pieces(0, DRAFT)
    yield said("doubt", **one)
    yield from revision
    yield content(REVISION, "stop")
    yield final(policy, [(DRAFT, "draft", "253"), (REVISION, "revision", "198")], [one], "revised")


def voted(body: Event) -> Iterator[Event]:
    """Three solutions that disagree."""
    texts = [(DRAFT, "253"), (REVISION, "198"), (REVISION.replace("left", "there"), "198")]
    for number, (text, _) in enumerate(texts):
        yield from pieces(number, text, "vote")
    yield content(REVISION, "stop")
    yield final(
        "vote",
        [(text, "vote", answer) for text, answer in texts],
        [],
        "agreed",
        final_draft=1,
        revisions=0,
        final_answer="198",
    )


def not_taken(body: Event) -> Iterator[Event]:
    """A revision that comes to nothing."""
    one = doubt(DRAFT, WRONG, REASON)
    yield from pieces(0, DRAFT)
    yield said("doubt", **one)
    yield from pieces(1, "I cannot say.", "revision")
    yield content(DRAFT, "stop")
    yield final(
        "revise",
        [(DRAFT, "draft", "253"), ("I cannot say.", "revision", None)],
        [one],
        "max_tokens",
        final_draft=0,
        final_answer="253",
    )


def half(*last: Event) -> Script:
    """A script that stops in the middle."""

    def script(body: Event) -> Iterator[Event]:
        yield content("Step 1: half of an")
        yield from last

    return script


def hostile(body: Event) -> Iterator[Event]:
    """Text that would like to be markup, wherever text is shown."""
    one = doubt(HOSTILE, HOSTILE.splitlines()[1], HOSTILE, by="critic")
    yield from pieces(0, HOSTILE)
    yield said("doubt", **one)
    yield from pieces(1, f"{HOSTILE} again", "revision")
    yield final("revise", [(HOSTILE, "draft", HOSTILE), (f"{HOSTILE} again", "revision", HOSTILE)], [one], HOSTILE)


SCRIPTS: dict[str, Script] = {
    PENCILS: corrected,
    "repeats": repeats,
    "vote": voted,
    "not taken": not_taken,
    "held": half(WAIT),
    "lost": half(WAIT, LOSE),
    "ends early": half({"error": {"message": "the engine failed", "code": 500}}),
    "cut off": half(content(" answer", "length")),
    "hostile": hostile,
    "too long": lambda body: error(400, "the question is longer than 4096 tokens"),
    "too fast": lambda body: error(429, "10 requests a minute are allowed.", {"Retry-After": "12"}),
    "busy": lambda body: error(503, "all places are taken."),
    "broken": lambda body: error(500, "internal error", {"x-request-id": "req-17"}),
}
