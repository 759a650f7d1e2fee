"""A disk that is full in the middle of collect: one clear line, nothing lost, and the run goes on with room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lema_ray.demo.server import ServerOptions, running
from lema_ray.errors import explain_os_error
from lema_ray.on_ray.flow import Flow
from lema_ray.records import GradedQuestion
from lema_ray.spending.paid import read_paid

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
SIZE = 4 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("left", [16 << 10, 96 << 10])
def test_a_full_disk_is_one_line_and_the_run_goes_on_with_room(cluster, make_config, disk: Path, left: int) -> None:
    with running(ServerOptions()) as url:
        engine = {"type": "openai", "model": "rule-based-teacher", "base_url": url}
        flow = Flow(make_config(runs_dir=str(disk), corrector={"engine": engine}))
        flow.questions()
        ballast = disk / "ballast"
        fill(ballast, left)
        with pytest.raises(OSError) as full:
            flow.collect()
        said = explain_os_error(full.value)
        assert said and said.startswith("the disk is full") and "run the same command again" in said
        received = {paid.key for paid in read_paid(flow.run)}
        ballast.unlink()
        flow.collect()
    rows = list(flow.run.read_records(GradedQuestion, "collected"))
    assert len(rows) == len({row.question.id for row in rows}) == 60
    assert all(row.corrections or row.drops for row in rows if row.wrong)
    keys = [paid.key for paid in read_paid(flow.run)]
    assert len(keys) == len(set(keys)) and received <= set(keys), "what was received is kept, and once"


def fill(ballast: Path, left: int) -> None:
    """Fill the disk but for some bytes."""
    room = os.statvfs(ballast.parent)
    ballast.write_bytes(b"x" * (room.f_bavail * room.f_frsize - left))
