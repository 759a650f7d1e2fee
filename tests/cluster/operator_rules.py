"""What the KubeRay operator refuses although an API server takes it: such an object applies cleanly and never starts.

From the validation of operator 1.7 (`ray-operator/controllers/ray/utils/validation.go`), as far as our objects go,
with Pod Security's `restricted` and what has to hold for Ray itself.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

LONGEST = {"RayCluster": 53, "RayJob": 47, "RayService": 47}
MODES = ("K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode")


def cluster_of(thing: dict[str, Any]) -> dict[str, Any]:
    """The cluster's description in any of the three kinds."""
    spec = thing["spec"]
    return spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec


def problems(thing: dict[str, Any]) -> Iterator[str]:
    """Every breach, in words."""
    name = thing["metadata"]["name"]
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > LONGEST[thing["kind"]]:
        yield f"name {name!r}: not a short DNS label"
    yield from _cluster(cluster_of(thing), owned=thing["kind"] != "RayCluster")
    if thing["kind"] == "RayJob":
        yield from _job(thing["spec"])
    if thing["kind"] == "RayService":
        yield from _service(thing["spec"])


def _cluster(spec: dict[str, Any], owned: bool) -> Iterator[str]:
    version = tuple(int(part) for part in str(spec.get("rayVersion", "0.0")).split(".")[:2])
    scaled = spec.get("enableInTreeAutoscaling", False)
    v2 = scaled and spec.get("autoscalerOptions", {}).get("version") == "v2"
    if spec.get("authOptions", {}).get("mode") != "token":
        yield "authOptions: no token, so whoever reaches the dashboard runs code"
    elif version < (2, 52):
        yield "authOptions: token needs rayVersion 2.52"
    if owned and "upgradeStrategy" in spec:
        yield "upgradeStrategy: not in a cluster that a job or a service owns"
    if spec["headGroupSpec"].get("headService", {}).get("metadata", {}).get("name"):
        yield "headService: its name is the operator's"
    yield from _fault_tolerance(spec)
    yield from _group("head", spec["headGroupSpec"], v2)
    names = [g["groupName"] for g in spec.get("workerGroupSpecs", ())]
    if len(set(names)) < len(names):
        yield f"workerGroupSpecs: a name twice in {names}"
    for group in spec.get("workerGroupSpecs", ()):
        yield from _group(group["groupName"], group, v2)
        if group.get("minReplicas", 0) > group.get("maxReplicas", 2**31 - 1):
            yield f"{group['groupName']}: minReplicas above maxReplicas"
        if "idleTimeoutSeconds" in group and not v2:
            yield f"{group['groupName']}: idleTimeoutSeconds needs autoscaler v2"
        if group.get("priority") and (version < (2, 56) or not v2):
            yield f"{group['groupName']}: priority needs rayVersion 2.56 and autoscaler v2"


def _fault_tolerance(spec: dict[str, Any]) -> Iterator[str]:
    options = spec.get("gcsFaultToleranceOptions", {})
    if options.get("backend") == "rocksdb":
        if any(key.startswith("redis") or key == "externalStorageNamespace" for key in options):
            yield "gcsFaultToleranceOptions: rocksdb beside Redis"
        containers = spec["headGroupSpec"]["template"]["spec"]["containers"]
        if any(m["mountPath"] == "/data/gcs" for c in containers for m in c.get("volumeMounts", ())):
            yield "gcsFaultToleranceOptions: /data/gcs is the operator's mount"
    elif options and not options.get("redisAddress"):
        yield "gcsFaultToleranceOptions: no redisAddress"


def _group(name: str, group: dict[str, Any], v2: bool) -> Iterator[str]:
    parameters, pod = group.get("rayStartParams", {}), group["template"]["spec"]
    if v2 and pod.get("restartPolicy", "Never") != "Never":
        yield f"{name}: autoscaler v2 replaces pods, restartPolicy has to be Never"
    if group.get("resources") and parameters.keys() & {"num-cpus", "num-gpus", "memory", "resources"}:
        yield f"{name}: resources both in rayStartParams and in the group"
    if "labels" in parameters:
        yield f"{name}: labels do not belong in rayStartParams"
    if "resources" in parameters:
        try:
            json.loads(json.loads(parameters["resources"]))
        except (ValueError, TypeError):
            yield f"{name}: resources of rayStartParams is not JSON in a quoted string"
    yield from _restricted(name, pod)
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    for container in pod["containers"]:
        yield from _container(f"{name}/{container['name']}", container, volumes)


