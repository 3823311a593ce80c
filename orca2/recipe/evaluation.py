"""How base, student and teacher did on the same held-out questions, and which of two is ahead (Orca 2, section 5).

Intervals are 95 %. Two models answer the same questions, so they are compared question by question: an interval for the
difference of their macro averages, and for each task an exact McNemar test under Holm's correction. Whether the
intervals of two models overlap decides nothing. A question that a model got no answer to counts as wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from orca2.core.errors import Orca2Error, require
from orca2.core.rows import Example, Graded, Rejected, Sampling
from orca2.recipe.statistics import Paired, holm, macro_difference, macro_share, mcnemar, wilson

_SIGNIFICANCE = 0.05


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
    asked = {task: len(rows) + without[task] for task, rows in by_task.items()}
    macro = Macro(
        strict=_macro([(sum(row.strict_correct for row in by_task[task]), asked[task]) for task in tasks]),
        lenient=_macro([(sum(row.lenient_correct for row in by_task[task]), asked[task]) for task in tasks]),
        format_ok=_mean([t["format_ok"] for t in tasks.values()]),
        answer_tokens=_mean([t["answer_tokens"] for t in tasks.values()]),
    )
    return {"macro": macro, "tasks": tasks}


def compare_student(graded: Mapping[str, Sequence[Graded]], unanswered: Sequence[Rejected]) -> dict[str, Comparison]:
    """The student against every other model, by role; an unanswered question names the role that was asked it."""
    return {
        role: compare(graded["student"], rows, [row for row in unanswered if row.strategy in ("student", role)])
        for role, rows in sorted(graded.items())
        if role != "student"
    }


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
    low, high = macro_difference(list(paired.values()))
    macro: Difference = {"ahead": _mean(list(ahead.values())), "low": round(low, 4), "high": round(high, 4)}
    return macro, {
        task: {
            "ahead": round(ahead[task], 4),
            "only_first": pair.only_first,
            "only_second": pair.only_second,
            "p_value": round(p_value, 6),
            "verdict": "not apart" if p_value >= _SIGNIFICANCE else "ahead" if ahead[task] > 0 else "behind",
        }
        for (task, pair), p_value in zip(paired.items(), p_values, strict=True)
    }


def _macro(tasks: Sequence[tuple[int, int]]) -> Interval:
    return _rounded(sum(right / asked for right, asked in tasks) / len(tasks), *macro_share(tasks))


def _proportion(correct: int, total: int) -> Interval:
    return _rounded(correct / total, *wilson(correct, total))


def _rounded(accuracy: float, low: float, high: float) -> Interval:
    return {"accuracy": round(accuracy, 4), "low": round(low, 4), "high": round(high, 4)}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)
