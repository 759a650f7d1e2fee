"""Word problems in two turns: the first part of a story with its question, then what happens afterwards.

    python -m lema_ray.demo.two_turns 300 > follow_ups.jsonl

As the source `follow_ups` reads them. The story in one turn is the question that the two make together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from lema_ray.demo.grammar import ENDINGS
from lema_ray.demo.word_problems import generate


def conversations(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """That many stories of two and more events, cut in the middle."""
    for problem in generate(count, seed, min_steps=2, distractions=0.0):
        story, half = problem.story, len(problem.story.changes) // 2
        asked = ENDINGS[0].format(things=story.things, name=story.name)
        opening = problem.question.text.partition(story.changes[0].sentence)[0]
        sentences = [change.sentence for change in story.changes]
        yield {
            "Q1": f"{opening}{' '.join(sentences[:half])} {asked}",
            "A1": str(story.calculations[half - 1].result),
            "Q2": f"{' '.join(sentences[half:])} {asked}",
            "A2": str(story.answer),
        }


if __name__ == "__main__":
    for row in conversations(int(sys.argv[1])):
        print(json.dumps(row))