def _container(name: str, container: dict[str, Any], volumes: set[str]) -> Iterator[str]:
    resources = container.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    if not limits or requests.get("memory") != limits.get("memory"):
        yield f"{name}: memory of requests and limits differ, or there are none"
    for mount in container.get("volumeMounts", ()):
        if mount["name"] not in volumes:
            yield f"{name}: mounts {mount['name']}, which is no volume of its pod"
    for variable in container.get("env", ()):
        if re.search("KEY|TOKEN|SECRET|PASSWORD", variable["name"]) and "value" in variable:
            yield f"{name}: {variable['name']} is written out; take it from a Secret"


def _restricted(name: str, pod: dict[str, Any]) -> Iterator[str]:
    own = pod.get("securityContext", {})
    if own.get("runAsUser") == 0 or not own.get("runAsNonRoot"):
        yield f"{name}: may run as root"
    if own.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield f"{name}: no seccomp profile"
    if pod.get("hostNetwork") or pod.get("hostPID") or any("hostPath" in v for v in pod.get("volumes", ())):
        yield f"{name}: reaches into its host"
    for container in pod["containers"]:
        security = container.get("securityContext", {})
        if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
            yield f"{name}: may become more than it is"
        if "ALL" not in security.get("capabilities", {}).get("drop", ()):
            yield f"{name}: keeps capabilities"


def _job(spec: dict[str, Any]) -> Iterator[str]:
    if spec.get("submissionMode", "K8sJobMode") not in MODES:
        yield f"submissionMode {spec['submissionMode']!r}: none of {MODES}"
    if spec.get("submissionMode") == "SidecarMode" and spec.keys() & {"submitterPodTemplate", "submitterConfig"}:
        yield "submissionMode SidecarMode: has no submitter of its own"
    if spec.get("activeDeadlineSeconds", 1) <= 0:
        yield "activeDeadlineSeconds: not above zero"
    if spec.get("backoffLimit", 0) < 0:
        yield "backoffLimit: below zero"
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        yield "suspend: needs shutdownAfterJobFinishes"
    if spec.get("ttlSecondsAfterFinished") and not spec.get("shutdownAfterJobFinishes"):
        yield "ttlSecondsAfterFinished: needs shutdownAfterJobFinishes"
    if spec.get("deletionStrategy", {}).get("deletionRules") and spec.get("shutdownAfterJobFinishes"):
        yield "deletionStrategy: beside shutdownAfterJobFinishes"
    for field, parse in (("entrypointResources", json.loads), ("runtimeEnvYAML", yaml.safe_load)):
        try:
            parse(spec.get(field, "{}"))
        except (ValueError, yaml.YAMLError):
            yield f"{field}: cannot be read"
    if "submitterPodTemplate" in spec:
        yield from _restricted("submitter", spec["submitterPodTemplate"]["spec"])
        if spec["submitterPodTemplate"]["spec"].get("restartPolicy") not in ("Never", "OnFailure"):
            yield "submitter: a Job's restartPolicy is Never or OnFailure"


def _service(spec: dict[str, Any]) -> Iterator[str]:
    from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema

    if spec.get("upgradeStrategy", {}).get("type", "NewCluster") not in (
        "NewCluster",
        "None",
        "NewClusterWithIncrementalUpgrade",
    ):
        yield f"upgradeStrategy {spec['upgradeStrategy']['type']!r}: no such"
    try:
        config = yaml.safe_load(spec["serveConfigV2"])
        ServeDeploySchema.model_validate(config)
    except (ValueError, yaml.YAMLError) as error:
        yield f"serveConfigV2: {error}"
        return
    # The schema takes unknown keys without a word.
    unknown = config.keys() - ServeDeploySchema.model_fields.keys()
    for application in config["applications"]:
        unknown |= application.keys() - ServeApplicationSchema.model_fields.keys()
    if unknown:
        yield f"serveConfigV2: unknown keys {sorted(unknown)}"
