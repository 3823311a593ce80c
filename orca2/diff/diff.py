"""What changed between two versions of an artifact: which rows, in which fields, and why.

Rows are compared part by part by the digests of their cells; the cells themselves are read only of the rows that are
shown, so that neither time nor memory depends on how long the texts are.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from orca2.core.errors import Orca2Error
from orca2.diff.causes import Cause, Cell, Outside, Record, Stored, first_causes
from orca2.diff.comparison import Differences, Part, Partition, Positions, comparisons, holding, look_up
from orca2.diff.template_changes import TemplateChanges
from orca2.diff.where import Condition
from orca2.project.artifacts import COMPARED, Artifact
from orca2.project.revisions import Revision, Shard

_IDS = ("row_id", "sequence_index", "sample_index")
Shards = tuple[Shard, ...]
Status = Literal["added", "removed", "changed", "moved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row that differs."""

    status: Status
    """`moved`: it went from one split to another."""
    row_id: str
    sample_index: int
    task: str
    strategy: str
    cause: str
    detail: str
    fields: tuple[str, ...]
    """Columns that differ, of a row that both versions have."""
    before: Record | None = None
    """The row itself; None where it is not, and of rows that are counted only."""
    after: Record | None = None


class Group(NamedTuple):
    """What changes are counted by."""

    status: Status
    task: str
    strategy: str
    cause: str
    detail: str


@dataclass(kw_only=True)
class Diff:
    """The differences of one stage's artifact between two revisions."""

    before: str
    after: str
    stage: str
    where: str = ""
    """The condition that counted changes meet."""
    rows_before: int = 0
    rows_after: int = 0
    counts: Counter[Group] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    """How many of the rows that both versions have differ in a column."""
    shown: list[Change] = field(default_factory=list)
    hunks: dict[str, str] = field(default_factory=dict)
    """Of a cause that names lines of a template, what `git diff` shows of them; by its detail."""
    columns: list[str] = field(default_factory=list)
    """Columns that only one of the versions has, as `+ name` or `- name`; rows are compared without them."""
    notes: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        return bool(self.counts or self.columns)


def diff(before: Revision, after: Revision, stage: str, where: str = "", limit: int = 10) -> Diff:
    """Compare the artifact of a stage in two revisions.

    Args:
        before: the earlier version.
        after: the later version.
        stage: one of `COMPARED`.
        where: an SQL condition on the columns of `where.COLUMNS`; changes that it is not true of are not counted.
        limit: how many rows to show in full.

    Raises:
        Orca2Error: `where` is no condition, or an artifact cannot be read.
    """
    result = Diff(before=str(before), after=str(after), stage=stage, where=where.strip())
    with tempfile.TemporaryDirectory() as folder, Condition(where) as wanted:
        templates = TemplateChanges(
            *(r.export("templates", Path(folder, str(i))) for i, r in enumerate((before, after)))
        )
        for artifact in COMPARED[stage]:
            if artifact.optional and not any(revision.shards(artifact.folder) for revision in (before, after)):
                continue
            comparison = _Comparison(artifact, (before, after), templates, result)
            for changes in comparison.changes():
                comparison.count(changes, wanted(changes.table), limit)
    details = {group.detail for group in result.counts}
    result.hunks = {detail: hunks for detail, hunks in sorted(templates.shown.items()) if detail in details}
    return result


@dataclass(frozen=True, slots=True)
class _Changes:
    """All changes of one part."""

    table: list[Change]
    before: Part
    after: Part
    positions: Positions
    """int64[n, 2]: in these two parts, -1 for none."""


