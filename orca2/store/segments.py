"""Segments: the immutable files of the store (docs/design.md, 7).

A segment is one Parquet file, named by the time and the digest of its content, written under a temporary name, synced
and renamed: no half file ever has a good name. None is ever changed; `merging` makes several into one.
"""

from __future__ import annotations

import binascii
import os
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orca2.core.errors import Orca2Error
from orca2.core.folders import make_folder
from orca2.core.hashing import file_digest
from orca2.core.rows import Answer
from orca2.core.tables import arrow_schema
from orca2.project.shards import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

SCHEME = 1
"""Of the file format; a segment of a later one is left alone."""
KEY_HEX = 64
_STALE_NS = 86_400 * 10**9
"""A temporary file older than a day is one that a killed process left."""
_REMOVED = "removed.txt"
_INDEXED = ["key", "finish_reason", "max_tokens", "completion_tokens", "stored_ns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An answer as a segment holds it, with its provenance: how it came to be, outside its identity."""

    key: str
    text: str
    finish_reason: str
    max_tokens: int
    prompt_tokens: int
    completion_tokens: int
    stored_ns: int
    """When it was stored, in nanoseconds since 1970, no two rows of a batch at once: of two answers to one request,
    the earlier one wins; rows that share key, time and limit are copies of one answer."""
    provenance: str
    """JSON: engine and version, dtype, hardware class, git commit."""


class Indexed(NamedTuple):
    """What an index keeps of a segment of n answers."""

    keys: NDArray[np.uint64]
    """uint64[n, 4]: the 32 bytes of each key."""
    limits: NDArray[np.int32]
    """int32[n]: max_tokens of an answer that was cut, -completion_tokens of one that stopped."""
    stored_ns: NDArray[np.int64]
    """int64[n]"""
    replaces: tuple[str, ...]
    """Names of the segments whose rows this one holds."""


class NewerSchemeError(ValueError):
    """The segment was written by a later version."""


def segment_files(root: Path) -> list[Path]:
    """The segments of a store by name, which is by time; none where there is no folder."""
    try:
        with os.scandir(root) as entries:
            return sorted(root / entry.name for entry in entries if entry.name.endswith(".parquet"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def publish(root: Path, table: pa.Table, replaces: Iterable[str] = ()) -> Path:
    """Write a table of `Stored` rows as one segment; its content is synced, for its name see `sync_folder`.

    Raises:
        Orca2Error: the disk is full or read-only; nothing published is harmed.
    """
    about = {"orca2.scheme": str(SCHEME), "orca2.replaces": "\n".join(sorted(replaces))}
    temporary = root / temporary_name()
    with writing(root):
        make_folder(root)
        try:
            write_parquet(temporary, table.replace_schema_metadata(about))
            segment = root / f"{time.time_ns():020d}-{file_digest(temporary)[:16]}.parquet"
            temporary.rename(segment)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    return segment


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Say plainly that the disk refuses.

    Raises:
        Orca2Error: the disk is full or read-only.
    """
    try:
        yield
    except OSError as error:
        hint = "free some space or mend the permissions, or set ORCA2_STORE; finished answers so far are kept"
        raise Orca2Error(f"cannot write answers: {error.strerror}", str(root), hint) from error


def temporary_name() -> str:
    """A name that no reader takes; it tells its age, because a killed process cannot remove what it began."""
    return f".{time.time_ns():020d}-{uuid.uuid4().hex}.tmp"


def is_stale(name: str) -> bool:
    """Whether this is the name of a temporary file that was begun more than a day ago."""
    began = name[1:21]
    ours = name.startswith(".") and name.endswith(".tmp") and began.isdigit()
    return ours and int(began) < time.time_ns() - _STALE_NS


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a power cut as well; a file's content is synced before it gets its name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stored_table(answers: Sequence[Answer], provenances: Sequence[str]) -> pa.Table:
    """Fresh answers, each with its provenance, as `Stored` rows of this moment, each a nanosecond after the last."""
    import pyarrow as pa

    now = time.time_ns()
    columns: dict[str, Sequence[object]] = {
        name: [getattr(a, name) for a in answers] for name in Answer.__dataclass_fields__
    }
    columns |= {"stored_ns": range(now, now + len(answers)), "provenance": provenances}
    return pa.table(columns, schema=arrow_schema(Stored))


def read_indexed(segment: Path) -> Indexed:
    """Keys, limits and times of one segment; texts stay on disk.

    Raises:
        NewerSchemeError: the segment is of a later version.
        ValueError: the file has other columns or other keys than a segment. Arrow's own errors for a torn one.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(segment, page_checksum_verification=True) as file:
        replaces = _check(file.schema_arrow)
        table = file.read(columns=_INDEXED).combine_chunks()
    keys = np.empty((len(table), 4), np.uint64, order="F")
    keys[:] = _key_words(table["key"])
    cut = pc.match_like(table["finish_reason"], "length")  # `equal` would import pandas, for its constant
    limits = pc.if_else(cut, table["max_tokens"], pc.negate(table["completion_tokens"]))
    return Indexed(keys, _numbers(limits).astype(np.int32), _numbers(table["stored_ns"]), replaces)


def read_replaces(segment: Path) -> tuple[str, ...]:
    """The names of the segments whose rows this one holds. Errors as of `read_indexed`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(segment) as file:
        return _check(file.schema_arrow)


def is_sound(segment: Path, name: str = "") -> bool:
    """Whether the content is, to the last byte, what the name says; one that has gone is not."""
    try:
        return Path(name or segment).stem.endswith(f"-{file_digest(segment)[:16]}")
    except FileNotFoundError:
        return False


def key_words(keys: Sequence[str]) -> NDArray[np.uint64]:
    """Keys in hex as uint64[n, 4].

    Raises:
        ValueError: one is not 64 hex digits.
    """
    return _words("".join(keys).encode(), len(keys))


def read_table(segment: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A segment as an Arrow table, its page checksums verified. Arrow's own errors for a spoilt one."""
    import pyarrow.parquet as pq

    names = list(columns) if columns else None
    return pq.read_table(segment, columns=names, partitioning=None, page_checksum_verification=True)


def read_answers(segment: Path, rows: Sequence[int] | NDArray[np.int64]) -> list[Answer]:
    """The answers in these rows of a segment. Arrow's own errors for a spoilt one."""
    names = list(Answer.__dataclass_fields__)
    chosen = read_table(segment, names).select(names).take(rows).to_pydict()
    return [Answer(**dict(zip(names, values, strict=True))) for values in zip(*chosen.values(), strict=True)]


def read_groups(segment: Path, rows: NDArray[np.int64]) -> Iterator[tuple[int, int, pa.Table]]:
    """The answers in these ascending rows, int[n], a row group at a time: from where to where in `rows`, and a table.

    Arrow's own errors for a spoilt segment.
    """
    import pyarrow.parquet as pq

    names, start = list(Answer.__dataclass_fields__), 0
    with pq.ParquetFile(segment, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            low, high = np.searchsorted(rows, [start, end]).tolist()
            if low < high:
                yield low, high, file.read_row_group(group, columns=names).take(rows[low:high] - start)
            start = end


def remember_removed(root: Path, names: Iterable[str]) -> None:
    """Note down segments of which rows were removed as garbage, so that a pull does not bring them back.

    The note is never pushed: what nobody here needs, a colleague may.
    """
    with writing(root), (root / _REMOVED).open("a", encoding="utf-8") as notes:
        notes.write("".join(f"{name}\n" for name in names))
        notes.flush()
        os.fsync(notes.fileno())


def removed_names(root: Path) -> set[str]:
    """The segments that were noted down as removed."""
    notes = root / _REMOVED
    return set(notes.read_text("utf-8").splitlines()) if notes.exists() else set()


def set_aside(segment: Path, problem: str) -> None:
    """Give a torn or foreign file a name that is not read, and say so; nothing is deleted."""
    aside = segment.with_suffix(".aside")
    try:
        segment.rename(aside)
        done = f"kept as {aside.name}"
    except FileNotFoundError:
        return
    except OSError as error:
        done = f"left as it is ({error.strerror})"
    warnings.warn(f"{segment} is not a readable segment ({' '.join(problem.split())}); {done}", stacklevel=4)


def _check(schema: pa.Schema) -> tuple[str, ...]:
    """The names a segment replaces, once its scheme and columns are known to be ours."""
    about = schema.metadata or {}
    scheme = about.get(b"orca2.scheme", b"")
    if scheme.isdigit() and int(scheme) > SCHEME:
        raise NewerSchemeError(f"scheme {int(scheme)} is later than {SCHEME}")
    if not scheme or not schema.equals(arrow_schema(Stored)):
        raise ValueError("it has other columns than this version writes")
    return tuple(about.get(b"orca2.replaces", b"").decode().splitlines())


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """int64[n] of a column; `to_numpy` would import pandas, which takes longer than opening a small store."""
    numbers = column.combine_chunks()
    if numbers.null_count:
        raise ValueError("a number is missing")
    if not len(numbers):
        return np.empty(0, np.int64)
    return np.frombuffer(numbers.buffers()[1], np.int64, len(numbers), 8 * numbers.offset)


def _key_words(column: pa.ChunkedArray | pa.Array) -> NDArray[np.uint64]:
    """uint64[n, 4] of a column of hex keys, without a Python object for each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if len(keys) and pc.min_max(pc.binary_length(keys)).as_py() != {"min": KEY_HEX, "max": KEY_HEX}:
        raise ValueError("a key is not 64 hex digits")
    text = keys.buffers()[2] if len(keys) else b""
    return _words(memoryview(text)[keys.offset * KEY_HEX : (keys.offset + len(keys)) * KEY_HEX], len(keys))


def _words(text: bytes | memoryview, count: int) -> NDArray[np.uint64]:
    raw = binascii.unhexlify(text)
    if len(raw) != count * KEY_HEX // 2:
        raise ValueError("a key is not 64 hex digits")
    return np.frombuffer(raw, np.uint64).reshape(count, 4)
