"""Rows as Arrow tables and back, and what of a table decides where its rows lie.

Rows become columns, and columns rows, one column at a time. Equal turns of conversations are one object on the way
back: worked turns stand in every request of a task.
"""

from __future__ import annotations

import dataclasses
import itertools
import types
import typing
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from json.encoder import encode_basestring
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from orca2.core.hashing import SCHEME, digest

if TYPE_CHECKING:
    import pyarrow as pa

_Row = TypeVar("_Row")
_SCALARS: dict[object, str] = {str: "string", int: "int64", float: "float64", bool: "bool_"}
_IDENTITY = ("row_id", "sample_index", "strategy", "key")
_BATCH_ROWS = 1 << 16


@cache
def arrow_schema(row_type: type) -> pa.Schema:
    """The Arrow schema of a frozen dataclass of plain fields, tuples and nested dataclasses."""
    import pyarrow as pa

    hints = typing.get_type_hints(row_type)
    return pa.schema([_arrow_field(f.name, hints[f.name]) for f in dataclasses.fields(row_type)])


def to_table(rows: Sequence[object], row_type: type) -> pa.Table:
    """Rows as an Arrow table with the canonical schema, in batches of which no column passes 2 GiB."""
    import pyarrow as pa

    starts = range(0, len(rows), _BATCH_ROWS)
    batches = [batch for start in starts for batch in _to_batches(rows[start : start + _BATCH_ROWS], row_type)]
    return pa.Table.from_batches(batches, arrow_schema(row_type))


def from_table(table: pa.Table, row_type: type[_Row]) -> Iterator[_Row]:
    """The rows of an Arrow table that has the canonical schema."""
    rows = (_from_arrow(batch.to_struct_array(), row_type) for batch in table.to_batches())
    return cast(Iterator[_Row], itertools.chain.from_iterable(rows))


def identity_columns(names: Sequence[str]) -> list[str]:
    """Which of a row's columns order rows and keep them apart: of packed sequences their index alone."""
    return ["sequence_index"] if "sequence_index" in names else [name for name in _IDENTITY if name in names]


def shard_of(identity: object, count: int) -> int:
    """Which of `count` shards, a power of two, holds the row of this id (or, of a packed sequence, of this index)."""
    return int(digest("shard", str(identity))[:8], 16) % count


def reversed_hashes(table: pa.Table | pa.RecordBatch) -> NDArray[np.uint32]:
    """The bits of the hash of each row's id, the last one first: uint32[n]; where it lies among any number of shards.

    So rows in the order of these are in the order of their shards, whatever power of two of shards there are.
    """
    ids = table[identity_columns(table.schema.names)[0]]
    head, tail = f'[{SCHEME},"shard",', "]"
    hashes = (sha256(f"{head}{encode_basestring(str(i))}{tail}".encode()).digest()[:4] for i in _values(ids))
    return _reversed_bits(np.frombuffer(b"".join(hashes), ">u4").astype(np.uint32))


def hash_range(index: int, count: int) -> tuple[int, int]:
    """The half-open range of `reversed_hashes` of one of `count` shards."""
    first = int(_reversed_bits(np.array([index], np.uint32))[0])
    return first, first + (1 << 32) // count


def logical_bytes(table: pa.Table) -> int:
    """The size of a table's rows, which is the sum of that of any parts of it, however it is cut and stored."""
    return sum(_bytes_of(chunk) for column in table.columns for chunk in column.chunks)


def take(tables: Sequence[pa.Table], rows: NDArray[np.int64]) -> pa.Table:
    """Some rows, int64[m], counted over tables of one schema, in this order; nothing else of them is copied."""
    import pyarrow as pa

    firsts = np.cumsum([0, *map(len, tables)])
    by_table = np.argsort(rows, kind="stable")
    cuts = np.searchsorted(rows[by_table], firsts)
    parts = [
        table.take(pa.array(rows[by_table[low:high]] - first))
        for table, first, low, high in zip(tables, firsts, cuts, cuts[1:], strict=False)
        if low < high
    ]
    back = np.empty(len(rows), np.int64)
    back[by_table] = np.arange(len(rows))
    return pa.concat_tables(parts or [tables[0].slice(0, 0)]).combine_chunks().take(pa.array(back))


