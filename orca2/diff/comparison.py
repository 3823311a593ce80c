"""Which rows of two versions of an artifact differ, and in which columns; compared by the digests of their cells.

Two versions are compared part by part: a part is the shards of either side that can hold the same rows, so that memory
depends on the size of a shard and not on that of the dataset.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from orca2.core.tables import shard_of
from orca2.project.revisions import Shard
from orca2.project.shards import shard_names

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP = 8
"""Shards of the larger side that one part holds at most, when the sides have different numbers of shards."""
_AT_ONCE = 2
"""Parts in memory at once, beside the one in hand."""
_FEW = 8
"""A look-up of so many times fewer rows than there are is one of few."""
Digests = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Partition:
    """Which of how many partitions (see `project.partitions`)."""

    index: int
    count: int


class Part:
    """Some shards of one version, row after row.

    Args:
        shards: in order.
        partition: of these rows only those that would lie in this shard of so many.
    """

    def __init__(self, shards: Sequence[Shard], partition: Partition | None = None) -> None:
        self.shards = shards
        self._partition = partition

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; none when there is no shard."""
        return tuple(self._digests[0].schema.names) if self._digests else ()

    def cells(self, name: str) -> Digests:
        """Digests of a column, uint64[n]."""
        stored = [table[name].to_numpy() for table in self._digests]
        cells: Digests = stored[0] if len(stored) == 1 else np.concatenate([np.empty(0, np.uint64), *stored])
        return cells if self._partition is None else cells[self._rows]

    def take(self, positions: Positions, names: Sequence[str]) -> pa.Table:
        """The rows at these positions, int64[m], as an Arrow table of these columns; read from those shards only."""
        import pyarrow as pa

        wanted = self._rows[positions]
        shard = np.searchsorted(self._starts, wanted, side="right") - 1
        order = np.argsort(shard, kind="stable")
        taken = [
            self.shards[index].read(names).take(wanted[shard == index] - self._starts[index])
            for index in np.unique(shard)
        ]
        return pa.concat_tables(taken).take(np.argsort(order)) if taken else None

    def __len__(self) -> int:
        return len(self.cells(self.columns[0])) if self.columns else 0

    @cached_property
    def _digests(self) -> list[pa.Table]:
        return [shard.read_digests() for shard in self.shards]

    @cached_property
    def _starts(self) -> Positions:
        return np.cumsum([0, *(table.num_rows for table in self._digests)])

    @cached_property
    def _rows(self) -> Positions:
        """Which rows of the shards belong to this part, int64[n]."""
        partition = self._partition
        if partition is None:
            return np.arange(self._starts[-1])
        first = self.columns[0]
        identities = [row for shard in self.shards for row in shard.read([first])[first].to_pylist()]
        return np.array(
            [i for i, row in enumerate(identities) if shard_of(row, partition.count) == partition.index], np.int64
        )


@dataclass(frozen=True, slots=True)
class Differences:
    """Which rows of two parts differ."""

    removed: Positions
    """int64[r]: positions in the left part that the right one lacks."""
    added: Positions
    """int64[a]: positions in the right part that the left one lacks."""
    changed: Positions
    """int64[c, 2]: positions, left and right, of rows that both have and that differ."""
    fields: Mapping[str, Mask]
    """bool[c] for each column that both have: whether a changed row differs there."""


