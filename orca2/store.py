"""The store: every answer a teacher ever gave, found by the content of its request (DESIGN section 7).

A folder of immutable Parquet segments. A segment is written under a temporary name, synced and renamed, so no half file
ever has a good name; any number of processes may write at once, without locks. The first answer to a request wins; a
later, different one stays in its segment as a conflict and is never served.
"""

import os
import subprocess
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca2.errors import Orca2Error
from orca2.hashing import file_digest
from orca2.rows import Answer, Request
from orca2.shards import arrow_schema, to_table, write_parquet

_KEY_BYTES = 32
_Columns = tuple[Any, Any]
"""Of one segment: keys and limits, as `_Index` holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An answer as a segment holds it, with its provenance: how it came to be, outside its identity."""

    key: str
    text: str
    finish_reason: str
    max_tokens: int
    prompt_tokens: int
    completion_tokens: int
    provenance: str
    """JSON: engine and version, dtype, hardware class, git commit."""


def default_root() -> Path:
    """`ORCA2_STORE`, else `.orca2/store` of the main repository, also from a worktree or a DVC experiment's copy."""
    if root := os.environ.get("ORCA2_STORE"):
        return Path(root)
    return main_repository() / ".orca2" / "store"


def main_repository(folder: Path = Path()) -> Path:
    """The folder of the repository that all worktrees and DVC experiment workspaces around `folder` belong to."""
    command = ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if found.returncode:
        return Path.cwd()
    common = Path(found.stdout.strip())
    # A DVC experiment's temporary workspace has a repository of its own, inside the `.dvc/tmp/exps` of the one that
    # it was started from; that one may be a worktree in its turn.
    inside = next((parent for parent in common.parents if parent.name == ".dvc"), None)
    return main_repository(inside.parent) if inside else common.parent


class Store:
    """Answers by request. Opening reads the segments' key columns only; texts are read when they are asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._segments: list[Path] = []
        self._index = _Index.empty()
        self.refresh()

    def __len__(self) -> int:
        return len(self._index.prefixes)

    def refresh(self) -> None:
        """Index the segments that have appeared; set a torn or foreign one aside with a warning."""
        # By name, so by time: of two answers to one request, the older segment's wins.
        columns = {s: read for s in sorted(self.root.glob("*.parquet")) if (read := self._index_columns(s))}
        self._segments = list(columns)
        self._index = _Index.of(list(columns.values()))

    def find(self, requests: Sequence[Request]) -> dict[str, Answer]:
        """The reusable answers among these requests, by key.

        An answer that stopped by itself serves any limit it fits in; one cut by a limit serves that limit only.
        """
        wanted: dict[int, list[tuple[int, str]]] = {}
        for request, place in zip(requests, self._index.places(requests), strict=True):
            if place is not None:
                wanted.setdefault(place[0], []).append((place[1], request.key))
        return {a.key: a for segment, rows in wanted.items() for a in _read_answers(self._segments[segment], rows)}

    def writer(self, provenance: str) -> "Writer":
        """A writer for the answers of one engine; use it as a context manager."""
        return Writer(self.root, provenance)

    def _index_columns(self, segment: Path) -> "_Columns | None":
        """What the index keeps of a segment; None for one that is set aside, or that another process did."""
        import pyarrow as pa

        try:
            return _read_index_columns(segment)
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError, ValueError) as error:
            if getattr(error, "errno", None):  # the disk refuses, which says nothing against the file
                raise
            problem = str(error)
        aside = segment.with_suffix(".aside")
        with suppress(FileNotFoundError):
            segment.rename(aside)
        warnings.warn(f"{segment} is not a readable segment ({problem}); kept as {aside.name}", stacklevel=3)
        return None


class Writer:
    """Buffers answers and publishes them as segments: every `FLUSH_ROWS` rows or `FLUSH_S` seconds, and at the end."""

    FLUSH_ROWS = 256
    FLUSH_S = 1.0

    def __init__(self, root: Path, provenance: str) -> None:
        self._root, self._provenance = root, provenance
        self._waiting: list[Stored] = []
        self._flushed_at = time.monotonic()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, answers: Iterable[Answer]) -> None:
        """Take finished answers, and flush when enough have gathered or enough time has passed."""
        for a in answers:
            values = {name: getattr(a, name) for name in Answer.__dataclass_fields__}
            self._waiting.append(Stored(**values, provenance=self._provenance))
        if len(self._waiting) >= self.FLUSH_ROWS or time.monotonic() - self._flushed_at > self.FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Publish what is waiting as one segment: temporary name, sync, rename.

        Raises:
            Orca2Error: the disk is full or read-only; the answers stay in memory, nothing published is harmed.
        """
        self._flushed_at = time.monotonic()
        if not self._waiting:
            return
        temporary = self._root / f".{os.getpid()}-{time.time_ns()}.tmp"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            write_parquet(temporary, to_table(self._waiting, Stored))
            temporary.rename(self._root / f"{time.time_ns():020d}-{file_digest(temporary)[:16]}.parquet")
            _sync_folder(self._root)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            hint = "free some space or mend the permissions, or set ORCA2_STORE; finished answers so far are kept"
            raise Orca2Error(f"cannot write answers: {error.strerror}", str(self._root), hint) from error
        self._waiting.clear()


