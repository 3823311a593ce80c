"""Builders of rows: each gives a valid one, and a test names only the fields that it is about. Not a test module."""

from pathlib import Path
from typing import Any

import yaml

from orca2.core.rows import Answer, Example, Generation, Graded, Message, Rejected, Request, Sampling
from orca2.recipe.graders import GRADERS
from orca2.recipe.graders.verdict import judge
from orca2.recipe.requests import build_request

ROOT = Path(__file__).parent.parent
MODEL = "m" * 64


def example(**fields: Any) -> Example:
    values = {
        "row_id": "e" * 64,
        "task": "sums",
        "category": "arithmetic",
        "split": "train",
        "question": "What is 2 + 3?",
        "answer": "5",
        "grader": "numeric",
        "metadata": "{}",
        "source": "datasets:sums.jsonl",
        "licence": "MIT",
    }
    return Example(**values | fields)


def turns(*contents: str, system: str = "") -> tuple[Message, ...]:
    """User and assistant in turn, after a system turn if it is given."""
    roles = ("user", "assistant")
    spoken = [Message(role=roles[i % 2], content=content) for i, content in enumerate(contents)]
    return tuple([Message(role="system", content=system)] * bool(system) + spoken)


def request(**fields: Any) -> Request:
    values = {
        "row_id": "e" * 64,
        "sample_index": 0,
        "task": "sums",
        "strategy": "step_by_step",
        "template": "strategies/step_by_step.j2",
        "model": MODEL,
        "messages": turns("What is 2 + 3?", system="Think in steps."),
        "sampling": Sampling(),
        "seed": 42,
    }
    return build_request(**values | fields)


def answer(to: Request, text: str = "Answer: 5", **fields: Any) -> Answer:
    values = {
        "key": to.key,
        "text": text,
        "finish_reason": "stop",
        "max_tokens": to.sampling.max_tokens,
        "prompt_tokens": 20,
        "completion_tokens": 4,
    }
    return Answer(**values | fields)


def generation(text: str, **fields: Any) -> Generation:
    values = {
        "row_id": "e" * 64,
        "sample_index": 0,
        "task": "sums",
        "strategy": "step_by_step",
        "key": "k" * 64,
        "text": text,
        "finish_reason": "stop",
        "prompt_tokens": 20,
        "completion_tokens": 4,
    }
    return Generation(**values | fields)


def graded(**fields: Any) -> Graded:
    values = {
        "row_id": "e" * 64,
        "sample_index": 0,
        "task": "sums",
        "strategy": "step_by_step",
        "key": "k" * 64,
        "text": "2 + 3 = 5\nAnswer: 5",
        "finish_reason": "stop",
        "prompt_tokens": 20,
        "completion_tokens": 4,
        "expected": "5",
        "strict_answer": "5",
        "lenient_answer": "5",
        "strict_correct": True,
        "lenient_correct": True,
    }
    return Graded(**values | fields)


def rejected(**fields: Any) -> Rejected:
    values = {
        "row_id": "e" * 64,
        "sample_index": 0,
        "task": "sums",
        "stage": "grade",
        "reason": "wrong answer",
        "detail": "expected '5', got '6'",
    }
    return Rejected(**values | fields)


def write_yaml(file: Path, document: Any) -> Path:
    file.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    return file


def write_templates(root: Path, **files: str) -> Path:
    """A template folder; `strategies__direct="..."` writes `strategies/direct.j2`."""
    minimal = {
        "strategies__direct": "{% call system() %}Be brief.{% endcall %}{% call user() %}{{ question }}{% endcall %}",
        "student__generic": "{% call user() %}{{ question }}{% endcall %}",
    }
    for name, text in (minimal | files).items():
        file = root / f"{name.replace('__', '/')}.j2"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return root


def strict_answer(text: str) -> str | None:
    """What the strict extraction finds."""
    return judge(GRADERS["exact"], "exact", "5", text, "{}").strict
