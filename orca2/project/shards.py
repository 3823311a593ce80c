"""Canonical Parquet artifacts: equal rows give equal bytes, on any day, from any number of workers.

An artifact is a folder of `rows-00-of-04.parquet` shards, each with the digests of its cells beside it. Rows are placed
by a hash of their id, so that adding one touches one shard, and sorted inside a shard. How many shards there are
depends on the rows alone. Nothing is written under its final name before it is complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from orca2.core.errors import Orca2Error
from orca2.core.tables import (
    arrow_schema,
    from_table,
    hash_range,
    identity_columns,
    logical_bytes,
    reversed_hashes,
    to_table,
)
from orca2.project import cells

if TYPE_CHECKING:
    import pyarrow as pa

_Row = TypeVar("_Row")
_Filters: TypeAlias = Sequence[tuple[str, str, object]]
"""Column, comparison and value: what a row must pass, all of them."""
SHARD_BYTES = 32 << 20
"""A shard is split in two when it would grow past this, by its logical size (see `tables.logical_bytes`)."""
_HASH = "reversed_hash"
"""The column that a fragment has besides those of its rows."""
_BATCH_BYTES = 1 << 30
"""Most of a table that is put in order at once: an Arrow text column holds at most 2 GiB."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Rows on their way into shards, batch by batch in the order of their reversed hashes."""

    rows: int
    size: int
    """Logical bytes."""
    held: Sequence[pa.RecordBatch] | Path
    """Their record batches, or the Arrow file that holds them."""
    index: int = 0
    """Of `count` partitions, the one whose rows these are; of 1 where they may be any."""
    count: int = 1

    def between(self, first: int, end: int) -> Iterator[pa.RecordBatch]:
        """Record batches of the rows whose reversed hashes lie there."""
        import pyarrow as pa

        if isinstance(self.held, Path):
            with pa.memory_map(str(self.held)) as source:
                reader = pa.ipc.open_file(source)
                yield from _between((reader.get_batch(i) for i in range(reader.num_record_batches)), first, end)
        else:
            yield from _between(self.held, first, end)


