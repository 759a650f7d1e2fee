"""The page in headless Chromium when an answer is there: verdicts on it, and its trace as JSON."""

from __future__ import annotations

import json

import pytest
from asking import ask
from page_scripts import PENCILS, REASON
from page_server import PageServer
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_verdicts_are_sent_and_thanked_for(page: Page, address: str, server: PageServer) -> None:
    server.let_go()
    answer = ask(page, address, PENCILS)
    answer.get_by_role("button", name="It is wrong").click()
    comment = answer.get_by_label("What is wrong?")
    expect(comment).to_be_focused()
    comment.fill("it is 197")
    server.verdict_status = 507
    comment.press("Enter")
    expect(answer.get_by_role("status")).to_have_text("Not noted. The server failed: the record store is full")
    server.verdict_status = 200
    comment.press("Enter")
    expect(answer.get_by_role("status")).to_have_text("Thank you, that was noted.")
    expect(answer.get_by_role("status")).to_be_focused()
    expect(answer.get_by_role("button", name="It is right")).to_be_hidden()
    assert server.verdicts == [{"request_id": "chatcmpl-1", "verdict": "wrong", "comment": "it is 197"}]


def test_right_takes_one_click_and_servers_without_feedback_are_not_asked(
    page: Page, address: str, server: PageServer
) -> None:
    server.let_go()
    answer = ask(page, address, PENCILS)
    answer.get_by_role("button", name="It is right").click()
    expect(answer.get_by_role("status")).to_have_text("Thank you, that was noted.")
    assert server.verdicts == [{"request_id": "chatcmpl-1", "verdict": "right"}]
    server.models[0]["self_correction"]["feedback"] = False
    answer = ask(page, address, PENCILS)
    expect(answer.get_by_role("button", name="Copy as JSON")).to_be_visible()
    expect(answer.get_by_role("button", name="It is right")).to_be_hidden()


def test_the_trace_is_copied_as_json(page: Page, address: str, server: PageServer) -> None:
    server.let_go()
    answer = ask(page, address, PENCILS)
    answer.get_by_role("button", name="Copy as JSON").click()
    expect(answer.get_by_role("status")).to_have_text("Copied.")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert (copied["question"], copied["model"], copied["policy"], copied["id"]) == (
        PENCILS,
        "demo",
        "revise",
        "chatcmpl-1",
    )
    assert copied["self_correction"]["doubts"][0]["reason"] == REASON


def test_without_a_clipboard_the_json_is_shown(page: Page, address: str, server: PageServer) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    server.let_go()
    answer = ask(page, address, PENCILS)
    answer.get_by_role("button", name="Copy as JSON").click()
    assert json.loads(answer.get_by_label("The answer as JSON").input_value())["id"] == "chatcmpl-1"
