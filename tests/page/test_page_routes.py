"""What the page's files are sent with, and its formulas: bounded, cached, and never an error of the server."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from serve import page_routes
from serve.formulas import LONGEST, mathml
from serve.page_routes import FOLDER, MOST_FORMULAS


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    app.include_router(page_routes.page)
    app.include_router(page_routes.formulas)
    return TestClient(app)


@pytest.mark.parametrize("path", ["/", *(f"/page/{file.name}" for file in FOLDER.iterdir())])
def test_every_file_has_its_type_its_headers_and_is_asked_for_once(client: TestClient, path: str) -> None:
    answer = client.get(path)
    kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}.get(
        path.rpartition(".")[2], "text/html"
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert client.head(path).headers["etag"] == answer.headers["etag"]
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/page/none.js", "/page/..%2fformulas.py", "/page/%2e%2e/page_routes.py", "/page/"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_needs_nothing_from_elsewhere() -> None:
    for file in FOLDER.iterdir():
        text = file.read_text(encoding="utf-8")
        assert "//cdn" not in text and "https://" not in text
        assert "innerHTML" not in text and " onclick=" not in text and "<style" not in text and ' style="' not in text


def test_formulas_come_back_in_order_and_unreadable_ones_as_null(client: TestClient) -> None:
    asked = [
        {"tex": "x^2", "block": True},
        {"tex": "}{"},
        {"tex": "\\newcommand{\\a}{\\a\\a}\\a"},
        {"tex": "\\text{a<b}"},
    ]
    [square, broken, macro, text] = client.post("/page/math", json={"formulas": asked}).json()["trees"]
    assert square == [
        "math",
        {"display": "block"},
        [["mrow", {}, [["msup", {}, [["mi", {}, ["x"]], ["mn", {}, ["2"]]]]]]],
    ]
    assert (broken, macro) == (None, None)
    assert text[2][0][2] == [["mtext", {}, ["a<b"]]]


@pytest.mark.parametrize("environment", ["aligned", "align", "align*", "gathered", "split", "cases"])
def test_environments_are_tables(environment: str) -> None:
    tree = json.dumps(mathml(f"\\begin{{{environment}}}a&=b\\\\c&=d\\end{{{environment}}}", True))
    assert "mtable" in tree and '"&"' not in tree and "(1)" not in tree


def test_too_much_is_refused(client: TestClient) -> None:
    assert client.post("/page/math", json={"formulas": [{"tex": "x" * (LONGEST + 1)}]}).status_code == 422
    assert client.post("/page/math", json={"formulas": [{"tex": "x"}] * (MOST_FORMULAS + 1)}).status_code == 422


@pytest.mark.parametrize(
    "tex", ["\\sqrt{" * 330 + "x" + "}" * 330, "x_{" * 600 + "y" + "}" * 600, "{" * 2000, "\\frac" * 400, "&" * 2000]
)
def test_deep_and_long_formulas_are_answers(client: TestClient, tex: str) -> None:
    assert client.post("/page/math", json={"formulas": [{"tex": tex[:LONGEST]}]}).status_code == 200


@given(st.text("\\{}[]^_&$<>'\"ax1 \n", max_size=60), st.booleans())
def test_any_text_is_a_tree_of_strings_or_nothing(tex: str, block: bool) -> None:
    tree = mathml(tex, block)
    assert tree is None or (tree[0] == "math" and json.loads(json.dumps(tree)) == tree)


def test_under_a_prefix_the_page_has_a_slash_at_its_end() -> None:
    """Its addresses are relative: without the slash they would point beside the prefix."""
    app = FastAPI()
    app.include_router(page_routes.page)
    client = TestClient(app, root_path="/beside", follow_redirects=False)
    answer = client.get("/beside")
    assert (answer.status_code, answer.headers["location"]) == (307, "http://testserver/beside/")
    assert client.get("/beside/").text == client.get("/beside/page/index.html").text