def _bytes_of(array: pa.Array) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_struct(array.type):
        return sum(_bytes_of(child) for child in array.flatten())
    if pa.types.is_list(array.type):
        return 4 * len(array) + _bytes_of(array.flatten())
    if pa.types.is_string(array.type):
        return 4 * len(array) + int(pc.sum(pc.binary_length(array)).as_py() or 0)
    return len(array) * max(1, int(array.type.bit_width) // 8)


def _reversed_bits(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """uint32[n] with the 32 bits of each value the other way round."""
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F)):
        values = ((values >> np.uint32(shift)) & np.uint32(mask)) | ((values & np.uint32(mask)) << np.uint32(shift))
    return values.byteswap()


def _to_batches(rows: Sequence[object], row_type: type) -> list[pa.RecordBatch]:
    """Rows as few batches as can hold them: halved for as long as a column of theirs is too large."""
    import pyarrow as pa

    try:
        return [pa.RecordBatch.from_struct_array(_to_arrow(rows, row_type))]
    except pa.ArrowCapacityError:
        if len(rows) == 1:
            raise
        half = len(rows) // 2
        return _to_batches(rows[:half], row_type) + _to_batches(rows[half:], row_type)


def _arrow_field(name: str, kind: object) -> pa.Field:
    import pyarrow as pa

    args = typing.get_args(kind)
    optional = typing.get_origin(kind) is types.UnionType and type(None) in args
    if optional:
        kind = next(arg for arg in args if arg is not type(None))
    return pa.field(name, _arrow_type(kind), nullable=optional)


def _arrow_type(kind: object) -> pa.DataType:
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
def _fields(row_type: type) -> list[tuple[str, object]]:
    """Name and type of every field."""
    return list(typing.get_type_hints(row_type).items())


def _is_row(kind: object) -> TypeGuard[type]:
    return dataclasses.is_dataclass(kind)


def _to_arrow(values: Sequence[Any], kind: object) -> pa.Array:
    """Values of one type as an Arrow array, column by column: no dictionary is made for any row."""
    import pyarrow as pa

    if _is_row(kind):
        columns = [_to_arrow(list(map(attrgetter(name), values)), inner) for name, inner in _fields(kind)]
        return pa.StructArray.from_arrays(columns, fields=list(_arrow_type(kind)))
    if typing.get_origin(kind) is tuple and _is_row(item := typing.get_args(kind)[0]):
        ends = [0, *itertools.accumulate(map(len, values))]
        flat = _to_arrow(list(itertools.chain.from_iterable(values)), item)
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat, type=_arrow_type(kind))
    array = pa.array(values, _arrow_field("", kind).type)
    if isinstance(array, pa.ChunkedArray):
        raise pa.ArrowCapacityError("a column past 2 GiB")
    return array


def _from_arrow(array: pa.Array, kind: object, *, nested: bool = False) -> list[object]:
    """The values of an Arrow array, as `_to_arrow` took them; equal ones inside of rows are one object."""
    if _is_row(kind):
        names = [name for name, _ in _fields(kind)]
        pairs = zip(array.flatten(), _fields(kind), strict=True)
        columns = [_from_arrow(column, inner, nested=True) for column, (_, inner) in pairs]
        if not nested:
            return _rows(columns, names, kind, len(array))
        values = list(zip(*columns, strict=True))
        distinct = dict.fromkeys(values)
        made = _rows([list(column) for column in zip(*distinct, strict=True)], names, kind, len(distinct))
        return list(map(dict(zip(distinct, made, strict=True)).__getitem__, values))
    if typing.get_origin(kind) is not tuple:
        return _values(array)
    item = typing.get_args(kind)[0]
    flat = array.flatten()
    elements = iter(_from_arrow(flat, item, nested=True) if _is_row(item) else _values(flat))
    return [tuple(itertools.islice(elements, length)) for length in _values(array.value_lengths())]


def _rows(columns: Sequence[list[Any]], names: Sequence[str], kind: type, count: int) -> list[Any]:
    """Rows made column by column: a field costs a tenth of what it does in the constructor, which has no say here."""
    if hasattr(kind, "__post_init__") or not hasattr(kind, "__slots__"):
        return [kind(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]
    rows: list[Any] = list(map(object.__new__, itertools.repeat(kind, count)))
    for name, column in zip(names, columns, strict=True):
        deque(map(getattr(kind, name).__set__, rows, column), maxlen=0)
    return rows


def _values(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of a column of scalars, a text that stands in it often as one object."""
    import pyarrow as pa

    if array.null_count and not pa.types.is_string(array.type):
        return list(array.to_pylist())
    return (
        list(array.to_numpy(zero_copy_only=False).tolist())
        if isinstance(array, pa.Array)
        else array.to_numpy().tolist()
    )
