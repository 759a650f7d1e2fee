"""Error analysis: the first wrong step of a wrong attempt and the type of the mistake, as a corrector sees them.

LEMMA (arXiv 2503.17439, section 3) asks for both in two calls; here it is one, with a reason before the verdict. Called
by the `lemma` recipe, by `lema analyze` for whole runs, and by `lema score-corrector`, which measures it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lema_ray import checks
from lema_ray.attempts import question_text
from lema_ray.config import AnalysisConfig
from lema_ray.engines import Generate, RequestRefused
from lema_ray.few_shot.mistakes import MISTAKES
from lema_ray.mistakes.taxonomy import OTHER, Taxonomy, load_taxonomy
from lema_ray.records import (
    Analysis,
    Completion,
    Dropped,
    GradedQuestion,
    Message,
    Question,
    Sampling,
    Task,
    content_id,
)
from lema_ray.replies import read_fields
from lema_ray.steps import number_steps, split_steps

STAGE = "analysis"
ANALYZE = """\
A student solved the question below, and a checker needs to know where the solution first goes wrong. Read it step by \
step. Say in one or two sentences what is wrong with the first step that is wrong, give the number of that step, and \
name the type of the mistake, {types}
If every step is right, the Incorrect Step is none. Also say how sure you are of the step, from 0 to 100.
Reply with the fields Explanation, Incorrect Step, Error Type and Confidence (in JSON: explanation; incorrect_step, a \
number or null; error_type; confidence, a number), as in these examples."""
ONE_OF = "which is one of these:\n"
OWN_WORDS = "in two to five words of your own that would fit mistakes in other questions too."
LABELS = {
    "explanation": "Explanation",
    "incorrect_step": "Incorrect Step",
    "error_type": "Error Type",
    "confidence": "Confidence",
}
NONE = re.compile(r"(?i)^\W*(?:none|no(?!\.?\s*\d)|null|-1|n/?a|all (?:steps )?(?:are )?(?:right|correct))\b")
JSON_NONE = re.compile(r'"incorrect_step"\s*:\s*(?:null|"")')
SAYS_RIGHT = re.compile(
    r"(?i)\bno (?:mistake|error|wrong step|incorrect step)s?\b|\b(?:every|all|each)\b[^.\n]{0,40}\b(?:right|correct)\b"
    r"|\b(?:solution|answer|attempt) is (?:\w+ )?(?:right|correct)\b"
)


@dataclass(frozen=True)
class Analyzer:
    """The analysis with its settings: which taxonomy, and whether the corrector sees the worked solution."""

    config: AnalysisConfig = field(default_factory=AnalysisConfig)

    @property
    def taxonomy(self) -> Taxonomy:
        """The types that labels are read as."""
        return load_taxonomy(self.config.taxonomy)

    def prompt(self, question: Question, steps: Sequence[str]) -> tuple[Message, ...]:
        """The request: the task, the types, worked examples, and the attempt with numbered steps."""
        task: Task = "math" if question.task == "math" else "arithmetic"
        examples = [
            f"Question:\n{m.question}\n\nOriginal Solution:\n{m.attempt}\n\nExplanation: {m.explanation}\n"
            f"Incorrect Step: {m.wrong_step}{self._shown_type(m.error_type)}\nConfidence: 95"
            for m in MISTAKES[task]
        ]
        shown = self.config.show_solution and question.solution
        solution = f"\n\nReference Solution:\n{question.solution}" if shown else ""
        target = f"Question:\n{question_text(question)}{solution}\n\nOriginal Solution:\n{number_steps(steps)}"
        types = self.taxonomy.described()
        instruction = ANALYZE.format(types=ONE_OF + types if types else OWN_WORDS)
        return (Message("user", "\n\n---\n\n".join((instruction, *examples, target))),)

    def _shown_type(self, code: str | None) -> str:
        names = [t.name for t in self.taxonomy.types if t.code == code]
        return f"\nError Type: {names[0]}" if names else ""

    async def analyze(
        self, question: Question, attempt_id: str, steps: Sequence[str], corrector: Generate
    ) -> Analysis | Dropped:
        """Where and what the first mistake is; a `Dropped` with its reason and cost when no answer can be used."""
        try:
            reply = await corrector(self.prompt(question, steps), self._sampling(attempt_id))
        except RequestRefused as refusal:
            return refusal.dropped(STAGE, attempt_id)
        read = read_analysis(reply, steps)
        if isinstance(read, str):
            return Dropped.of(STAGE, attempt_id, read, reply)
        return replace(read, attempt_id=attempt_id, error_type=self.taxonomy.read(read.label))

    def _sampling(self, attempt_id: str) -> Sampling:
        seed = int(content_id(STAGE, attempt_id), 16) % 2**31
        names = [t.name for t in self.taxonomy.types]
        return replace(self.config.sampling.with_seed(seed), json_schema=json_schema(names))


def json_schema(names: Sequence[str]) -> str:
    """The JSON schema of a reply, for endpoints that can enforce one; its type is one of `names`, if there are any."""
    kinds = {
        "explanation": {"type": "string"},
        "incorrect_step": {"type": ["integer", "null"]},
        "error_type": {"type": ["string", "null"]} | ({"enum": [*names, OTHER, None]} if names else {}),
        "confidence": {"type": "number"},
    }
    return json.dumps({"type": "object", "properties": kinds, "required": list(kinds), "additionalProperties": False})


def read_analysis(reply: Completion, steps: Sequence[str]) -> Analysis | str:
    """The analysis of a reply, its attempt and type still to be filled in, or the reason code why there is none."""
    if reply.finish_reason == "length":
        return "cut_off"
    fields = read_fields(reply.text, LABELS)
    step = fields.get("incorrect_step", "")
    number = re.search(r"\d+", step)
    if NONE.match(step) or (not step and (JSON_NONE.search(reply.text) or SAYS_RIGHT.search(reply.text))):
        return "called_right"
    if number is None:
        return "unreadable_reply"
    wrong = int(number.group()) - 1
    if not checks.step_exists(wrong, steps):
        return "bad_step"
    return Analysis(
        "",
        wrong,
        OTHER,
        label=fields.get("error_type", ""),
        explanation=fields.get("explanation", ""),
        confidence=_share(fields.get("confidence", "")),
        model=reply.model,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cost=reply.cost,
    )


def _share(text: str) -> float | None:
    """A confidence between 0 and 1, from `85`, `85%` or `0.85`; None when it is none."""
    number = re.search(r"\d+(?:\.\d+)?", text)
    if number is None:
        return None
    value = float(number.group())
    value = value / 100 if value > 1 or "%" in text else value
    return value if value <= 1 else None


async def analyze_question(graded: GradedQuestion, corrector: Generate, *, analyzer: Analyzer) -> GradedQuestion:
    """The question with an analysis, or a drop, of every mistake that has none yet. Run by the corrector pool."""
    known = {a.attempt_id for a in graded.analyses} | {d.id for d in graded.drops if d.stage == STAGE}
    made = await asyncio.gather(
        *(
            analyzer.analyze(graded.question, a.id, split_steps(a.text), corrector)
            for a in graded.wrong
            if a.id not in known and a.text.strip()
        )
    )
    analyses = tuple(m for m in made if isinstance(m, Analysis))
    drops = tuple(m for m in made if isinstance(m, Dropped))
    return replace(graded, analyses=graded.analyses + analyses, drops=graded.drops + drops)
