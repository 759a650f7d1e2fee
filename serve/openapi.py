"""The OpenAPI document of the endpoint, from the same models that check requests. Served as /openapi.json."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve.errors import OPEN
from serve.requests import ChatBody, CompletionBody, FeedbackBody

BODIES: dict[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatBody,
    "/v1/completions": CompletionBody,
    "/v1/feedback": FeedbackBody,
}
REFUSALS = ("400", "401", "404", "405", "408", "413", "415", "429", "500", "503", "504")
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}


def document(app: FastAPI, with_keys: bool) -> dict[str, Any]:
    """The document."""
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    _, definitions = models_json_schema(
        [(body, "validation") for body in BODIES.values()], ref_template="#/components/schemas/{model}"
    )
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas |= definitions.get("$defs", {}) | {"Error": ERROR}
    if with_keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in found["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
            if with_keys and path not in OPEN:
                operation["security"] = [{"key": []}]
    return found


def _complete(path: str, operation: dict[str, Any]) -> None:
    refusal = {"description": "refused", "content": _json({"$ref": "#/components/schemas/Error"})}
    operation["responses"] = {"200": _success(path)} | {status: refusal for status in REFUSALS}
    if body := BODIES.get(path):
        schema = {"$ref": f"#/components/schemas/{body.__name__}"}
        operation["requestBody"] = {"required": True, "content": _json(schema)}


def _success(path: str) -> dict[str, Any]:
    if path == "/metrics":
        return {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}
    content = _json({"type": "object"})
    if path in ("/v1/chat/completions", "/v1/completions"):
        content["text/event-stream"] = {}
    return {"description": "the answer", "content": content}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
