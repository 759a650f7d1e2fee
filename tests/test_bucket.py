"""The run folder in a bucket of a real S3 server: whole files or none, the paid log, models, and refusals."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import BUCKET, s3_server
from tiny_model import save_tiny_model

from lema_ray.config import ConfigError, parse_config
from lema_ray.models import ModelError, check_model, resolve_model
from lema_ray.records import Completion, Question
from lema_ray.runs import RunFolder, open_run
from lema_ray.spending.paid import Paid, PaidLog, read_paid
from lema_ray.spending.paid_index import read_index


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_server() as environment:
        yield environment


@pytest.fixture
def run(server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunFolder:
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return RunFolder(f"s3://{BUCKET}/{tmp_path.name}/run")


def test_files_are_whole_or_not_there(run: RunFolder) -> None:
    assert not run.exists("manifest.json")
    run.write_json({"stages": {}}, "manifest.json")
    run.record_stage("collect", 1.5, {"rows": 3})
    assert run.stage("collect") == {"seconds": 1.5, "rows": 3}
    before = run.files()
    with pytest.raises(ValueError, match="in the middle"), run.writing("examples", "train.parquet") as stream:
        stream.write(b"half of it")
        raise ValueError("in the middle")
    assert run.files() == before, "nothing of a file that failed, under any name"
    with run.writing("examples", "train.bin") as stream:
        stream.write(b"x" * 12_000_000)  # more than one part of an upload
        assert not run.exists("examples", "train.bin")
    with run.opened("examples", "train.bin") as stream:
        assert stream.size() == 12_000_000


def test_records_and_removal(run: RunFolder) -> None:
    questions = [Question(f"{n:032x}", f"What is {n} + 1?", str(n + 1), "test") for n in range(3000)]
    run.write_records(questions, Question, "questions", "train.parquet")
    assert list(run.read_records(Question, "questions")) == questions
    run.write_text("other", "questions-of-another")
    run.remove("questions")
    assert run.files() == ["questions-of-another"]


def key(number: int) -> str:
    return f"{number:016x}" * 2


def paid(number: int) -> Paid:
    completion = Completion(
        text=f"text {number}", model="m", finish_reason="stop", prompt_tokens=1, completion_tokens=2, cost=0.5
    )
    return Paid(key(number), f"row {number}", completion)


def test_the_paid_log_of_several_writers_and_of_one_that_died(run: RunFolder) -> None:
    for writer in ("a", "b"):
        log = PaidLog(run, writer)
        for number in range(50):
            log.append(paid(number if writer == "a" else 100 + number))
        log.close()
    again = PaidLog(run, "a")  # Ray starts an actor again under its old name
    again.append(paid(200))
    again.close()
    assert sorted(p.key for p in read_paid(run)) == sorted(key(n) for n in (*range(50), *range(100, 150), 200)), (
        "parts are added, none is overwritten"
    )
    index = read_index(run)
    assert index.get(key(149)) == paid(149) and index.get(key(3)) == paid(3)
    assert key(999) not in index


def test_a_model_is_copied_once_and_again_when_it_changes(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow import fs

    monkeypatch.setenv("LEMA_CACHE", str(tmp_path / "cache"))
    local = save_tiny_model(tmp_path / "model", seed=0)
    with pytest.raises(ModelError, match="no model there"):
        resolve_model(run.uri("models", "lema"))
    fs.copy_files(str(local), run.uri("models", "lema"))
    copied = resolve_model(run.uri("models", "lema"))
    check_model(copied)
    weights = Path(copied, "model.safetensors")
    assert weights.read_bytes() == (local / "model.safetensors").read_bytes()
    assert resolve_model(run.uri("models", "lema")) == copied
    run.write_text("{}", "models", "lema", "trained.json")
    assert resolve_model(run.uri("models", "lema")) != copied


def small(root: str) -> dict:
    engine = {"engine": {"type": "scripted"}}
    train = {"source": "word_problems", "count": 4}
    return {"name": "run", "runs_dir": root, "questions": {"train": train}, "students": [engine], "corrector": engine}


def test_a_bucket_that_is_not_there_or_not_ours_is_one_line(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_run(parse_config(small(f"s3://{BUCKET}/ours"))).files() == ["config.yaml"]
    with pytest.raises(ConfigError, match="runs_dir: s3://elsewhere/run cannot be written and read") as missing:
        open_run(parse_config(small("s3://elsewhere")))
    with s3_server(let_in=False) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError, match=r"cannot be written and read .*ACCESS_KEY") as refused:
            open_run(parse_config(small(f"s3://{BUCKET}")))
    for raised in (missing, refused):
        assert "\n" not in str(raised.value) and "test-secret" not in str(raised.value)
    with pytest.raises(ConfigError, match="cannot be used"):
        open_run(parse_config(small("s4://bucket")))
