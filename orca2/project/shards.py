"""Canonical Parquet artifacts: equal rows give equal bytes, on any day, from any number of workers.

An artifact is a folder of `rows-00-of-04.parquet` shards, each with the digests of its cells beside it. Rows are placed
by a hash of their id, so that adding one touches one shard, and sorted inside a shard. Nothing is written under its
final name before it is complete.
"""

import dataclasses
import itertools
import os
import shutil
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeGuard

from orca2.core.errors import Orca2Error
from orca2.core.hashing import digest
from orca2.project import cells

SHARD_BYTES = 32 << 20
"""A shard is split in two when it would grow past this, measured as Arrow memory."""
_SCALARS = {str: "string", int: "int64", float: "float64", bool: "bool_"}


def write_rows(folder: Path, row_type: type, rows: Iterable[Any]) -> int:
    """Write rows of one frozen dataclass as a canonical artifact, replacing `folder`; return how many.

    Raises:
        Orca2Error: two rows have the same identity, or the disk refuses the write.
    """
    ordered = sorted(rows, key=row_identity)
    _refuse_duplicates(folder, ordered)
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        _write_shards(temporary, row_type, ordered)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except OSError as error:
        hint = "free some space or mend the permissions, then run the stage again"
        raise Orca2Error(f"cannot write: {error.strerror}", str(folder), hint) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(ordered)


def read_rows(folder: Path, row_type: type) -> list[Any]:
    """Read every row of an artifact in canonical order.

    Raises:
        Orca2Error: the artifact is missing, incomplete, torn, or has other columns than `row_type`.
    """
    rows = [row for shard in _complete_shards(folder) for row in _read_shard(shard, row_type)]
    return sorted(rows, key=row_identity)


def read_columns(folder: Path, names: Sequence[str]) -> Any:
    """Some columns of an artifact as an Arrow table, without building rows; shard by shard, in their order.

    Raises:
        Orca2Error: the artifact is missing, incomplete or torn.
    """
    import pyarrow as pa

    return pa.concat_tables(_read_table(shard, names) for shard in _complete_shards(folder))


def row_identity(row: Any) -> tuple[Any, ...]:
    """What orders rows and keeps them apart: packed sequences by index, all others by row, sample and strategy."""
    if hasattr(row, "sequence_index"):
        return (row.sequence_index,)
    return (row.row_id, getattr(row, "sample_index", 0), getattr(row, "strategy", ""), getattr(row, "key", ""))


def shard_of(identity: Any, count: int) -> int:
    """Which of `count` shards holds the row of this id (or, of a packed sequence, of this index)."""
    return int(digest("shard", str(identity))[:8], 16) % count


def shard_names(count: int) -> list[str]:
    """The files of an artifact of so many shards, in order."""
    return [f"rows-{index:02d}-of-{count:02d}.parquet" for index in range(count)]


@cache
def arrow_schema(row_type: type) -> Any:
    """The Arrow schema of a frozen dataclass of plain fields, tuples and nested dataclasses."""
    import pyarrow as pa

    hints = typing.get_type_hints(row_type)
    return pa.schema([_arrow_field(f.name, hints[f.name]) for f in dataclasses.fields(row_type)])


def to_table(rows: Sequence[Any], row_type: type) -> Any:
    """Rows as an Arrow table with the canonical schema."""
    import pyarrow as pa

    return pa.Table.from_batches([pa.RecordBatch.from_struct_array(_to_arrow(rows, row_type))], arrow_schema(row_type))


def from_table(table: Any, row_type: type) -> Iterator[Any]:
    """The rows of an Arrow table that has the canonical schema."""
    return itertools.chain.from_iterable(_from_arrow(batch.to_struct_array(), row_type) for batch in table.to_batches())


def write_parquet(file: Path, table: Any) -> None:
    """Write one Parquet file with the settings that every artifact and store segment shares, and fsync it."""
    import pyarrow.parquet as pq

    with file.open("wb") as sink:
        pq.write_table(
            table, sink, compression="zstd", compression_level=3, version="2.6", row_group_size=1 << 16,
            data_page_version="1.0", use_dictionary=True, write_statistics=True, store_schema=True,
            write_page_checksum=True,
        )  # fmt: skip
        sink.flush()
        os.fsync(sink.fileno())


