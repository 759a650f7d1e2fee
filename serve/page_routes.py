"""The page's routes: static files with their types, caching and security headers, and its formulas as MathML.

The serving app includes `page` as it is, and `formulas` behind its keys, since that one computes. Handlers are module
functions and the files are found from where this module lies, so an app that Ray pickles finds them on every node.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from serve.formulas import LONGEST, Tree, mathml

FOLDER = Path(__file__).with_name("page")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    # Trusted types forbid every way of turning text into markup, so what a model writes stays text.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Names do not change with contents: browsers keep a file but ask whether it is still the same.
    "Cache-Control": "no-cache",
}
MOST_FORMULAS = 64

page = APIRouter(include_in_schema=False)
formulas = APIRouter()


@page.api_route("/", methods=["GET", "HEAD"])
def index(request: Request) -> Response:
    """The page itself."""
    return _file("index.html", request)


@page.api_route("/page/{name}", methods=["GET", "HEAD"])
def asset(name: str, request: Request) -> Response:
    """One of the page's files; 404 for any other name."""
    return _file(name, request)


def page_paths() -> frozenset[str]:
    """The paths that show the page: open to anybody, as there is nothing in it to protect."""
    return frozenset({"/", *(f"/page/{name}" for name in _files())})


class Formula(BaseModel):
    """A formula as a model wrote it, without its dollar signs; `block` when it stands on a line of its own."""

    tex: Annotated[str, Field(max_length=LONGEST)]
    block: bool = False


class Formulas(BaseModel):
    """What the page asks to have typeset at once."""

    formulas: Annotated[list[Formula], Field(max_length=MOST_FORMULAS)]


class Trees(BaseModel):
    """One tree for each formula in order: `[element, attributes, children]`, null where it cannot be read."""

    trees: list[Tree | None]


@formulas.post("/page/math")
def typeset(wanted: Formulas) -> Trees:
    """LaTeX to MathML. Not a coroutine: conversion is computing, which belongs in a thread."""
    return Trees(trees=[mathml(one.tex, one.block) for one in wanted.formulas])


def _file(name: str, request: Request) -> Response:
    found = _files().get(name)
    if found is None:
        return Response("no such file", 404, HEADERS, "text/plain")
    body, tag = found
    headers = {**HEADERS, "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=TYPES[Path(name).suffix])


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Every file by name with its contents and its tag. Some tens of kilobytes, read once."""
    found = {}
    for path in FOLDER.iterdir():
        if path.suffix in TYPES:
            body = path.read_bytes()
            found[path.name] = body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return found
