"""How base, student and teacher did on the same held-out questions (Orca 2, section 5).

Intervals are 95 %: Wilson's for a task; for the macro average the MOVER combination of those (Zou and Donner, 2008),
which stays honest where a task scores 0 or 1. A question that a model got no answer to counts as wrong.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from orca2.core.errors import Orca2Error, require
from orca2.core.rows import Example, Graded, Rejected, Sampling
from orca2.recipe.statistics import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """How the models are examined."""

    sampling: Sampling

    def __post_init__(self) -> None:
        require({"sampling.temperature must be 0: an evaluation is greedy": not self.sampling.temperature})


class Interval(TypedDict):
    """A share of correct answers with its 95 % interval, all in [0, 1]."""

    accuracy: float
    low: float
    high: float


class TaskSummary(TypedDict):
    """How a model did on one task."""

    questions: int
    unanswered: int
    majority: float
    """What always giving the commonest answer would score: a result near it shows no reasoning."""
    strict: Interval
    lenient: Interval
    format_ok: float
    answer_tokens: float


class Macro(TypedDict):
    """Unweighted means over the tasks."""

    strict: Interval
    lenient: Interval
    format_ok: float
    answer_tokens: float


class Summary(TypedDict):
    """One model's result."""

    macro: Macro
    tasks: dict[str, TaskSummary]


def require_questions(examples: Iterable[Example]) -> None:
    """Raise when no question is held out."""
    if not any(example.split == "evaluation" for example in examples):
        raise _nothing_to_examine()


def summarise(graded: Sequence[Graded], unanswered: Sequence[Rejected] = ()) -> Summary:
    """One model's result: per task and macro average, by strict and by lenient extraction, with intervals.

    Raises:
        Orca2Error: there is nothing to examine.
    """
    by_task: dict[str, list[Graded]] = {row.task: [] for row in unanswered}
    for row in graded:
        by_task.setdefault(row.task, []).append(row)
    if not by_task:
        raise _nothing_to_examine()
    without = Counter(row.task for row in unanswered)
    tasks = {task: _task_summary(by_task[task], without[task]) for task in sorted(by_task)}
    macro = Macro(
        strict=macro_average([t["strict"] for t in tasks.values()]),
        lenient=macro_average([t["lenient"] for t in tasks.values()]),
        format_ok=_mean([t["format_ok"] for t in tasks.values()]),
        answer_tokens=_mean([t["answer_tokens"] for t in tasks.values()]),
    )
    return {"macro": macro, "tasks": tasks}


def macro_average(tasks: Sequence[Interval]) -> Interval:
    """Unweighted mean of task accuracies with its MOVER interval."""
    mean = _mean([t["accuracy"] for t in tasks])
    below = math.sqrt(sum((t["accuracy"] - t["low"]) ** 2 for t in tasks)) / len(tasks)
    above = math.sqrt(sum((t["high"] - t["accuracy"]) ** 2 for t in tasks)) / len(tasks)
    return _rounded(mean, mean - below, mean + above)


def _nothing_to_examine() -> Orca2Error:
    hint = "raise tasks.splits.evaluation_fraction or the size of a source, or give one `split: evaluation`"
    return Orca2Error("nothing to examine: no question is held out", "data/examples", hint)


def _task_summary(rows: list[Graded], unanswered: int) -> TaskSummary:
    questions, answers = len(rows) + unanswered, max(1, len(rows))
    return {
        "questions": questions,
        "unanswered": unanswered,
        "majority": round(max(Counter(row.expected for row in rows).values(), default=0) / answers, 4),
        "strict": _proportion(sum(row.strict_correct for row in rows), questions),
        "lenient": _proportion(sum(row.lenient_correct for row in rows), questions),
        "format_ok": round(sum(row.strict_answer is not None for row in rows) / answers, 4),
        "answer_tokens": round(sum(row.completion_tokens for row in rows) / answers, 2),
    }


def _proportion(correct: int, total: int) -> Interval:
    return _rounded(correct / total, *wilson(correct, total))


def _rounded(accuracy: float, low: float, high: float) -> Interval:
    return {"accuracy": round(accuracy, 4), "low": round(low, 4), "high": round(high, 4)}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)
