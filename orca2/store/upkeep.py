"""Upkeep of the store: what it holds, whether all of it is sound, and what nobody needs any more.

Segments are never changed: garbage collection writes new ones, and removes the old ones only then.
"""

import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Answer, Request
from orca2.recipe.requests import request_key
from orca2.store import segments
from orca2.store.compaction import clear_up, size
from orca2.store.store import Index, Store


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
    rows: Mapping[Path, Any]
    """Which rows of which segments: bool[n] each."""


def stat(store: Store) -> dict[str, Any]:
    """What the store holds: answers, tokens, bytes, files, conflicts, and which engines answered.

    Raises:
        Orca2Error: a segment is spoilt, or was merged meanwhile.
    """
    engines: Counter[str] = Counter()
    tokens = 0
    for number, segment in enumerate(store.segments):
        rows = store.index.rows[store.index.segments == number]
        table = _table(segment, ["completion_tokens", "provenance"]).take(rows)
        tokens += int(table["completion_tokens"].to_numpy().sum())
        engines.update({c["values"]: c["counts"] for c in table["provenance"].value_counts().to_pylist()})
    return {
        "store": str(store.root),
        "answers": len(store),
        "generated_tokens": tokens,
        "segments": len(store.segments),
        "bytes": sum(size(segment) for segment in store.segments),
        "conflicts": sum(1 for _ in conflicts(store)),
        "set_aside": len(list(store.root.glob("*.aside"))),
        "engines": dict(sorted(_by_engine(engines).items())),
    }


def conflicts(store: Store) -> Iterator[Conflict]:
    """Every answer that differs from the one that is served in its place."""
    for answers in _answered_more_than_once(store):
        for answer in answers[1:]:
            if answer.text != answers[0].text:
                yield Conflict(key=answer.key, kept=answers[0].text, other=answer.text)


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


def garbage(store: Store, needed: Collection[str], keep_days: float) -> Garbage:
    """The answers to requests that are not `needed` and were stored more than `keep_days` days ago."""
    wanted = _sortable(segments.key_words(list(needed)))
    since = time.time_ns() - int(keep_days * 86_400e9)
    old: dict[Path, Any] = {}
    found: list[segments.Indexed] = []
    young: list[segments.Indexed] = []
    for segment in store.segments:
        indexed = segments.read_indexed(segment)
        unneeded = ~np.isin(_sortable(indexed.keys), wanted)
        is_old = indexed.stored_ns <= since
        young.append(_rows(indexed, unneeded & ~is_old))
        if (unneeded & is_old).any():
            old[segment] = unneeded & is_old
            found.append(_rows(indexed, old[segment]))
    index = Index.of(found)
    return Garbage(
        answers=len(index.limits),
        tokens=sum(_tokens(s, rows, index.rows[index.segments == n]) for n, (s, rows) in enumerate(old.items())),
        kept=len(store) - len(index.limits),
        young=len(Index.of(young).limits),
        rows=old,
    )


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


def _rows(indexed: segments.Indexed, chosen: Any) -> segments.Indexed:
    return segments.Indexed(indexed.keys[chosen], indexed.limits[chosen], indexed.stored_ns[chosen], ())


def _tokens(segment: Path, chosen: Any, places: Any) -> int:
    """Generated tokens in these places of the chosen rows."""
    return int(_table(segment, ["completion_tokens"])["completion_tokens"].to_numpy()[chosen][places].sum())


def _sortable(keys: Any) -> Any:
    """uint64[n, 4] as one value a key."""
    return np.ascontiguousarray(keys).view("S32").ravel()


def _table(segment: Path, columns: Sequence[str]) -> Any:
    import pyarrow as pa

    try:
        return segments.read_table(segment, columns)
    except FileNotFoundError as error:
        raise Orca2Error("was merged meanwhile", str(segment), "run again") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Orca2Error(f"cannot be read: {error}", str(segment), "see `orca2 store verify`") from error


def _by_engine(provenances: Counter[str]) -> Counter[str]:
    named: Counter[str] = Counter()
    for provenance, count in provenances.items():
        facts = json.loads(provenance or "{}")
        named[" ".join(str(facts.get(n, "?")) for n in ("engine", "version", "dtype", "hardware"))] += count
    return named


def _answered_more_than_once(store: Store) -> Iterator[list[Answer]]:
    """The answers, oldest first, to each key and limit that has several; those that stopped count as of one limit."""
    keys = store.index.keys
    again = (keys[1:] == keys[:-1]).all(axis=1)
    several = np.flatnonzero(np.append(again, False) | np.append(False, again)) if len(keys) else np.empty(0, int)
    answers: dict[int, Answer] = {}
    for number in np.unique(store.index.segments[several]):
        places = several[store.index.segments[several] == number]
        read = _table(store.segments[number], list(Answer.__dataclass_fields__)).take(store.index.rows[places])
        answers |= {place: Answer(**row) for place, row in zip(places.tolist(), read.to_pylist(), strict=True)}
    grouped: dict[tuple[str, int], list[Answer]] = {}
    for _, answer in sorted(answers.items()):
        limit = answer.max_tokens if answer.finish_reason == "length" else 0
        grouped.setdefault((answer.key, limit), []).append(answer)
    yield from (group for group in grouped.values() if len(group) > 1)


def _problems(segment: Path) -> Iterator[Orca2Error]:
    import pyarrow as pa

    hint = "move the file away: its answers are then pulled or generated anew"
    try:
        segments.read_indexed(segment)
        table = segments.read_table(segment)
    except FileNotFoundError:  # merged meanwhile
        return
    except segments.NewerSchemeError as error:
        yield Orca2Error(f"is of a later version: {error}", str(segment), "update orca2")
        return
    except (pa.ArrowException, OSError, ValueError) as error:
        yield Orca2Error(f"cannot be read: {error}", str(segment), hint)
        return
    if not segments.is_sound(segment) and segment.exists():
        yield Orca2Error("its content is not what its name says", str(segment), hint)
    rows = table.select(["key", "finish_reason", "completion_tokens", "max_tokens"]).to_pylist()
    unsound = [row["key"] for row in rows if not _is_answer(row)]
    if unsound:
        yield Orca2Error(f"{len(unsound)} rows are no answers, the first for key {unsound[0][:12]}", str(segment), hint)


def _is_answer(row: dict[str, Any]) -> bool:
    return row["finish_reason"] in ("stop", "length") and 0 <= row["completion_tokens"] <= row["max_tokens"]