@dataclass(frozen=True, slots=True)
class _Index:
    """Where each stored answer lies, ordered by key prefix and then by age. 57 bytes an answer."""

    prefixes: Any
    """uint64[n]: first eight bytes of the key, sorted."""
    keys: Any
    """uint8[n, 32]"""
    limits: Any
    """int32[n]: max_tokens of an answer that was cut, -completion_tokens of one that stopped."""
    segments: Any
    rows: Any

    @classmethod
    def empty(cls) -> "_Index":
        return cls(np.empty(0, ">u8"), np.empty((0, _KEY_BYTES), np.uint8), *(np.empty(0, np.int32) for _ in range(3)))

    @classmethod
    def of(cls, segments: Sequence["_Columns"]) -> "_Index":
        if not segments:
            return cls.empty()
        keys, limits = (np.concatenate(column) for column in zip(*segments, strict=True))
        lengths = [len(keys_of_one) for keys_of_one, _ in segments]
        numbers = np.repeat(np.arange(len(segments), dtype=np.int32), lengths)
        rows = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        prefixes = np.ascontiguousarray(keys[:, :8]).view(">u8").ravel()
        order = np.argsort(prefixes, kind="stable")
        return cls(prefixes[order], keys[order], limits[order], numbers[order], rows[order])

    def places(self, requests: Sequence[Request]) -> list[tuple[int, int] | None]:
        """Segment number and row of the answer that serves each request."""
        if not len(requests):
            return []
        keys = np.frombuffer(bytes.fromhex("".join(r.key for r in requests)), np.uint8).reshape(-1, _KEY_BYTES)
        prefixes = np.ascontiguousarray(keys[:, :8]).view(">u8").ravel()
        first = np.searchsorted(self.prefixes, prefixes, "left")
        last = np.searchsorted(self.prefixes, prefixes, "right")
        return [
            self._first_reusable(range(a, b), key, request.sampling.max_tokens) if b > a else None
            for a, b, key, request in zip(first.tolist(), last.tolist(), keys, requests, strict=True)
        ]

    def _first_reusable(self, candidates: range, key: Any, max_tokens: int) -> tuple[int, int] | None:
        for i in candidates:
            limit = int(self.limits[i])
            fits = limit == max_tokens if limit > 0 else -limit <= max_tokens
            if fits and (self.keys[i] == key).all():
                return int(self.segments[i]), int(self.rows[i])
        return None


def _read_index_columns(segment: Path) -> _Columns:
    """Keys and limits of one segment, see `_Index`.

    Raises:
        ValueError: the file has other columns or other keys than a segment. Arrow's own errors for a torn one.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(segment, page_checksum_verification=True) as file:
        if not file.schema_arrow.equals(arrow_schema(Stored)):
            raise ValueError("it has other columns than this version writes")
        table = file.read(columns=["key", "finish_reason", "max_tokens", "completion_tokens"])
    keys = np.frombuffer(bytes.fromhex("".join(table["key"].to_pylist())), np.uint8).reshape(len(table), _KEY_BYTES)
    cut = np.array([reason == "length" for reason in table["finish_reason"].to_pylist()], bool)
    limits = np.where(cut, table["max_tokens"].to_numpy(), -table["completion_tokens"].to_numpy()).astype(np.int32)
    return keys, limits


def _read_answers(segment: Path, wanted: list[tuple[int, str]]) -> list[Answer]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(Answer.__dataclass_fields__)
    try:
        table = pq.read_table(segment, columns=names, partitioning=None, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        hint = "move the file away and run again: its answers will be generated anew"
        raise Orca2Error(f"stored answers cannot be read: {error}", str(segment), hint) from error
    chosen = table.take([row for row, _ in wanted])
    return [Answer(**record) for record in chosen.select(names).to_pylist()]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
