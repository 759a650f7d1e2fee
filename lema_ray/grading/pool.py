"""Grades for many attempts: what is plain is decided here, the rest in a few processes that can be killed.

Called by the grading stage (`on_ray`), `questions`, `evaluation` and recipes; safe in threads, actors and scripts.
"""

from __future__ import annotations

import atexit
import functools
import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from lema_ray.config import SandboxConfig
from lema_ray.grading.child import Child
from lema_ray.grading.choices import is_letter, stated_choice
from lema_ray.grading.clean import clean
from lema_ray.grading.compare import Comparison, compare_exactly
from lema_ray.grading.extract import Extracted, extract_answer, mentions, retracts
from lema_ray.grading.programs import grade_programs
from lema_ray.grading.published import PUBLISHED
from lema_ray.grading.refusals import why_not_symbolic
from lema_ray.records import Grade, GradingMode, Question, Verdict

Pair = tuple[str, str]


class GradingPool:
    """Grades solutions, `processes` slow comparisons at a time, each for at most `timeout_s` seconds.

    No process exists before the first comparison that needs one. Any number of threads may call `grade_all`.
    Programs are run in sandboxes, as many at once, for which `timeout_s` does not count.
    """

    def __init__(self, timeout_s: float = 5.0, processes: int = 1, sandbox: SandboxConfig | None = None) -> None:
        self._sandbox = sandbox or SandboxConfig()
        self._children = [Child(timeout_s) for _ in range(processes)]
        self._idle: queue.LifoQueue[Child] = queue.LifoQueue()  # the last one used is the warm one
        for child in self._children:
            self._idle.put(child)

    def __enter__(self) -> GradingPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes. The pool may be used again; they come back when needed."""
        for child in self._children:
            child.close()

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that exist now."""
        return [child.pid for child in self._children if child.pid is not None]

    def grade_all(self, items: Sequence[tuple[str, Question]], mode: GradingMode = "default") -> list[Grade]:
        """One grade per (solution text, question), in order. A comparison that hangs or crashes is one `unsure`.

        Raises `SandboxUnavailable` for programs on a machine that cannot isolate them.
        """
        if any(question.task == "code" for _, question in items):
            return self._with_programs(items, mode)
        if mode != "default":
            return [PUBLISHED[mode](text, question.reference) for text, question in items]
        found = [extract_answer(text, question.task, question.choices) for text, question in items]
        decided = [_decided(e, text, question) for e, (text, question) in zip(found, items, strict=True)]
        pairs = [(e.answer or "", question.reference) for e, (_, question) in zip(found, items, strict=True)]
        slow = {pair: None for pair, done in zip(pairs, decided, strict=True) if done is None}
        compared = self._compare_all(list(slow))
        return [_grade(e, done or compared[pair]) for e, done, pair in zip(found, decided, pairs, strict=True)]

    def _with_programs(self, items: Sequence[tuple[str, Question]], mode: GradingMode) -> list[Grade]:
        programs = [item for item in items if item[1].task == "code"]
        run = iter(grade_programs(programs, self._sandbox, len(self._children)))
        others = iter(self.grade_all([item for item in items if item[1].task != "code"], mode))
        return [next(run) if question.task == "code" else next(others) for _, question in items]

    def compare(self, answer: str, reference: str) -> Comparison:
        """One comparison by mathematics, in a process."""
        return self._compare((answer, reference))

    def _compare_all(self, pairs: Sequence[Pair]) -> dict[Pair, Comparison]:
        if len(pairs) < 2 or len(self._children) == 1:
            return {pair: self._compare(pair) for pair in pairs}
        with ThreadPoolExecutor(min(len(pairs), len(self._children)), "grading") as threads:
            return dict(zip(pairs, threads.map(self._compare, pairs), strict=True))

    def _compare(self, pair: Pair) -> Comparison:
        child = self._idle.get()
        try:
            return child.compare(*pair)
        finally:
            self._idle.put(child)


def _decided(found: Extracted, text: str, question: Question) -> Comparison | None:
    """`_exactly`, but a fault of ours in one row is that row's `unsure` and not the end of a batch."""
    try:
        compared = _exactly(found, text, question)
        if compared and compared.verdict == "wrong" and retracts(text, found.answer, question.reference):
            return Comparison(
                "unsure", "retracted", "the text goes on to correct itself and then has the reference in it"
            )
        return compared
    except (ArithmeticError, ValueError, LookupError, RecursionError, MemoryError) as error:
        return Comparison("unsure", "error", f"{type(error).__name__} while comparing")


def _exactly(found: Extracted, text: str, question: Question) -> Comparison | None:
    if found.answer is None:
        if is_letter(question.reference) and (letter := stated_choice(clean(text), None, whole_sentence=True)):
            right = letter == question.reference.strip("() ")
            return Comparison("right" if right else "unsure", "closing_choice", "the last sentence names a choice")
        mentioned = mentions(text, question.reference)
        reason = "the text states no final answer" + (", but ends with the reference in it" if mentioned else "")
        return Comparison("unsure" if mentioned else "wrong", "no_answer", reason)
    exclaimed = found.answer.endswith("!") and found.rule != "boxed"  # "The answer is 24!" is no factorial
    compared = compare_exactly(found.answer.rstrip("!"), question.reference, question.choices) if exclaimed else None
    if compared and compared.verdict == "right":
        return compared
    return compare_exactly(found.answer, question.reference, question.choices)


def _grade(found: Extracted, compared: Comparison) -> Grade:
    rules = (found.rule,) if found.answer is None else (found.rule, compared.rule)
    return Grade(compared.verdict, found.answer, rules, compared.reason)


@functools.cache
def shared_pool() -> GradingPool:
    """The one-process pool behind `grade`; its process ends with this one."""
    pool = GradingPool()
    atexit.register(pool.close)
    return pool


def second_comparison(answer: str, reference: str) -> Verdict:
    """The verdict of mathematics alone, on an answer that `compare` may have decided by itself. For audits."""
    if why_not_symbolic(answer, reference) is not None:
        return "unsure"
    return shared_pool().compare(answer, reference).verdict
