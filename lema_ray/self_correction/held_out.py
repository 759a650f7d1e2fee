"""Held-out questions answered under a policy, with the code that serves it. Called by `on_ray.evaluate`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from lema_ray.attempts import attempt_id, attempt_question, converse, new_attempt, request_seed
from lema_ray.checks import grade_revision
from lema_ray.config import EvaluatedPolicy, EvaluationSampling
from lema_ray.engines import Generate, RequestRefused
from lema_ray.records import (
    UNGRADED,
    Completion,
    Dropped,
    GradedAttempt,
    GradedQuestion,
    Question,
    Sampling,
    Trace,
)
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.policies import correct_itself
from lema_ray.self_correction.problem import Problem, from_question
from lema_ray.self_correction.streams import streamed
from lema_ray.self_correction.trained_verifier import TrainedVerifier
from lema_ray.self_correction.verifier import OracleVerifier


async def answer_question(
    graded: GradedQuestion,
    generate: Generate,
    *,
    model: str,
    sampling: EvaluationSampling,
    few_shot: int = 0,
    seed: int = 0,
    warnings: Sequence[str] = (),
) -> GradedQuestion:
    """The question with `samples` answers, not graded yet; under a policy each with its trace.

    The model first answers the question's earlier turns itself, where they have no answer; those requests are not
    counted here, as they are a conversation's other questions.
    """
    try:
        told = await converse(graded.question, generate, model=model, sampling=sampling, few_shot=few_shot, seed=seed)
    except RequestRefused as refusal:
        dropped = refusal.dropped("attempts", attempt_id(graded.question.id, model, 0))
        return replace(graded, drops=(*graded.drops, dropped))
    graded = replace(graded, question=told)
    if sampling.policy.policy == "off":
        return await attempt_question(
            graded,
            generate,
            model=model,
            samples=sampling.samples,
            sampling=sampling,
            few_shot=few_shot,
            seed=seed,
            warnings=warnings,
        )
    question, models = graded.question, models_for(sampling.policy, graded.question, generate)

    async def one(k: int) -> GradedAttempt | Dropped:
        own_seed = request_seed(sampling, seed, question.id, model, k)
        own_id, asked = attempt_id(question.id, model, k), sampling.with_seed(own_seed)
        trace = await last_trace(sampling.policy, from_question(question, few_shot, warnings), asked, models)
        if trace.stop_reason == "refused" and not trace.text:
            return _dropped(own_id, trace)
        whole = Completion(
            trace.text, trace.finish_reason, model, trace.prompt_tokens, trace.completion_tokens, trace.cost
        )
        return GradedAttempt(replace(new_attempt(own_id, model, whole, asked), trace=trace), UNGRADED)

    made = await asyncio.gather(*(one(k) for k in range(sampling.samples)))
    attempts = tuple(m for m in made if isinstance(m, GradedAttempt))
    drops = tuple(m for m in made if isinstance(m, Dropped))
    return replace(graded, attempts=graded.attempts + attempts, drops=graded.drops + drops)


def models_for(policy: EvaluatedPolicy, question: Question, generate: Generate) -> Models:
    """One engine in every part but a trained verifier; with `oracle` the reference says what is revised."""
    models = Models(streamed(generate))
    if policy.verifier is not None:
        trained = _trained(policy.verifier)
        models = replace(models, verifier=trained, threshold=trained.threshold)
    if not policy.oracle:
        return models

    async def right(solution: str) -> bool:
        return (await grade_revision(solution, question)).verdict == "right"

    return replace(models, oracle=right, verifier=OracleVerifier(right))


@cache
def _trained(folder: str) -> TrainedVerifier:
    return TrainedVerifier(folder)


async def last_trace(policy: EvaluatedPolicy, problem: Problem, sampling: Sampling, models: Models) -> Trace:
    """How one answer came about, once it is there."""
    events = correct_itself(policy, problem, sampling, models)
    (trace,) = [event async for event in events if isinstance(event, Trace)]
    return trace


def _dropped(id: str, trace: Trace) -> Dropped:
    reason, _, detail = (trace.refusal or "").partition(": ")
    return Dropped(
        "attempts", id, reason, detail, trace.requests, trace.prompt_tokens, trace.completion_tokens, trace.cost
    )
