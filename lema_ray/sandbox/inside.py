"""What runs inside the sandbox: load a program, evaluate calls, write what came of each. Imported by nobody.

`running` hands this file's text to a fresh interpreter that sees neither this package nor any other. Everything that it
writes is a claim of the program, which shares this process: it never gets to know what the results should be.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

LONGEST = 20_000
"""Characters of one value."""


class TimeUp(BaseException):
    """The CPU seconds of one call are over."""


def plain(value: Any) -> Any:
    """The value with subclasses of containers (Counter, namedtuple) as the containers that they equal."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            members = kind(plain(item) for item in value)
            return set(members) if kind is frozenset else members
    return value


def ended(number: int, frame: Any) -> None:
    """The timer's signal."""
    raise TimeUp


def result_of(work: Any, seconds: float) -> list[str]:
    """What some work came to: `value` and its text, `error` and its kind, or `timeout`."""
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            return ["value", repr(plain(work()))[: LONGEST + 1]]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except TimeUp:
        return ["timeout", ""]
    except BaseException as error:  # SystemExit too: leaving early is no success
        return ["error", type(error).__name__[:100]]


def main() -> None:
    """Read the job from standard input, answer in JSON lines: `ready`, how loading went, and a line per call."""
    job = json.loads(sys.stdin.buffer.read())
    results = os.dup(1)
    os.dup2(2, 1)  # what the program prints must not end up among the results
    os.chdir(job["folder"])
    signal.signal(signal.SIGPROF, ended)

    def tell(what: Any) -> None:
        line = memoryview(json.dumps(what).encode() + b"\n")
        while line:
            line = line[os.write(results, line) :]

    tell("ready")
    names: dict[str, Any] = {"__name__": "solution"}
    loaded = result_of(lambda: exec(compile(job["program"], "solution.py", "exec"), names), job["seconds"])
    tell(loaded)
    if loaded[0] != "value":
        return
    for call in job["calls"]:
        tell(result_of(lambda call=call: eval(compile(call, "test", "eval"), names), job["seconds"]))


if __name__ == "__main__":
    main()
