"""The page in headless Chromium while answers come: corrected before one's eyes, voted on, side by side."""

from __future__ import annotations

import pytest
from asking import ask, open_page, settled
from page_scripts import OWN_WORDS, PENCILS
from page_server import PageServer
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_the_solution_is_corrected_before_ones_eyes(page: Page, address: str, server: PageServer) -> None:
    answer = ask(page, address, PENCILS)
    doubted = answer.locator("li.doubted")
    expect(doubted.locator("del")).to_contain_text("It sells 5 boxes and 30 pencils")
    expect(doubted.locator(".why")).to_contain_text("counted as 5 pencils")
    expect(answer.locator(".state")).to_have_text("Doubting a step")
    expect(answer.locator("li.new, li.dropped")).to_have_count(0)
    assert answer.get_attribute("aria-busy") == "true"
    server.let_go()
    settled(answer)
    assert [li.get_attribute("class") for li in answer.locator(".story > li").all()] == [
        "step", "doubted", "dropped", "new", "new", "new answer-step"
    ]  # fmt: skip
    expect(answer.locator("ins").first).to_contain_text("5 boxes of 12 and 30 pencils")
    expect(answer.locator(".dropped summary")).to_have_text("2 steps that followed from it")
    assert answer.locator("dd").all_inner_texts() == ["198", "253"]
    expect(answer.locator("[data-part=facts]")).to_have_text(
        "600 tokens, 376 of them to correct itself · 1 revision · ended because the doubted step was revised"
    )
    [asked] = server.asked
    assert asked["self_correction"] == {"policy": "revise", "return": "final"}
    assert (asked["stream"], asked["model"], asked["messages"]) == (
        True,
        "demo",
        [{"role": "user", "content": PENCILS}],
    )


def test_what_a_revision_repeats_is_shown_once(page: Page, address: str, server: PageServer) -> None:
    """While it repeats, nothing is decided: the draft stands as it was, but for the doubted step."""
    answer = ask(page, address, "repeats")
    expect(answer.locator(".state")).to_have_text("Writing it anew")
    expect(answer.locator("li.doubted")).to_have_count(1)
    assert [li.get_attribute("class") for li in answer.locator(".story > li").all()] == [
        "step", "doubted", "step", "step"
    ]  # fmt: skip
    server.let_go()
    settled(answer)
    expect(answer.locator("li.step")).to_have_count(1)
    expect(answer.locator("li.step")).to_contain_text("24 boxes with 12 pencils each")


def test_formulas_are_typeset_by_the_server(page: Page, address: str, server: PageServer) -> None:
    server.let_go()
    answer = ask(page, address, PENCILS)
    settled(answer)
    first = answer.locator("li.step math")
    expect(first).to_have_attribute("alttext", "24 \\times 12 = 288")
    assert first.locator("mo").all_text_contents() == ["×", "="]
    expect(answer.locator(".why math")).to_have_count(1)
    assert "$" not in answer.inner_text()


def test_without_the_typesetter_formulas_stay_readable(page: Page, address: str, server: PageServer) -> None:
    page.route("**/page/math", lambda route: route.fulfill(status=503, body="{}"))
    server.let_go()
    answer = ask(page, address, PENCILS)
    settled(answer)
    expect(answer.locator("li.step")).to_contain_text("$24 \\times 12 = 288$")


def test_a_text_that_doubts_itself_says_so_and_strikes_nothing(page: Page, address: str) -> None:
    """Places are counted in characters, of which JavaScript sees some as two."""
    answer = ask(page, address, PENCILS, "spontaneous")
    settled(answer)
    expect(answer.locator("li.doubting .words")).to_have_text(OWN_WORDS)
    expect(answer.locator("li.redone").first).to_contain_text("after the doubt")
    expect(answer.locator("del")).to_have_count(0)


def test_votes_are_counted_and_the_winner_shown(page: Page, address: str) -> None:
    answer = ask(page, address, "vote", "vote")
    settled(answer)
    expect(answer.locator(".votes summary")).to_have_text("3 solutions: 253 (1), 198 (2)")
    answer.locator(".votes summary").click()
    expect(answer.locator(".vote").nth(2)).to_contain_text("pencils are there")
    expect(answer.locator("li.answer-step")).to_contain_text("The answer is 198")


def test_a_revision_that_came_to_nothing_is_told(page: Page, address: str) -> None:
    answer = ask(page, address, "not taken")
    settled(answer)
    expect(answer.locator("li.kept")).to_contain_text("doubted, but kept")
    expect(answer.locator("li.untaken summary")).to_have_text("a revision that was not taken")
    assert answer.locator("dd").all_inner_texts() == ["253"]


def test_two_policies_side_by_side(page: Page, address: str, server: PageServer) -> None:
    server.let_go()
    open_page(page, address)
    page.get_by_role("button", name="pencils in a shop").click()
    page.get_by_label("Compare").check()
    page.get_by_label("Self-correction").nth(0).select_option("off")
    page.get_by_label("Self-correction").nth(1).select_option("critique")
    page.get_by_role("button", name="Ask").click()
    first, second = page.get_by_label("demo off"), page.get_by_label("demo critique")
    settled(first)
    settled(second)
    assert (first.locator("dd").all_inner_texts(), second.locator("dd").all_inner_texts()) == (["253"], ["198", "253"])
    left, right = first.bounding_box(), second.bounding_box()
    assert left and right and left["y"] == right["y"] and left["x"] + left["width"] < right["x"]
    assert [asked["self_correction"]["policy"] for asked in server.asked] == ["off", "critique"]


def test_two_models_side_by_side(page: Page, address: str, server: PageServer) -> None:
    """The other model lives under a route of its own and knows one policy."""
    server.siblings = {"other": "/beside"}
    server.let_go()
    open_page(page, address)
    page.get_by_label("Question", exact=True).fill(PENCILS)
    page.get_by_label("Compare").check()
    page.get_by_label("Model").nth(1).select_option("other")
    assert page.get_by_label("Self-correction").nth(1).locator("option").all_inner_texts() == ["off"]
    page.get_by_role("button", name="Ask").click()
    settled(page.get_by_label("other off"))
    settled(page.get_by_label("demo revise"))
    assert [(one["model"], one["path"]) for one in sorted(server.asked, key=lambda one: str(one["model"]))] == [
        ("demo", "/v1/chat/completions"), ("other", "/beside/v1/chat/completions")
    ]  # fmt: skip
