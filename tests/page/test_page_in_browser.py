"""The page in headless Chromium: ask, watch it correct itself, compare, stop, and every way that this can go wrong."""

from __future__ import annotations

import json
import re

import pytest
from in_browser import contrast
from page_scripts import HOSTILE, OWN_WORDS, PENCILS, REASON
from page_server import PageServer
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


def open_page(page: Page, address: str) -> None:
    """The page with its models listed."""
    page.goto(address)
    expect(page.get_by_label("Model").first.locator("option")).not_to_have_count(0)


def ask(page: Page, address: str, question: str, policy: str = "revise") -> Locator:
    """The answer that appears."""
    open_page(page, address)
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_label("Self-correction").first.select_option(policy)
    page.get_by_role("button", name="Ask").click()
    return page.locator(".answer")


def settled(answer: Locator, state: str = "done") -> None:
    expect(answer).to_have_attribute("data-state", state)


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
