"""Benchmarks: tasks that nobody is taught, which only examine, and the figure of each that people quote (section 5).

A benchmark is a category; what it holds is its tasks without a probe question, since a task that is taught has some.
Its figure is the unweighted mean over its tasks, and the average over benchmarks the unweighted mean of those, as in
the paper: fifty tasks of one benchmark count there as much as the one task of another.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict

from orca2.core.rows import Example
from orca2.recipe.evaluation.comparison import Comparison, Difference, MacroDifference, difference
from orca2.recipe.evaluation.summary import Interval, Summary, average
from orca2.recipe.statistics import Paired

AVERAGE = "average over benchmarks"
TAUGHT = "tasks that were taught"
_Reading = Literal["strict", "lenient"]


class Figure(TypedDict):
    """One line of a table: a benchmark, their average, or all tasks that were taught."""

    tasks: int
    models: dict[str, dict[_Reading, Interval]]
    """By role, by strict and by lenient extraction."""
    student_against: dict[str, MacroDifference]
    """By role of the other model."""


def figures(
    examples: Iterable[Example], summaries: Mapping[str, Summary], against: Mapping[str, Comparison]
) -> dict[str, dict[str, Figure]]:
    """The figure of every benchmark, by its name, as `benchmarks`; nothing where every task was taught.

    Args:
        examples: those of the probe and of the evaluation.
        summaries: the result of each role.
        against: the student against each other role.
    """
    found = {name: _figure(weights, summaries, against) for name, weights in _weights(examples).items()}
    return {"benchmarks": found} if found else {}


def _weights(examples: Iterable[Example]) -> dict[str, dict[str, float]]:
    """How much each task counts in each figure; one that is not named does not."""
    asked: dict[str, str] = {}
    taught = set()
    for example in examples:
        if example.split == "evaluation":
            asked[example.task] = example.category
        else:
            taught.add(example.task)
    groups: dict[str, list[str]] = {}
    for task in sorted(asked.keys() - taught):
        groups.setdefault(asked[task], []).append(task)
    if not groups:
        return {}
    found = {name: dict.fromkeys(tasks, 1.0) for name, tasks in sorted(groups.items())}
    if len(groups) > 1:
        found[AVERAGE] = {task: 1 / len(tasks) for tasks in groups.values() for task in tasks}
    if own := sorted(asked.keys() & taught):
        found[TAUGHT] = dict.fromkeys(own, 1.0)
    return found


def _figure(
    weights: Mapping[str, float], summaries: Mapping[str, Summary], against: Mapping[str, Comparison]
) -> Figure:
    return {
        "tasks": len(weights),
        "models": {
            role: {"strict": _average(weights, found, "strict"), "lenient": _average(weights, found, "lenient")}
            for role, found in summaries.items()
        },
        "student_against": {
            role: {
                "strict": _difference(weights, summaries["student"], found, "strict"),
                "lenient": _difference(weights, summaries["student"], found, "lenient"),
            }
            for role, found in against.items()
        },
    }


def _average(weights: Mapping[str, float], found: Summary, reading: _Reading) -> Interval:
    tasks = [(found["tasks"][task][reading]["accuracy"], found["tasks"][task]["questions"]) for task in weights]
    return average([(round(share * asked), asked) for share, asked in tasks], _uneven(weights))


def _difference(weights: Mapping[str, float], student: Summary, found: Comparison, reading: _Reading) -> Difference:
    pairs = [
        Paired(told["only_first"], told["only_second"], student["tasks"][task]["questions"])
        for task, told in ((task, found["tasks"][task][reading]) for task in weights)
    ]
    return difference(pairs, _uneven(weights))


def _uneven(weights: Mapping[str, float]) -> list[float]:
    """Nothing where all tasks count alike."""
    return list(weights.values()) if len(set(weights.values())) > 1 else []
