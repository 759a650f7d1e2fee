"""The HTTP application of one served model: the routes, in OpenAI's form, behind the gate. No Ray in it.

`replica` builds one on vLLM; tests build one on a scripted backend.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from lema_ray import __version__
from serve.backend import Answer
from serve.errors import ApiError, bad_request
from serve.feedback import record_feedback
from serve.gate import Gate
from serve.gathered import gathered
from serve.openapi import document
from serve.page_routes import formulas, page
from serve.policies import Choice, answer_with_policy, choose
from serve.replica_metrics import all_metrics
from serve.requests import ChatBody, CompletionBody, FeedbackBody, check_caps, parse_body
from serve.service import Service, refused, visit_of, while_connected

EVENTS = {"x-accel-buffering": "no", "cache-control": "no-store"}


def make_app(service: Service) -> Gate:
    """The ASGI application."""
    app = FastAPI(title="lema_ray", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
    app.add_exception_handler(ClientDisconnect, _nobody)
    _add_state_routes(app, service)
    _add_model_routes(app, service)
    _add_feedback(app, service)
    app.include_router(page)
    app.include_router(formulas)
    return Gate(app, service)


def _add_state_routes(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        """Whether this process and its engine are alive."""
        try:
            await service.backend.check_health()
        except Exception:
            raise ApiError(503, "the engine has stopped", "engine_unavailable", retry_after_s=5) from None
        return JSONResponse({"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> Response:
        """Whether a real answer has been generated and can be again."""
        if not service.ready:
            raise ApiError(503, "the model has not answered yet", "not_ready", retry_after_s=5)
        await healthz()
        return JSONResponse({"status": "ready", "model": service.backend.name})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus: vLLM's names, and ours."""
        return PlainTextResponse(await all_metrics(service), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/openapi.json")
    async def openapi() -> Response:
        """The OpenAPI document."""
        return JSONResponse(document(app, service.keys is not None))

    @app.get("/v1/models")
    async def models() -> Response:
        """The base, its adapters, and where the other served models are."""
        cards = await _cards(service)
        return JSONResponse({"object": "list", "data": cards, "siblings": service.config.siblings})

    @app.get("/v1/models/{model:path}")
    async def model(model: str) -> Response:
        """One model's card."""
        for card in await _cards(service):
            if card["id"] == model:
                return JSONResponse(card)
        raise ApiError(404, f"the model {model[:200]!r} does not exist", "model_not_found", "model")


async def _cards(service: Service) -> list[dict[str, Any]]:
    """The models' cards, with what the page and other clients can choose from."""
    config = service.config
    policies = {"policies": list(config.self_correction.allowed), "default": config.self_correction.default.policy}
    about = {"self_correction": {**policies, "feedback": config.feedback is not None}, "task": service.task}
    return [card | about for card in await service.backend.models()]


def _add_model_routes(app: FastAPI, service: Service) -> None:
    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        """An answer to a chat, corrected as `self_correction` says."""
        data, size = await service.read(request)
        body = parse_body(ChatBody, data)
        check_caps(body, service.config.caps)
        choice = choose(body, service)
        _note(request, choice)
        await service.admit(visit_of(request), body, size)
        if choice.policy is None:
            return await _respond(request, service, service.backend.chat(choice.body, visit_of(request).id))
        return await _respond(request, service, answer_with_policy(choice, service, visit_of(request)))

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        """A continuation of a bare prompt."""
        data, size = await service.read(request)
        body = parse_body(CompletionBody, data)
        check_caps(body, service.config.caps)
        visit = visit_of(request)
        visit.model, visit.question = body.model or service.backend.name, str(body.prompt)
        await service.admit(visit, body, size)
        return await _respond(request, service, service.backend.completion(body, visit.id))


def _add_feedback(app: FastAPI, service: Service) -> None:
    @app.post("/v1/feedback")
    async def feedback(request: Request) -> Response:
        """A user's verdict on an answer."""
        data, _ = await service.read(request)
        await record_feedback(parse_body(FeedbackBody, data), service, visit_of(request))
        return JSONResponse({"recorded": True})


def _note(request: Request, choice: Choice) -> None:
    visit = visit_of(request)
    visit.model, visit.question = choice.model, choice.question
    visit.policy = choice.policy.policy if choice.policy else visit.policy


async def _respond(request: Request, service: Service, answering: Awaitable[Answer]) -> Response:
    answer = await while_connected(request, answering)
    if isinstance(answer, dict):
        return JSONResponse(answer)
    pieces = gathered(answer, lambda: service.running)
    return StreamingResponse(pieces, media_type="text/event-stream", headers=EVENTS)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    refused(visit_of(request), error)
    return JSONResponse(error.body(), error.status, error.headers())


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code not in (404, 405):
        return await _api_error(request, ApiError(error.status_code, str(error.detail), "invalid_request"))
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    where = f"{request.method} {request.url.path[:200]} is not served here"
    answer = await _api_error(request, ApiError(error.status_code, where, code))
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(request: Request, error: Exception) -> Response:
    return await _api_error(request, bad_request("the body does not have the form that this path takes"))


async def _broken(request: Request, error: Exception) -> Response:
    # The gate logs it: it is raised again after this answer.
    return await _api_error(request, ApiError(500, f"an internal error ({type(error).__name__})", "internal_error"))


async def _nobody(request: Request, error: Exception) -> Response:
    visit_of(request).left = True
    return Response(status_code=499)
