"""The store: every answer a teacher ever gave, found by the content of its request (DESIGN section 7).

A folder of immutable segments (see `segments`). Any number of processes may write at once, without locks or a server.
The first answer to a request wins; a later, different one stays as a conflict and is never served.
"""

import os
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca2.core.errors import Orca2Error
from orca2.core.rows import Answer, Request
from orca2.store import segments

_ATTEMPTS = 5
"""How often a read is begun anew because another process merged the segments under it."""


def default_root() -> Path:
    """`ORCA2_STORE`, else `.orca2/store`, in the main repository, also from a worktree or an experiment's copy."""
    return main_repository() / Path(os.environ.get("ORCA2_STORE") or ".orca2/store").expanduser()


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
    return main_repository(inside.parent) if inside else _work_tree(common)


def _work_tree(common: Path) -> Path:
    """The folder beside `.git`; a submodule's git folder lies elsewhere and names its own."""
    command = ["git", f"--git-dir={common}", "config", "core.worktree"]
    named = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return (common / named).resolve() if named else common.parent


class SegmentsChangedError(Exception):
    """What was looked up has gone, or is spoilt; the index is made anew."""


class Store:
    """Answers by request. Opening reads the segments' key columns only; texts are read when they are asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.segments: list[Path] = []
        """The segments that are indexed, by name."""
        self.replaced: set[str] = set()
        """Names of segments whose rows are in one of these, whether they are still there or not."""
        self.index = Index.empty()
        self._spoilt: set[Path] = set()
        self.refresh()

    def __len__(self) -> int:
        return len(self.index.limits)

    def refresh(self) -> None:
        """Index what is there now; a torn or foreign segment is set aside with a warning."""
        read: dict[Path, segments.Indexed | None] = {}
        # While these are listed and read, other processes may merge some into a new one: only a list in which nothing
        # is new and from which nothing has gone holds every answer.
        while (files := segments.segment_files(self.root)) != list(read):
            read = {file: read[file] if file in read else self._indexed(file) for file in files}
        sound = {file: indexed for file, indexed in read.items() if indexed}
        self.replaced = {name for indexed in sound.values() for name in indexed.replaces}
        kept = {file: indexed for file, indexed in sound.items() if file.name not in self.replaced}
        self.segments = list(kept)
        self.index = Index.of(list(kept.values()))

    def lookup(self, keys: Sequence[str], max_tokens: Sequence[int]) -> Any:
        """Where in the index the answer to each key under its limit lies: int64[n], -1 where there is none.

        An answer that stopped by itself serves any limit it fits in; one cut by a limit serves that limit only.
        """
        return self.index.places(segments.key_words(keys), np.asarray(max_tokens, np.int64))

    def missing(self, requests: Iterable[Request]) -> list[Request]:
        """The distinct requests that have no reusable answer, in their order."""
        distinct = list({(r.key, r.sampling.max_tokens): r for r in requests}.values())
        places = self.lookup([r.key for r in distinct], [r.sampling.max_tokens for r in distinct])
        return [request for request, place in zip(distinct, places.tolist(), strict=True) if place < 0]

    def find(self, requests: Sequence[Request]) -> dict[str, Answer]:
        """The reusable answers among these requests, by key.

        Raises:
            Orca2Error: other processes keep merging the segments away.
        """
        for _ in range(_ATTEMPTS):
            found = self._read([r.key for r in requests], [r.sampling.max_tokens for r in requests])
            if found is not None:
                return found
            self.refresh()
        raise Orca2Error("its segments keep changing", str(self.root), "wait for the other process and run again")

    def read_in_order(self, found: Any) -> Iterator[tuple[Any, Any]]:
        """The answers that `lookup` found, in the order in which they lie on disk, so that each is read once.

        Args:
            found: int64[n], as `lookup` gave it, without -1.

        Yields:
            Which of them, int64[m], and a table of these, with the columns of an `Answer`.

        Raises:
            SegmentsChangedError: look them up again, and begin anew.
        """
        numbers, rows = self.index.segments[found], self.index.rows[found]
        order = np.lexsort((rows, numbers))
        for number in np.unique(numbers):
            low, high = np.searchsorted(numbers[order], [number, number + 1])
            which = order[low:high]
            yield from self._read_segment(self.segments[number], rows[which], which)

    def _read_segment(self, segment: Path, rows: Any, which: Any) -> Iterator[tuple[Any, Any]]:
        import pyarrow as pa

        try:
            for low, high, table in segments.read_groups(segment, rows):
                yield which[low:high], table
        except FileNotFoundError as error:
            self.refresh()
            raise SegmentsChangedError from error
        except (pa.ArrowException, OSError, ValueError) as error:
            self._set_aside(segment, error)
            self.refresh()
            raise SegmentsChangedError from error

    def writer(self, provenance: str) -> "Writer":
        """A writer for the answers of one engine; use it as a context manager."""
        return Writer(self.root, provenance)

    def _read(self, keys: list[str], max_tokens: list[int]) -> dict[str, Answer] | None:
        """The answers; None when a segment has gone or is spoilt, so that the index must be read again."""
        import pyarrow as pa

        found: dict[str, Answer] = {}
        places = np.unique(self.lookup(keys, max_tokens)) if keys else np.empty(0, np.int64)
        places = places[places >= 0]
        numbers = self.index.segments[places]
        for number in np.unique(numbers):
            rows = self.index.rows[places[numbers == number]]
            try:
                answers = segments.read_answers(self.segments[number], rows)
            except FileNotFoundError:
                return None
            except (pa.ArrowException, OSError, ValueError) as error:
                self._set_aside(self.segments[number], error)
                return None
            found |= {answer.key: answer for answer in answers}
        return found

    def _indexed(self, segment: Path) -> segments.Indexed | None:
        """What the index keeps of a segment; None for one that is left out, with a warning."""
        import pyarrow as pa

        if segment in self._spoilt:
            return None
        try:
            return segments.read_indexed(segment)
        except FileNotFoundError:
            return None
        except segments.NewerSchemeError as error:
            warnings.warn(f"{segment} is of a later version of orca2 ({error}): update to read it", stacklevel=3)
        except (pa.ArrowException, OSError, ValueError) as error:
            self._set_aside(segment, error)
        return None

    def _set_aside(self, segment: Path, error: Exception) -> None:
        if getattr(error, "errno", None) or isinstance(error, MemoryError):
            raise error  # the machine refuses, which says nothing against the file
        segments.set_aside(segment, str(error))
        if segment.exists():  # the store is read-only
            self._spoilt.add(segment)


class Writer:
    """Buffers answers and publishes them: every `FLUSH_ROWS` rows or `FLUSH_S` seconds, and at the end.

    A long run merges its small segments, `MERGE` at a time.
    """

    FLUSH_ROWS = 256
    FLUSH_S = 1.0
    MERGE = 64

    def __init__(self, root: Path, provenance: str) -> None:
        self._root, self._provenance = root, provenance
        self._waiting: list[Answer] = []
        self._published: list[Path] = []
        self._flushed_at = time.monotonic()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        if self._root.is_dir():
            segments.sync_folder(self._root)

    def add(self, answers: Iterable[Answer]) -> None:
        """Take finished answers, and flush when enough have gathered or enough time has passed."""
        self._waiting.extend(answers)
        if len(self._waiting) >= self.FLUSH_ROWS or time.monotonic() - self._flushed_at > self.FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Publish what is waiting as one segment.

        Raises:
            Orca2Error: the disk is full or read-only; the answers stay in memory, nothing published is harmed.
        """
        self._flushed_at = time.monotonic()
        if not self._waiting:
            return
        table = segments.stored_table(self._waiting, self._provenance)
        self._published.append(segments.publish(self._root, table))
        self._waiting.clear()
        if len(self._published) >= self.MERGE:
            self._merge()

    def _merge(self) -> None:
        try:
            segments.merge(self._root, self._published)
        except Orca2Error as error:
            warnings.warn(f"small segments stay unmerged: {error.message}", stacklevel=2)
        self._published = []


