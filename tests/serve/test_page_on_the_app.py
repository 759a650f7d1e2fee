"""The page on the real application, policies, keys, limits and feedback included; only the model is a function."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from served import MODEL, served

from lema_ray.recipes.lema import LEARN
from lema_ray.records import Message, Sampling
from serve.config import KeyLimits
from serve.keys import add_key

pytestmark = pytest.mark.browser

QUESTION = "A box holds 12 pencils. How many are left of 3 boxes after 5 pencils are sold?"
DRAFT = "Step 1: There are $3 \\times 12 = 36$ pencils.\nStep 2: 36 - 5 = 30 are left.\nThe answer is 30."
CORRECTION = (
    "Incorrect Step: Step 2\nExplanation: 36 - 5 is 31, not 30.\n"
    "Correct Solution:\nStep 2: 36 - 5 = 31 are left.\nThe answer is 31."
)


def solve(messages: Sequence[Message], sampling: Sampling) -> str:
    """The script: a wrong solution, and its correction for who asks in the words that training rows teach."""
    return CORRECTION if LEARN in messages[-1].content else DRAFT


def ask(page: Page, policy: str) -> None:
    page.get_by_label("Self-correction").first.select_option(policy)
    page.get_by_label("Question", exact=True).fill(QUESTION)
    page.get_by_role("button", name="Ask").click()


def test_asked_with_a_key_corrected_and_judged(chromium: Browser, tmp_path: Path) -> None:
    secret = add_key(tmp_path / "keys.yaml", "anna", KeyLimits(requests_per_minute=2))
    folder = tmp_path / "verdicts"
    script = f"{__name__}:solve"
    with served(tmp_path, script=script, keys=str(tmp_path / "keys.yaml"), feedback={"folder": str(folder)}) as app:
        page = chromium.new_page()
        page.goto(app.url)
        page.get_by_label("Key", exact=True).fill(secret)
        page.get_by_label("Key", exact=True).press("Enter")
        expect(page.get_by_label("Model").first.locator("option")).to_have_text([MODEL])
        ask(page, "revise")
        answer = page.locator(".answer[data-state=done]")
        expect(answer.locator("li.step math")).to_have_attribute("alttext", "3 \\times 12 = 36")
        expect(answer.locator("li.doubted del")).to_have_text("Step 2: 36 - 5 = 30 are left.")
        expect(answer.locator("li.doubted .why")).to_have_text("36 - 5 is 31, not 30.")
        expect(answer.locator("li.new ins").first).to_have_text("Step 2: 36 - 5 = 31 are left.")
        assert answer.locator("dd").all_inner_texts() == ["31", "30"]
        answer.get_by_role("button", name="It is right").click()
        expect(answer.get_by_role("status")).to_have_text("Thank you, that was noted.")
        ask(page, "off")
        expect(page.locator(".answer[data-state=done] dd")).to_have_text("30")
        ask(page, "off")
        expect(page.locator(".answer").get_by_role("alert")).to_contain_text("limit of 2 requests")
        expect(page.locator(".answer").get_by_role("alert")).to_contain_text("Try again in ")
        page.close()
    [row] = [json.loads(line) for file in folder.iterdir() for line in file.read_text().splitlines()]
    assert (row["verdict"], row["question"], row["reference"]) == ("right", QUESTION, "31")
    assert row["trace"]["doubts"][0]["reason"] == "36 - 5 is 31, not 30."


def test_stop_frees_the_model(chromium: Browser, tmp_path: Path) -> None:
    with served(tmp_path, word_s=5.0, script=f"{__name__}:solve") as app:
        page = chromium.new_page()
        page.goto(app.url)
        ask(page, "spontaneous")
        expect(page.locator(".answer")).to_contain_text("Waiting for the first word")
        until = time.monotonic() + 20
        while not app.backend.running and time.monotonic() < until:
            os.sched_yield()
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".state")).to_have_text("Stopped by you: not whole")
        while app.backend.running and time.monotonic() < until:
            os.sched_yield()
        assert app.backend.running == 0
        page.close()
