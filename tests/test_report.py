"""The report page: what it says at every stage of a run, and that hostile text stays text."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_run import make_run

from lema_ray.evaluation.scores import Comparison, Score, score_run
from lema_ray.records import (
    Attempt,
    Correction,
    Doubt,
    Draft,
    Dropped,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Question,
    Trace,
)
from lema_ray.report.charts import interval_axis, loss_chart
from lema_ray.report.gallery import Gallery, Reservoir, mark_changes
from lema_ray.report.headline import headline
from lema_ray.report.page import render, write_report
from lema_ray.runs import RunFolder

HOSTILE = "</script></style></p><script>document.title='owned'</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"


class Page(HTMLParser):
    """Elements with their attributes, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += " " + " ".join(data.split())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    run = make_run(str(tmp_path_factory.mktemp("run")), questions=80, held_out=120)
    return Page(Path(write_report(run)).read_text())


def test_every_part_is_on_the_page(page: Page) -> None:
    assert "not run yet" not in page.text
    for section in ("funnel", "accuracy", "wrong-steps", "examples", "answers", "cost", "loss", "config"):
        assert any(attrs.get("id") == section for _, attrs in page.elements), section
    assert "matched to cot, by tokens" in page.text and "near_duplicate" in page.text
    assert "fingerprints › train" in page.text and "api_key_env: LEMA_KEY" in page.text
    assert len([1 for tag, _ in page.elements if tag == "polyline"]) == 4


def test_page_is_self_contained(page: Page) -> None:
    loaded = [attrs.get("src") or attrs.get("href") for _, attrs in page.elements if "src" in attrs or "href" in attrs]
    assert all(address.startswith(("#", "data:")) for address in loaded if address)
    assert [tag for tag, _ in page.elements if tag in ("iframe", "object", "embed", "base")] == []


def test_page_can_be_read_by_everyone(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == 1 and tags.count("main") == 1 and "nav" in tags and "header" in tags
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in page.elements if tag == "th")
    assert ("html", {"lang": "en"}) in page.elements


def test_an_empty_run_says_that_nothing_has_run(tmp_path: Path) -> None:
    text = Page(render(RunFolder(str(tmp_path / "early")))).text
    assert "Nothing has been evaluated yet" in text and "early" in text
    assert text.count("not run yet") == 9


def question_with(text: str) -> GradedQuestion:
    """One question on which every text is the given one."""
    wrong = GradedAttempt(Attempt("a", f"{text}\nSo 3", text), Grade("wrong", text, (text,), text))
    never = GradedAttempt(Attempt("b", text, text), Grade("unsure", None))
    correction = Correction("c", text, "a", text, f"{text}\nSo 4", 1, text, {}, (text,), text)
    question = Question("q", text, text, text, level=text, choices=(text, text))
    return GradedQuestion(question, (wrong, never), (correction,), (Dropped(text, "a", text, text, 1),))


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    run.write_records([question_with(HOSTILE)], GradedQuestion, "collected", "part-0.parquet")
    run.write_text(f"name: {HOSTILE!r}\nnote: {HOSTILE!r}\n", "config.yaml")
    run.write_json({"stages": {HOSTILE: {"seconds": 1, HOSTILE: HOSTILE}}, HOSTILE: HOSTILE}, "manifest.json")
    found = Page(render(run))
    assert [tag for tag, _ in found.elements if tag in ("script", "img")] == ["script"]
    assert not [name for _, attrs in found.elements for name in attrs if name.startswith("on")]
    assert found.text.count("{{ 7 * 7 }}") > 20 and "49" not in found.text


def test_the_policy_allows_exactly_the_script_on_the_page(page: Page, tmp_path: Path) -> None:
    import base64
    import hashlib

    html = render(RunFolder(str(tmp_path)))
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.S)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{allowed}'"


