"""The first cause of every changed row, along its lineage from question to training row (DESIGN section 4).

Causes in their order: source, split, strategy, template, sampling, model, answer, grader, filter, student template,
erasure, and the code where none of them differs. A row has the first of these that differs between the two versions;
what follows from it is not named.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from orca2.comparison import Part

QUESTION = ("question", "answer", "category", "grader", "metadata", "source", "licence")
VERDICT = ("expected", "strict_answer", "lenient_answer", "strict_correct", "lenient_correct")


class Cause(NamedTuple):
    """Why a row differs."""

    kind: str
    detail: str


class Step:
    """The rows of one artifact, in both versions, that `n` changed rows came from.

    Args:
        before: the part of the earlier version that can hold them.
        after: the same of the later version.
        places: int64[n, 2]: place of each row in the two parts, -1 where it is not.
    """

    def __init__(self, before: Part, after: Part, places: Any) -> None:
        self.parts = (before, after)
        self.places = places
        self.there = places >= 0

    @property
    def comes_or_goes(self) -> Any:
        """bool[n]: in one version only."""
        return self.there[:, 0] != self.there[:, 1]

    def differs(self, *names: str) -> Any:
        """bool[n]: in both versions, and not the same in one of these columns."""
        both = self.there.all(axis=1)
        result = np.zeros(len(both), bool)
        for name in names:
            if all(name in part.columns for part in self.parts):
                cells = [part.cells(name)[self.places[both, side]] for side, part in enumerate(self.parts)]
                result[both] |= cells[0] != cells[1]
        return result

    def values(self, name: str, rows: Any) -> list[tuple[Any, Any]]:
        """Cells before and after of some of the changed rows; None where there is none."""
        return list(zip(self._side(0, name, rows), self._side(1, name, rows), strict=True))

    def _side(self, side: int, name: str, rows: Any) -> list[Any]:
        part, places = self.parts[side], self.places[rows, side]
        values: list[Any] = [None] * len(places)
        there = np.flatnonzero(places >= 0)
        if there.size and name in part.columns:
            for row, value in zip(there, part.take(places[there], [name])[name].to_pylist(), strict=True):
                values[row] = value
        return values


def first_causes(
    steps: Mapping[str, Step],
    size: int,
    template_changes: Callable[[str, str], str],
    parameter_changes: Callable[[str], str],
) -> list[Cause]:
    """The first cause of each of `size` changed rows.

    Args:
        steps: `examples`, `requests`, `answers`, `graded` and `chats`, as far as the compared stage comes after them.
        size: how many rows changed.
        template_changes: what changed between two template files, in words; empty when nothing did.
        parameter_changes: what changed in a section of params.yaml, in words.
    """
    causes: list[Cause | None] = [None] * size
    for kind, mask, detail in _in_order(steps, template_changes, parameter_changes):
        rows = np.array([row for row in np.flatnonzero(mask) if causes[row] is None], np.int64)
        for row, text in zip(rows, detail(rows) if rows.size else (), strict=True):
            causes[row] = Cause(kind, text)
    return [cause or Cause("code", "nothing before this artifact differs") for cause in causes]


def _in_order(
    steps: Mapping[str, Step], template_changes: Callable[[str, str], str], parameter_changes: Callable[[str], str]
) -> Iterator[tuple[str, Any, Callable[[Any], list[str]]]]:
    if example := steps.get("examples"):
        yield "source", example.comes_or_goes, _present(example, "new question", "question gone")
        if "requests" not in steps:
            yield "source", example.differs(*QUESTION), _named(example, QUESTION)
        yield "split", example.differs("split"), _arrow(example, "split")
    if request := steps.get("requests"):
        yield "strategy", request.differs("strategy"), _arrow(request, "strategy")
        yield (
            "template",
            request.differs("template", "messages"),
            lambda rows: [
                template_changes(a, b) or "rendered otherwise by the same files"
                for a, b in request.values("template", rows)
            ],
        )
        yield "sampling", request.comes_or_goes, _present(request, "new sample", "sample gone")
        answered_anew = request.differs("key")
        if answer := steps.get("answers"):
            answered_anew |= answer.differs("text", "finish_reason") | answer.comes_or_goes
        yield "sampling", request.differs("sampling", "seed") & answered_anew, _sampling(request)
        yield (
            "model",
            request.differs("model"),
            lambda rows: [f"{a[:12]} → {b[:12]}" for a, b in request.values("model", rows)],
        )
    if answer := steps.get("answers"):
        yield "answer", answer.comes_or_goes, _present(answer, "answered now", "not answered")
        yield "answer", answer.differs("text", "finish_reason"), _constant("the same request, another answer")
    if graded := steps.get("graded"):
        yield "grader", graded.differs(*VERDICT), _named(graded, VERDICT)
        rule = parameter_changes("grade")
        yield "filter" if rule else "grader", graded.comes_or_goes, _constant(rule or "graded otherwise")
    if chat := steps.get("chats"):
        yield "erasure", chat.comes_or_goes, _present(chat, "passes the check now", "rejected by the check")
        yield from _student(chat, template_changes)


def _student(
    chat: Step, template_changes: Callable[[str, str], str]
) -> Iterator[tuple[str, Any, Callable[[Any], list[str]]]]:
    def detail(rows: Any) -> list[str]:
        return [template_changes(a, b) for a, b in chat.values("student_template", rows)]

    every = np.flatnonzero(chat.there.all(axis=1))
    edited = np.zeros(len(chat.there), bool)
    edited[every] = [bool(text) for text in detail(every)]
    yield "student template", edited & chat.differs("messages", "student_template"), detail
    yield "erasure", chat.differs("messages"), _constant("erased otherwise")


def _present(step: Step, new: str, gone: str) -> Callable[[Any], list[str]]:
    return lambda rows: [new if there else gone for there in step.there[rows, 1]]


def _arrow(step: Step, name: str) -> Callable[[Any], list[str]]:
    return lambda rows: [f"{a} → {b}" for a, b in step.values(name, rows)]


def _constant(text: str) -> Callable[[Any], list[str]]:
    return lambda rows: [text] * len(rows)


def _named(step: Step, names: tuple[str, ...]) -> Callable[[Any], list[str]]:
    """The names of the columns that differ."""

    def detail(rows: Any) -> list[str]:
        masks = {name: step.differs(name)[rows] for name in names}
        return [", ".join(name for name in names if masks[name][i]) for i in range(len(rows))]

    return detail


def _sampling(request: Step) -> Callable[[Any], list[str]]:
    def detail(rows: Any) -> list[str]:
        return [_changed_fields(a, b) or "seed" for a, b in request.values("sampling", rows)]

    return detail


def _changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = [name for name in after if before.get(name) != after[name]]
    return ", ".join(f"{name} {before.get(name)} → {after[name]}" for name in names)
