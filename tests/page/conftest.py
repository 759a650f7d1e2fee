"""The page on a scripted server, open in Chromium; whatever it does, it must not complain or ask other hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from page_scripts import SCRIPTS
from page_server import PageServer
from playwright.sync_api import Browser, Page

NETWORK = "Failed to load resource"
"""How Chromium reports every answer that is an error, and every lost connection: the tests see to these."""


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[PageServer, str]]:
    """One server for all tests, and its address."""
    server = PageServer()
    server.scripts = SCRIPTS
    yield server, server.start()
    server.stop()


@pytest.fixture
def server(running: tuple[PageServer, str]) -> PageServer:
    """That server as it was at first."""
    running[0].reset()
    return running[0]


@pytest.fixture
def address(running: tuple[PageServer, str]) -> str:
    """Where it listens."""
    return running[1]


@pytest.fixture
def said() -> list[str]:
    """What the browser complains of, and addresses elsewhere that were asked for. A test takes out what it wants."""
    return []


@pytest.fixture
def page(
    chromium: Browser, address: str, server: PageServer, said: list[str], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A new tab; parametrize `page` indirectly with what the context is to be like."""
    context = chromium.new_context(**getattr(request, "param", {}))
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(address) else None)
    yield page
    context.close()
    server.let_go()
    assert [line for line in said if not line.startswith(NETWORK)] == []
