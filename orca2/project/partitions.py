"""Stages as functions between partitions: rows of some artifacts in, rows of others out.

A partition is the rows of every input whose ids have the same hash, modulo a power of two: shard i of N, of N an input,
holds the rows of the shards i and i + N of 2 N. So a join by row id never leaves its partition. A small dataset is
mapped in this process, a large one by Ray Data over cores and nodes: the same function and the same bytes.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from orca2.core.cluster import each
from orca2.core.rows import Rejected
from orca2.core.tables import from_table, hash_range, reversed_hashes, to_table
from orca2.project.artifacts import Artifact
from orca2.project.shards import (
    Fragment,
    complete_shards,
    fragment_of,
    read_shard,
    read_table,
    replacing,
    shard_count,
    write_shards,
)

if TYPE_CHECKING:
    import pyarrow as pa

PARTITION_SHARDS = 4
"""Shards of all inputs together that one partition reads: what a process holds at once."""
SCRATCH = Path(".orca2/scratch")
HERE_SHARDS = 8
"""Shards that are read or written in this process; a start of Ray costs more than it gains on fewer."""

Function = Callable[..., Sequence[Any]]
"""Takes the rows of each input, and returns those of each output, and after them perhaps figures to be added up."""


class Columns(NamedTuple):
    """An input of which only some columns are read."""

    artifact: Artifact[object]
    names: Sequence[str]


Input = Artifact[object] | Columns | Path
"""An artifact, some columns of one, or a folder with a table for each partition (see `write_aside`)."""


class Mapped(NamedTuple):
    """What went through a stage, in rows."""

    rows_in: tuple[int, ...]
    """Of each input."""
    rows_out: tuple[int, ...]
    """Of each output."""
    reasons: Mapping[str, int]
    """Of the rejected rows among the outputs."""
    figures: Mapping[str, int]
    """The sums of what the function counted."""


class _Made(NamedTuple):
    """What one partition came to."""

    rows_in: tuple[int, ...]
    fragments: tuple[Fragment, ...]
    reasons: Counter[str]
    figures: Mapping[str, int]


def map_rows(function: Function, inputs: Sequence[Artifact[object]], outputs: Sequence[Artifact[object]]) -> Mapped:
    """Write the outputs of a function of lists of rows.

    The function is called once a partition, perhaps in another process: it must be picklable, and depend on nothing
    but what it is given. Joins by `row_id` are its own affair, and all their rows are there. The order of the rows
    that it gets and returns means nothing.

    Raises:
        Orca2Error: an input is missing or torn, or the disk refuses. InputErrors: those of the function, together.
    """
    return map_tables(partial(_of_rows, function, tuple(inputs), tuple(outputs)), inputs, outputs)


def map_tables(
    function: Function,
    inputs: Sequence[Input],
    outputs: Sequence[Artifact[object]],
    aside: Path | None = None,
) -> Mapped:
    """Write the outputs of a function of Arrow tables, which have the schemas of their artifacts (see `map_rows`).

    With a folder `aside`, the function returns one more table, the first of all, which goes there as it is.
    """
    count, is_small = partitions_of(*(_artifact(i) for i in inputs if not isinstance(i, Path)))
    with writing(*outputs) as drafts:
        folders = tuple(draft.fragments for draft in drafts) if count > 1 else None
        map_one = partial(_map_one, function, tuple(inputs), folders, aside, count)
        made = list(each(map_one, range(count), here=is_small))
        for draft, *fragments in zip(drafts, *(m.fragments for m in made), strict=True):
            draft.held += fragments
    figures: Counter[str] = Counter()
    for one in made:
        figures.update(one.figures)
    return Mapped(
        rows_in=_added(m.rows_in for m in made),
        rows_out=_added(tuple(fragment.rows for fragment in m.fragments) for m in made),
        reasons=sum((m.reasons for m in made), Counter()),
        figures=figures,
    )


def partitions_of(*inputs: Artifact[object]) -> tuple[int, bool]:
    """Into how many partitions these are cut together, and whether they are few enough for this process.

    Raises:
        Orca2Error: one is missing or incomplete.
    """
    shards = sum(len(complete_shards(artifact.path)) for artifact in inputs)
    return 1 << max(0, -(-shards // PARTITION_SHARDS) - 1).bit_length(), shards <= HERE_SHARDS


def read(artifact: Artifact[object], index: int, count: int, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one of `count` partitions as an Arrow table: all columns or some, of them the one of the id.

    Raises:
        Orca2Error: the artifact is missing, torn, or of another type.
    """
    import pyarrow as pa

    shards = complete_shards(artifact.path)
    tables = [
        read_table(shard, columns) if columns else read_shard(shard, artifact.row_type)
        for shard in shards[index % len(shards) :: count]
    ]
    table = pa.concat_tables(tables)
    if len(shards) >= count:
        return table
    first, end = hash_range(index, count)
    at = reversed_hashes(table)
    return table.filter(pa.array((at >= first) & (at.astype(np.uint64) < end)))


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """An empty folder for what a stage keeps on disk while it runs; what a killed run left there is removed."""
    folder = SCRATCH / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_aside(file: Path, table: pa.Table) -> None:
    """Write a table as an Arrow file that can be mapped into memory."""
    import pyarrow as pa

    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())


