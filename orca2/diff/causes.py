"""The first cause of every changed row, along its lineage from question to training row (docs/decisions/0010).

A row has the first of the causes in `KINDS` that differs between the two versions; what follows from it is not named.
`orca2 diff` asks of two versions that were built, `orca2 plan` of one that was built and the requests that would be.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from orca2.diff.comparison import Mask, Part, Positions

KINDS = (
    "first build", "source", "split", "strategy", "template", "sampling", "model", "answer",
    "grader", "filter", "student template", "erasure", "code", "repacked",
)  # fmt: skip
"""Every cause in its order: what a row is made from comes before what is made of it, and in a request what a person
edits for some rows comes before what is one for all."""
OF_REQUESTS = KINDS[: KINDS.index("answer") + 1]
"""Those that make a request be asked: all that a plan can tell."""

QUESTION = ("question", "answer", "category", "grader", "metadata", "source", "licence")
_DIGEST = 64
VERDICT = ("expected", "strict_answer", "lenient_answer", "strict_correct", "lenient_correct")

Cell: TypeAlias = Any
"""What stands in a column, in plain data of the type of that column; None where there is no row."""
Record = Mapping[str, Cell]
"""Some columns of a row."""
Detail = Callable[[Positions], list[str]]
"""Tells the detail of a cause for some of the changed rows."""
_Candidate = tuple[str, Mask, Detail]
"""Kind of a cause, bool[n] of the rows that have it, and its detail."""


class Cause(NamedTuple):
    """Why a row differs."""

    kind: str
    detail: str


class Step(Protocol):
    """One step of the lineage of `n` changed rows, in both versions."""

    @property
    def there(self) -> Mask:
        """bool[n, 2]: whether each version has it."""
        ...

    def differs(self, *names: str) -> Mask:
        """bool[n]: in both versions, and not the same in one of these columns."""
        ...

    def values(self, name: str, rows: Positions) -> list[tuple[Cell, Cell]]:
        """Cells before and after of some of the changed rows; None where there is none."""
        ...


class Stored:
    """A step whose versions are artifacts.

    Args:
        before: the part of the earlier version that can hold the rows.
        after: the same of the later version.
        positions: int64[n, 2]: where each row stands in the two parts, -1 where it does not.
    """

    def __init__(self, before: Part, after: Part, positions: Positions) -> None:
        self.parts = (before, after)
        self.positions = positions
        self.there: Mask = positions >= 0

    def differs(self, *names: str) -> Mask:
        """bool[n]: in both versions, and not the same in one of these columns."""
        both: Mask = np.asarray(self.there.all(axis=1))
        result: Mask = np.zeros(len(both), np.bool_)
        for name in names:
            if all(name in part.columns for part in self.parts):
                cells = [part.cells(name)[self.positions[both, side]] for side, part in enumerate(self.parts)]
                result[both] |= cells[0] != cells[1]
        return result

    def values(self, name: str, rows: Positions) -> list[tuple[Cell, Cell]]:
        """Cells before and after of some of the changed rows; None where there is none."""
        return list(zip(self._side(0, name, rows), self._side(1, name, rows), strict=True))

    def _side(self, side: int, name: str, rows: Positions) -> list[Cell]:
        part, positions = self.parts[side], self.positions[rows, side]
        values: list[Cell] = [None] * len(positions)
        there = np.flatnonzero(positions >= 0)
        if there.size and name in part.columns:
            for row, value in zip(there, part.take(positions[there], [name])[name].to_pylist(), strict=True):
                values[row] = value
        return values


class Known:
    """A step whose versions are in memory.

    Args:
        before: the record of each row in the earlier version, None where it has none.
        after: the same of the later version.
    """

    def __init__(self, before: Sequence[Record | None], after: Sequence[Record | None]) -> None:
        self._sides = (before, after)
        self.there: Mask = np.array([[record is not None for record in side] for side in self._sides], np.bool_).T

    def differs(self, *names: str) -> Mask:
        """bool[n]: in both versions, and not the same in one of these columns."""
        differing = [
            a is not None and b is not None and any(name in a and name in b and a[name] != b[name] for name in names)
            for a, b in zip(*self._sides, strict=True)
        ]
        return np.array(differing, np.bool_)

    def values(self, name: str, rows: Positions) -> list[tuple[Cell, Cell]]:
        """Cells before and after of some of the changed rows; None where there is none."""
        before, after = ([(side[row] or {}).get(name) for row in rows] for side in self._sides)
        return list(zip(before, after, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What changed outside the rows."""

    templates: Callable[[str | None, str | None], str]
    """Between two template files, in words; empty when nothing did."""
    rule: str
    """In the parameters that `grade` ran with, in words; empty when nothing did."""
    asked: str = "sampling"
    """The cause of a request that comes or goes: in the probe a strategy, else a sample."""


def first_causes(steps: Mapping[str, Step], size: int, outside: Outside) -> list[Cause]:
    """The first cause of each of `size` changed rows.

    Args:
        steps: `examples`, `left_out` (questions that `prepare_tasks` rejected), `requests`, `answers`, `graded` and
            `chats`, as far as the compared stage comes after them.
        size: how many rows changed.
        outside: what changed beside them.
    """
    causes: list[Cause | None] = [None] * size
    for kind, mask, detail in in_order(steps, outside):
        rows = np.array([row for row in np.flatnonzero(mask) if causes[row] is None], np.int64)
        for row, text in zip(rows, detail(rows) if rows.size else (), strict=True):
            causes[row] = Cause(kind, text)
    return [cause or Cause("code", "nothing before this artifact differs") for cause in causes]


