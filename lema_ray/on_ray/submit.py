"""Hand a run to a cluster over Ray's Jobs API and follow it. Called by `lema submit`.

A submission has an id that follows from the run, so a repeated command finds the same job: it follows one that runs,
and goes on (`resume`) after one that failed. What was finished is in the run folder; the job holds no state of its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import lema_ray
from lema_ray.config import ConfigError, RunConfig
from lema_ray.on_ray.same_versions import VARIABLE, to_variable
from lema_ray.on_ray.working_dir import CONFIG, pack

STAGES = ("run", "collect", "build", "train", "evaluate", "report")
CHECKOUT = Path(lema_ray.__file__).parents[1]
FAILED, STOPPED = 1, 3
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Submission:
    """Where to, which stage, and what to bring."""

    address: str
    stage: str = "run"
    working_dir: Path = CHECKOUT
    exclude: tuple[str, ...] = ()
    resume: bool = False
    follow: bool = True
    insecure: bool = False


def submit(config: RunConfig, wanted: Submission) -> int:
    """Submit and follow; the exit code: 0 done, 3 stopped, the driver's own (or 1) when it failed.

    Raises `ConfigError` before anything is uploaded when the cluster is not there, refuses the token, has another
    version, or takes jobs from anybody; when the run folder would not outlive the job; or when it is too much to bring.
    """
    if wanted.stage not in STAGES:
        raise ConfigError(f"stage {wanted.stage!r}: not one of {', '.join(STAGES)}")
    if "://" not in config.runs_dir and not os.path.isabs(config.runs_dir):
        raise ConfigError(
            f"runs_dir: {config.runs_dir} is relative, and Ray deletes a job's directory with it; set an absolute path"
            " that every node sees, or s3://... or gs://..."
        )
    client = _connect(wanted)
    job = _next_id(client, base_id(config, wanted.stage), wanted.resume)
    if _status(client, job) is None:
        with tempfile.TemporaryDirectory(prefix="lema-submit-") as folder:
            megabytes = pack(config, wanted.working_dir, Path(folder), wanted.exclude)
            _submit(client, job, config, wanted.stage, folder)
        print(f"{job}: submitted to {wanted.address} with {megabytes:.1f} MB", file=sys.stderr, flush=True)
    return _follow(client, job) if wanted.follow else 0


def base_id(config: RunConfig, stage: str) -> str:
    """The same for every submission of a run's stage."""
    return f"lema-{re.sub('[^A-Za-z0-9-]', '-', config.name)}-{stage}"


def _connect(wanted: Submission) -> Any:
    import ray
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    secured = os.environ.get("RAY_AUTH_MODE") == "token"
    if not (secured or wanted.insecure or urlsplit(wanted.address).hostname in LOOPBACK):
        raise ConfigError(
            f"{wanted.address}: RAY_AUTH_MODE is not token. A Ray cluster without one runs what anybody sends it; start"
            " it with RAY_AUTH_MODE=token and set RAY_AUTH_TOKEN here, or say --insecure."
        )
    try:
        client = JobSubmissionClient(wanted.address)
        # The client has no public way to ask for Ray's version: `get_version` is that of the Jobs API.
        version = client._do_request("GET", "/api/version").json().get("ray_version")
    except AuthenticationError:
        raise ConfigError(
            f"{wanted.address} refused the token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH)"
        ) from None
    except (ConnectionError, RuntimeError, OSError) as error:
        raise ConfigError(f"no Ray cluster takes jobs at {wanted.address}: {str(error).splitlines()[0]}") from None
    if version != ray.__version__:
        raise ConfigError(f"{wanted.address} runs Ray {version}, this machine Ray {ray.__version__}: use one of both")
    return client


def _next_id(client: Any, base: str, resume: bool) -> str:
    """The id to submit or to follow. Raises `ConfigError` when the last one failed and nobody said to go on."""
    number, job = 1, base
    while (status := _status(client, job)) in ("FAILED", "STOPPED"):
        number += 1
        last, job = job, f"{base}-{number}"
    if number > 1 and status is None and not resume:
        raise ConfigError(f"{last} has failed or was stopped; --resume goes on in its run folder")
    return job


def _status(client: Any, job: str) -> str | None:
    """PENDING, RUNNING, SUCCEEDED, FAILED, STOPPED; None: no such job."""
    try:
        return str(client.get_job_status(job).value)
    except RuntimeError as error:
        if "status code 404" not in str(error):
            raise
        return None


def _submit(client: Any, job: str, config: RunConfig, stage: str, folder: str) -> None:
    client.submit_job(
        entrypoint=f"PYTHONPATH=.:$PYTHONPATH python jobs/{stage}.py --config {CONFIG}",
        submission_id=job,
        # Both are shown to whoever sees the dashboard: names and versions, never a key.
        runtime_env={"working_dir": folder, "env_vars": {VARIABLE: to_variable()}},
        metadata={"run": config.name, "stage": stage},
    )


def _follow(client: Any, job: str) -> int:
    try:
        asyncio.run(_print_logs(client, job))
        while (status := _status(client, job)) in ("PENDING", "RUNNING"):
            time.sleep(1)
    except KeyboardInterrupt:
        print(f"\n{job} goes on; the same command follows it again", file=sys.stderr)
        return 130
    info = client.get_job_info(job)
    print(f"{job}: {str(status).lower()}. {info.message or ''}".strip(), file=sys.stderr, flush=True)
    codes = {"SUCCEEDED": 0, "STOPPED": STOPPED}
    return codes.get(str(status), info.driver_exit_code or FAILED)


async def _print_logs(client: Any, job: str) -> None:
    async for lines in client.tail_job_logs(job):
        print(lines, end="", flush=True)


def cluster_address(given: str | None) -> str:
    """The cluster's address from the option or the environment. Raises `ConfigError`."""
    found = given or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS", "")
    if not found.startswith("http"):
        raise ConfigError("which cluster? --address http://HEAD:8265, or RAY_API_SERVER_ADDRESS in the environment")
    return found
