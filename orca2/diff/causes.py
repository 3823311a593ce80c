"""The first cause of every changed row, along its lineage from question to training row (docs/design.md, 4).

Causes in their order: source, split, strategy, template, sampling, model, answer, grader, filter, student template,
erasure, and the code where none of them differs. A row has the first of these that differs between the two versions;
what follows from it is not named.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from orca2.diff.comparison import Part

QUESTION = ("question", "answer", "category", "grader", "metadata", "source", "licence")
VERDICT = ("expected", "strict_answer", "lenient_answer", "strict_correct", "lenient_correct")

_Candidate = tuple[str, Any, "Callable[[Any], list[str]]"]
"""Kind of a cause, bool[n] of the rows that have it, and what tells its detail for some of them."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed outside the rows."""

    templates: Callable[[str | None, str | None], str]
    """Between two template files, in words; empty when nothing did."""
    rule: str
    """In the parameters that `grade` ran with, in words; empty when nothing did."""
    asked: str = "sampling"
    """The cause of a request that comes or goes: in the probe a strategy, else a sample."""


def first_causes(steps: Mapping[str, Step], size: int, changes: Changes) -> list[Cause]:
    """The first cause of each of `size` changed rows.

    Args:
        steps: `examples`, `left_out` (questions that `prepare_tasks` rejected), `requests`, `answers`, `graded` and
            `chats`, as far as the compared stage comes after them.
        size: how many rows changed.
        changes: what changed beside them.
    """
    causes: list[Cause | None] = [None] * size
    for kind, mask, detail in _in_order(steps, changes):
        rows = np.array([row for row in np.flatnonzero(mask) if causes[row] is None], np.int64)
        for row, text in zip(rows, detail(rows) if rows.size else (), strict=True):
            causes[row] = Cause(kind, text)
    return [cause or Cause("code", "nothing before this artifact differs") for cause in causes]


def _in_order(steps: Mapping[str, Step], changes: Changes) -> Iterator[_Candidate]:
    if example := steps.get("examples"):
        yield from _of_question(steps, example)
    if request := steps.get("requests"):
        yield from _of_request(steps, request, changes)
    if answer := steps.get("answers"):
        yield "answer", answer.comes_or_goes, _present(answer, "answered now", "not answered")
        yield "answer", answer.differs("text", "finish_reason"), _constant("the same request, another answer")
    if graded := steps.get("graded"):
        judged = graded.comes_or_goes | graded.differs(*VERDICT)
        if example:
            yield "grader", example.differs("grader") & judged, _arrow(example, "grader")
            yield "source", example.differs("metadata") & judged, _constant("metadata")
        yield "grader", graded.differs(*VERDICT), _named(graded, VERDICT)
        kind, told = ("filter", changes.rule) if changes.rule else ("grader", "graded otherwise")
        yield kind, graded.comes_or_goes, _constant(told)
    if chat := steps.get("chats"):
        yield from _of_student(chat, changes)


def _of_question(steps: Mapping[str, Step], example: Step) -> Iterator[_Candidate]:
    if left_out := steps.get("left_out"):
        # The id stays, so it did not leave its source: a limit of its split let it in or out.
        mask = example.comes_or_goes & (left_out.there & ~example.there).any(axis=1)
        yield "split", mask, _limited(example, left_out)
    yield "source", example.comes_or_goes, _present(example, "new question", "question gone")
    yield "split", example.differs("split"), _arrow(example, "split")
    if "requests" not in steps:
        yield "source", example.differs(*QUESTION), _named(example, QUESTION)


def _of_request(steps: Mapping[str, Step], request: Step, changes: Changes) -> Iterator[_Candidate]:
    rendered = request.differs("template", "messages")
    yield "strategy", request.differs("strategy"), _arrow(request, "strategy")
    if example := steps.get("examples"):
        yield "source", example.differs("category") & rendered, _arrow(example, "category")
    otherwise = "rendered otherwise by the same files"
    yield (
        "template",
        rendered,
        lambda rows: [changes.templates(*pair) or otherwise for pair in request.values("template", rows)],
    )
    things = "strategy" if changes.asked == "strategy" else "sample"
    yield changes.asked, request.comes_or_goes, _present(request, f"new {things}", f"{things} gone")
    # A limit that no answer met, or the seed of a greedy one, changes nothing after the request itself.
    answer = steps.get("answers")
    matters = request.differs("key") | (
        answer.differs("text", "finish_reason") | answer.comes_or_goes if answer else True
    )
    yield "sampling", request.differs("sampling", "seed") & matters, _sampling(request)
    yield (
        "model",
        request.differs("model"),
        lambda rows: [f"{a[:12]} → {b[:12]}" for a, b in request.values("model", rows)],
    )


def _of_student(chat: Step, changes: Changes) -> Iterator[_Candidate]:
    def detail(rows: Any) -> list[str]:
        return [changes.templates(a or b, b or a) for a, b in chat.values("student_template", rows)]

    edited = chat.differs("messages", "student_template") | chat.comes_or_goes
    edited[edited] = [bool(text) for text in detail(np.flatnonzero(edited))]
    yield "student template", edited, detail
    yield "erasure", chat.comes_or_goes, _present(chat, "passes the check now", "rejected by the check")
    yield "erasure", chat.differs("messages"), _constant("erased otherwise")


def _limited(example: Step, left_out: Step) -> Callable[[Any], list[str]]:
    """`train → beyond train_limit`; a question may also have been left out as a duplicate of itself."""

    def named(split: str | None, reason: str | None) -> str:
        return split or (reason if reason and reason.startswith("beyond ") else "left out")

    def detail(rows: Any) -> list[str]:
        pairs = zip(example.values("split", rows), left_out.values("reason", rows), strict=True)
        return [" → ".join(map(named, splits, reasons)) for splits, reasons in pairs]

    return detail


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