def in_order(steps: Mapping[str, Step], outside: Outside) -> Iterator[_Candidate]:
    """What could be the cause, in the order of `KINDS`: the first that is true of a row is its cause."""
    if example := steps.get("examples"):
        yield from _of_question(steps, example)
    if request := steps.get("requests"):
        yield from _of_request(steps, request, outside)
    if answer := steps.get("answers"):
        yield "answer", _comes_or_goes(answer), _present(answer, "answered now", "not answered")
        yield "answer", answer.differs("text", "finish_reason"), _constant("the same request, another answer")
    if graded := steps.get("graded"):
        yield from _of_verdict(graded, example, outside)
    if chat := steps.get("chats"):
        yield from _of_student(chat, outside)


def _of_question(steps: Mapping[str, Step], example: Step) -> Iterator[_Candidate]:
    lonely = _comes_or_goes(example)
    limited = np.zeros(len(lonely), bool)
    left_out = steps.get("left_out")
    if left_out:
        # The id stays, so it did not leave its source: a limit of its split let it in or out.
        limited = lonely & (left_out.there & ~example.there).any(axis=1)
    yield "source", lonely & ~limited, _present(example, "new question", "question gone")
    if request := steps.get("requests"):
        # A category chooses among templates.
        rendered = request.differs("template", "messages")
        yield "source", example.differs("category") & rendered, _arrow(example, "category")
    else:
        yield "source", example.differs(*QUESTION), _named(example, QUESTION)
    if left_out:
        yield "split", limited, _limited(example, left_out)
    yield "split", example.differs("split"), _arrow(example, "split")


def _of_request(steps: Mapping[str, Step], request: Step, outside: Outside) -> Iterator[_Candidate]:
    lonely = _comes_or_goes(request)
    things = "strategy" if outside.asked == "strategy" else "sample"
    came = (outside.asked, lonely, _present(request, f"new {things}", f"{things} gone"))
    yield "strategy", request.differs("strategy"), _arrow(request, "strategy")
    if outside.asked == "strategy":
        yield came
    otherwise = "rendered otherwise by the same files"
    yield (
        "template",
        request.differs("template", "messages"),
        lambda rows: [outside.templates(*pair) or otherwise for pair in request.values("template", rows)],
    )
    if outside.asked != "strategy":
        yield came
    # A limit that no answer met, or the seed of a greedy one, changes nothing after the request itself.
    answer = steps.get("answers")
    sampled = request.differs("sampling", "seed")
    if answer:
        sampled &= request.differs("key") | answer.differs("text", "finish_reason") | _comes_or_goes(answer)
    yield "sampling", sampled, _sampling(request)
    yield (
        "model",
        request.differs("model"),
        lambda rows: [f"{_short(a)} → {_short(b)}" for a, b in request.values("model", rows)],
    )


def _of_verdict(graded: Step, example: Step | None, outside: Outside) -> Iterator[_Candidate]:
    lonely, judged = _comes_or_goes(graded), graded.differs(*VERDICT)
    if example:
        yield "grader", example.differs("grader") & (lonely | judged), _arrow(example, "grader")
        yield "grader", example.differs("metadata") & (lonely | judged), _constant("metadata of the question")
    yield "grader", judged, _named(graded, VERDICT)
    kind, told = ("filter", outside.rule) if outside.rule else ("grader", "graded otherwise")
    yield kind, lonely, _constant(told)


def _of_student(chat: Step, outside: Outside) -> Iterator[_Candidate]:
    def detail(rows: Positions) -> list[str]:
        return [outside.templates(a or b, b or a) for a, b in chat.values("student_template", rows)]

    edited = chat.differs("messages", "student_template") | _comes_or_goes(chat)
    edited[edited] = [bool(text) for text in detail(np.flatnonzero(edited))]
    yield "student template", edited, detail
    yield "erasure", _comes_or_goes(chat), _present(chat, "passes the check now", "rejected by the check")
    yield "erasure", chat.differs("messages"), _constant("erased otherwise")


def _comes_or_goes(step: Step) -> Mask:
    """bool[n]: in one version only."""
    result: Mask = step.there[:, 0] != step.there[:, 1]
    return result


def _short(model: str) -> str:
    """A digest by its first digits; words as they are."""
    return model[:12] if len(model) == _DIGEST else model


def _limited(example: Step, left_out: Step) -> Detail:
    """`train → beyond train_limit`; a question may also have been left out as a duplicate of itself."""

    def named(split: str | None, reason: str | None) -> str:
        return split or (reason if reason and reason.startswith("beyond ") else "left out")

    def detail(rows: Positions) -> list[str]:
        pairs = zip(example.values("split", rows), left_out.values("reason", rows), strict=True)
        return [" → ".join(map(named, splits, reasons)) for splits, reasons in pairs]

    return detail


def _present(step: Step, new: str, gone: str) -> Detail:
    return lambda rows: [new if there else gone for there in step.there[rows, 1]]


def _arrow(step: Step, name: str) -> Detail:
    return lambda rows: [f"{a} → {b}" for a, b in step.values(name, rows)]


def _constant(text: str) -> Detail:
    return lambda rows: [text] * len(rows)


def _named(step: Step, names: tuple[str, ...]) -> Detail:
    """The names of the columns that differ."""

    def detail(rows: Positions) -> list[str]:
        masks = {name: step.differs(name)[rows] for name in names}
        return [", ".join(name for name in names if masks[name][i]) for i in range(len(rows))]

    return detail


def _sampling(request: Step) -> Detail:
    def detail(rows: Positions) -> list[str]:
        return [_changed_fields(a, b) or "seed" for a, b in request.values("sampling", rows)]

    return detail


def _changed_fields(before: Record, after: Record) -> str:
    names = [name for name in after if before.get(name) != after[name]]
    return ", ".join(f"{name} {before.get(name)} → {after[name]}" for name in names)
