"""The page in headless Chromium when something is wrong: stopped, refused, lost, without a key, or hostile text."""

from __future__ import annotations

import re

import pytest
from asking import ask, open_page, settled
from page_scripts import HOSTILE, PENCILS
from page_server import PageServer
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_stop_ends_the_request_at_the_server(page: Page, address: str, server: PageServer) -> None:
    answer = ask(page, address, "held")
    expect(answer).to_contain_text("half of an")
    page.get_by_role("button", name="Stop").click()
    settled(answer, "stopped")
    expect(answer.locator(".state")).to_have_text("Stopped by you: not whole")
    assert server.left.wait(10), "the server still holds the stream"
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.get_by_role("button", name="Ask")).to_be_focused()


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("too long", "The server refuses this: the question is longer than 4096 tokens"),
        ("too fast", r"That was too much at once. 10 requests a minute are allowed. Try again in 12 s, at .*\d:\d\d"),
        ("busy", "The server is busy. all places are taken. Try again in a while."),
        ("broken", "The server failed: internal error Its log has this request as req-17."),
        ("lost", "The connection was lost: this answer is not whole."),
        ("ends early", "The server broke off: the engine failed This answer is not whole."),
    ],
)
def test_what_goes_wrong_is_said(page: Page, address: str, server: PageServer, question: str, told: str) -> None:
    answer = ask(page, address, question)
    if question == "lost":
        expect(answer).to_contain_text("half of an")
        server.let_go()
    settled(answer, "failed")
    expect(answer.get_by_role("alert")).to_have_text(re.compile(told))
    expect(answer.get_by_role("button", name="It is right")).to_be_hidden()
    if "not whole" in told:
        expect(answer).to_contain_text("half of an")


def test_an_answer_that_was_cut_off_is_not_called_done(page: Page, address: str) -> None:
    answer = ask(page, address, "cut off")
    settled(answer, "failed")
    expect(answer.locator(".state")).to_have_text("Cut off at the limit on tokens: not whole")


def test_a_server_that_is_gone_is_named(page: Page, address: str) -> None:
    open_page(page, address)
    page.get_by_label("Question", exact=True).fill(PENCILS)
    page.route("**/v1/chat/completions", lambda route: route.abort())
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".answer").get_by_role("alert")).to_have_text(
        re.compile(r"The server at 127\.0\.0\.1:\d+ cannot be reached\.")
    )


def test_a_key_is_asked_for_kept_in_the_tab_and_forgotten(page: Page, address: str, server: PageServer) -> None:
    server.key = "sesame"
    server.let_go()
    page.goto(address)
    key = page.get_by_label("Key", exact=True)
    expect(key).to_be_focused()
    key.fill("wrong")
    key.press("Enter")
    expect(page.get_by_role("heading", name="The server does not accept this key")).to_be_visible()
    key.fill("sesame")
    key.press("Enter")
    expect(page.get_by_label("Model").first.locator("option")).to_have_count(1)
    page.get_by_label("Question", exact=True).fill(PENCILS)
    page.get_by_role("button", name="Ask").click()
    settled(page.locator(".answer"))
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 1, ""]
    page.get_by_role("button", name="Forget the key").click()
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_role("button", name="Ask").click()
    expect(key).to_be_focused()
    expect(page.locator(".answer").get_by_role("alert")).to_contain_text("The server asks for a key.")
    key.fill("sesame")
    key.press("Enter")
    settled(page.locator(".answer"))


def test_text_that_would_be_markup_stays_text(page: Page, address: str) -> None:
    answer = ask(page, address, "hostile")
    settled(answer)
    expect(answer.locator("math")).not_to_have_count(0)
    assert page.title() == "Ask a question"
    assert page.locator("#answers").locator("img, script, svg, iframe, b, a, [href], [style], [onclick]").count() == 0
    for line in (
        HOSTILE.splitlines()[0],
        "<img src=x onerror=document.title=1>",
        "<svg onload=document.title='owned'>",
    ):
        expect(answer).to_contain_text(line.replace("\u00a0", " "))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_trees_can_only_show(page: Page, address: str) -> None:
    """Whatever the typesetter may come to answer: elements and attributes that do something are not built."""
    open_page(page, address)
    tree = ["math", {"onclick": "1", "style": "x"}, [
        ["script", {"src": "x"}, ["alert(1)"]],
        ["annotation-xml", {"encoding": "text/html"}, [["img", {"src": "x", "onerror": "document.title=1"}, []]]],
        ["mspace", {"width": "99999em", "href": "x"}, []],
        ["mspace", {"width": "-9em"}, []],
        ["mspace", {"width": "-0.167em"}, []],
    ]]  # fmt: skip
    built = page.evaluate(
        "async (tree) => { const { build } = await import('/page/maths.js'); return build(tree).outerHTML; }", tree
    )
    inert = "<mrow>alert(1)</mrow><mrow><mrow></mrow></mrow><mspace></mspace><mspace></mspace>"
    assert built == f'<math>{inert}<mspace width="-0.167em"></mspace></math>'


def test_markup_cannot_be_written_at_all(page: Page, address: str, said: list[str]) -> None:
    open_page(page, address)
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<p>'; return 'written'; } catch (error) { return error.name; } }"
    )
    assert refused == "TypeError"
    assert "requires 'TrustedHTML' assignment" in said.pop()
