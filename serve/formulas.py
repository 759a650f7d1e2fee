"""LaTeX formulas to MathML trees, by latex2mathml; `page_routes` serves them to the page.

A tree is `[element, attributes, children]` with text as strings, not markup: nothing has to be parsed in the browser,
which builds the elements that it knows and leaves out the rest.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LONGEST = 2000
"""Characters of one formula. The worst of that length takes some 30 ms."""

DEEPEST = 60
"""Elements inside elements. Nobody reads a formula beyond, and JSON writers give up not far beyond."""

Tree = list[Any]

_DEFINES = re.compile(r"\\(?:(?:re)?newcommand|providecommand|[gex]?def|let|DeclareMathOperator|newenvironment)\b")
_INNER = {"aligned": "split", "align": "align*", "gathered": "matrix", "gather": "matrix"}
_ENVIRONMENT = re.compile(r"\\(begin|end)\{(aligned|align|gathered|gather)\*?\}")


@lru_cache(maxsize=1024)
def mathml(tex: str, block: bool) -> Tree | None:
    """The tree of one formula; None when it cannot be read, or defines commands, which could grow without bound."""
    from latex2mathml.converter import convert_to_element

    if _DEFINES.search(tex):
        return None
    known = _ENVIRONMENT.sub(lambda found: f"\\{found[1]}{{{_INNER[found[2]]}}}", tex)
    try:
        return _tree(convert_to_element(known, display="block" if block else "inline"))
    except Exception:  # a converter fed with anything raises anything; the page then shows the source
        return None


def _tree(element: Element, depth: int = 0) -> Tree:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    children: list[Any] = [html.unescape(element.text)] if element.text else []
    for child in element:
        children.append(_tree(child, depth + 1))
        if child.tail:
            children.append(html.unescape(child.tail))
    return [element.tag, {name: value for name, value in element.items() if name != "xmlns"}, children]