def read_aside(folder: Path, names: str = "*.arrow") -> list[pa.Table]:
    """The tables that were written there, in order, mapped into memory."""
    import pyarrow as pa

    return [pa.ipc.open_file(pa.memory_map(str(file))).read_all() for file in sorted(folder.glob(names))]


def num_rows(artifact: Artifact[object]) -> int:
    """The rows of an artifact, by the footers of its shards.

    Raises:
        Orca2Error: it is missing or incomplete.
    """
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(shard).num_rows for shard in complete_shards(artifact.path))


def distinct(artifact: Artifact[object], column: str, **where: str) -> set[str]:
    """The different values of a column of text, of all rows or of those with these values in other columns.

    Raises:
        Orca2Error: the artifact is missing or torn.
    """
    filters = [(name, "==", value) for name, value in where.items()] or None
    tables = (read_table(shard, [column], filters) for shard in complete_shards(artifact.path))
    return {value for table in tables for value in table[column].unique().to_pylist()}


class Draft:
    """One artifact that is being written: fragments are added in any order, cut in any way."""

    def __init__(self, artifact: Artifact[object], folder: Path) -> None:
        self.artifact, self._folder = artifact, folder
        self.fragments = folder / "fragments"
        """Where fragments may lie until the shards are written."""
        self.fragments.mkdir()
        self.held: list[Fragment] = []

    def add(self, table: pa.Table) -> None:
        """Add rows, to be kept on disk."""
        self.held.append(fragment_of(table, self.fragments / f"{len(self.held)}.arrow"))

    def finish(self) -> None:
        """Make shards of all that was added."""
        if shard_count(sum(fragment.size for fragment in self.held)) <= HERE_SHARDS:
            with ThreadPoolExecutor(2) as pool:  # one compresses while the other digests
                write_shards(self._folder, self.artifact.row_type, self.held, pool.map)
        else:
            write_shards(self._folder, self.artifact.row_type, self.held, partial(each, here=False))
        shutil.rmtree(self.fragments)


@contextmanager
def writing(*artifacts: Artifact[object]) -> Iterator[list[Draft]]:
    """Drafts of artifacts, which take the place of the old ones at the end unless an error comes first.

    Raises:
        Orca2Error: two rows of one have the same identity, or the disk refuses.
    """
    with ExitStack() as stack:
        drafts = [Draft(artifact, stack.enter_context(replacing(artifact.path))) for artifact in artifacts]
        yield drafts
        for draft in drafts:
            draft.finish()


def _map_one(
    function: Function,
    inputs: Sequence[Input],
    folders: Sequence[Path] | None,
    aside: Path | None,
    count: int,
    index: int,
) -> _Made:
    """Map one partition; its fragments go to disk where there are others."""
    import pyarrow.compute as pc

    tables = [_read(source, index, count) for source in inputs]
    *made, figures = function(*tables)
    if aside:
        write_aside(aside / f"{index:06}.arrow", made.pop(0))
    files = [folder / f"{index}.arrow" for folder in folders] if folders else [None] * len(made)
    reasons: Counter[str] = Counter()
    for table in made:
        if table.schema.names == list(Rejected.__dataclass_fields__):
            reasons.update({c["values"]: c["counts"] for c in pc.value_counts(table["reason"]).to_pylist()})
    fragments = tuple(fragment_of(table, file, index, count) for table, file in zip(made, files, strict=True))
    return _Made(tuple(map(len, tables)), fragments, reasons, figures)


def _artifact(source: Artifact[object] | Columns) -> Artifact[object]:
    return source.artifact if isinstance(source, Columns) else source


def _read(source: Input, index: int, count: int) -> pa.Table:
    if isinstance(source, Path):
        return read_aside(source, f"{index:06}.arrow")[0]
    return read(_artifact(source), index, count, source.names if isinstance(source, Columns) else None)


def _of_rows(
    function: Function, inputs: Sequence[Artifact[object]], outputs: Sequence[Artifact[object]], *tables: pa.Table
) -> list[object]:
    rows = [list(from_table(table, artifact.row_type)) for table, artifact in zip(tables, inputs, strict=True)]
    made = list(function(*rows))
    figures = made.pop() if len(made) > len(outputs) else {}
    written = [to_table(rows, artifact.row_type) for rows, artifact in zip(made, outputs, strict=True)]
    return [*written, figures]


def _added(counts: Iterator[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*counts, strict=True)))
