"""Sorted runs: the entries of some segments in the order of their keys, in memory or mapped from a file.

A run is a cache of the segments' key columns and never the truth: it names the segments it covers with size and time of
change, and one that is missing, torn or stale is made anew from them. How a run lies in a file is in `run_files`.
"""

import mmap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orca2.store import segments

ENTRY = np.dtype([("key", "<u8", 4), ("stored_ns", "<i8"), ("limit", "<i4"), ("row", "<u4")])
"""Key and limit as in `segments.Indexed`; `row` counts over the rows of all covered segments, in their order."""
MOST_ROWS = 1 << 32
"""A run covers fewer rows than this."""
BLOCK = 64
_KEPT_BYTES = 256 << 20
"""A lookup that may have touched more than this lets go of the pages, which stay in the page cache."""
_PAGE = 4096

Entries = NDArray[np.void]
Words = NDArray[np.uint64]
Rows = NDArray[np.int64]


class SpoiltRunError(Exception):
    """The file of a run does not hold what was written to it."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.file = file


class Covered(NamedTuple):
    """A segment as it was when its key column was read."""

    name: str
    size: int
    mtime_ns: int
    rows: int
    replaces: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Entries in order, with the segments that they cover."""

    covered: tuple[Covered, ...]
    """By name."""
    entries: Entries
    firsts: Words
    sums: NDArray[np.uint32]
    verified: NDArray[np.bool_]
    """bool a block: whether its checksum was compared."""
    file: Path | None = None
    """None for a run in memory, which has nothing to verify."""
    mapped: mmap.mmap | None = None

    @property
    def starts(self) -> Rows:
        """int64[segments]: the number of each segment's first row."""
        return starts_of([covered.rows for covered in self.covered])

    def first(self, wanted: Words, max_tokens: Rows, alive: NDArray[np.bool_] | None) -> tuple[Rows, Entries]:
        """Which of `wanted`, uint64[n, 4] by first word, are served, and by which entry: the first that is alive.

        `alive` is by covered segment, None for all.

        Raises:
            SpoiltRunError: a block that is touched has changed.
        """
        asking = np.arange(len(wanted))
        at = self.position(wanted[:, 0])
        served: list[tuple[Rows, Entries]] = []
        while True:
            inside = at < len(self.entries)
            asking, at = asking[inside], at[inside]
            if not asking.size:
                break
            self.require_sound(at // BLOCK)
            entries = self.entries[at]
            same = entries["key"][:, 0] == wanted[asking, 0]
            serves = same & _serves(entries, wanted[asking], max_tokens[asking])
            if alive is not None:
                serves &= alive[self.segment_numbers(entries["row"])]
            served.append((asking[serves], entries[serves]))
            on = same & ~serves
            asking, at = asking[on], at[on] + 1
        if len(wanted) * _PAGE > _KEPT_BYTES:
            self.release()
        none = (asking, self.entries[:0])
        which, found = zip(*served, strict=True) if served else ([none[0]], [none[1]])
        return np.concatenate(which), np.concatenate(found)

    def position(self, words: Words) -> Rows:
        """The first entry whose first word is not less than each of these: int64[n].

        Raises:
            SpoiltRunError: a block that is touched has changed.
        """
        blocks = np.maximum(np.searchsorted(self.firsts, words) - 1, 0)
        self.require_sound(blocks)
        low = blocks * BLOCK
        high = np.minimum(low + BLOCK, len(self.entries))
        column, last = self.entries["key"][:, 0], len(self.entries) - 1
        for _ in range(BLOCK.bit_length() if last >= 0 else 0):
            middle = (low + high) >> 1
            below = (column[np.minimum(middle, last)] < words) & (low < high)
            low = np.where(below, middle + 1, low)
            high = np.where(below, high, middle)
        return low

    def require_sound(self, blocks: Rows) -> None:
        """Compare the checksums of these blocks, each once in the life of this object.

        Raises:
            SpoiltRunError: one differs.
        """
        if self.file is None or not len(self.entries):
            return
        new = np.unique(blocks[~self.verified[blocks]])
        for block, expected in zip(new.tolist(), self.sums[new].tolist(), strict=True):
            if checksum(self.entries[block * BLOCK : (block + 1) * BLOCK]) != expected:
                raise SpoiltRunError(self.file)
        self.verified[new] = True

    def segment_numbers(self, rows: NDArray[np.uint32]) -> Rows:
        """Which covered segment holds each row."""
        return np.searchsorted(self.starts, rows, side="right").astype(np.int64) - 1

    def release(self) -> None:
        """Let go of the pages of a mapped file; the page cache keeps them."""
        if self.mapped is not None:
            self.mapped.madvise(mmap.MADV_DONTNEED)


def of_segments(read: Sequence[tuple[Covered, segments.Indexed]]) -> Run:
    """A run in memory of segments that were just read."""
    read = sorted(read, key=lambda one: one[0].name)
    entries = np.empty(sum(covered.rows for covered, _ in read), ENTRY)
    start = 0
    for covered, indexed in read:
        part = entries[start : start + covered.rows]
        part["key"], part["stored_ns"], part["limit"] = indexed.keys, indexed.stored_ns, indexed.limits
        start += covered.rows
    entries["row"] = np.arange(len(entries))
    entries = entries[in_order(entries, entries["row"])]
    names = tuple(covered for covered, _ in read)
    return Run(
        covered=names,
        entries=entries,
        firsts=firsts_of(entries),
        sums=np.empty(0, np.uint32),
        verified=np.empty(0, np.bool_),
    )


def in_order(entries: Entries, rows: NDArray[np.uint32] | Rows) -> Rows:
    """The order of these entries by first word, then time, then row: int64[n]."""
    words = np.ascontiguousarray(entries["key"][:, 0])
    order = np.argsort(words, kind="stable")
    ordered = words[order]
    again = ordered[1:] == ordered[:-1]
    if again.any():
        several = np.append(again, False) | np.append(False, again)
        among = order[several]
        order[several] = among[np.lexsort((rows[among], entries["stored_ns"][among], words[among]))]
    return order


def starts_of(lengths: Sequence[int]) -> Rows:
    """int64[n]: where each of these lengths starts when they lie one after another."""
    return np.concatenate([[0], np.cumsum(lengths[:-1])]).astype(np.int64)[: len(lengths)]


def checksum(entries: Entries) -> int:
    """CRC-32 of a block."""
    return zlib.crc32(entries.data)


def firsts_of(entries: Entries) -> Words:
    """The first word of each block's first key."""
    return np.ascontiguousarray(entries["key"][::BLOCK, 0])


def _serves(entries: Entries, wanted: Words, max_tokens: Rows) -> NDArray[np.bool_]:
    limits = entries["limit"]
    serves = np.where(limits > 0, limits == max_tokens, -limits <= max_tokens)
    for i in range(1, 4):
        serves &= entries["key"][:, i] == wanted[:, i]
    return serves
