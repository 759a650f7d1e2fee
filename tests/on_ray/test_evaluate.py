"""Evaluation through a pool of real vLLM engines: weights change between models, files and scores are whole."""

import shutil
from pathlib import Path

import pytest
import ray
from tiny_model import save_tiny_model

from lema_ray.config import EvaluationSampling
from lema_ray.engines import EngineUnavailable
from lema_ray.evaluation.scores import score_run
from lema_ray.on_ray.evaluate import engine_spec, examine_model, examiners, proven
from lema_ray.on_ray.flow import Flow
from lema_ray.records import GradedQuestion, Question

QUESTION = Question("q", "What is 1 + 1?", "2", "made up")
pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.timeout(600)]


def test_models_one_after_the_other_in_one_engine(cluster, make_config, tiny_model: Path, tmp_path: Path) -> None:
    other = save_tiny_model(tmp_path / "other", seed=1)
    sampling = [{"name": "greedy", "max_tokens": 8}, {"name": "hot", "temperature": 1.0, "samples": 2, "max_tokens": 8}]
    student = {"engine": {"type": "vllm", "model": str(tiny_model), "max_num_seqs": 8, "cpu_kv_cache_gb": 0.25}}
    flow = Flow(make_config(students=[student], evaluate={"sampling": sampling}))
    flow.questions()
    with examiners(flow.config) as pool:
        question = next(flow.run.read_records(Question, "questions", "test.parquet"))
        answer, (agreed,) = proven(pool, flow.config, engine_spec(flow.config, str(other)), [question])
        assert answer and agreed.tokens > 0
        for name, model in (("base", tiny_model), ("other", other), ("again", tiny_model)):
            examine_model(pool, flow.config, flow.run, name, engine_spec(flow.config, str(model)))
    answers = {
        name: [
            g.attempt.text
            for row in flow.run.read_records(GradedQuestion, "evaluations", f"{name}--greedy.parquet")
            for g in row.attempts
        ]
        for name in ("base", "other", "again")
    }
    assert sorted(answers["base"]) == sorted(answers["again"])
    assert sorted(answers["base"]) != sorted(answers["other"])
    scores, comparisons = score_run(flow.run, ["base", "other"], ["greedy", "hot"])
    assert [s.questions for s in scores] == [10] * 4 and [s.samples for s in scores] == [1, 1, 2, 2]
    assert len(comparisons) == 2
    check_reuse(flow, tiny_model, make_config, sampling, tmp_path)


def check_reuse(flow: Flow, model: Path, make_config, sampling: list[dict[str, object]], tmp_path: Path) -> None:
    """Another run of the same weights from another folder takes the answers over, without loading the model at all."""
    copy, student = shutil.copytree(model, tmp_path / "copy"), flow.config.students[0].model_dump()
    evaluate = {"sampling": sampling, "reuse": [flow.run.root]}
    second = Flow(make_config(name="second", students=[student], evaluate=evaluate))
    second.questions()
    with examiners(second.config) as pool:
        spec = engine_spec(second.config, str(copy))
        examine_model(pool, second.config, second.run, "base", spec)
        # An actor without an engine could only grade, so nothing was asked.
        with pytest.raises(Exception, match="NoneType"):
            ray.get(pool[0].examine.remote([GradedQuestion(QUESTION)], "m", EvaluationSampling(), 0, 0))
    for name in ("greedy", "hot"):
        texts = [
            sorted(
                g.attempt.text
                for row in run.read_records(GradedQuestion, "evaluations", f"base--{name}.parquet")
                for g in row.attempts
            )
            for run in (flow.run, second.run)
        ]
        assert texts[0] == texts[1] and texts[0]


def test_a_model_that_vllm_cannot_load_is_not_proven(cluster, make_config, tiny_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    student = {"engine": {"type": "vllm", "model": str(tiny_model), "max_num_seqs": 8, "cpu_kv_cache_gb": 0.25}}
    flow = Flow(make_config(students=[student]))
    flow.questions()
    question = next(flow.run.read_records(Question, "questions", "test.parquet"))
    with pytest.raises(EngineUnavailable, match="broken"), examiners(flow.config) as pool:
        proven(pool, flow.config, engine_spec(flow.config, str(broken)), [question])
