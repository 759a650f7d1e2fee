"""Write the kustomize folder of a run: what `kubectl apply -k` takes. Called by `lema manifest`.

The folder points at `cluster/base` and the components of the checkout; its own are the sizes of the groups, the
config and the names of the images. Nothing in it is a secret: keys are in Secrets that it names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import lema_ray
from lema_ray.config import ConfigError, OpenAISpec, RunConfig
from lema_ray.manifests.sizes import check_quota, groups_of
from lema_ray.on_ray.groups import VARIABLE, Group, to_variable
from lema_ray.on_ray.same_versions import VARIABLE as VERSIONS
from lema_ray.on_ray.same_versions import to_variable as versions_variable

WORKLOADS = ("run", "stages", "endpoint", "cluster")
OPTIONS = ("bucket", "kueue", "priority", "gcs-redis", "gcs-rocksdb")
OVERLAYS = (*WORKLOADS, *OPTIONS)
SHARED = "/mnt/lema"
KEYS = "/etc/lema-keys/keys"
GROUPS = ("workers", "sampling", "training", "corrector")
CLUSTER = Path(lema_ray.__file__).parents[1] / "cluster"
SIZES = {
    "apiVersion": "kustomize.config.k8s.io/v1alpha1",
    "kind": "Component",
    "patches": [{"path": "sizes.yaml", "target": {"kind": "RayCluster"}}],
}
NOTE = "# Written by `lema manifest`; add patches of your own in a folder that lists this one among its resources.\n"


@dataclass(frozen=True, slots=True)
class Target:
    """What is particular about a Kubernetes cluster."""

    namespace: str = "lema"
    image: str = "lema-ray"
    gpus_per_node: int = 8
    quota: Mapping[str, float] | None = None
    arm: str | None = None


def write_manifests(config: RunConfig, folder: Path, overlays: Sequence[str] = (), target: Target | None = None) -> str:
    """Write the folder; returns what to do with it, line by line. Raises `ConfigError` before anything is written."""
    target = target or Target()
    chosen = _chosen(config, overlays)
    if not (CLUSTER / "base").is_dir():
        raise ConfigError(f"{CLUSTER}: not there; `lema manifest` needs a checkout of lema_ray, for its cluster/")
    _refuse_local_files(config)
    service = _service(config, target.arm) if "endpoint" in chosen else None
    groups = groups_of(config, target.gpus_per_node)
    check_quota(groups, target.quota or {})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "groups").mkdir(exist_ok=True)
    _write(folder / "groups" / "kustomization.yaml", SIZES)
    _write(folder / "groups" / "sizes.yaml", _sizes(groups))
    whole = _kustomization(folder, chosen, groups, target)
    _write(folder / "kustomization.yaml", whole | ({"patches": [service]} if service else {}))
    _write(folder / "run.yaml", _in_cluster(config))
    return "\n".join(_what_to_do(config, folder, chosen, groups, target))


def _chosen(config: RunConfig, overlays: Sequence[str]) -> list[str]:
    unknown = [name for name in overlays if name not in OVERLAYS]
    if unknown:
        raise ConfigError(f"overlay {unknown[0]!r}: not one of {', '.join(OVERLAYS)}")
    workloads = [name for name in overlays if name in WORKLOADS] or ["run"]
    if len(workloads) > 1:
        raise ConfigError(f"overlays {' and '.join(workloads)}: one of them at a time, each in a folder of its own")
    options = {name for name in overlays if name in OPTIONS} | ({"bucket"} if "://" in config.runs_dir else set())
    if "kueue" in options and workloads[0] in ("endpoint", "cluster"):
        raise ConfigError(f"overlay kueue is for run and stages, not for {workloads[0]}")
    if "bucket" in options and "://" not in config.runs_dir:
        raise ConfigError(f"overlay bucket: runs_dir is {config.runs_dir}, not a bucket; set runs_dir=s3://...")
    # What changes the cluster's description comes before the workload that copies it; Kueue labels the workload.
    before = [name for name in OPTIONS if name in options and name != "kueue"]
    return [*before, workloads[0], *(["kueue"] if "kueue" in options else [])]


def _sizes(groups: Sequence[Group]) -> list[dict[str, Any]]:
    patch: list[dict[str, Any]] = []
    for group in groups:
        at = f"/spec/workerGroupSpecs/{GROUPS.index(group.name)}"
        patch.append({"op": "test", "path": f"{at}/groupName", "value": group.name})
        patch.append({"op": "replace", "path": f"{at}/maxReplicas", "value": group.max})
        amounts: dict[str, Any] = {"cpu": str(group.cpus), "memory": f"{group.memory_gb}Gi"}
        amounts |= {"nvidia.com/gpu": group.gpus} if group.gpus else {}
        for kind in ("requests", "limits"):
            path = f"{at}/template/spec/containers/0/resources/{kind}"
            patch.append({"op": "replace", "path": path, "value": dict(amounts)})
    return patch


def _kustomization(folder: Path, chosen: Sequence[str], groups: Sequence[Group], target: Target) -> dict[str, Any]:
    above = os.path.relpath(CLUSTER.resolve(), folder.resolve())
    parts = [f"{above}/components/{name}" for name in chosen if name != "cluster"]
    settings = {
        VARIABLE: to_variable(groups),
        VERSIONS: versions_variable(("lema-ray", "ray")),
        "HF_HOME": f"{SHARED}/hf",
    }
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": target.namespace,
        "resources": [f"{above}/base"],
        "components": ["groups", *parts],
        "generatorOptions": {"disableNameSuffixHash": True},
        "configMapGenerator": [
            {"name": "lema-config", "files": ["run.yaml"]},
            {"name": "lema-settings", "literals": [f"{name}={value}" for name, value in settings.items()]},
        ],
        "images": [_image("lema-ray", target.image, "cpu"), _image("lema-ray-gpu", target.image, "gpu")],
    }


def _service(config: RunConfig, arm: str | None) -> dict[str, Any]:
    """What the endpoint serves: one trained model of the run, on as many GPUs as an engine of evaluation."""
    arms = list(config.build.arms)
    if arm not in arms and (arm is not None or len(arms) > 1):
        raise ConfigError(f"overlay endpoint: which model? --arm {', '.join(arms)}")
    folder = f"{_in_cluster(config)['runs_dir'].rstrip('/')}/{config.name}"
    arguments = {"model": folder, "arm": arm or arms[0], "gpus": config.evaluate.actors.gpus, "keys": KEYS}
    served = yaml.safe_load((CLUSTER / "components" / "endpoint" / "service.yaml").read_text())["spec"]["serveConfigV2"]
    told = yaml.safe_load(served)
    told["applications"][0]["args"] = arguments
    path = "/spec/serveConfigV2"
    patch = yaml.safe_dump([{"op": "replace", "path": path, "value": yaml.safe_dump(told, sort_keys=False)}])
    return {"target": {"kind": "RayService"}, "patch": patch}


def _image(name: str, image: str, build: str) -> dict[str, str]:
    return {"name": name, "newName": image, "newTag": f"{lema_ray.__version__}-{build}"}


def _in_cluster(config: RunConfig) -> dict[str, Any]:
    """The config as the driver in the head pod reads it: run folders on the shared volume or in the bucket."""
    data = config.model_dump(mode="json", exclude_unset=True)
    shared = "://" in config.runs_dir or config.runs_dir.startswith(f"{SHARED}/")
    return {**data, "runs_dir": config.runs_dir if shared else f"{SHARED}/runs"}


def _refuse_local_files(config: RunConfig) -> None:
    data = config.model_dump(mode="json", exclude={"runs_dir"}, exclude_unset=True)
    found = [f"{key}: {value}" for key, value in _texts(data) if _is_local(value)]
    if found:
        raise ConfigError(
            f"{'; '.join(found)}: on this machine, which the cluster does not see. Copy it to the shared volume"
            f" ({SHARED}/...) or a bucket, and name that place."
        )


def _texts(data: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(data, str):
        yield key, data
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, value in pairs:
        yield from _texts(value, f"{key}.{name}" if key else str(name))


def _is_local(value: str) -> bool:
    # A bare word such as `zero2` or `gsm8k` may also be the name of a directory here, and is not meant as one.
    named = "/" in value or value.endswith((".json", ".jsonl", ".yaml", ".parquet", ".csv"))
    return named and "\n" not in value and not value.startswith(SHARED) and os.path.exists(value)


def _what_to_do(
    config: RunConfig, folder: Path, chosen: Sequence[str], groups: Sequence[Group], target: Target
) -> Iterator[str]:
    yield f"{folder}: {', '.join(chosen)} in namespace {target.namespace}"
    for g in groups:
        if g.max:
            yield f"  {g.name}: 0 to {g.max} pods of {g.cpus} CPU, {g.memory_gb} GiB" + (
                f", {g.gpus} GPU" * bool(g.gpus)
            )
    secrets = dict(_secrets(config, chosen))
    for name, content in secrets.items():
        yield f"once: kubectl -n {target.namespace} create secret generic {name} {content}"
    if secrets:
        yield f"are they there? kubectl -n {target.namespace} get secret {' '.join(secrets)}"
    yield f"kubectl apply -k {folder}"


def _secrets(config: RunConfig, chosen: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The Secrets that the folder's pods name, and how each is filled."""
    keys = {spec.api_key_env for spec in _endpoints(config)}
    if config.runs_dir.startswith("s3://"):
        keys |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    if keys:
        yield "lema-keys", " ".join(f'--from-literal={key}="${key}"' for key in sorted(keys))
    if "endpoint" in chosen:
        yield "lema-endpoint-keys", "--from-file=keys=KEYS_FILE"
    if "gcs-redis" in chosen:
        yield "lema-redis", '--from-literal=password="$REDIS_PASSWORD"'


def _endpoints(config: RunConfig) -> Iterator[OpenAISpec]:
    engines = [config.corrector.engine, *(s.engine for s in (*config.students, *config.writers))]
    for engine in (*engines, *config.evaluate.models.values()):
        if isinstance(engine, OpenAISpec) and not engine.launch:
            yield from engine.endpoints


def _write(path: Path, content: Any) -> None:
    path.write_text(NOTE + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110))


def parse_quota(text: str) -> dict[str, float]:
    """`cpu=64,memory=256,gpu=4` as numbers. Raises `ConfigError`."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part]
        quota = {name.strip(): float(value.removesuffix("Gi")) for name, value in pairs}
    except ValueError:
        raise ConfigError(f"quota {text!r}: expected cpu=64,memory=256Gi,gpu=4") from None
    if unknown := quota.keys() - {"cpu", "memory", "gpu"}:
        raise ConfigError(f"quota: {', '.join(unknown)} is not one of cpu, memory, gpu")
    return quota