class _Comparison:
    """One artifact in two revisions."""

    def __init__(
        self, artifact: Artifact[object], revisions: tuple[Revision, Revision], templates: TemplateChanges, result: Diff
    ) -> None:
        self._artifact = artifact
        self._revisions = revisions
        self._templates = templates
        self._result = result
        # The ids of a large dataset take longer to read than all else: only a condition asks for those of every change.
        self._told_by = ("task", "strategy", *(_IDS if result.where else ()))
        self._same = _same_digest(artifact.folder, revisions)
        self._shards = (revisions[0].shards(artifact.folder), revisions[1].shards(artifact.folder))
        self._steps: dict[str, tuple[Shards, Shards]] = {}
        if not any(self._shards):
            hint = "name another revision or --stage, or run `dvc repro`"
            raise Orca2Error(f"neither {revisions[0]} nor {revisions[1]} has it", artifact.folder, hint)
        result.notes += [
            f"{r} has no {artifact.folder}" for r, shards in zip(revisions, self._shards, strict=True) if not shards
        ]

    def changes(self) -> Iterator[_Changes]:
        """The changes of each part that differs; all rows are counted on the way."""
        old, new = self._shards
        compared: set[str] = set()
        if not self._same:
            self._note_columns()
            for partition, before, after, found in comparisons(old, new, self._artifact.identity):
                self._count_rows(len(before), len(after))
                compared |= {shard.name for shard in before.shards}
                if len(found.removed) + len(found.added) + len(found.changed):
                    yield self._explained(partition, before, after, found)
        equal = sum(shard.count_rows() for shard in old if shard.name not in compared)
        self._count_rows(equal, equal)

    def _count_rows(self, before: int, after: int) -> None:
        self._result.rows_before += before
        self._result.rows_after += after

    def count(self, changes: _Changes, wanted: Sequence[int], limit: int) -> None:
        """Add those of the changes that are wanted to the result."""
        result = self._result
        for change in (changes.table[i] for i in wanted):
            group = Group(change.status, change.task, change.strategy, change.cause, change.detail)
            result.counts[group] += 1
            result.fields.update(change.fields)
        chosen = np.array(wanted[: max(limit - len(result.shown), 0)], np.int64)
        before = _records(changes.before, changes.positions[chosen, 0])
        after = _records(changes.after, changes.positions[chosen, 1])
        for i, old, new in zip(chosen, before, after, strict=True):
            change = changes.table[i]
            named = _identity(new or old or {})
            shown = {name: getattr(change, name) for name in Change.__slots__} | {"before": old, "after": new} | named
            result.shown.append(Change(**shown))

    def _explained(self, partition: Partition, before: Part, after: Part, found: Differences) -> _Changes:
        positions = np.concatenate(
            [
                np.stack([found.removed, np.full(len(found.removed), -1)], axis=1),
                np.stack([np.full(len(found.added), -1), found.added], axis=1),
                found.changed,
            ]
        )
        lonely = len(found.removed) + len(found.added)
        here = positions[:, 1] >= 0
        sides = (np.where(here, -1, positions[:, 0]), positions[:, 1])
        known = [_records(part, side, self._told_by) for part, side in zip((before, after), sides, strict=True)]
        causes = self._causes(partition, before, after, positions)
        table = []
        for i, cause in enumerate(causes):
            mine = known[1][i] or known[0][i] or {}
            differing = [name for name, mask in found.fields.items() if i >= lonely and mask[i - lonely]]
            table.append(
                Change(
                    status=_status(positions[i], cause, differing),
                    **_identity(mine),
                    task=mine.get("task", ""),
                    strategy=mine.get("strategy", ""),
                    cause=cause.kind,
                    detail=cause.detail,
                    fields=tuple(differing),
                )
            )
        return _Changes(table, before, after, positions)

    def _causes(self, partition: Partition, before: Part, after: Part, positions: Positions) -> list[Cause]:
        if not all(self._shards):
            return [Cause("first build", "only one version has this artifact")] * len(positions)
        if not self._artifact.lineage:
            return [
                Cause("repacked", self._parameter_changes("pack") or "the conversations or the student's tokens differ")
            ] * len(positions)
        steps = {}
        for name, origin in self._artifact.lineage:
            if origin is self._artifact:
                steps[name] = Stored(before, after, positions)
                continue
            old, new = (holding(shards, partition) for shards in self._shards_of(origin.folder))
            identity = ("row_id",) if name in ("examples", "left_out") else self._artifact.identity
            if old.shards and new.shards:
                # A row of either version is looked for in both: one that is new here may be old there.
                found = [_found(step, (before, after), positions, identity) for step in (old, new)]
                steps[name] = Stored(old, new, np.stack(found, axis=1))
        outside = Outside(
            templates=self._templates.between, rule=self._parameter_changes("grade"), asked=self._artifact.asked
        )
        return first_causes(steps, len(positions), outside)

    def _shards_of(self, folder: str) -> tuple[Shards, Shards]:
        if folder not in self._steps:
            self._steps[folder] = (self._revisions[0].shards(folder), self._revisions[1].shards(folder))
            for revision, shards in zip(self._revisions, self._steps[folder], strict=True):
                if not shards:
                    self._result.notes.append(f"{revision} has no {folder}, so causes are sought without it")
        return self._steps[folder]

    def _parameter_changes(self, stage: str) -> str:
        """What differs in the parameters of its own section that a stage ran with, as `grade.keep correct → all`."""
        old, new = (revision.built_with(stage).get(stage) or {} for revision in self._revisions)
        return ", ".join(
            f"{stage}.{name} {old.get(name)} → {new.get(name)}"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        )

    def _note_columns(self) -> None:
        old, new = (Part(shards[:1]).columns for shards in self._shards)
        if old and new:
            self._result.columns += [f"- {name}" for name in old if name not in new]
            self._result.columns += [f"+ {name}" for name in new if name not in old]


def _same_digest(folder: str, revisions: tuple[Revision, Revision]) -> bool:
    """Whether both revisions name the same digest for the out that holds a folder; never of the workspace."""
    known = [r.outs.get(next((o for o in r.outs if f"{folder}/".startswith(f"{o}/")), "")) for r in revisions]
    return bool(known[0]) and known[0] == known[1] and all(r.commit for r in revisions)


def _found(step: Part, sides: tuple[Part, Part], positions: Positions, identity: Sequence[str]) -> Positions:
    """Where in a step the changed rows have their namesakes, int64[n]; -1 for none."""
    found = np.full(len(positions), -1, np.int64)
    for side, part in enumerate(sides):
        there = np.flatnonzero(positions[:, side] >= 0)
        if there.size:
            found[there] = look_up(step, part, positions[there, side], identity)
    return found


def _identity(record: Record) -> dict[str, Cell]:
    """Which row a change is of, as far as the record tells."""
    row_id = str(record.get("row_id", record.get("sequence_index", "")))
    return {"row_id": row_id, "sample_index": record.get("sample_index", 0)}


def _records(part: Part, positions: Positions, names: Sequence[str] = ()) -> list[Record | None]:
    records: list[Record | None] = [None] * len(positions)
    there = np.flatnonzero(positions >= 0)
    if there.size:
        columns = [name for name in names if name in part.columns] if names else list(part.columns)
        for i, record in zip(there, part.take(positions[there], columns).to_pylist(), strict=True):
            records[i] = record
    return records


def _status(positions: Positions, cause: Cause, differing: Sequence[str]) -> Status:
    if cause.kind == "split" and (min(positions) < 0 or "split" in differing):
        return "moved"
    return "added" if positions[0] < 0 else "removed" if positions[1] < 0 else "changed"
