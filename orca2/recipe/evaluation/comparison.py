"""Two models on the same questions: the difference of their macro averages, and a test of each task.

Whether the intervals of two models overlap decides nothing (docs/decisions/0014-who-is-ahead.md).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from orca2.core.rows import Graded, Rejected
from orca2.recipe.evaluation import is_student
from orca2.recipe.statistics import Paired, holm, macro_difference, mcnemar

_SIGNIFICANCE = 0.05


class Difference(TypedDict):
    """By how much one model is ahead of another: a difference of shares in [-1, 1], with its paired 95 % interval."""

    ahead: float
    low: float
    high: float


class TaskDifference(TypedDict):
    """Two models on the same questions of one task."""

    ahead: float
    only_first: int
    """Questions that the first alone got right."""
    only_second: int
    p_value: float
    """Of the exact McNemar test, corrected by Holm for the number of tasks."""
    verdict: Literal["ahead", "behind", "not apart"]


class MacroDifference(TypedDict):
    """By strict and by lenient extraction."""

    strict: Difference
    lenient: Difference


class TaskDifferences(TypedDict):
    """By strict and by lenient extraction."""

    strict: TaskDifference
    lenient: TaskDifference


class Comparison(TypedDict):
    """One model against another."""

    macro: MacroDifference
    tasks: dict[str, TaskDifferences]


def compare_student(
    graded: Mapping[str, Sequence[Graded]], unanswered: Sequence[Rejected], student: str = "student"
) -> dict[str, Comparison]:
    """A student against every other model, by role; an unanswered question names the role that was asked it.

    Under its first template also against itself under each further one.
    """
    others = (role for role in graded if role != student and (student == "student" or not is_student(role)))
    return {
        role: compare(graded[student], graded[role], [row for row in unanswered if row.strategy in (student, role)])
        for role in sorted(others)
    }


def compare_students(
    graded: Mapping[str, Sequence[Graded]], unanswered: Sequence[Rejected]
) -> dict[str, dict[str, Comparison]]:
    """`compare_student` of every student among the roles, by its role with `_against` behind it."""
    return {f"{role}_against": compare_student(graded, unanswered, role) for role in sorted(graded) if is_student(role)}


def compare(first: Sequence[Graded], second: Sequence[Graded], unanswered: Sequence[Rejected] = ()) -> Comparison:
    """Two models on the questions that both were asked; `unanswered` are those of either that it got no answer to."""
    questions: dict[str, set[tuple[str, str]]] = {}
    asked: list[Graded | Rejected] = [*first, *second, *unanswered]
    for row in asked:
        questions.setdefault(row.task, set()).add((row.task, row.row_id))
    readings = [
        [{(row.task, row.row_id) for row in rows if row.strict_correct} for rows in (first, second)],
        [{(row.task, row.row_id) for row in rows if row.lenient_correct} for rows in (first, second)],
    ]
    (strict, by_strict), (lenient, by_lenient) = (_compared(questions, *right) for right in readings)
    tasks: dict[str, TaskDifferences] = {
        task: {"strict": by_strict[task], "lenient": by_lenient[task]} for task in sorted(questions)
    }
    return {"macro": {"strict": strict, "lenient": lenient}, "tasks": tasks}


def _compared(
    questions: dict[str, set[tuple[str, str]]], first: set[tuple[str, str]], second: set[tuple[str, str]]
) -> tuple[Difference, dict[str, TaskDifference]]:
    """Of two models, by the questions of each task and those that each got right."""
    paired = {
        task: Paired(len(asked & first - second), len(asked & second - first), len(asked))
        for task, asked in sorted(questions.items())
    }
    ahead = {task: (pair.only_first - pair.only_second) / pair.questions for task, pair in paired.items()}
    p_values = holm([mcnemar(pair.only_first, pair.only_second) for pair in paired.values()])
    return difference(list(paired.values())), {
        task: {
            "ahead": round(ahead[task], 4),
            "only_first": pair.only_first,
            "only_second": pair.only_second,
            "p_value": round(p_value, 6),
            "verdict": "not apart" if p_value >= _SIGNIFICANCE else "ahead" if ahead[task] > 0 else "behind",
        }
        for (task, pair), p_value in zip(paired.items(), p_values, strict=True)
    }


def difference(pairs: Sequence[Paired], weights: Sequence[float] = ()) -> Difference:
    """The mean of the differences of the tasks with its interval; `weights` as in `macro_difference`."""
    weights = weights or [1.0] * len(pairs)
    ahead = [weight * (p.only_first - p.only_second) / p.questions for p, weight in zip(pairs, weights, strict=True)]
    low, high = macro_difference(pairs, weights)
    return {"ahead": round(sum(ahead) / sum(weights), 4), "low": round(low, 4), "high": round(high, 4)}