def parts(left: Sequence[Shard], right: Sequence[Shard]) -> Iterator[tuple[Partition, Part, Part]]:
    """The shards of two versions, cut into parts such that a row is in the same part of both; equal parts left out."""
    if not (_is_canonical(left) and _is_canonical(right)):
        yield Partition(0, 1), Part(left), Part(right)
        return
    fewer, more = sorted((max(len(left), 1), max(len(right), 1)))
    count = max(fewer, more // _GROUP)
    for partition in (Partition(index, count) for index in range(count)):
        ours, theirs = _part(left, partition), _part(right, partition)
        digests_of = [[shard.md5 for shard in part.shards] for part in (ours, theirs)]
        if digests_of[0] != digests_of[1] or not all(digests_of[0]):
            yield partition, ours, theirs


def comparisons(
    left: Sequence[Shard], right: Sequence[Shard], identity: Sequence[str]
) -> Iterator[tuple[Partition, Part, Part, Differences]]:
    """Every part with its differences, in order; a few parts are compared at once, so that no core waits for a file."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: deque[tuple[Partition, Part, Part, Future[Differences]]] = deque()
        for partition, ours, theirs in parts(left, right):
            waiting.append((partition, ours, theirs, pool.submit(compare, ours, theirs, identity)))
            if len(waiting) > _AT_ONCE:
                yield _done(*waiting.popleft())
        yield from (_done(*part) for part in waiting)


def _done(
    partition: Partition, ours: Part, theirs: Part, found: Future[Differences]
) -> tuple[Partition, Part, Part, Differences]:
    return partition, ours, theirs, found.result()


def holding(shards: Sequence[Shard], partition: Partition) -> Part:
    """The shards of another artifact that can hold the rows of a part, and other rows with them."""
    return Part(_of_partition(shards, partition) if _is_canonical(shards) else shards)


def compare(left: Part, right: Part, identity: Sequence[str]) -> Differences:
    """Match rows by `identity` and compare all columns that both parts have.

    Rows that share an identity are matched in their order: the first with the first.
    """
    ours, theirs = _identities(left, identity), _identities(right, identity)
    at_left = _index_in(theirs, ours)
    if _is_ambiguous(at_left, ours, theirs):
        ours, theirs = _numbered(ours), _numbered(theirs)
        at_left = _index_in(theirs, ours)
    matched = np.flatnonzero(at_left >= 0)
    partners = at_left[matched]
    shared = [name for name in left.columns if name in right.columns and name not in identity]
    differing = {name: left.cells(name)[partners] != right.cells(name)[matched] for name in shared}
    changed = np.logical_or.reduce([np.zeros(len(matched), bool), *differing.values()])
    return Differences(
        removed=np.flatnonzero(_lonely(at_left, len(ours))),
        added=np.flatnonzero(at_left < 0),
        changed=np.stack([partners[changed], matched[changed]], axis=1),
        fields={name: mask[changed] for name, mask in differing.items()},
    )


def look_up(part: Part, rows: Part, positions: Positions, identity: Sequence[str]) -> Positions:
    """Where in `part` the rows of another part at these positions have their namesakes, int64[n]; -1 for none."""
    if not part.shards:
        return np.full(len(positions), -1, np.int64)
    return _index_in(_mixed([rows.cells(name)[positions] for name in identity]), _identities(part, identity))


def _identities(part: Part, identity: Sequence[str]) -> Digests:
    """One digest for the identity of each row, uint64[n]."""
    names = [name for name in identity if name in part.columns]
    return _mixed([part.cells(name) for name in names]) if names else np.empty(0, np.uint64)


def _lonely(at_left: Positions, size: int) -> Mask:
    """bool[size]: rows of the left side that no row of the right one was matched with."""
    lonely = np.ones(size, bool)
    lonely[at_left[at_left >= 0]] = False
    return lonely


def _is_ambiguous(at_left: Positions, ours: Digests, theirs: Digests) -> bool:
    """Whether an identity that both sides have stands twice on either; found without sorting, as none ever should."""
    lonely = _lonely(at_left, len(ours))
    twice_right = np.count_nonzero(at_left >= 0) + np.count_nonzero(lonely) != len(ours)
    return bool(twice_right or (_index_in(theirs, ours[lonely]) >= 0).any())


def _numbered(identities: Digests) -> Digests:
    """The same digests for all that stand first, others for their repetitions."""
    return identities + _occurrence(identities) * _ODD


def _mixed(columns: Sequence[Digests]) -> Digests:
    mixed = columns[0]
    for column in columns[1:]:
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _ODD + column
    return mixed


def _occurrence(values: Digests) -> Digests:
    """How often the value stood before, uint64[n]."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new = np.append(True, ordered[1:] != ordered[:-1])
    starts = np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))
    counts = np.empty(len(values), np.uint64)
    counts[order] = np.arange(len(values)) - starts
    return counts


def _index_in(wanted: Digests, among: Digests) -> Positions:
    """Position of each of `wanted` in `among`, int64[n]; -1 for none."""
    if len(wanted) == len(among) and (wanted == among).all():
        return np.arange(len(wanted))
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(wanted) * _FEW < len(among):
        # A table of the few and one pass over the many, instead of a table of the many.
        candidates = np.flatnonzero(
            pc.is_in(pa.array(among), value_set=pa.array(wanted)).to_numpy(zero_copy_only=False)
        )
        at = _index_in(wanted, among[candidates])
        return np.where(at >= 0, candidates[at] if len(candidates) else -1, -1)
    found = pc.index_in(pa.array(wanted), value_set=pa.array(among)).fill_null(-1)
    positions: Positions = found.to_numpy().astype(np.int64)
    return positions


def _part(shards: Sequence[Shard], partition: Partition) -> Part:
    return Part(_of_partition(shards, partition), partition if 0 < len(shards) < partition.count else None)


def _of_partition(shards: Sequence[Shard], partition: Partition) -> Sequence[Shard]:
    # Both numbers of shards are powers of two, so one residue is that of the other.
    count = min(max(len(shards), 1), partition.count)
    return shards[partition.index % count :: count]


def _is_canonical(shards: Sequence[Shard]) -> bool:
    """Whether rows lie in these shards by their hash, as orca2 writes them."""
    count = len(shards)
    return [shard.name for shard in shards] == shard_names(count) and count & (count - 1) == 0