def test_wrong_step_and_changed_steps_are_marked(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    run.write_records([question_with("1 + 1 = 2")], GradedQuestion, "collected", "part-0.parquet")
    html = render(run)
    assert re.findall(r'<li class="(\w+)">.*?<span>(.*?)</span>', html) == [("wrong", "So 3"), ("changed", "So 4")]


def test_the_funnel_counts_each_attempt_once(tmp_path: Path) -> None:
    from lema_ray.report.funnel import Funnel

    funnel = Funnel()
    mistake = Attempt("a", "1\n2\n3", "m")
    attempts = (
        GradedAttempt(mistake, Grade("wrong", "1")),
        GradedAttempt(Attempt("b", "x", "m", finish_reason="length"), Grade("wrong", None)),
        GradedAttempt(Attempt("c", "x", "m"), Grade("unsure", None)),
        GradedAttempt(Attempt("d", "x", "m"), Grade("right", "2")),
        GradedAttempt(Attempt("e", "x", "m"), Grade("wrong", "2")),
        GradedAttempt(Attempt("f", "x", "writer", "written", cost=0.5), Grade("wrong", "2")),
    )
    tried_twice = (Dropped("corrections", "a", "bad_step", "", 1, 10, 5, 0.25),)
    repaired = (Correction("k", "lema", "a", "why", "1\n2\n4", 2, model="t", prompt_tokens=10, cost=0.25),)
    funnel.add(GradedQuestion(Question("q", "q", "2", "s"), attempts, repaired, tried_twice))
    assert funnel.fates == {"wrong": 2, "cut off": 1, "unsure": 1, "right": 1} and funnel.written == 1
    assert (funnel.sent, funnel.repaired, funnel.cost) == (1, 1, 1.0)
    assert funnel.wrong_steps == {3: 1} and funnel.steps_reached == {1: 1, 2: 1, 3: 1}


def comparison(difference: float, p_value: float, baseline: str = "cot", model: str = "lema") -> Comparison:
    return Comparison(
        baseline, model, "greedy", 900, difference, difference - 0.02, difference + 0.02, p_value, 9, 1, "t"
    )


def scores(*rates: float) -> list[Score]:
    names = ("base", "cot", "lema")
    return [
        Score(m, "greedy", 900, 1, r, r - 0.03, r + 0.03, 0, 0, 0, 9, 9) for m, r in zip(names, rates, strict=False)
    ]


@pytest.mark.parametrize(
    "difference, p, said",
    [
        (0.035, 0.01, "lema solved 3.5 points more than cot: "),
        (-0.035, 0.0001, "lema solved 3.5 points less than cot: "),
        (0.035, 0.05, "No difference was shown between lema and cot: "),
    ],
)
def test_headline_claims_only_what_was_shown(difference: float, p: float, said: str) -> None:
    line = headline(scores(0.4, 0.5, 0.5 + difference), [comparison(0.9, 0.0, "base"), comparison(difference, p)])
    assert line.startswith(said) and "of 900 held-out questions (greedy)" in line
    assert ("p < 0.001" if p < 0.001 else f"p = {p:.3f}") in line


def test_headline_with_less_to_compare() -> None:
    two = [scores(0.4, 0.0, 0.49)[i] for i in (0, 2)]
    assert headline(two, [comparison(0.09, 0.0, "base")]).startswith("lema solved 9.0 points more than base: 49.0 %")
    assert (
        headline(scores(0.4), [])
        == "base solved 40.0 % of 900 held-out questions: greedy, 95 % interval 37.0 % to 43.0 %."
    )
    assert headline([], []) == "Nothing has been evaluated yet."


def test_the_gallery_is_bounded_and_fair() -> None:
    gallery = Gallery(seed=1)
    for i in range(2000):
        one = GradedAttempt(Attempt(f"a{i}", "1\n2", "m"), Grade("wrong", "2"))
        corrections = (Correction(f"c{i}", "lema", f"a{i}", "why", "1\n3", 1),)
        gallery.add(GradedQuestion(Question(str(i), "q", "3", "s"), (one,), corrections, (Dropped("x", "-", "lost"),)))
    cards = gallery.cards()
    assert [c["outcome"] for c in cards] == ["accepted"] * 120 + ["dropped: lost"] * 12
    assert 700 < sum(int(c["question"].id) for c in cards[:120]) / 120 < 1300


@given(st.integers(1, 20), st.integers(0, 60))
def test_a_reservoir_keeps_distinct_items_and_no_more_than_its_size(size: int, offered: int) -> None:
    reservoir = Reservoir[int](size, "seed")
    for i in range(offered):
        reservoir.offer(i)
    assert len(set(reservoir.items)) == len(reservoir.items) == min(size, offered)


def test_every_item_is_equally_likely_to_be_kept() -> None:
    kept = [0] * 10
    for seed in range(3000):
        reservoir = Reservoir[int](3, str(seed))
        for i in range(10):
            reservoir.offer(i)
        for i in reservoir.items:
            kept[i] += 1
    assert all(780 < times < 1020 for times in kept)


@given(st.lists(st.sampled_from("abcd"), max_size=8), st.lists(st.sampled_from("abcd"), max_size=8))
def test_marking_changes_loses_no_step(before: list[str], after: list[str]) -> None:
    marked = list(mark_changes(before, after))
    assert [text for text, _ in marked] == after
    assert all(text in before for text, mark in marked if not mark)
    assert all(not mark for _, mark in mark_changes(after, after))


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_axis_holds_its_values(a: float, b: float) -> None:
    axis = interval_axis([min(a, b)], [max(a, b)], floor=0.0, ceiling=1.0)
    assert axis.low <= min(a, b) + 1e-6 and axis.high >= max(a, b) - 1e-6
    assert 2 <= len(axis.ticks) <= 12
    assert 0 <= axis.at(min(a, b)) <= axis.at(max(a, b)) <= 100


def losses() -> Iterator[dict[str, float]]:
    yield from ({"step": i, "loss": 2 / i} for i in range(1, 5000))
    yield {"step": 5000, "loss": float("nan"), "eval_loss": 0.0}


def test_loss_curves_are_thinned_and_skip_what_is_not_a_number() -> None:
    chart = loss_chart({"lema": list(losses())})
    assert chart is not None and [(line.kind, line.last) for line in chart.lines] == [
        ("loss", 2 / 4999),
        ("eval_loss", 0.0),
    ]
    assert len(chart.lines[0].points.split()) < 500 and "nan" not in chart.lines[0].points
    assert loss_chart({"cot": []}) is None


def test_a_policy_is_shown_with_what_it_mended_and_spent(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    question = Question("q", "2 + 2?", "4", "made up")
    drafts = (Draft("The answer is 5.", "draft", "5"), Draft("The answer is 4.", "revision", "4"))
    doubts = (Doubt(0, 16, "judged", 0, 0, "2 + 2 is 4."),)
    trace = Trace("revise", "5", "4", drafts, doubts, 1, 1, requests=2, extra_tokens=33, stop_reason="revised")
    for sampling, made in (("greedy", None), ("revise", trace)):
        attempt = Attempt("a", drafts[1 if made else 0].text, "m", prompt_tokens=40, completion_tokens=14, trace=made)
        graded = GradedAttempt(attempt, Grade("right" if made else "wrong", "4"))
        run.write_records(
            [GradedQuestion(question, (graded,))], GradedQuestion, "evaluations", f"m--{sampling}.parquet"
        )
    score_run(run, ["m"], ["greedy", "revise"])
    text = Page(render(run)).text
    assert re.search(r"m\s+revise\s+revise\s+0.0 %\s+100.0 %\s+100.0 %\s+100.0 %\s+100.0 %\s+0.0 %", text)
    assert re.search(r"54\s+33.0\s+2.00", text) and "against m greedy, policies" in text
