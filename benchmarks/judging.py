"""Can the demo's base model tell a right calculation from a wrong one? Whoever cannot has no reason to doubt a step.

    .venv/bin/python benchmarks/judging.py [MODEL]

Asked as the base was taught it (`lema_ray.demo.lessons`), with fresh numbers: what it calculates itself, and whether
it finds "is right" or "is wrong" likelier after a claim, of which half are wrong.
"""

from __future__ import annotations

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lema_ray.demo.lessons import Lesson, lessons
from lema_ray.demo.word_problems import MAX_VALUE
from lema_ray.models import resolve_model

LESSONS = 100
VERDICTS = (" is right;", " is wrong, it is")


def main() -> None:
    """Print the share that is right of both."""
    path = resolve_model(next(iter(sys.argv[1:]), "demo/word-problems"))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    for name, drills, checks in (("calculates", LESSONS, 0), ("judges", 0, LESSONS)):
        answers = [a for one in lessons(0, drills, checks, MAX_VALUE, 2027) for a in _answers(model, tokenizer, one)]
        print(f"{name} {sum(answers)} of {len(answers)} rightly ({sum(answers) / len(answers):.1%})")


def _answers(model: torch.nn.Module, tokenizer: AutoTokenizer, lesson: Lesson) -> list[bool]:
    """Whether the first token of each learned span is what the model says: among verdicts the likelier one."""
    turns = [{"role": message.role, "content": message.content} for message in lesson.prompt]
    ids = tokenizer(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)).input_ids
    asked: list[tuple[int, str]] = []
    for span in lesson.answer:
        if span.learn:
            asked.append((len(ids), span.text))
        ids += tokenizer(span.text).input_ids
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    verdicts = [tokenizer(text).input_ids[0] for text in VERDICTS]
    if verdicts[0] == verdicts[1]:
        raise SystemExit("this model's verdicts begin with the same token: it was not taught these lessons")
    judged = [text.startswith(VERDICTS) for _, text in asked]
    said = [
        max(verdicts, key=lambda token: logits[at - 1, token].item()) if judging else logits[at - 1].argmax().item()
        for (at, _), judging in zip(asked, judged, strict=True)
    ]
    return [ids[at] == token for (at, _), token in zip(asked, said, strict=True)]


if __name__ == "__main__":
    main()
