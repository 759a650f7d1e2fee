"""A plan against groups of pods that scale from zero, and against the version that submitted it. No Ray is started."""

import json

import pytest

from lema_ray.config import ActorsConfig, ConfigError
from lema_ray.on_ray.cluster import Pool, check_fit
from lema_ray.on_ray.groups import VARIABLE, Group, groups_to_come, to_variable
from lema_ray.on_ray.same_versions import VARIABLE as SUBMITTED
from lema_ray.on_ray.same_versions import check_same_versions, own_versions

HEAD = {"CPU": 0.0}
SAMPLING = Group("sampling", 8, 1, 64, 2)


def pool(gpus: float, count: int = 1) -> Pool:
    return Pool("student", ActorsConfig(min=count, max=count, cpus=1, gpus=gpus))


def test_what_may_still_come_counts() -> None:
    with pytest.raises(ConfigError, match="1 GPUs, the cluster has 0"):
        check_fit("collect", [pool(1)], HEAD, [HEAD], [])
    check_fit("collect", [pool(1)], HEAD, [HEAD], [SAMPLING])
    with pytest.raises(ConfigError, match="3 GPUs, the cluster has 2"):
        check_fit("collect", [pool(1, count=3)], HEAD, [HEAD], [SAMPLING])


def test_an_actor_fits_one_node_or_none() -> None:
    with pytest.raises(ConfigError, match="one actor of student takes 1 CPUs and 2 GPUs, and no node is that large"):
        check_fit("collect", [pool(2)], HEAD, [HEAD], [SAMPLING])
    node = {"CPU": 8.0, "GPU": 2.0}
    check_fit("collect", [pool(2)], node, [node], [])


def test_groups_come_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert groups_to_come() == []
    monkeypatch.setenv(VARIABLE, to_variable([SAMPLING, Group("training", 8, 8, 512, 0)]))
    assert groups_to_come() == [SAMPLING], "a group without room is none"


def test_another_version_is_refused_and_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SUBMITTED, json.dumps(own_versions()))
    check_same_versions()
    monkeypatch.setenv(SUBMITTED, json.dumps(own_versions() | {"ray": "2.9.0"}))
    with pytest.raises(ConfigError, match=f"ray 2.9.0 there, {own_versions()['ray']} here"):
        check_same_versions()
    monkeypatch.delenv(SUBMITTED)
    check_same_versions()
