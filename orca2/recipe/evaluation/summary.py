"""One model's result: per task and macro average, by strict and by lenient extraction, with 95 % intervals."""

from collections import Counter
from collections.abc import Sequence
from typing import TypedDict

from orca2.core.rows import Graded, Rejected
from orca2.recipe.evaluation import nothing_to_examine
from orca2.recipe.statistics import macro_share, wilson


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


def summarise(graded: Sequence[Graded], unanswered: Sequence[Rejected] = ()) -> Summary:
    """One model's result: per task and macro average, by strict and by lenient extraction, with intervals.

    Raises:
        Orca2Error: there is nothing to examine.
    """
    by_task: dict[str, list[Graded]] = {row.task: [] for row in unanswered}
    for row in graded:
        by_task.setdefault(row.task, []).append(row)
    if not by_task:
        raise nothing_to_examine()
    without = Counter(row.task for row in unanswered)
    tasks = {task: _task_summary(by_task[task], without[task]) for task in sorted(by_task)}
    asked = {task: len(rows) + without[task] for task, rows in by_task.items()}
    macro = Macro(
        strict=average([(sum(row.strict_correct for row in by_task[task]), asked[task]) for task in tasks]),
        lenient=average([(sum(row.lenient_correct for row in by_task[task]), asked[task]) for task in tasks]),
        format_ok=_mean([t["format_ok"] for t in tasks.values()]),
        answer_tokens=_mean([t["answer_tokens"] for t in tasks.values()]),
    )
    return {"macro": macro, "tasks": tasks}


def _task_summary(rows: list[Graded], unanswered: int) -> TaskSummary:
    questions, answers = len(rows) + unanswered, max(1, len(rows))
    return {
        "questions": questions,
        "unanswered": unanswered,
        "majority": round(max(Counter(row.expected for row in rows if row.expected).values(), default=0) / answers, 4),
        "strict": _proportion(sum(row.strict_correct for row in rows), questions),
        "lenient": _proportion(sum(row.lenient_correct for row in rows), questions),
        "format_ok": round(sum(row.strict_answer is not None for row in rows) / answers, 4),
        "answer_tokens": round(sum(row.completion_tokens for row in rows) / answers, 2),
    }


def average(tasks: Sequence[tuple[int, int]], weights: Sequence[float] = ()) -> Interval:
    """The mean of task accuracies with its interval; each task is (right, asked). `weights` as in `macro_share`."""
    each = weights or [1.0] * len(tasks)
    total = sum(weight * right / asked for (right, asked), weight in zip(tasks, each, strict=True))
    return _rounded(total / sum(each), *macro_share(tasks, weights))


def _proportion(correct: int, total: int) -> Interval:
    return _rounded(correct / total, *wilson(correct, total))


def _rounded(accuracy: float, low: float, high: float) -> Interval:
    return {"accuracy": round(accuracy, 4), "low": round(low, 4), "high": round(high, 4)}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)
