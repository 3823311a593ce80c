"""Upkeep of the store: what it holds, whether all of it is sound, fewer files, and what nobody needs any more.

Segments are never changed: compaction and garbage collection write new ones that name those they replace, and remove
the old ones only then.
"""

import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca2 import segments
from orca2.errors import Orca2Error
from orca2.hashing import file_digest
from orca2.requests import request_key
from orca2.rows import Request
from orca2.store import Store

REQUESTS = (Path("data/probe/requests"), Path("data/requests"), Path("data/evaluation/requests"))
"""The artifacts that hold what was asked."""
SEGMENT_BYTES = 64 << 20
"""Compaction fills segments up to about this size."""
TIDY_SEGMENTS = 128
"""A store of more small segments than this is compacted after a run."""
_SMALL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A request that was answered twice, and differently."""

    key: str
    kept: str
    """The answer that was stored first, and is served."""
    other: str


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


def stat(store: Store) -> dict[str, Any]:
    """What the store holds: answers, tokens, bytes, files, conflicts, and which engines answered."""
    engines: Counter[str] = Counter()
    tokens = 0
    for segment in store.segments:
        table = segments.read_table(segment, ["completion_tokens", "provenance"]).to_pydict()
        tokens += sum(table["completion_tokens"])
        engines.update(table["provenance"])
    return {
        "store": str(store.root),
        "answers": len(store),
        "generated_tokens": tokens,
        "segments": len(store.segments),
        "bytes": sum(segment.stat().st_size for segment in store.segments),
        "conflicts": sum(1 for _ in conflicts(store)),
        "set_aside": len(list(store.root.glob("*.aside"))),
        "engines": dict(sorted(_by_engine(engines).items())),
    }


def conflicts(store: Store) -> Iterator[Conflict]:
    """Every answer that differs from the one that is served in its place."""
    for (key, _), answers in _answered_more_than_once(store).items():
        for text in answers[1:]:
            if text != answers[0]:
                yield Conflict(key=key, kept=answers[0], other=text)


def verify(root: Path, asked: Iterable[Request] = ()) -> list[Orca2Error]:
    """Everything wrong with the store, read to the last byte, and with the keys of the requests `asked` of it.

    A file's digest must be the one in its name, its checksums hold, its rows be answers; a request's key must be the
    one that its content gives.
    """
    found = [problem for segment in segments.segment_files(root) for problem in _problems(segment)]
    return found + [
        Orca2Error("its key is not the one its content gives", f"request {r.key[:12]}, row {r.row_id[:12]}", "rerun")
        for r in asked
        if request_key(r.model, r.messages, r.sampling, r.seed, r.sample_index) != r.key
    ]


def compact(store: Store) -> int:
    """Merge segments into ones of at most about `SEGMENT_BYTES`; return how many fewer there are.

    Raises:
        Orca2Error: the disk is full or read-only; nothing is lost.
    """
    before = len(store.segments)
    for group in _groups(store.segments):
        segments.merge(store.root, group)
    store.refresh()
    return before - len(store.segments)


def tidy(store: Store) -> None:
    """Compact a store whose many runs have left many small segments."""
    small = [s for s in segments.segment_files(store.root) if s.stat().st_size < _SMALL_BYTES]
    if len(small) > TIDY_SEGMENTS:
        compact(store)


def garbage(store: Store, needed: Collection[str], keep_days: float) -> Garbage:
    """What `remove_garbage` would remove."""
    drop = _unneeded(store, needed)
    young = drop & _younger(store, keep_days)
    drop &= ~young
    places = [_Place(store, number) for number in range(len(store.segments))]
    tokens = sum(place.tokens(drop[place.entries]) for place in places if drop[place.entries].any())
    return Garbage(answers=int(drop.sum()), tokens=tokens, kept=int((~drop).sum()), young=int(young.sum()))


def remove_garbage(store: Store, needed: Collection[str], keep_days: float) -> None:
    """Remove the answers to requests that are not `needed` and were stored more than `keep_days` days ago."""
    drop = _unneeded(store, needed) & ~_younger(store, keep_days)
    for number in range(len(store.segments)):
        place = _Place(store, number)
        if drop[place.entries].any():
            place.rewrite_without(drop[place.entries])
    store.refresh()


class _Place:
    """The rows of one segment, in the order of the index."""

    def __init__(self, store: Store, number: int) -> None:
        self._root, self._segment = store.root, store.segments[number]
        self.entries = np.flatnonzero(store.index.segments == number)
        self._rows = store.index.rows[self.entries]

    def tokens(self, chosen: Any) -> int:
        table = segments.read_table(self._segment, ["completion_tokens"])
        return int(table["completion_tokens"].to_numpy()[self._rows[chosen]].sum())

    def rewrite_without(self, dropped: Any) -> None:
        replaces = {self._segment.name, *segments.read_indexed(self._segment).replaces}
        table = segments.read_table(self._segment).replace_schema_metadata()
        if not dropped.all():
            segments.publish(self._root, table.take(np.sort(self._rows[~dropped])), replaces)
            segments.sync_folder(self._root)
        self._segment.unlink()


def _unneeded(store: Store, needed: Collection[str]) -> Any:
    """bool[n], in the order of the index: nothing asks for this answer."""
    wanted = np.unique(segments.key_words(list(needed)), axis=0) if needed else np.empty((0, 4), np.uint64)
    words = {row.tobytes() for row in np.ascontiguousarray(wanted)}
    return np.array([row.tobytes() not in words for row in np.ascontiguousarray(store.index.keys)], bool)


def _younger(store: Store, keep_days: float) -> Any:
    """bool[n], in the order of the index: stored less than `keep_days` days ago."""
    since = time.time_ns() - int(keep_days * 86_400e9)
    young = np.zeros(len(store), bool)
    for number, segment in enumerate(store.segments):
        entries = np.flatnonzero(store.index.segments == number)
        stored = segments.read_table(segment, ["stored_ns"])["stored_ns"].to_numpy()
        young[entries] = stored[store.index.rows[entries]] > since
    return young


def _by_engine(provenances: Counter[str]) -> Counter[str]:
    named: Counter[str] = Counter()
    for provenance, count in provenances.items():
        facts = json.loads(provenance or "{}")
        named[" ".join(str(facts.get(n, "?")) for n in ("engine", "version", "dtype", "hardware"))] += count
    return named


def _answered_more_than_once(store: Store) -> dict[tuple[str, int], list[str]]:
    """The texts, oldest first, of each key and limit that has several; 0 is the limit of those that stopped."""
    keys = store.index.keys
    again = (keys[1:] == keys[:-1]).all(axis=1)
    several = np.flatnonzero(np.append(again, False) | np.append(False, again)) if len(keys) else np.empty(0, int)
    texts: dict[tuple[str, int], list[str]] = {}
    for place in several:
        (answer,) = segments.read_answers(store.segments[store.index.segments[place]], [store.index.rows[place]])
        limit = answer.max_tokens if answer.finish_reason == "length" else 0
        texts.setdefault((answer.key, limit), []).append(answer.text)
    return texts


def _problems(segment: Path) -> Iterator[Orca2Error]:
    import pyarrow as pa

    hint = "move the file away: its answers are then pulled or generated anew"
    try:
        segments.read_indexed(segment)
        rows = segments.read_table(segment).to_pylist()
    except segments.NewerSchemeError as error:
        yield Orca2Error(f"is of a later version: {error}", str(segment), "update orca2")
        return
    except (pa.ArrowException, OSError, ValueError) as error:
        yield Orca2Error(f"cannot be read: {error}", str(segment), hint)
        return
    if not segment.stem.endswith(file_digest(segment)[:16]):
        yield Orca2Error("its content is not what its name says", str(segment), hint)
    unsound = [row["key"] for row in rows if not _is_answer(row)]
    if unsound:
        yield Orca2Error(f"{len(unsound)} rows are no answers, the first for key {unsound[0][:12]}", str(segment), hint)


def _is_answer(row: dict[str, Any]) -> bool:
    return row["finish_reason"] in ("stop", "length") and 0 <= row["completion_tokens"] <= row["max_tokens"]


def _groups(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Neighbours in time that fit into one segment, where there are several."""
    group: list[Path] = []
    for file in files:
        if group and sum(f.stat().st_size for f in group) + file.stat().st_size > SEGMENT_BYTES:
            if len(group) > 1:
                yield group
            group = []
        group.append(file)
    if len(group) > 1:
        yield group
