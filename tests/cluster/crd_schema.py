"""Check a Kubernetes object against a CRD as an API server does: its schema without unknown keys, and its CEL rules.

A CRD's schema is OpenAPI with extensions; here it becomes a JSON schema. Agreed with a real API server on every broken
object that both were given.
"""

import lzma
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import yaml
from celpy.adapter import json_to_cel

PLURALS = {"RayCluster": "rayclusters", "RayJob": "rayjobs", "RayService": "rayservices"}


@cache
def schema_of(folder: Path, kind: str) -> dict[str, Any]:
    """The OpenAPI schema of v1 of a kind."""
    text = lzma.decompress((folder / f"ray.io_{PLURALS[kind]}.yaml.xz").read_bytes())
    versions = yaml.load(text, yaml.CSafeLoader)["spec"]["versions"]
    return next(v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1")


@cache
def validator_of(folder: Path, kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema(schema_of(folder, kind)))


def json_schema(node: Any) -> Any:
    """An OpenAPI schema of a CRD as a JSON schema that refuses unknown keys."""
    kept = {k: v for k, v in node.items() if not k.startswith("x-") and k not in ("nullable", "default", "format")}
    if node.get("x-kubernetes-int-or-string"):
        kept.pop("anyOf", None)
        kept["type"] = ["integer", "string"]
    for name in ("items", "additionalProperties"):
        if isinstance(node.get(name), dict):
            kept[name] = json_schema(node[name])
    if "properties" in node:
        kept["properties"] = {k: json_schema(v) for k, v in node["properties"].items()}
        if not node.get("x-kubernetes-preserve-unknown-fields"):
            kept.setdefault("additionalProperties", False)
        # A server fills in defaults before it looks for what is required.
        kept["required"] = [k for k in node.get("required", ()) if "default" not in node["properties"].get(k, {})]
    if node.get("nullable"):
        kept["type"] = [kept["type"], "null"]
    return kept


def problems(folder: Path, thing: dict[str, Any]) -> Iterator[str]:
    """Every breach of the schema and of the rules in it, with the path of the field."""
    for error in validator_of(folder, thing["kind"]).iter_errors(thing):
        yield f"{error.json_path}: {error.message[:200]}"
    yield from _broken_rules(thing, schema_of(folder, thing["kind"]), "$")


def _broken_rules(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield f"{where}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        more = schema.get("additionalProperties")
        for key, child in value.items():
            below = schema.get("properties", {}).get(key) or (more if isinstance(more, dict) else {})
            yield from _broken_rules(child, below, f"{where}.{key}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for number, child in enumerate(value):
            yield from _broken_rules(child, schema["items"], f"{where}[{number}]")


def _holds(rule: str, value: Any) -> bool:
    environment = celpy.Environment()
    return bool(environment.program(environment.compile(rule)).evaluate({"self": json_to_cel(value)}))