@dataclass(frozen=True, slots=True)
class Index:
    """Where each stored answer lies, ordered by key and then by age. 44 bytes an answer."""

    keys: Any
    """uint64[n, 4], in columns; the first column is sorted."""
    limits: Any
    """int32[n]: max_tokens of an answer that was cut, -completion_tokens of one that stopped."""
    segments: Any
    """int32[n]: which segment."""
    rows: Any
    """int32[n]: which row of it."""

    @classmethod
    def empty(cls) -> "Index":
        return cls(np.empty((0, 4), np.uint64, order="F"), *(np.empty(0, np.int32) for _ in range(3)))

    @classmethod
    def of(cls, read: Sequence[segments.Indexed]) -> "Index":
        if not read:
            return cls.empty()
        words = [np.concatenate([indexed.keys[:, i] for indexed in read]) for i in range(4)]
        stored_ns = np.concatenate([indexed.stored_ns for indexed in read])
        limits = np.concatenate([indexed.limits for indexed in read])
        order = np.lexsort((stored_ns, words[0]))
        # Two processes that merge the same segments at once leave each row twice; it counts once.
        copies = _as_before(words[0], order) & _as_before(stored_ns, order)
        for column in (*words[1:], limits) if copies.any() else ():
            copies &= _as_before(column, order)
        order = order[~copies]
        keys = np.empty((len(order), 4), np.uint64, order="F")
        while words:  # each is freed as soon as it is ordered; "clip" does without a buffer
            np.take(words[-1], order, out=keys[:, len(words) - 1], mode="clip")
            words.pop()
        lengths = [len(indexed.limits) for indexed in read]
        return cls(
            keys,
            limits[order],
            np.repeat(np.arange(len(read), dtype=np.int32), lengths)[order],
            np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])[order],
        )

    def places(self, wanted: Any, max_tokens: Any) -> Any:
        """The first entry that serves each of `wanted`, uint64[n, 4], under its limit: int64[n], -1 for none."""
        # In order of the keys, neighbouring searches touch neighbouring memory.
        order = np.argsort(wanted[:, 0], kind="stable")
        places = np.searchsorted(self.keys[:, 0], wanted[order, 0])
        found = np.full(len(wanted), -1, np.int64)
        while order.size:
            inside = places < len(self.limits)
            order, places = order[inside], places[inside]
            same = self.keys[places, 0] == wanted[order, 0]
            order, places = order[same], places[same]
            serves = self._serves(places, wanted[order], max_tokens[order])
            found[order[serves]] = places[serves]
            order, places = order[~serves], places[~serves] + 1
        return found

    def _serves(self, places: Any, wanted: Any, max_tokens: Any) -> Any:
        limits = self.limits[places]
        serves = np.where(limits > 0, limits == max_tokens, -limits <= max_tokens)
        for i in range(1, 4):
            serves &= self.keys[places, i] == wanted[:, i]
        return serves


def _as_before(column: Any, order: Any) -> Any:
    """bool[n], in this order: the value equals the one before it."""
    ordered = column[order]
    return np.append(False, ordered[1:] == ordered[:-1])[: len(order)]
