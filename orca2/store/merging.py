"""Merging: one segment in place of several.

A merge writes a new segment that names those it replaces, and only then removes them, so that a crash between the two
leaves copies, never a gap. A file is removed only once another one holds all its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orca2.store import segments

if TYPE_CHECKING:
    import pyarrow as pa

MERGED_BYTES = 1 << 30
"""Of a merged segment in memory: far below the 2 GiB of text that an Arrow column can hold."""


def merge(root: Path, files: Sequence[Path]) -> Path | None:
    """One segment in place of several, their rows in order of time; those that are gone or spoilt are left out.

    So are those that would make it larger than `MERGED_BYTES`. None when fewer than two are left, or when another
    process has just removed one.

    Raises:
        Orca2Error: the disk is full or read-only; the segments stay as they are.
    """
    import pyarrow as pa

    sound = [file for file in files if segments.is_sound(file)]
    if len(sound) < 2:
        return None
    try:
        tables = _fitting(sound)
        replaces = set(tables).union(*(segments.read_replaces(root / name) for name in tables))
        table = _without_copies(pa.concat_tables(tables.values()).sort_by("stored_ns")) if len(tables) > 1 else None
    except (pa.ArrowException, OSError, ValueError):
        return None
    if table is None or not all((root / name).exists() for name in tables):
        return None
    merged = segments.publish(root, table, replaces)
    segments.sync_folder(root)
    for name in tables:
        (root / name).unlink(missing_ok=True)
    return merged


def _fitting(files: Sequence[Path]) -> dict[str, pa.Table]:
    """The tables of as many of the segments as fit together, by name."""
    tables: dict[str, pa.Table] = {}
    filled = 0
    for file in files:
        table = segments.read_table(file).replace_schema_metadata()
        if filled + table.nbytes <= MERGED_BYTES:
            tables[file.name] = table
            filled += table.nbytes
    return tables


def _without_copies(table: pa.Table) -> pa.Table:
    """The rows without those that equal an earlier one: two people may have merged what they share differently."""
    import pyarrow.compute as pc

    if pc.count_distinct(table["key"]).as_py() == len(table):
        return table
    rows = zip(*(table[name].to_pylist() for name in table.schema.names), strict=True)
    first = {row: index for index, row in reversed(list(enumerate(rows)))}
    return table.take(sorted(first.values()))
