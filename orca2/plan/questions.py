"""The questions that will be asked, by partition: as they lie in the workspace, or as they will be collected."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from orca2.core.errors import Orca2Error
from orca2.core.rows import Example, Rejected
from orca2.core.tables import shard_of
from orca2.diff.causes import Record
from orca2.plan.earlier import read, shards
from orca2.project.artifacts import EXAMPLES, LEFT_OUT

Side = Mapping[str, Record]
"""What is known of questions, by row id."""


class Question(NamedTuple):
    """What a request is made from."""

    row_id: str
    task: str
    category: str
    question: str


class Sides(NamedTuple):
    """Questions of a partition and those that were left out, before and after; what no side knows is the same there."""

    examples: tuple[Side, Side]
    left_out: tuple[Side, Side]


class Tasks(NamedTuple):
    """The names of tasks."""

    taught: Sequence[str]
    """Those that have a question of another split than evaluation."""
    examined: Sequence[str]
    """Those that have no probe question, but one of evaluation, such as a benchmark's."""

    @classmethod
    def of(cls, found: Iterable[tuple[str, str]]) -> "Tasks":
        """By task and split of every question."""
        splits: dict[str, set[str]] = {}
        for task, split in found:
            splits.setdefault(task, set()).add(split)
        return cls(
            taught=sorted(task for task, of in splits.items() if of != {"evaluation"}),
            examined=sorted(task for task, of in splits.items() if "evaluation" in of and "probe" not in of),
        )


class Written:
    """The questions of `data/examples`, which will stay as they are.

    Raises:
        Orca2Error: there are none.
    """

    def __init__(self) -> None:
        self.shards = shards(EXAMPLES.path)
        """How they are cut."""
        if not self.shards:
            raise Orca2Error("artifact is missing", EXAMPLES.folder, "run `dvc repro` (or `dvc pull`) first")

    def of(self, split: str, index: int, count: int) -> Iterator[Question]:
        """The questions of a split in one of so many partitions."""
        for part in read(self.shards[index::count], Question._fields, split):
            yield from map(Question, *(part[name].to_pylist() for name in Question._fields))

    def examples(self, split: str) -> list[Example]:
        """Whole questions of a split, all in memory."""
        from orca2.project.shards import read_rows

        return [example for example in read_rows(EXAMPLES.path, Example) if example.split == split]

    @cached_property
    def tasks(self) -> Tasks:
        """All tasks that have a question."""
        parts = read(self.shards, ["task", "split"])
        return Tasks.of(
            pair for part in parts for pair in zip(part["task"].to_pylist(), part["split"].to_pylist(), strict=True)
        )

    def sides(self, *_: int) -> Sides:
        """Nothing: they do not change."""
        return Sides(({}, {}), ({}, {}))


class Collected:
    """Questions as `prepare_tasks` will write them."""

    def __init__(self, examples: Sequence[Example], left_out: Sequence[Rejected]) -> None:
        self._examples, self._left_out = examples, left_out
        self._cut: list[list[Example]] = []
        self.shards = shards(EXAMPLES.path)

    def of(self, split: str, index: int, count: int) -> Iterator[Question]:
        """The questions of a split in one of so many partitions."""
        for example in self._partitions(count)[index]:
            if example.split == split:
                yield Question(example.row_id, example.task, example.category, example.question)

    def examples(self, split: str) -> list[Example]:
        """Whole questions of a split."""
        return [example for example in self._examples if example.split == split]

    @cached_property
    def tasks(self) -> Tasks:
        """All tasks that have a question."""
        return Tasks.of((example.task, example.split) for example in self._examples)

    def sides(self, index: int, count: int) -> Sides:
        """Their split and category, as they lie in the workspace and as they will be."""
        examples = {e.row_id: {"split": e.split, "category": e.category} for e in self._partitions(count)[index]}
        left_out = {row.row_id: {"reason": row.reason} for row in self._left_out}
        written = _side(self.shards[index::count], ("split", "category"))
        return Sides((written, examples), (_side(shards(LEFT_OUT.path), ("reason",)), left_out))

    def _partitions(self, count: int) -> list[list[Example]]:
        if len(self._cut) != count:
            self._cut = [[] for _ in range(count)]
            for example in self._examples:
                self._cut[shard_of(example.row_id, count) if count > 1 else 0].append(example)
        return self._cut


def _side(files: Sequence[Path], names: tuple[str, ...]) -> Side:
    known: dict[str, Record] = {}
    for part in read(files, ("row_id", *names)):
        records = (
            dict(zip(names, values, strict=True)) for values in zip(*(part[n].to_pylist() for n in names), strict=True)
        )
        known |= zip(part["row_id"].to_pylist(), records, strict=True)
    return known