def write_rows(folder: Path, row_type: type, rows: Iterable[object]) -> int:
    """Write rows of one frozen dataclass as a canonical artifact, replacing `folder`; return how many.

    Raises:
        Orca2Error: two rows have the same identity, or the disk refuses the write.
    """
    with replacing(folder) as temporary:
        fragment = fragment_of(to_table(list(rows), row_type))
        write_shards(temporary, row_type, [fragment], map)
    return fragment.rows


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A temporary folder, which takes the place of `folder` at the end unless an error comes first.

    Raises:
        Orca2Error: the disk refuses.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except OSError as error:
        hint = "free some space or mend the permissions, then run the stage again"
        raise Orca2Error(f"cannot write: {error.strerror}", str(folder), hint) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def fragment_of(table: pa.Table, file: Path | None = None, index: int = 0, count: int = 1) -> Fragment:
    """A table as a fragment of an artifact, in memory or in an Arrow file of its own."""
    import pyarrow as pa

    rows_at_once = max(1, _BATCH_BYTES * len(table) // max(1, table.nbytes))
    batches = map(_in_order, table.to_batches(max_chunksize=rows_at_once))
    size = logical_bytes(table)
    if file is None:
        return Fragment(len(table), size, list(batches), index, count)
    schema = table.schema.append(pa.field(_HASH, pa.uint32()))
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return Fragment(len(table), size, file, index, count)


def write_shards(
    folder: Path,
    row_type: type,
    fragments: Sequence[Fragment],
    each: Callable[[Callable[[int], None], Iterable[int]], Iterable[object]],
) -> None:
    """Write the shards of an artifact that these fragments make up; `each` maps the work over their indices.

    Raises:
        Orca2Error: two rows have the same identity.
    """
    count = shard_count(sum(fragment.size for fragment in fragments))
    write = partial(_write_shard, folder, row_type, count, [fragment for fragment in fragments if fragment.rows])
    for _ in each(write, range(count)):
        pass


def shard_count(size: int) -> int:
    """How many shards an artifact of so many logical bytes has: a power of two."""
    return 1 << max(0, -(-size // SHARD_BYTES) - 1).bit_length()


def read_rows(folder: Path, row_type: type[_Row], filters: _Filters | None = None) -> list[_Row]:
    """Every row of an artifact in canonical order, or those that pass Parquet filters.

    Raises:
        Orca2Error: the artifact is missing, incomplete, torn, or has other columns than `row_type`.
    """
    rows = [
        row for file in complete_shards(folder) for row in from_table(read_shard(file, row_type, filters), row_type)
    ]
    return sorted(rows, key=row_identity)


def read_columns(folder: Path, names: Sequence[str]) -> pa.Table:
    """Some columns of an artifact as an Arrow table, without building rows; shard by shard, in their order.

    Raises:
        Orca2Error: the artifact is missing, incomplete or torn.
    """
    import pyarrow as pa

    return pa.concat_tables(read_table(shard, names) for shard in complete_shards(folder))


def row_identity(row: Any) -> tuple[str | int, ...]:
    """What orders rows and keeps them apart: packed sequences by index, all others by row, sample and strategy."""
    if hasattr(row, "sequence_index"):
        return (row.sequence_index,)
    return (row.row_id, getattr(row, "sample_index", 0), getattr(row, "strategy", ""), getattr(row, "key", ""))


def shard_names(count: int) -> list[str]:
    """The files of an artifact of so many shards, in order."""
    return [f"rows-{index:02d}-of-{count:02d}.parquet" for index in range(count)]


def complete_shards(folder: Path) -> list[Path]:
    """The shards of an artifact, in order.

    Raises:
        Orca2Error: it is missing or incomplete.
    """
    found = {shard.name for shard in folder.glob("rows-*-of-*.parquet")}
    if not found:
        raise Orca2Error("artifact is missing", str(folder), "run `dvc repro` (or `dvc pull`) first")
    names = shard_names(len(found))
    if found != set(names):
        hint = "run `dvc checkout` or `dvc repro`"
        raise Orca2Error(f"its shards are not one complete set: {', '.join(sorted(found))}", str(folder), hint)
    return [folder / name for name in names]


def read_table(shard: Path, names: Sequence[str] | None = None, filters: _Filters | None = None) -> pa.Table:
    """A shard as an Arrow table: all columns or some, all rows or those that pass Parquet filters.

    Raises:
        Orca2Error: it is torn.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = list(names) if names else None
        return pq.read_table(
            shard, columns=columns, filters=filters, partitioning=None, page_checksum_verification=True
        )
    except (pa.ArrowException, OSError) as error:
        raise Orca2Error(f"cannot be read: {error}", str(shard), "run `dvc checkout` or `dvc repro`") from error


def read_shard(shard: Path, row_type: type, filters: _Filters | None = None) -> pa.Table:
    """A shard of rows of this type as an Arrow table.

    Raises:
        Orca2Error: it is torn, or has other columns.
    """
    table = read_table(shard, filters=filters)
    if table.schema != arrow_schema(row_type):
        names = ", ".join(table.schema.names)
        hint = f"it has {names}; it was written by another version: run `dvc repro`"
        raise Orca2Error(f"is not an artifact of {row_type.__name__}", str(shard), hint)
    return table


def write_parquet(file: Path, table: pa.Table) -> None:
    """Write one Parquet file with the settings that every artifact and store segment shares, and fsync it."""
    import pyarrow.parquet as pq

    with file.open("wb") as sink:
        pq.write_table(
            table,
            sink,
            compression="zstd",
            compression_level=3,
            version="2.6",
            row_group_size=1 << 16,
            data_page_version="1.0",
            use_dictionary=True,
            write_statistics=True,
            store_schema=True,
            write_page_checksum=True,
        )
        sink.flush()
        os.fsync(sink.fileno())


def _in_order(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of a record batch in the order of their reversed hashes, which become its last column."""
    import pyarrow as pa

    at = reversed_hashes(batch)
    order = np.argsort(at, kind="stable")
    return batch.take(pa.array(order)).append_column(_HASH, pa.array(at[order]))


def _between(batches: Iterable[pa.RecordBatch], first: int, end: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        at = batch.column(_HASH).to_numpy()
        start, stop = at.searchsorted(np.uint32(first), "left"), at.searchsorted(np.uint32(end - 1), "right")
        yield batch.slice(start, stop - start).drop_columns([_HASH])


def _write_shard(folder: Path, row_type: type, count: int, fragments: Sequence[Fragment], index: int) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    # A residue of the larger number of two powers of two is that of the smaller, too.
    mine = [fragment for fragment in fragments if not (index - fragment.index) % min(fragment.count, count)]
    batches = [batch for fragment in mine for batch in fragment.between(*hash_range(index, count))]
    table = pa.Table.from_batches(batches, arrow_schema(row_type)).combine_chunks()
    names = identity_columns(table.schema.names)
    table = table.take(pc.sort_indices(table, [(name, "ascending") for name in names])).combine_chunks()
    _refuse_duplicates(folder, table.select(names))
    file = folder / shard_names(count)[index]
    write_parquet(file, table)
    cells.write(file, table)


def _refuse_duplicates(folder: Path, identities: pa.Table) -> None:
    """Rows of one identity lie in one shard, and there side by side."""
    import pyarrow.compute as pc

    same = np.full(max(0, len(identities) - 1), True)
    for column in identities.columns:
        same &= pc.equal(column[1:], column[:-1]).to_numpy()
    if same.any():
        found = tuple(identities.slice(int(same.argmax()), 1).to_pylist()[0].values())
        raise Orca2Error(f"two rows share the identity {found}", str(folder), "report this as a bug")
