"""How a dataset as a whole moved between two revisions: chosen strategies, accuracy and length of answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import yaml

from orca2.core.errors import Orca2Error
from orca2.project.artifacts import CHOICES, GENERATIONS, GRADED, Artifact
from orca2.project.revisions import Revision


class Choices(TypedDict):
    """What the file of choices says."""

    strategies: dict[str, str]
    """By task."""
    evidence: dict[str, dict[str, Any]]
    """By task, what the probe found, as far as a person left it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyShift:
    """A task that another strategy answers now."""

    task: str
    before: str
    after: str
    scores: tuple[tuple[str, float | None, float | None], ...]
    """Strategy, its accuracy on the probe before, and after; None where it was not probed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The teacher's answers to the training questions of one task."""

    answers: int
    accuracy: float
    """Share that is right by strict extraction and kept, in [0, 1]."""
    tokens: float
    """Mean length of an answer."""


def strategy_shifts(before: Revision, after: Revision) -> list[StrategyShift]:
    """Every task that both revisions have, and that changed its strategy."""
    old, new = strategies(before), strategies(after)
    chosen = [
        (task, old["strategies"][task], name) for task, name in new["strategies"].items() if task in old["strategies"]
    ]
    return [
        StrategyShift(task=task, before=a, after=b, scores=tuple(_scores(task, name, old, new) for name in (a, b)))
        for task, a, b in sorted(chosen)
        if a != b
    ]


def quality(revision: Revision) -> Mapping[str, Quality]:
    """By task, and over all under the empty name; empty when nothing was generated, or not graded."""
    if not revision.holds(GRADED):
        return {}
    answers = _sums(revision, GENERATIONS, "completion_tokens")
    right = _sums(revision, GRADED, "strict_correct")
    tasks = {
        task: Quality(answers=count, accuracy=right.get(task, (0, 0))[1] / count, tokens=tokens / count)
        for task, (count, tokens) in sorted(answers.items())
    }
    return {"": _over_all(list(tasks.values())), **tasks} if tasks else {}


def strategies(revision: Revision) -> Choices:
    """What the file of choices says; empty without the file.

    Raises:
        Orca2Error: the file is torn.
    """
    text = revision.text(str(CHOICES))
    try:
        read = yaml.safe_load(text or "") or {}
        return Choices(strategies=dict(read.get("strategies") or {}), evidence=dict(read.get("evidence") or {}))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise Orca2Error(f"is torn: {error}", f"{CHOICES} of {revision}", "mend it") from error


def _sums(revision: Revision, artifact: Artifact[object], column: str) -> Mapping[str, tuple[int, int]]:
    """By task: how many rows, and the sum of a column."""
    import pyarrow as pa

    table = revision.table(artifact, ["task", column])
    numbers = table.set_column(1, column, table[column].cast(pa.int64()))
    rows = numbers.group_by("task").aggregate([(column, "count"), (column, "sum")]).to_pylist()
    return {row["task"]: (row[f"{column}_count"], row[f"{column}_sum"]) for row in rows}


def _over_all(tasks: list[Quality]) -> Quality:
    answers = sum(task.answers for task in tasks)
    return Quality(
        answers=answers,
        accuracy=sum(task.accuracy * task.answers for task in tasks) / answers,
        tokens=sum(task.tokens * task.answers for task in tasks) / answers,
    )


def _scores(task: str, strategy: str, old: Choices, new: Choices) -> tuple[str, float | None, float | None]:
    return strategy, _score(old, task, strategy), _score(new, task, strategy)


def _score(chosen: Choices, task: str, strategy: str) -> float | None:
    scores = (chosen["evidence"].get(task) or {}).get("scores") or []
    return next((score["accuracy"] for score in scores if score["strategy"] == strategy), None)
