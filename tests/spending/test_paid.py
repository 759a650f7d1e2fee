"""The paid log: whole after any death, looked up without being read whole, and replayed row by row."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.config import ScriptedSpec
from lema_ray.engines import RequestRefused, open_engine
from lema_ray.engines.replay import PaidEngine
from lema_ray.records import Completion, Message, Sampling
from lema_ray.runs import RunFolder
from lema_ray.spending import paid as paid_log
from lema_ray.spending.paid import Paid, PaidLog, read_paid, request_key
from lema_ray.spending.paid_index import finished_rows, read_index

HELLO = [Message("user", "Hello")]
HOSTILE = "\x00 \ud800 \u202e </s> <|im_end|>\n\r\u2028 \"quoted\" 'x' {"


def entry(number: int, row: str = "r", text: str = "fine") -> Paid:
    return Paid(request_key((row,), "m", HELLO, Sampling(), number), row, Completion(text, "stop", "m", 3, 4, 0.25))


@pytest.mark.parametrize("text", ["fine", HOSTILE, "x" * 1_000_000])
def test_what_is_written_is_found_by_its_key(tmp_path: Path, text: str) -> None:
    run = RunFolder(str(tmp_path))
    log = PaidLog(run, "w")
    entries = [entry(n, f"row {n % 7} \"'", text) for n in range(3 if len(text) > 99 else 50)]
    for one in entries:
        log.append(one)
    index = read_index(run)
    assert [index.get(one.key) for one in entries] == entries
    assert list(read_paid(run)) == entries
    assert index.get(entry(99).key) is None


def test_a_torn_line_loses_itself_and_nothing_else(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    first = PaidLog(run, "w")
    for n in range(3):
        first.append(entry(n))
    first.close()
    (file,) = (tmp_path / "paid").iterdir()
    whole = file.read_bytes()
    for cut in range(1, len(whole) // 3):
        file.write_bytes(whole[:-cut])
        index = read_index(run)
        kept = [n for n in range(3) if index.get(entry(n).key)]
        # Without its line break a line is still whole.
        assert kept == ([0, 1, 2] if cut == 1 else [0, 1]) and len(list(read_paid(run))) == len(kept)


def test_after_a_full_disk_the_next_line_is_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(str(tmp_path))
    log = PaidLog(run, "w")
    log.append(entry(0))
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:40]))
    with pytest.raises(OSError, match="No space left"):
        log.append(entry(1))
    monkeypatch.undo()
    log.append(entry(2))
    index = read_index(run)
    assert [bool(index.get(entry(n).key)) for n in range(3)] == [True, False, True]


def test_finished_rows_are_not_in_memory(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    log = PaidLog(run, "w")
    for n in range(1000):
        log.append(entry(n, f"q{n // 2}"))
    (tmp_path / "checkpoint").mkdir()
    pq.write_table(pa.table({"id": [f"q{n}" for n in range(490)]}), tmp_path / "checkpoint" / "a.parquet")
    pq.write_table(pa.table({"id": [f"q{n}" for n in range(500)]}), tmp_path / "checkpoint" / "b.pending.parquet")
    (tmp_path / "checkpoint" / "torn.parquet").write_bytes(b"PAR1")
    index = read_index(run, finished_rows(run))
    assert len(index.keys) == 20 and index.keys.nbytes + index.places.nbytes <= 20 * 24
    assert index.get(entry(985, "q492").key) and index.get(entry(3, "q1").key) is None


def test_every_start_of_a_writer_has_its_own_file_and_finds_the_earlier_ones(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    logs = [PaidLog(run, "actor-1"), PaidLog(run, "actor-1"), PaidLog(run, "actor-2")]
    for n, log in enumerate(logs):
        log.append(entry(n))
    assert len(run.files("paid")) == 3
    both = read_index(run, writer="actor-2") + read_index(run, writer="actor-1")
    assert all(both.get(entry(n).key) for n in range(3))
    assert read_index(run, writer="actor-1").get(entry(2).key) is None


def test_object_storage_gets_part_files_of_bounded_age_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paid_log, "PART_SECONDS", 0.2)
    monkeypatch.setattr(paid_log, "PART_BYTES", 2000)
    run = RunFolder(f"file://{tmp_path}")
    log = PaidLog(run, "w")
    log.append(entry(0))
    assert list(read_paid(run)) == []
    deadline = time.monotonic() + 5
    while not list(read_paid(run)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for n in range(1, 40):
        log.append(entry(n))
    assert len(run.files("paid")) > 3, "full parts do not wait for their time"
    log.close()
    index = read_index(run)
    assert all(index.get(entry(n).key) for n in range(40))


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True), st.integers(0, 3))
def test_keys_differ_when_anything_differs(texts: list[tuple[str, str]], number: int) -> None:
    one, other = (request_key((scope,), "m", [Message("user", text)], Sampling(), number) for scope, text in texts)
    assert one != other
    assert one != request_key((texts[0][0],), "m", [Message("user", texts[0][1])], Sampling(), number + 1)
    assert one != request_key((texts[0][0],), "m2", [Message("user", texts[0][1])], Sampling(), number)
    assert one != request_key((texts[0][0],), "m", [Message("user", texts[0][1])], Sampling(seed=1), number)


_asked = 0


def numbered(messages: list[Message], sampling: Sampling) -> str | Completion:
    """Never says the same thing twice; charges for a refusal."""
    global _asked
    _asked += 1
    completion = Completion(f"answer {_asked}", "stop", "m", 1, 1, 0.5)
    if "forbidden" in messages[-1].content:
        raise RequestRefused("content_filter", "no", completion)
    return completion


async def paid_engine(run: RunFolder) -> PaidEngine:
    engine = open_engine(ScriptedSpec(script="test_paid:numbered"))
    await engine.start()
    return PaidEngine(engine, PaidLog(run, "w"), read_index(run), "corrections")


async def test_a_row_that_is_done_again_gets_its_own_answers_in_their_order(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    forbidden = [Message("user", "forbidden")]

    async def work(engine: PaidEngine, row: str) -> list[str]:
        generate = engine.for_row(row)
        texts = [(await generate(HELLO, Sampling(temperature=1.0))).text for _ in range(3)]
        with pytest.raises(RequestRefused) as refused:
            await generate(forbidden, Sampling())
        assert refused.value.completion is not None
        return [*texts, refused.value.completion.text]

    first = await paid_engine(run)
    said = {row: await work(first, row) for row in ("q1", "q2")}
    assert len({text for texts in said.values() for text in texts}) == 8, "k samples are k, also across rows"
    again = await paid_engine(run)
    assert {row: await work(again, row) for row in ("q2", "q1")} == said
    assert len(list(read_paid(run))) == 8 and sum(p.completion.cost for p in read_paid(run)) == 4.0
    assert (await again.for_row("q1")(HELLO, Sampling(temperature=0.5))).text not in said["q1"]


WRITER = """
import sys
from lema_ray.spending.paid import Paid, PaidLog
from lema_ray.records import Completion
from lema_ray.runs import RunFolder
log = PaidLog(RunFolder(sys.argv[1]), "victim")
n = 0
while True:
    log.append(Paid(f"{n:032x}", "r", Completion("x" * (n % 5000), "stop", "m", 1, 1)))
    print(n, flush=True)
    n += 1
"""


@pytest.mark.parametrize("after", [1, 50, 500])
def test_kill_9_loses_nothing_that_was_appended(tmp_path: Path, after: int) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout
        for _ in range(after):
            victim.stdout.readline()
        victim.send_signal(signal.SIGKILL)
        said = after - 1
        for line in victim.stdout:
            if line.endswith("\n"):
                said = int(line)
    index = read_index(RunFolder(str(tmp_path)))
    assert all(index.get(f"{n:032x}") for n in range(said + 1))
