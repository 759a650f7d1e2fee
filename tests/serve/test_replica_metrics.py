"""The metrics of several replicas on one page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from serve.replica_metrics import merged

ONE = """# HELP lema_doubts_total Doubts
# TYPE lema_doubts_total counter
lema_doubts_total{model="m"} 3.0
# HELP vllm:num_requests_running Running
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0"} 1.0
"""


def test_every_sample_says_of_which_replica_it_is() -> None:
    text = merged({"a": ONE, "b": ONE.replace("3.0", "4.0")})
    found = {family.name: family for family in text_string_to_metric_families(text)}
    doubts = {sample.labels["replica"]: sample.value for sample in found["lema_doubts"].samples}
    assert doubts == {"a": 3.0, "b": 4.0}
    assert [s.name for s in found["vllm:num_requests_running"].samples] == ["vllm:num_requests_running"] * 2
    assert text.count("# TYPE lema_doubts_total counter") == 1
