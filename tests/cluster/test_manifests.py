"""The manifests against KubeRay's own CRDs, the operator's rules, and the run's plan; seeded errors are all caught."""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crd_schema
import operator_rules
import pytest
import yaml

from lema_ray.config import ConfigError, load_config
from lema_ray.manifests import OVERLAYS, write_manifests
from lema_ray.manifests.folder import OPTIONS, WORKLOADS, Target, parse_quota

REPOSITORY = Path(__file__).parents[2]
CLUSTER = REPOSITORY / "cluster"
EXAMPLES = sorted(path.stem for path in (CLUSTER / "configs").glob("*.yaml"))
RAY_KINDS = tuple(crd_schema.PLURALS)


@pytest.fixture(scope="module")
def crds(shared_data: Path) -> Path:
    folder = shared_data.parent / "kuberay-1.7.0"
    if not folder.is_dir():
        pytest.skip(f"no KubeRay CRDs in {folder}; they are beside the shared data")
    return folder


def build(folder: Path) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here, whose kustomize builds the manifests")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, yaml.CSafeLoader))


def all_problems(crds: Path, things: list[dict[str, Any]]) -> list[str]:
    """The API server's, and of what it takes the operator's."""
    found = []
    for thing in things:
        if thing["kind"] in RAY_KINDS:
            found += list(crd_schema.problems(crds, thing)) or list(operator_rules.problems(thing))
    return found


@pytest.mark.shared_data
def test_the_base_is_valid(crds: Path) -> None:
    cluster = yaml.safe_load((CLUSTER / "base" / "cluster.yaml").read_text())
    assert all_problems(crds, [cluster]) == []


@pytest.mark.shared_data
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_shipped_overlay_is_valid(crds: Path, name: str) -> None:
    things = build(CLUSTER / "overlays" / name)
    assert {t["kind"] for t in things} >= {"Namespace", "ServiceAccount", "NetworkPolicy", "ConfigMap", "RayJob"}
    assert all_problems(crds, things) == []


@pytest.mark.shared_data
@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_overlay_alone_and_all_together_are_valid(crds: Path, workload: str, tmp_path: Path) -> None:
    able = [o for o in OPTIONS if o != "kueue" or workload in ("run", "stages")]
    alone = [[]] + [[o] for o in able]
    for number, options in enumerate([*alone, [o for o in able if o != "gcs-rocksdb"]]):
        runs = ["runs_dir=s3://lema-runs/a"] if "bucket" in options else []
        config = load_config(CLUSTER / "configs" / "self-hosted-corrector.yaml", runs)
        write_manifests(config, tmp_path / f"{number}", [workload, *options], Target(arm="lema"))
        things = build(tmp_path / f"{number}")
        assert all_problems(crds, things) == [], options
        assert ("PersistentVolumeClaim" in {t["kind"] for t in things}) == ("bucket" not in options)
        standing = [t for t in things if t["kind"] == "RayCluster"]
        assert len(standing) == (workload == "cluster"), "one description of the cluster is deployed once"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_shipped_overlays_are_what_the_command_writes(name: str, tmp_path: Path) -> None:
    # Beside the real folder, so that the paths to the base are the same.
    out = CLUSTER / "overlays" / name
    before = {path: path.read_text() for path in sorted(out.rglob("*.yaml"))}
    copy_of = tmp_path / "checkout" / "cluster" / "overlays" / name
    os.symlink(CLUSTER / "base", _made(tmp_path / "checkout" / "cluster") / "base")
    os.symlink(CLUSTER / "components", tmp_path / "checkout" / "cluster" / "components")
    write_manifests(load_config(CLUSTER / "configs" / f"{name}.yaml"), copy_of)
    above = os.path.relpath(CLUSTER, copy_of.resolve())
    made = {out / p.relative_to(copy_of): p.read_text().replace(above, "../..") for p in copy_of.rglob("*.yaml")}
    assert made == before, f"run: lema manifest cluster/configs/{name}.yaml --out cluster/overlays/{name}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@pytest.mark.shared_data
def test_the_cluster_that_is_described_holds_the_plan(crds: Path) -> None:
    for name in EXAMPLES:
        things = build(CLUSTER / "overlays" / name)
        settings = next(t for t in things if t["metadata"]["name"] == "lema-settings")["data"]
        told = {group["name"]: group for group in json.loads(settings["LEMA_GROUPS"])}
        job = next(t for t in things if t["kind"] == "RayJob")
        for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
            limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
            if not group["maxReplicas"]:
                assert group["groupName"] not in told
                continue
            wanted = told[group["groupName"]]
            assert (wanted["max"], str(wanted["cpus"])) == (group["maxReplicas"], limits["cpu"])
            assert wanted["gpus"] == limits.get("nvidia.com/gpu", 0)
        head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
        assert {"configMapRef": {"name": "lema-settings"}} in head["envFrom"]


