"""What nobody needs any more: found by asking which keys are still wanted, removed only after that.

Segments are never changed: garbage collection writes new ones, and removes the old ones only then.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orca2.core.errors import Orca2Error, raise_all
from orca2.store import segments
from orca2.store.compaction import clear_up
from orca2.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Answers that nothing refers to."""

    answers: int
    tokens: int
    """Generated tokens in them."""
    kept: int
    """Answers that stay, in all segments."""
    young: int
    """Of these, unreferenced ones that are younger than the limit."""
    rows: Mapping[Path, NDArray[np.bool_]]
    """Which rows of which segments: bool[n] each."""


def garbage(store: Store, needed: Collection[str], keep_days: float) -> Garbage:
    """The answers to requests that are not `needed` and were stored more than `keep_days` days ago."""
    wanted = np.sort(_sortable(segments.key_words(list(needed))))
    since = time.time_ns() - int(keep_days * 86_400e9)
    masks = store.from_index(lambda index: index.copy_masks())
    old: dict[Path, NDArray[np.bool_]] = {}
    answers = tokens = young = 0
    for segment, is_copy in zip(store.segments, masks, strict=True):
        indexed = segments.read_indexed(segment)
        unneeded = ~_among(wanted, _sortable(indexed.keys))
        is_old = indexed.stored_ns <= since
        young += int((unneeded & ~is_old & ~is_copy).sum())
        if (unneeded & is_old).any():
            old[segment] = unneeded & is_old
            counted = old[segment] & ~is_copy
            answers += int(counted.sum())
            generated = segments.read_table(segment, ["completion_tokens"])["completion_tokens"].to_numpy()
            tokens += int(generated[counted].sum())
    return Garbage(answers=answers, tokens=tokens, kept=len(store) - answers, young=young, rows=old)


def remove_garbage(store: Store, found: Garbage) -> None:
    """Remove what was found, and nothing else.

    Raises:
        Orca2Error: a segment is spoilt or was merged meanwhile, and then nothing is removed; or the disk is read-only.
    """
    hint = "see `orca2 store verify`, or run again"
    raise_all(
        Orca2Error("is spoilt or was merged meanwhile; nothing is removed", str(segment), hint)
        for segment in found.rows
        if not segments.is_sound(segment)
    )
    clear_up(store)
    for segment, rows in found.rows.items():
        table = segments.read_table(segment).replace_schema_metadata()
        segments.remember_removed(store.root, [segment.name, *segments.read_replaces(segment)])
        if not rows.all():
            segments.publish(store.root, table.filter(~rows))
            segments.sync_folder(store.root)
        segment.unlink(missing_ok=True)
    store.refresh()


def _sortable(keys: NDArray[np.uint64]) -> NDArray[np.bytes_]:
    """uint64[n, 4] as one value a key."""
    return np.ascontiguousarray(keys).view("S32").ravel()


def _among(wanted: NDArray[np.bytes_], keys: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Which keys are in `wanted`, which is sorted: bool[n]."""
    if not len(wanted):
        return np.zeros(len(keys), np.bool_)
    at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    return np.asarray(wanted[at] == keys)
