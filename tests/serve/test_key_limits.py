"""Limits per key over sliding minutes, on a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.limits import Refused, Windows


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_requests_per_minute_slide(clock: Clock) -> None:
    windows = Windows(clock)
    for _ in range(3):
        assert isinstance(windows.admit("a", 3, None, None, 0, 10), int)
        clock.now += 10
    refused = windows.admit("a", 3, None, None, 0, 10)
    assert isinstance(refused, Refused) and refused.retry_after_s == pytest.approx(30)
    assert isinstance(windows.admit("b", 3, None, None, 0, 10), int)
    clock.now += 30
    assert isinstance(windows.admit("a", 3, None, None, 0, 10), int)


def test_tokens_are_settled_to_what_was_spent(clock: Clock) -> None:
    windows = Windows(clock)
    ticket = windows.admit("a", None, 100, None, 90, 10)
    assert isinstance(ticket, int)
    assert isinstance(windows.admit("a", None, 100, None, 20, 10), Refused)
    windows.settle("a", ticket, 10)
    assert isinstance(windows.admit("a", None, 100, None, 90, 10), int)


def test_a_request_whose_replica_died_frees_its_place_at_its_deadline(clock: Clock) -> None:
    windows = Windows(clock)
    windows.admit("a", None, None, 1, 0, 10)
    assert isinstance(windows.admit("a", None, None, 1, 0, 10), Refused)
    clock.now += 11
    ticket = windows.admit("a", None, None, 1, 0, 10)
    assert isinstance(ticket, int)
    windows.settle("a", ticket, 0)
    windows.settle("a", ticket, 0)
    windows.settle("nobody", 7, 0)
    assert isinstance(windows.admit("a", None, None, 1, 0, 10), int)


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 60), st.integers(0, 80)), max_size=60))
def test_no_minute_holds_more_than_the_limit(steps: list[tuple[float, int, int]]) -> None:
    """Whatever is asked when: admitted estimates that were not settled lower never pass the limit of a minute."""
    clock = Clock()
    windows, spent = Windows(clock), list[tuple[float, int]]()
    for wait, estimate, used in steps:
        clock.now += wait
        ticket = windows.admit("a", None, 100, None, estimate, 1e9)
        before = sum(tokens for at, tokens in spent if at > clock.now - 60)
        if isinstance(ticket, Refused):
            assert before + estimate > 100
            assert ticket.retry_after_s > 0
            continue
        assert before + estimate <= 100
        windows.settle("a", ticket, min(used, estimate))
        spent.append((clock.now, min(used, estimate)))
