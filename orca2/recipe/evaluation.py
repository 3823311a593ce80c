"""How base, student and teacher did on the same held-out questions (Orca 2, section 5).

Intervals are 95 %: Wilson's for a task; for the macro average the MOVER combination of those (Zou and Donner, 2008),
which stays honest where a task scores 0 or 1. A question that a model got no answer to counts as wrong.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orca2.core.rows import Graded, Rejected, Sampling
from orca2.recipe.statistics import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """How the models are examined."""

    sampling: Sampling

    def __post_init__(self) -> None:
        if self.sampling.temperature:
            raise ValueError("sampling.temperature must be 0: an evaluation is greedy")


def summarise(graded: Sequence[Graded], unanswered: Sequence[Rejected] = ()) -> dict[str, Any]:
    """One model's result: per task and macro average, by strict and by lenient extraction, with intervals."""
    by_task: dict[str, list[Graded]] = {row.task: [] for row in unanswered}
    for row in graded:
        by_task.setdefault(row.task, []).append(row)
    without = Counter(row.task for row in unanswered)
    tasks = {task: _task_summary(by_task[task], without[task]) for task in sorted(by_task)}
    macro = {name: macro_average([t[name] for t in tasks.values()]) for name in ("strict", "lenient")}
    means = {name: _mean([t[name] for t in tasks.values()]) for name in ("format_ok", "answer_tokens")}
    return {"macro": macro | means, "tasks": tasks}


def macro_average(tasks: Sequence[dict[str, float]]) -> dict[str, float]:
    """Unweighted mean of task accuracies with its MOVER interval."""
    mean = _mean([t["accuracy"] for t in tasks])
    below = math.sqrt(sum((t["accuracy"] - t["low"]) ** 2 for t in tasks)) / len(tasks)
    above = math.sqrt(sum((t["high"] - t["accuracy"]) ** 2 for t in tasks)) / len(tasks)
    return _rounded(accuracy=mean, low=mean - below, high=mean + above)


def _task_summary(rows: list[Graded], unanswered: int) -> dict[str, Any]:
    """`majority` is what always giving the commonest answer would score: a result near it shows no reasoning."""
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


def _proportion(correct: int, total: int) -> dict[str, float]:
    low, high = wilson(correct, total)
    return _rounded(accuracy=correct / total, low=low, high=high)


def _rounded(**values: float) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)
