"""The store: every answer a teacher ever gave, found by the content of its request (docs/design.md, 7).

A folder of immutable segments (see `segments`). Any number of processes may write at once, without locks or a server.
The first answer to a request wins; a later, different one stays as a conflict and is never served.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from orca2.core.errors import Orca2Error
from orca2.core.rows import Answer, Request
from orca2.store import segments
from orca2.store.index import (
    FILE_ROWS,
    FOLDER,
    OPEN_ROWS,
    READ_ROWS,
    Identities,
    Index,
    drop,
    load,
    publish,
    settle,
)
from orca2.store.runs import Covered, Rows, Run, SpoiltRunError, of_segments
from orca2.store.segments import Indexed
from orca2.store.writer import Writer

if TYPE_CHECKING:
    import pyarrow as pa

_T = TypeVar("_T")
_ATTEMPTS = 5
"""How often a read is begun anew because another process merged the segments under it."""


class SegmentsChangedError(Exception):
    """What was looked up has gone, or is spoilt; the index is made anew."""


class Store:
    """Answers by request. Opening maps the index, and reads the key columns of the segments that are not in it yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = Index([], {})
        self._spoilt: set[Path] = set()
        """Files that are passed over and could not be moved away."""
        self.refresh()

    def __len__(self) -> int:
        """Distinct answers; a pass over the whole index."""
        return self.from_index(len)

    @property
    def segments(self) -> list[Path]:
        """The segments that count, by name."""
        return [self.root / covered.name for covered in self.index.covered]

    def refresh(self) -> None:
        """Index what is there now; a torn or foreign segment is set aside with a warning."""
        known = load(self.root, self._spoilt)
        files, present, fresh, left_out = list[Path](), dict[str, tuple[int, int]](), 0, set[Path]()
        # While these are listed and read, other processes may merge some into a new one: only a list in which nothing
        # is new and from which nothing has gone holds every answer.
        while (listed := segments.segment_files(self.root)) != files:
            files, present = listed, _identities(listed)
            index = Index(known, present)
            new = present.keys() - index.known.keys() - index.replaced
            unread = [file for file in files if file.name in new and file not in left_out]
            for run in self._runs(unread, present, left_out):
                known.append(run)
                fresh += len(run.entries)
        self.index = Index(known, present)
        self._settle(present, max(OPEN_ROWS, 8 * fresh))

    def compact_index(self) -> None:
        """Merge what opening has left for later: many runs become few, however large they are."""
        self._settle({c.name: (c.size, c.mtime_ns) for c in self.index.known.values()}, None)

    def lookup(self, keys: Sequence[str], max_tokens: Sequence[int] | Rows) -> Rows:
        """The row of the answer to each key under its limit, counted over `segments`: int64[n], -1 for none.

        An answer that stopped by itself serves any limit it fits in; one cut by a limit serves that limit only.
        """
        words, limits = segments.key_words(keys), np.asarray(max_tokens, np.int64)
        return self.from_index(lambda index: index.first(words, limits))

    def missing(self, requests: Iterable[Request]) -> list[Request]:
        """The distinct requests that have no reusable answer, in their order."""
        distinct = list({(r.key, r.sampling.max_tokens): r for r in requests}.values())
        rows = self.lookup([r.key for r in distinct], [r.sampling.max_tokens for r in distinct])
        return [request for request, row in zip(distinct, rows.tolist(), strict=True) if row < 0]

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

    def read_in_order(self, found: Rows) -> Iterator[tuple[Rows, pa.Table]]:
        """The answers that `lookup` found, in the order in which they lie on disk, so that each is read once.

        Args:
            found: int64[n], as `lookup` gave it, without -1.

        Yields:
            Which of them, int64[m], and a table of these, with the columns of an `Answer`.

        Raises:
            SegmentsChangedError: look them up again, and begin anew.
        """
        order = np.argsort(found, kind="stable")
        low = 0
        for number, rows in self.index.by_segment(found[order]):
            which = order[low : low + len(rows)]
            low += len(rows)
            yield from self._read_segment(self.root / self.index.covered[number].name, rows, which)

    def _read_segment(self, segment: Path, rows: Rows, which: Rows) -> Iterator[tuple[Rows, pa.Table]]:
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

    def writer(self, provenance: str = "") -> Writer:
        """A writer of answers, of this provenance where `add` is given none; use it as a context manager."""
        return Writer(self.root, provenance)

    def from_index(self, ask: Callable[[Index], _T]) -> _T:
        """What the index says; a run whose file has changed is dropped, and made anew from the segments.

        Raises:
            Orca2Error: file after file changes.
        """
        for _ in range(_ATTEMPTS):
            try:
                return ask(self.index)
            except SpoiltRunError as error:
                self._drop([error.file])
                self.refresh()
        raise Orca2Error("its index keeps changing", str(self.root / FOLDER), "remove it: it is made anew")

    def _runs(self, unread: Sequence[Path], present: Identities, left_out: set[Path]) -> Iterator[Run]:
        """These segments as runs, large ones in files; what is left out of them is noted."""
        batch: list[tuple[Covered, Indexed]] = []
        waiting = 0
        for segment in unread:
            if indexed := self._indexed(segment):
                rows = len(indexed.limits)
                batch.append((Covered(segment.name, *present[segment.name], rows, indexed.replaces), indexed))
                waiting += rows
            else:
                left_out.add(segment)
            if waiting >= READ_ROWS:
                yield publish(self.root, of_segments(batch))
                batch, waiting = [], 0
        if batch:
            last = of_segments(batch)
            yield publish(self.root, last) if waiting >= FILE_ROWS else last

    def _settle(self, present: Identities, most_rows: int | None) -> None:
        try:
            self.index = Index(settle(self.root, self.index, most_rows), present)
        except SpoiltRunError as error:
            self._drop([error.file])
            self.refresh()

    def _drop(self, files: Iterable[Path]) -> None:
        for file in files:
            drop(file)
            self._spoilt.add(file)

    def _read(self, keys: list[str], max_tokens: list[int]) -> dict[str, Answer] | None:
        """The answers; None when a segment has gone or is spoilt, so that the index must be read again."""
        import pyarrow as pa

        found: dict[str, Answer] = {}
        rows = self.lookup(keys, max_tokens) if keys else np.empty(0, np.int64)
        wanted = dict(zip(rows.tolist(), keys, strict=True))
        wanted.pop(-1, None)
        for segment, inside in self.index.by_segment(np.array(sorted(wanted), np.int64)):
            start = int(self.index.starts[segment])
            file = self.root / self.index.covered[segment].name
            try:
                answers = segments.read_answers(file, inside)
            except FileNotFoundError:
                return None
            except IndexError:  # the index tells of another segment
                answers = []
            except (pa.ArrowException, OSError, ValueError) as error:
                self._set_aside(file, error)
                return None
            if [a.key for a in answers] != [wanted[start + row] for row in inside.tolist()]:
                self._drop(view.run.file for view in self.index.views if view.run.file)
                return None
            found |= {answer.key: answer for answer in answers}
        return found

    def _indexed(self, segment: Path) -> Indexed | None:
        """What the index keeps of a segment; None for one that is left out, with a warning."""
        import pyarrow as pa

        if segment in self._spoilt:
            return None
        try:
            return segments.read_indexed(segment)
        except FileNotFoundError:
            return None
        except segments.NewerSchemeError as error:
            warnings.warn(f"{segment} is of a later version of orca2 ({error}): update to read it", stacklevel=4)
        except (pa.ArrowException, OSError, ValueError) as error:
            self._set_aside(segment, error)
        return None

    def _set_aside(self, segment: Path, error: Exception) -> None:
        if getattr(error, "errno", None) or isinstance(error, MemoryError):
            raise error  # the machine refuses, which says nothing against the file
        segments.set_aside(segment, str(error))
        if segment.exists():  # the store is read-only
            self._spoilt.add(segment)


def _identities(files: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Size and time of change of those that are still there."""
    found = {}
    for file in files:
        with suppress(FileNotFoundError):
            status = file.stat()
            found[file.name] = (status.st_size, status.st_mtime_ns)
    return found