def _write_shards(folder: Path, row_type: type, rows: list[Any]) -> None:
    import pyarrow as pa

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    table = to_table(rows, row_type)
    count = 1
    while table.nbytes > count * SHARD_BYTES:
        count *= 2
    places = [shard_of(row_identity(row)[0], count) for row in rows] if count > 1 else []
    for index, name in enumerate(shard_names(count)):
        chosen = pa.array([i for i, place in enumerate(places) if place == index], pa.int64())
        part = (table.take(chosen) if count > 1 else table).combine_chunks()
        write_parquet(folder / name, part)
        cells.write(folder / name, part)


def _refuse_duplicates(folder: Path, ordered: list[Any]) -> None:
    for before, after in itertools.pairwise(ordered):
        if row_identity(before) == row_identity(after):
            raise Orca2Error(f"two rows share the identity {row_identity(after)}", str(folder), "report this as a bug")


def _complete_shards(folder: Path) -> list[Path]:
    shards = sorted(folder.glob("rows-*-of-*.parquet"))
    if not shards:
        raise Orca2Error("artifact is missing", str(folder), "run `dvc repro` (or `dvc pull`) first")
    names = [shard.name for shard in shards]
    if set(names) != set(shard_names(len(shards))):
        hint = "run `dvc checkout` or `dvc repro`"
        raise Orca2Error(f"its shards are not one complete set: {', '.join(names)}", str(folder), hint)
    return shards


def _read_table(shard: Path, names: Sequence[str] | None = None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = list(names) if names else None
        return pq.read_table(shard, columns=columns, partitioning=None, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise Orca2Error(f"cannot be read: {error}", str(shard), "run `dvc checkout` or `dvc repro`") from error


def _read_shard(shard: Path, row_type: type) -> Iterator[Any]:
    table = _read_table(shard)
    if table.schema != arrow_schema(row_type):
        names = ", ".join(table.schema.names)
        hint = f"it has {names}; it was written by another version: run `dvc repro`"
        raise Orca2Error(f"is not an artifact of {row_type.__name__}", str(shard), hint)
    return from_table(table, row_type)


def _arrow_field(name: str, kind: Any) -> Any:
    import pyarrow as pa

    args = typing.get_args(kind)
    optional = typing.get_origin(kind) is types.UnionType and type(None) in args
    if optional:
        kind = next(arg for arg in args if arg is not type(None))
    return pa.field(name, _arrow_type(kind), nullable=optional)


def _arrow_type(kind: Any) -> Any:
    import pyarrow as pa

    if typing.get_origin(kind) is Literal:
        return pa.string()
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        # Token ids and labels are 32-bit, as every tokenizer's are; a schema of plain ints elsewhere stays 64-bit.
        return pa.list_(pa.field("element", pa.int32() if item is int else _arrow_type(item), nullable=False))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return pa.struct([_arrow_field(f.name, hints[f.name]) for f in dataclasses.fields(kind)])
    return getattr(pa, _SCALARS[kind])()


@cache
def _fields(row_type: type) -> list[tuple[str, Any]]:
    """Name and type of every field."""
    return list(typing.get_type_hints(row_type).items())


def _is_row(kind: Any) -> TypeGuard[type]:
    return dataclasses.is_dataclass(kind)


def _to_arrow(values: Sequence[Any], kind: Any) -> Any:
    """Values of one type as an Arrow array, column by column: no dictionary is made for any row."""
    import pyarrow as pa

    if _is_row(kind):
        columns = [_to_arrow([getattr(value, name) for value in values], inner) for name, inner in _fields(kind)]
        return pa.StructArray.from_arrays(columns, fields=list(_arrow_type(kind)))
    if typing.get_origin(kind) is tuple and _is_row(item := typing.get_args(kind)[0]):
        ends = [0, *itertools.accumulate(map(len, values))]
        flat = _to_arrow([element for value in values for element in value], item)
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat, type=_arrow_type(kind))
    return pa.array(values, _arrow_field("", kind).type)


def _from_arrow(array: Any, kind: Any) -> list[Any]:
    """The values of an Arrow array, as `_to_arrow` took them."""
    if _is_row(kind):
        names = [name for name, _ in _fields(kind)]
        columns = [
            _from_arrow(column, inner) for column, (_, inner) in zip(array.flatten(), _fields(kind), strict=True)
        ]
        return [kind(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]
    if typing.get_origin(kind) is not tuple:
        return list(array.to_pylist())
    if not _is_row(item := typing.get_args(kind)[0]):
        return list(map(tuple, array.to_pylist()))
    elements = iter(_from_arrow(array.flatten(), item))
    return [tuple(itertools.islice(elements, length)) for length in array.value_lengths().to_pylist()]