def test_the_versions_in_the_manifests_are_the_pinned_ones() -> None:
    cluster = yaml.safe_load((CLUSTER / "base" / "cluster.yaml").read_text())
    assert f"ray=={cluster['spec']['rayVersion']}\n" in (REPOSITORY / "versions.txt").read_text()


def _pod(thing: dict[str, Any], group: int = 1) -> dict[str, Any]:
    return operator_rules.cluster_of(thing)["workerGroupSpecs"][group]["template"]["spec"]


def _spec(thing: dict[str, Any]) -> dict[str, Any]:
    return operator_rules.cluster_of(thing)


MUTATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a key with a typo": lambda t: _spec(t).update(enableInTreeAutoscalling=True),
    "a typo deep in a pod": lambda t: _pod(t)["containers"][0]["ports"][0].update(hostport=1),
    "a number as text": lambda t: _spec(t)["workerGroupSpecs"][0].update(maxReplicas="2"),
    "a quantity that is none": lambda t: _pod(t)["containers"][0]["resources"]["limits"].update(memory="64 GB"),
    "an unknown backend": lambda t: _spec(t).update(gcsFaultToleranceOptions={"backend": "etcd"}),
    "a group without a template": lambda t: _spec(t)["workerGroupSpecs"][0].pop("template"),
    "no head": lambda t: _spec(t).pop("headGroupSpec"),
    "an unknown submission mode": lambda t: t["spec"].update(submissionMode="K8sMode"),
    "a deadline of zero": lambda t: t["spec"].update(activeDeadlineSeconds=0),
    "suspended without shutdown": lambda t: t["spec"].update(suspend=True, shutdownAfterJobFinishes=False),
    "unreadable entrypoint resources": lambda t: t["spec"].update(entrypointResources="{driver: 1"),
    "no token": lambda t: _spec(t).pop("authOptions"),
    "a Ray without tokens": lambda t: _spec(t).update(rayVersion="2.50.0"),
    "more at least than at most": lambda t: _spec(t)["workerGroupSpecs"][0].update(minReplicas=9),
    "pods that restart": lambda t: _pod(t).update(restartPolicy="Always"),
    "a root user": lambda t: _pod(t)["securityContext"].update(runAsNonRoot=False),
    "all capabilities": lambda t: _pod(t)["containers"][0].pop("securityContext"),
    "a mount without a volume": lambda t: _pod(t)["containers"][0]["volumeMounts"].append(
        {"name": "models", "mountPath": "/models"}
    ),
    "a key written out": lambda t: _pod(t)["containers"][0].update(env=[{"name": "OPENAI_API_KEY", "value": "sk-1"}]),
    "two groups of one name": lambda t: _spec(t)["workerGroupSpecs"][0].update(groupName="sampling"),
    "an upgrade strategy in an owned cluster": lambda t: _spec(t).update(upgradeStrategy={"type": "None"}),
    "rocksdb beside Redis": lambda t: _spec(t).update(
        gcsFaultToleranceOptions={"backend": "rocksdb", "redisAddress": "redis:6379"}
    ),
    "a name too long": lambda t: t["metadata"].update(name="a" * 48),
    "resources that are no JSON": lambda t: _spec(t)["headGroupSpec"]["rayStartParams"].update(resources="driver: 1"),
    "memory requested but not kept to": lambda t: _pod(t)["containers"][0]["resources"]["requests"].update(
        memory="1Gi"
    ),
    "a path of the host": lambda t: _pod(t)["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    "an unknown label for the head": lambda t: _spec(t)["headGroupSpec"]["rayStartParams"].update(labels="a=b"),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("seeded", MUTATIONS)
def test_a_seeded_error_is_caught(crds: Path, seeded: str) -> None:
    job = next(t for t in build(CLUSTER / "overlays" / "multi-gpu") if t["kind"] == "RayJob")
    assert all_problems(crds, [job]) == []
    broken = copy.deepcopy(job)
    MUTATIONS[seeded](broken)
    assert all_problems(crds, [broken])


@pytest.mark.shared_data
def test_a_wrong_serve_config_is_caught(crds: Path, tmp_path: Path) -> None:
    write_manifests(load_config(CLUSTER / "configs" / "single-gpu.yaml"), tmp_path, ["endpoint"], Target(arm="lema"))
    service = next(t for t in build(tmp_path) if t["kind"] == "RayService")
    assert all_problems(crds, [service]) == []
    served = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"][0]["args"]
    keys = {"keys": "/etc/lema-keys/keys"}
    assert served == {"model": "/mnt/lema/runs/single-gpu", "arm": "lema", "gpus": 1.0} | keys
    service["spec"]["serveConfigV2"] = service["spec"]["serveConfigV2"].replace("route_prefix", "route")
    assert any("serveConfigV2" in problem for problem in all_problems(crds, [service]))


def test_built_in_kinds_are_valid(tmp_path: Path) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate (108 MB) is not installed")
    write_manifests(
        load_config(CLUSTER / "configs" / "single-gpu.yaml"), tmp_path, ["endpoint", "priority"], Target(arm="lema")
    )
    for thing in build(tmp_path):
        if thing["kind"] not in RAY_KINDS:
            validate.validate(thing, "1.32", strict=True)


@pytest.mark.parametrize(
    ("overlays", "overrides", "target", "said"),
    [
        (["runs"], [], Target(), "overlay 'runs': not one of"),
        (["run", "endpoint"], [], Target(), "one of them at a time"),
        (["endpoint", "kueue"], [], Target(), "kueue is for run and stages"),
        (["endpoint"], [], Target(), "which model\\? --arm cot, lema"),
        (["endpoint"], [], Target(arm="lemma"), "which model\\? --arm cot, lema"),
        (["bucket"], [], Target(), "set runs_dir=s3://"),
        ([], ["corrector.actors.gpus=16"], Target(), "an actor of 16 GPUs, and a node has 8"),
        ([], ["train.deepspeed=pyproject.toml", "questions.train.path=jobs/configs/demo.yaml"], Target(), "demo.yaml"),
        ([], [], Target(quota={"cpu": 8}), "quota of 8 cpu is too small: the head, a worker"),
        ([], [], Target(quota={"gpu": 0}), "quota of 0 gpu is too small"),
        ([], [], Target(quota={"memory": 64}), "quota of 64 memory is too small"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(
    overlays: list[str], overrides: list[str], target: Target, said: str, tmp_path: Path
) -> None:
    config = load_config(CLUSTER / "configs" / "single-gpu.yaml", overrides)
    with pytest.raises(ConfigError, match=said) as raised:
        write_manifests(config, tmp_path / "out", overlays, target)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_quotas_are_read() -> None:
    assert parse_quota("cpu=64,memory=256Gi,gpu=4") == {"cpu": 64, "memory": 256, "gpu": 4}
    for wrong in ("cpu", "cpu=many", "disk=3"):
        with pytest.raises(ConfigError, match="quota"):
            parse_quota(wrong)


def secrets(thing: Any) -> Iterator[str]:
    """The names of the Secrets that some objects refer to."""
    items = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    for key, value in items:
        if key in ("secretRef", "secretKeyRef"):
            yield value["name"]
        elif key == "secretName":
            yield value
        else:
            yield from secrets(value)


def test_every_secret_that_pods_name_is_told(tmp_path: Path) -> None:
    config = load_config(CLUSTER / "configs" / "api-corrector.yaml", ["runs_dir=s3://bucket/runs"])
    target = Target(arm="lema", namespace="team")
    told = write_manifests(config, tmp_path, ["endpoint", "gcs-redis"], target)
    named = set(secrets(build(tmp_path)))
    assert named - {"lema-ray-token"} == {"lema-keys", "lema-endpoint-keys", "lema-redis"}
    assert "kubectl -n team get secret lema-keys lema-endpoint-keys lema-redis" in told
    assert all(f"create secret generic {name}" in told for name in named - {"lema-ray-token"})
    assert "AWS_SECRET_ACCESS_KEY" in told


def test_the_command_writes_a_folder_and_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lema_ray.cli", "manifest", str(CLUSTER / "configs" / "api-corrector.yaml")]
    command += ["--out", str(tmp_path / "k8s"), "--overlay", "stages", "--overlay", "kueue", "--namespace", "team"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert "create secret generic lema-keys" in done.stdout and 'OPENAI_API_KEY="$OPENAI_API_KEY"' in done.stdout
    things = build(tmp_path / "k8s")
    assert {t["metadata"].get("namespace", "team") for t in things if t["kind"] != "Namespace"} == {"team"}
    jobs = [t for t in things if t["kind"] == "RayJob"]
    assert len(jobs) == 5 and all(t["spec"]["suspend"] for t in jobs)
    assert all(t["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "lema"} for t in jobs)
    assert set(OVERLAYS) >= {"stages", "kueue"}
