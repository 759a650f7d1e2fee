"""Commands for a cluster: manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lema_ray.cli.app import ConfigFile, Overrides, app, load


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
    quota: Annotated[str, typer.Option(help="the namespace's quota: cpu=64,memory=256Gi,gpu=4")] = "",
) -> None:
    """Write a kustomize folder that runs this config on KubeRay; groups of pods are as large as its plan."""
    from lema_ray.manifests.folder import Target, parse_quota, write_manifests

    loaded = load(config, overrides)
    target = Target(namespace, image, gpus_per_node, parse_quota(quota))
    print(write_manifests(loaded, out or Path("manifests", loaded.name), overlay or (), target))
