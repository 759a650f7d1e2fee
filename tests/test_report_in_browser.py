"""The report as a reader uses it: headless Chromium pages, filters, and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from in_browser import contrast
from made_run import make_run
from playwright.sync_api import Browser, Page, expect

from lema_ray.records import Attempt, Grade, GradedAttempt, GradedQuestion, Question
from lema_ray.report import write_report

pytestmark = pytest.mark.browser
HOSTILE = (
    "</script><script>document.title='owned'</script><img src='http://example.invalid/x' onerror='document.title=1'>"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = make_run(str(tmp_path_factory.mktemp("run")), questions=60, held_out=80)
    never = GradedAttempt(Attempt("h", HOSTILE, HOSTILE), Grade("unsure", HOSTILE))
    rows = [GradedQuestion(Question("h", HOSTILE, HOSTILE, "hostile"), (never,))]
    run.write_records(rows, GradedQuestion, "collected", "part-1.parquet")
    return Path(write_report(run)).as_uri()


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, chromium: Browser, address: str) -> Iterator[Page]:
    """The open report; at the end it must not have complained or asked for anything."""
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    page.goto(address)
    yield page
    context.close()
    assert said == []


def shown(page: Page, section: str) -> str:
    """The name of the one example that is visible."""
    visible = page.locator(f"#{section} [data-item]:visible")
    expect(visible).to_have_count(1)
    return str(visible.get_attribute("aria-label"))


def test_buttons_page_through_the_examples(page: Page) -> None:
    section = page.locator("#examples")
    assert shown(page, "examples") == "Example 1"
    expect(section.get_by_role("button", name="Previous")).to_be_disabled()
    section.get_by_role("button", name="Next").click()
    assert shown(page, "examples") == "Example 2"
    section.get_by_role("button", name="Previous").click()
    assert shown(page, "examples") == "Example 1"
    assert shown(page, "answers") == "Held-out question 1"


def test_arrow_keys_page_through_what_is_in_view(page: Page) -> None:
    page.locator("#examples .pager-bar").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#examples').scrollIntoView({behavior: 'instant'})")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert shown(page, "examples") == "Example 2"
    page.locator("#answers [data-go='1']").focus()
    page.keyboard.press("ArrowRight")
    assert (shown(page, "answers"), shown(page, "examples")) == ("Held-out question 2", "Example 2")


def test_arrow_keys_leave_a_focused_filter_alone(page: Page) -> None:
    page.locator("#examples [data-filter=outcome]").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#examples output").inner_text().startswith("1 of ")


def test_filters_combine_and_say_when_nothing_matches(page: Page) -> None:
    section = page.locator("#examples")
    everything = int(section.locator("output").inner_text().removeprefix("1 of "))
    section.get_by_label("Outcome").select_option("accepted")
    section.get_by_label("Wrong step").select_option("2")
    matching = int(section.locator("output").inner_text().removeprefix("1 of "))
    assert 0 < matching < everything
    expect(section.locator("[data-item]:visible .chips")).to_contain_text("step 2 of")
    for _ in range(matching - 1):
        section.get_by_role("button", name="Next").click()
    expect(section.get_by_role("button", name="Next")).to_be_disabled()
    section.get_by_label("Outcome").select_option("unsure")
    expect(section.get_by_text("No example matches these filters.")).to_be_visible()
    expect(section.locator("[data-item]:visible")).to_have_count(0)


def test_a_dropped_reply_is_shown_with_its_reason(page: Page) -> None:
    section = page.locator("#examples")
    section.get_by_label("Outcome").select_option("dropped: wrong_answer")
    expect(section.locator("[data-item]:visible pre")).to_contain_text("Incorrect Step: Step 9")
    expect(section.locator("[data-item]:visible")).to_contain_text("the revision's answer is graded wrong")


def test_hostile_text_is_shown_and_does_nothing(page: Page) -> None:
    section = page.locator("#examples")
    section.get_by_label("Outcome").select_option("unsure")
    while HOSTILE not in section.locator("[data-item]:visible .question").inner_text():
        section.get_by_role("button", name="Next").click()
    assert page.title() == "made-up · run report"
    assert page.locator("img").count() == 0


def test_nothing_is_wider_than_the_window(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_without_script_every_example_is_readable(chromium: Browser, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    count = page.locator("#examples [data-item]").count()
    expect(page.locator("#examples [data-item]:visible")).to_have_count(count)
    context.close()


def test_text_has_enough_contrast_in_both_schemes(chromium: Browser, address: str) -> None:
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(address)
        for ink, paper in (
            ("ink", "paper"),
            ("quiet", "paper"),
            ("quiet", "card"),
            ("right", "right-soft"),
            ("wrong", "wrong-soft"),
            ("unsure", "card"),
            ("accent", "paper"),
        ):
            assert contrast(page, ink, paper) >= 4.5, (scheme, ink, paper)
        context.close()
