"""What every test of the page does first: open it, ask, wait for the end of an answer."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


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
