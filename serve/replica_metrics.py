"""The metrics of all replicas in one page: a scrape reaches one of them, and each tells the desk its own.

With one replica the page is what `vllm serve` would show, and ours. With several every sample has a `replica` label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from serve.service import Service


async def all_metrics(service: Service) -> str:
    """The text for Prometheus."""
    own = own_metrics()
    reports = await service.desk.report(service.replica, own)
    return own if len(reports) < 2 else merged(reports)


def own_metrics() -> str:
    """This process's metrics, vLLM's among them."""
    return generate_latest(REGISTRY).decode()


def merged(reports: dict[str, str]) -> str:
    """Several processes' metrics as one page."""
    families: dict[str, Metric] = {}
    for replica, text in sorted(reports.items()):
        for family in text_string_to_metric_families(text):
            whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                whole.samples.append(sample._replace(labels={**sample.labels, "replica": replica}))
    return generate_latest(_Families(list(families.values()))).decode()


class _Families:
    """What `generate_latest` wants of a registry."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families
