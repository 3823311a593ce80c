"""The index: where each stored answer lies, over a few sorted runs (see `runs`), most of them mapped from files.

Runs of like size are merged into one (`settle`), so that there are few and each entry is rewritten a few times only. No
lock: a merged run appears beside those that it covers, and where two runs cover a segment the larger one speaks for it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orca2.store import run_files, runs
from orca2.store.runs import Covered, Entries, Rows, Run, Words

FOLDER = ".index"
"""In the store."""
GROWTH = 4
"""A run is merged with the smaller ones when it has at most this many times their entries."""
FILE_ROWS = 1 << 16
"""Fewer entries stay in memory: their segments are read at each opening."""
READ_ROWS = 1 << 22
"""So many entries are read at once before they go into a file."""
OPEN_ROWS = 1 << 22
"""What opening a store may merge, beside eight times what it has just read; more is left to compaction."""
_PART_ROWS = 1 << 20

Identities = Mapping[str, tuple[int, int]]
"""Size and time of change in nanoseconds of each segment, by name."""


class View(NamedTuple):
    """A run and what the index has of it."""

    run: Run
    alive: NDArray[np.bool_]
    """bool a covered segment: whether the index has its rows from this run."""
    shift: Rows
    """int64 a covered segment: from a row of the run to a row of the index."""
    rows: int
    """Rows that are alive."""

    def serving(self, wanted: Words, max_tokens: Rows) -> tuple[Rows, Entries, Rows]:
        """Which of `wanted` this run serves, by which entries, and their rows in the index."""
        which, entries = self.run.first(wanted, max_tokens, None if self.alive.all() else self.alive)
        return which, entries, self.index_rows(entries)

    def index_rows(self, entries: Entries) -> Rows:
        """The row of each entry, counted over the segments of the index."""
        rows = self.shift[self.run.segment_numbers(entries["row"])]
        rows += entries["row"]
        return rows

    def between(self, low: int, high: int) -> tuple[Entries, Rows]:
        """The entries from one position to another that are alive, verified, and their rows in the index."""
        self.run.require_sound(np.arange(low // runs.BLOCK, -(-high // runs.BLOCK)))
        entries = self.run.entries[low:high]
        if not self.alive.all():
            entries = entries[self.alive[self.run.segment_numbers(entries["row"])]]
        rows = self.index_rows(entries)
        return entries, rows


class Index:
    """The entries of some runs, in order of key and age; a row is counted over the segments, in order of their names.

    Every method that reads entries raises `SpoiltRunError` where a file does not hold what was written to it.
    """

    def __init__(self, known: Sequence[Run], present: Identities) -> None:
        ordered = sorted(known, key=lambda run: (-len(run.entries), run.file.name if run.file else ""))
        self.known: dict[str, Covered] = {}
        """The present segments that a run covers, by name."""
        chosen: list[tuple[Run, list[bool]]] = []
        for run in ordered:
            mine = [c.name not in self.known and present.get(c.name) == (c.size, c.mtime_ns) for c in run.covered]
            self.known |= {c.name: c for c, speaks in zip(run.covered, mine, strict=True) if speaks}
            chosen.append((run, mine))
        self.replaced = {name for covered in self.known.values() for name in covered.replaces}
        """Names of segments whose rows are in one of these, whether they are still there or not."""
        self.covered = [self.known[name] for name in sorted(self.known.keys() - self.replaced)]
        """The segments that count."""
        self.starts = runs.starts_of([covered.rows for covered in self.covered])
        start = dict(zip((covered.name for covered in self.covered), self.starts.tolist(), strict=True))
        self.views = [_view(run, mine, start) for run, mine in chosen]

    @cached_property
    def copies(self) -> Rows:
        """int64[n], sorted: rows that equal an older one in key, time and limit; each answer counts once."""
        return np.sort(np.concatenate([np.empty(0, np.int64), *(rows[_copies(e)] for e, rows in self.parts())]))

    def copy_masks(self) -> Iterator[NDArray[np.bool_]]:
        """For each segment, which of its rows are copies: bool[rows]. All entries are read when this is called."""
        bounds = np.searchsorted(self.copies, np.append(self.starts, runs.MOST_ROWS))
        return map(self._copy_mask, range(len(self.covered)), bounds[:-1].tolist(), bounds[1:].tolist())

    def several(self) -> tuple[Rows, Rows]:
        """Rows of the answers to keys that have several, by key and age, and which key each is for: int64[n] twice."""
        found, keys, count = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
        for entries, rows in self.parts():
            distinct = ~_copies(entries)
            words, rows = entries["key"][distinct, 0], rows[distinct]
            same = words[1:] == words[:-1]
            chosen = np.append(same, False) | np.append(False, same) if len(words) else same
            numbers = count + np.cumsum(np.append(True, ~same)[: len(words)])
            found.append(rows[chosen])
            keys.append(numbers[chosen])
            count += len(words)
        return np.concatenate(found), np.concatenate(keys)

    def __len__(self) -> int:
        """Distinct answers; a pass over all entries."""
        return sum(view.rows for view in self.views) - len(self.copies)

    def first(self, wanted: Words, max_tokens: Rows) -> Rows:
        """The row of the oldest answer that serves each of `wanted`, uint64[n, 4], under its limit: int64[n], or -1."""
        # In order of the keys, neighbouring searches touch neighbouring memory.
        order = np.argsort(wanted[:, 0], kind="stable")
        wanted, max_tokens = wanted[order], max_tokens[order]
        best = np.full(len(wanted), -1, np.int64)
        stored = np.full(len(wanted), np.iinfo(np.int64).max)
        for view in self.views:
            which, entries, rows = view.serving(wanted, max_tokens)
            times = entries["stored_ns"]
            older = (times < stored[which]) | (times == stored[which]) & (rows < best[which])
            best[which[older]], stored[which[older]] = rows[older], times[older]
        found = np.empty_like(best)
        found[order] = best
        return found

    def by_segment(self, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """Number of each segment that holds some of these rows, which are sorted, and which of its own they are."""
        ends = np.append(np.searchsorted(rows, self.starts), len(rows))
        for number in np.flatnonzero(ends[1:] > ends[:-1]).tolist():
            yield number, rows[ends[number] : ends[number + 1]] - self.starts[number]

    def parts(self) -> Iterator[tuple[Entries, Rows]]:
        """All entries in order with their rows, about a million at a time, those of one key never apart."""
        views = [view for view in self.views if view.rows]
        firsts = np.sort(np.concatenate([np.empty(0, np.uint64), *(view.run.firsts for view in views)]))
        step = _PART_ROWS // runs.BLOCK
        bounds = np.unique(firsts[step::step])
        ends = [np.append(view.run.position(bounds), len(view.run.entries)).tolist() for view in views]
        lows = [0] * len(views)
        for highs in zip(*ends, strict=True):
            between = [view.between(*ends) for view, *ends in zip(views, lows, highs, strict=True)]
            entries, rows = (np.concatenate(columns) for columns in zip(*between, strict=True))
            lows = list(highs)
            order = runs.in_order(entries, rows)
            yield entries[order], rows[order]
            for view in views:
                view.run.release()

    def _copy_mask(self, segment: int, low: int, high: int) -> NDArray[np.bool_]:
        is_copy = np.zeros(self.covered[segment].rows, np.bool_)
        is_copy[self.copies[low:high] - self.starts[segment]] = True
        return is_copy


def load(root: Path, without: Collection[Path] = ()) -> list[Run]:
    """The runs in a store's folder; torn and foreign files are passed over, and removed where that is possible."""
    found = []
    for file in sorted(set((root / FOLDER).glob(f"*{run_files.SUFFIX}")).difference(without)):
        try:
            found.append(run_files.read(file))
        except ValueError:
            drop(file)
        except FileNotFoundError:  # another process has merged it: what it made of it is there
            return load(root, without)
        except OSError:  # it cannot be read, and the segments can
            continue
    return found


