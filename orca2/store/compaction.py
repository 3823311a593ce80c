"""Fewer files: small segments of the store become large ones, and what killed processes left is cleared up.

Segments are never changed: a merge writes a new one, and removes the old ones only then.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.store import segments
from orca2.store.index import FOLDER
from orca2.store.merging import merge
from orca2.store.store import Store

SEGMENT_BYTES = 64 << 20
"""Compaction fills segments up to about this size."""
TIDY_SEGMENTS = 128
"""A store of more small segments than this is compacted after a run."""
_SMALL_BYTES = 1 << 20


def compact(store: Store) -> int:
    """Merge segments into ones of at most about `SEGMENT_BYTES`; return how many fewer there are.

    Raises:
        Orca2Error: the disk is full or read-only; nothing is lost.
    """
    before = len(store.segments)
    clear_up(store)
    for group in list(_groups(store.segments)):
        merge(store.root, group)
    store.refresh()
    store.compact_index()
    return before - len(store.segments)


def tidy(store: Store) -> None:
    """Compact a store whose many runs have left many small segments, or its index; if the disk refuses, it can wait."""
    small = [s for s in segments.segment_files(store.root) if size(s) < _SMALL_BYTES]
    if len(small) > TIDY_SEGMENTS:
        try:
            compact(store)
        except Orca2Error as error:
            warnings.warn(f"the store stays in many small files: {error}", stacklevel=2)
    else:
        store.compact_index()


def clear_up(store: Store) -> None:
    """Remove what killed processes left: temporary files, and segments whose rows are all in another, sound one."""
    names = {file.name for file in store.root.iterdir()} if store.root.is_dir() else set()
    leftovers = {name for name in names if segments.is_stale(name)}
    leftovers |= {f"{FOLDER}/{file.name}" for file in (store.root / FOLDER).glob(".*") if segments.is_stale(file.name)}
    if merged := names & store.index.replaced:
        for segment in store.segments:
            held = merged.intersection(segments.read_replaces(segment))
            leftovers |= held if held and segments.is_sound(segment) else set()
    with segments.writing(store.root):
        for name in leftovers:
            (store.root / name).unlink(missing_ok=True)


def size(file: Path) -> int:
    """Bytes of a file; 0 for one that has been merged meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _groups(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Neighbours in time that fit into one segment, where there are several."""
    group: list[Path] = []
    filled = 0
    for file in files:
        more = size(file)
        if group and filled + more > SEGMENT_BYTES:
            if len(group) > 1:
                yield group
            group, filled = [], 0
        group.append(file)
        filled += more
    if len(group) > 1:
        yield group
