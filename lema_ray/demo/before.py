"""Whether a word problem was solved rightly up to a doubt: the judge that self-correction is measured with in the demo.

`self_correction.measure(rows, story_before)` needs no model and no stated answer, because it recalculates the story.
"""

from __future__ import annotations

from lema_ray.demo.diagnosis import diagnose, read_steps
from lema_ray.demo.grammar import read_story
from lema_ray.records import Attempt, GradedQuestion, Trace, Verdict
from lema_ray.self_correction.measures import stated_before


def story_before(graded: GradedQuestion, attempt: Attempt, traced: Trace) -> Verdict:
    """`wrong` when a step before the first doubt is; questions that are no such story are judged by stated answers."""
    story = read_story(graded.question.text)
    if story is None or not traced.doubts:
        return stated_before(graded, attempt, traced)
    steps = read_steps(traced.before)
    return "wrong" if diagnose(story, steps, finished=traced.before == traced.drafts[0].text) else "right"