def publish(root: Path, run: Run) -> Run:
    """A run in memory as one in a file; as it is where the disk takes none."""
    return run_files.write(root / FOLDER, run.covered, [run.entries]) or run


def settle(root: Path, index: Index, most_rows: int | None) -> list[Run]:
    """Merge runs of like size, at most so many rows, and remove files that no longer count; return what counts."""
    filed = sorted((view for view in index.views if view.run.file), key=lambda view: view.rows)
    rest = [view.run for view in index.views if not view.run.file]
    live = [view for view in filed if view.rows]
    for view in filed[: len(filed) - len(live)]:
        drop(view.run.file)
    merging = live[: _merged_count(live, min(most_rows or runs.MOST_ROWS, runs.MOST_ROWS - 1))]
    kept = [view.run for view in live[len(merging) :]]
    if not merging:
        return kept + rest
    merged = _merge(root, merging)
    if merged is None:
        return kept + rest + [view.run for view in merging]
    for view in merging:
        drop(view.run.file)
    return [*kept, *rest, merged]


def drop(file: Path | None) -> None:
    """Remove the file of a run; one of a read-only store stays, and costs a look each time."""
    if file is not None:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _copies(entries: Entries) -> NDArray[np.bool_]:
    """Which of these entries, in order, equal the one before: bool[n]."""
    same = (entries["key"][1:] == entries["key"][:-1]).all(axis=1)
    for column in ("stored_ns", "limit"):
        same &= entries[column][1:] == entries[column][:-1]
    return np.append(False, same)[: len(entries)]


def _view(run: Run, mine: Sequence[bool], start: Mapping[str, int]) -> View:
    alive = np.array([m and c.name in start for m, c in zip(mine, run.covered, strict=True)], np.bool_)
    there = np.array([start.get(covered.name, 0) for covered in run.covered], np.int64)
    rows = sum(covered.rows for covered, is_alive in zip(run.covered, alive.tolist(), strict=True) if is_alive)
    return View(run, alive, there - run.starts, rows)


def _merged_count(live: Sequence[View], most_rows: int) -> int:
    """How many of the runs, by size, become one: up to the last that is not much larger than those before it."""
    count, total = 0, 0
    for number, view in enumerate(live):
        is_sparse = 2 * view.rows < len(view.run.entries)
        if total + view.rows > most_rows:
            break
        if (number and view.rows <= GROWTH * total) or is_sparse:
            count = number + 1
        total += view.rows
    return count


def _merge(root: Path, views: Sequence[View]) -> Run | None:
    present = {c.name: (c.size, c.mtime_ns) for v in views for c, a in zip(v.run.covered, v.alive, strict=True) if a}
    index = Index([view.run for view in views], present)
    return run_files.write(root / FOLDER, index.covered, (_numbered(*part) for part in index.parts()))


def _numbered(entries: Entries, rows: Rows) -> Entries:
    entries["row"] = rows
    return entries
