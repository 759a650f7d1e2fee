"""Commands for runs on a cluster: manifest, submit, status."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lema_ray.cli.app import ConfigFile, Overrides, app, load, run_folder


@app.command()
def manifest(
    config: ConfigFile,
    overrides: Overrides = None,
    overlay: Annotated[
        list[str] | None,
        typer.Option(help="run, stages, endpoint or cluster; and bucket, kueue, priority, gcs-redis, gcs-rocksdb"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write; default: manifests/NAME")] = None,
    namespace: Annotated[str, typer.Option(help="Kubernetes namespace")] = "lema",
    image: Annotated[str, typer.Option(help="repository of the image, without a tag")] = "lema-ray",
    gpus_per_node: Annotated[int, typer.Option(help="GPUs of the largest node")] = 8,
    arm: Annotated[str | None, typer.Option(help="which trained model the overlay endpoint serves")] = None,
    quota: Annotated[str, typer.Option(help="the namespace's quota: cpu=64,memory=256Gi,gpu=4")] = "",
) -> None:
    """Write a kustomize folder that runs this config on KubeRay; groups of pods are as large as its plan."""
    from lema_ray.manifests.folder import Target, parse_quota, write_manifests

    loaded = load(config, overrides)
    target = Target(namespace, image, gpus_per_node, parse_quota(quota), arm)
    print(write_manifests(loaded, out or Path("manifests", loaded.name), overlay or (), target))


@app.command()
def submit(
    config: ConfigFile,
    overrides: Overrides = None,
    address: Annotated[str | None, typer.Option(help="http://HEAD:8265; default: RAY_API_SERVER_ADDRESS")] = None,
    stage: Annotated[str, typer.Option(help="run, collect, build, train, evaluate or report")] = "run",
    resume: Annotated[bool, typer.Option("--resume", help="go on after a submission that failed")] = False,
    follow: Annotated[bool, typer.Option(help="print the job's log until it ends")] = True,
    working_dir: Annotated[Path | None, typer.Option(help="checkout to bring; default: this one")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="name or pattern that is not to be brought")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="a cluster elsewhere without a token")] = False,
) -> None:
    """Run a config on a Ray cluster: bring the code, submit a job, follow it. Ends as the job ends."""
    from lema_ray.on_ray.submit import CHECKOUT, Submission, cluster_address
    from lema_ray.on_ray.submit import submit as submitted

    where = working_dir.absolute() if working_dir else CHECKOUT
    wanted = Submission(cluster_address(address), stage, where, tuple(exclude or ()), resume, follow, insecure)
    sys.exit(submitted(load(config, overrides), wanted))


@app.command()
def status(folder: Annotated[str, typer.Argument(help="a run folder, local, s3:// or gs://")]) -> None:
    """How far a run is and what it has spent, from its folder alone."""
    from lema_ray.status import status_lines

    print("\n".join(status_lines(run_folder(folder))))
