"""A digest of every cell of an artifact, kept beside its shards: what a diff compares instead of the cells themselves.

`.rows-00-of-04.digests` is a Parquet file with the columns of `rows-00-of-04.parquet`, each of uint64: the first 64
bits of the BLAKE2b of the cell's JSON. So 1, 1.0, "1", true and null all differ, and a text need not be read to be
compared: a tenth of the space, and a tenth of the time of reading the rows.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_OF = b"orca2.rows"
_BLOCK_BYTES = 64 << 20
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)


def beside(rows: Path) -> Path:
    """Where the digests of a shard lie: hidden, so that whoever reads the whole folder as Parquet passes over them."""
    return rows.with_name(f".{rows.stem}.digests")


def of_table(table: pa.Table) -> pa.Table:
    """The digests of a table's cells: a table of the same columns and length, of uint64."""
    import pyarrow as pa

    # In blocks, because an Arrow text column holds at most 2 GiB, and JSON is longer than what it says.
    block = max(1, _BLOCK_BYTES * len(table) // max(1, table.nbytes))
    columns = {
        name: [_of_column(part) for chunk in table[name].chunks for part in _blocks(chunk, block)]
        for name in table.schema.names
    }
    return pa.table({name: pa.chunked_array(parts, pa.uint64()).combine_chunks() for name, parts in columns.items()})


def write(rows: Path, table: pa.Table) -> None:
    """Write the digests of a shard beside it; uncompressed, because digests do not compress."""
    import pyarrow.parquet as pq

    made = of_table(table).replace_schema_metadata({_OF: _mark(rows)})
    pq.write_table(made, beside(rows), compression="none", version="2.6", write_statistics=False)


def read(file: Path | None, rows: Path) -> pa.Table:
    """The digests of a shard; computed from `rows` where there are none, or where they are of other rows.

    Raises:
        OSError: a file cannot be read. Arrow's own ValueError for a spoilt one.
    """
    import pyarrow.parquet as pq

    if file is not None:
        with pq.ParquetFile(file, memory_map=True) as stored:
            if (stored.schema_arrow.metadata or {}).get(_OF) == _mark(rows):
                return stored.read()
    return of_table(pq.read_table(rows, partitioning=None))


def of(value: object) -> int:
    """The digest of one cell."""
    return int.from_bytes(hashlib.blake2b(_JSON.encode(value).encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _mark(rows: Path) -> bytes:
    """What tells a file of rows from any other: its length and its Parquet footer, which lists all pages."""
    with rows.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 8, 0))
        footer = int.from_bytes(file.read(4), "little")
        file.seek(max(size - 8 - footer, 0))
        return f"{size} {hashlib.blake2b(file.read(), digest_size=16).hexdigest()}".encode()


def _blocks(array: pa.Array, length: int) -> Iterator[pa.Array]:
    return (array.slice(start, length) for start in range(0, len(array), length))


def _of_column(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        texts = _as_json(column).cast(pa.binary()).to_numpy(zero_copy_only=False)
        digests = b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts)
        return pa.array(np.frombuffer(digests, ">u8").astype(np.uint64))
    # Few cells of most columns are different ones.
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    distinct = [*encoded.dictionary.to_pylist(), None]
    of_distinct = np.fromiter(map(of, distinct), np.uint64, len(distinct))
    return pa.array(of_distinct[encoded.indices.fill_null(len(distinct) - 1).to_numpy(zero_copy_only=False)])


def _as_json(array: pa.Array) -> pa.Array:
    """What `_JSON` writes of each value, as an Arrow text column, joined column by column without an object a value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_struct(kind):
        fields = sorted((field.name, index) for index, field in enumerate(kind))
        heads = [f"{',' if number else '{'}{_JSON.encode(name)}:" for number, (name, _) in enumerate(fields)]
        parts = [part for head, (_, i) in zip(heads, fields, strict=True) for part in (head, _as_json(array.field(i)))]
        joined = pc.binary_join_element_wise(*parts, "}" if parts else "{}", "")
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        ends = np.append(0, np.cumsum(array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)))
        items = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), _as_json(array.flatten()))
        joined = pc.binary_join_element_wise("[", pc.binary_join(items, ","), "]", "")
    elif pa.types.is_integer(kind):
        joined = array.cast(pa.string())
    elif pa.types.is_nested(kind):
        joined = pa.array(map(_JSON.encode, array.to_pylist()), pa.string())
    else:
        encoded = array if pa.types.is_dictionary(kind) else array.dictionary_encode()
        joined = pa.array(map(_JSON.encode, encoded.dictionary.to_pylist()), pa.string()).take(encoded.indices)
    return pc.if_else(array.is_valid(), joined, "null")
