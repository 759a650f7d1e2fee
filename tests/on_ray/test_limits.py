"""One endpoint, several actors: limits hold across the cluster, also when the limiter dies, and a budget is kept."""

import time
from pathlib import Path

import pytest
import ray

from lema_ray.config import OpenAISpec
from lema_ray.demo.server import ServerOptions, running
from lema_ray.engines.leases import BudgetReached
from lema_ray.on_ray.flow import Flow
from lema_ray.on_ray.limiter import Endpoint, Limiters
from lema_ray.on_ray.progress import Counted
from lema_ray.records import Completion, GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.spending.cost import Budget
from lema_ray.spending.limiter import Settled, Want
from lema_ray.spending.paid import Paid, PaidLog, read_paid

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def teacher(url: str, **more: object) -> dict[str, object]:
    prices = {"input_per_million": 2.5, "output_per_million": 10.0}
    return {
        "type": "openai",
        "model": "rule-based-teacher",
        "base_url": url,
        "concurrency": 8,
        "prices": prices,
        **more,
    }


def test_a_limiter_that_dies_forgets_neither_the_minute_nor_the_money(cluster, tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    log = PaidLog(run, "w")
    for n in range(4):
        log.append(Paid(f"{n:032x}", "r", Completion("x", "stop", "m", 10, 10, 1.0)))
    spec = OpenAISpec(model="m", limits={"input_tokens_per_minute": 100})
    endpoint = Endpoint(spec, 1)
    limiters = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Limiters).remote(
        run, [endpoint], Budget(money=5.0)
    )

    def exchange(*wants: Want, settled: tuple[Settled, ...] = ()):
        return ray.get(limiters.exchange.remote(endpoint.name, "c", list(settled), list(wants)))

    assert not exchange(Want(cost=1.5)).leases, "4 of 5 are spent"
    (lease,) = exchange(Want(input_tokens=40)).leases
    time.sleep(1.1)
    assert not exchange(
        Want(input_tokens=70), settled=(Settled(lease, "ok", 40),)
    ).leases  # this has saved what was leased before
    ray.kill(limiters, no_restart=False)
    assert not exchange(Want(input_tokens=50)).leases, "40 of 100, and what may have been leased since, count"
    first = time.time()
    while not exchange(Want(input_tokens=10)).leases:  # and no more than that, once the new one answers
        time.sleep(0.05)
        assert time.time() - first < 70
    assert exchange(Want(cost=1.5)).stop is None and not exchange(Want(cost=1.5)).leases


def test_a_run_stops_at_its_budget_and_goes_on_when_it_is_raised(cluster, make_config) -> None:
    with running(ServerOptions()) as url:
        corrector = {"engine": teacher(url), "actors": {"min": 2, "max": 2, "cpus": 0.25}}
        with pytest.raises(BudgetReached, match="raise the budget"):
            flow = Flow(make_config(corrector=corrector, budget={"money": 0.06}))
            flow.questions()
            flow.collect()
        spent = sum(p.completion.cost for p in read_paid(flow.run))
        assert 0.02 < spent <= 0.06 and flow.run.stage("collect") is None
        flow = Flow(make_config(corrector=corrector, budget={"money": 10.0}))
        counts = flow.collect()
    rows = list(flow.run.read_records(GradedQuestion, "collected"))
    total = sum(map(Counted.of, rows), Counted())
    paid = list(read_paid(flow.run))
    assert len(paid) == total.corrections + total.drops == len({p.key for p in paid}), "nothing was paid twice"
    assert total.cost == sum(p.completion.cost for p in paid) == counts["cost"], "to the last bit"


def test_corrections_in_batches_are_the_corrections(cluster, make_config, tmp_path: Path) -> None:
    with running(ServerOptions(batch_s=1.0)) as url:
        flow = Flow(
            make_config(name="batched", corrector={"engine": teacher(url, batch={"gather_s": 2, "poll_s": 0.2})})
        )
        flow.questions()
        counts = flow.collect()
        assert 1 <= len(flow.run.files("paid", "batches")) <= 3, "and not one for each eight rows"
        one_by_one = Flow(make_config(name="plain", corrector={"engine": teacher(url)}))
        one_by_one.questions()
        assert {k: v for k, v in one_by_one.collect().items() if k != "seconds"} == {
            k: v for k, v in counts.items() if k != "seconds"
        }
