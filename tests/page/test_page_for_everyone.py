"""The page in headless Chromium by keyboard and ear, on a phone, in the dark, and without motion."""

from __future__ import annotations

import pytest
from asking import ask, open_page, settled
from in_browser import contrast
from page_scripts import PENCILS
from page_server import PageServer
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


def test_the_keyboard_is_enough(page: Page, address: str, server: PageServer) -> None:
    open_page(page, address)
    order = ["Skip to the answers", "question", "pencils in a shop"]
    for name in order:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id || document.activeElement.textContent") == name
    page.keyboard.press("Enter")
    expect(page.locator("#question")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Control+Enter")
    answer = page.locator(".answer")
    expect(answer.locator("li.doubted")).to_be_visible()
    page.keyboard.press("Escape")
    settled(answer, "stopped")
    server.let_go()
    page.keyboard.press("Control+Enter")
    settled(answer)
    page.locator("#go").focus()
    page.keyboard.press("Tab")
    expect(answer.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(answer.locator(".dropped del").first).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(answer.get_by_role("status")).to_have_text("Thank you, that was noted.")


def test_whole_steps_are_announced_once(page: Page, address: str, server: PageServer) -> None:
    answer = ask(page, address, PENCILS)
    log = page.get_by_role("log")
    expect(log).to_contain_text("Doubted step: Step 2")
    server.let_go()
    settled(answer)
    lines = log.locator("p").all_inner_texts()
    assert len(lines) == len(set(lines))
    assert lines[0].startswith("Step: Step 1: The shop has 24 boxes")
    # Steps that were doubted, or dropped, may have been read out as steps before.
    after = [line for line in lines if not line.startswith("Step")]
    assert [line.split(":")[0] for line in after] == ["Doubted step", "New step", "New step", "New step", "Answer"]
    assert "Reason: The 5 boxes were counted" in after[0]
    assert lines[-1] == "Answer: 198. First answer: 253."


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_phone_shows_everything_without_scrolling_sideways(page: Page, address: str, server: PageServer) -> None:
    server.let_go()
    open_page(page, address)
    page.get_by_label("Compare").check()
    page.get_by_label("Question", exact=True).fill("hostile")
    page.get_by_role("button", name="Ask").tap()
    expect(page.locator(".answer[data-state=done]")).to_have_count(2)
    page.evaluate(
        "document.querySelectorAll('details, [hidden]').forEach((one) => { one.open = true; one.hidden = false; })"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] >= 24)


@pytest.mark.parametrize(
    "page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=["light", "dark"]
)
def test_text_has_enough_contrast(page: Page, address: str) -> None:
    open_page(page, address)
    for ink, paper in (
        ("ink", "paper"), ("ink", "card"), ("quiet", "paper"), ("quiet", "card"), ("accent", "card"),
        ("accent", "answer-soft"), ("on-accent", "accent"), ("doubt", "doubt-soft"), ("ink", "doubt-soft"),
        ("doubt", "paper"), ("doubt", "card"), ("new", "new-soft"), ("ink", "new-soft"), ("ink", "answer-soft"),
    ):  # fmt: skip
        assert contrast(page, ink, paper) >= 4.5, (ink, paper)
    assert min(contrast(page, "edge", paper) for paper in ("paper", "card")) >= 3


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_for_those_who_asked_for_that(page: Page, address: str) -> None:
    answer = ask(page, address, "held")
    expect(answer).to_have_attribute("data-state", "writing")
    assert page.evaluate("getComputedStyle(document.querySelector('.state'), '::before').animationName") == "none"
