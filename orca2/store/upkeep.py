"""Questions to the store: what it holds, which answers contradict each other, whether all of it is sound.

They are answered segment by segment; nothing is changed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orca2.core.errors import Orca2Error
from orca2.core.rows import Answer, Request
from orca2.recipe.requests import request_key
from orca2.store import segments
from orca2.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

_AT_ONCE = 1 << 16
"""So many answers are compared with each other at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A request that was answered twice, and differently."""

    key: str
    kept: str
    """The answer that was stored first, and is served."""
    other: str


def stat(store: Store) -> dict[str, int | str | dict[str, int]]:
    """What the store holds: answers, tokens, bytes, files, conflicts, and which engines answered.

    Raises:
        Orca2Error: a segment is spoilt, or was merged meanwhile.
    """
    engines: Counter[str] = Counter()
    tokens = 0
    masks = store.from_index(lambda index: index.copy_masks())
    for segment, is_copy in zip(store.segments, masks, strict=True):
        table = _table(segment, ["completion_tokens", "provenance"]).filter(~is_copy)
        tokens += int(table["completion_tokens"].to_numpy().sum())
        engines.update({c["values"]: c["counts"] for c in table["provenance"].value_counts().to_pylist()})
    return {
        "store": str(store.root),
        "answers": len(store),
        "generated_tokens": tokens,
        "segments": len(store.segments),
        "bytes": sum(covered.size for covered in store.index.covered),
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


def _table(segment: Path, columns: Sequence[str]) -> pa.Table:
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
    rows, keys = store.from_index(lambda index: index.several())
    start = 0
    while start < len(rows):
        last = min(start + _AT_ONCE, len(rows)) - 1
        end = int(np.searchsorted(keys, keys[last], side="right"))
        yield from _groups(store, rows[start:end])
        start = end


def _groups(store: Store, rows: NDArray[np.int64]) -> Iterator[list[Answer]]:
    answers: dict[int, Answer] = {}
    for segment, inside in store.index.by_segment(np.sort(rows)):
        read = _table(store.segments[segment], list(Answer.__dataclass_fields__)).take(inside)
        numbers = (inside + store.index.starts[segment]).tolist()
        answers |= {number: Answer(**row) for number, row in zip(numbers, read.to_pylist(), strict=True)}
    grouped: dict[tuple[str, int], list[Answer]] = {}
    for answer in map(answers.__getitem__, rows.tolist()):
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
    unsound = _no_answers(table)
    if unsound:
        yield Orca2Error(f"{len(unsound)} rows are no answers, the first for key {unsound[0][:12]}", str(segment), hint)


def _no_answers(table: pa.Table) -> list[str]:
    """The keys of the rows that cannot be answers."""
    import pyarrow.compute as pc

    finish, tokens = table["finish_reason"], table["completion_tokens"].to_numpy()
    finished = np.asarray(pc.or_(pc.equal(finish, "stop"), pc.equal(finish, "length")).to_numpy())
    sound = finished & (tokens >= 0) & (tokens <= table["max_tokens"].to_numpy())
    return [str(key) for key in table["key"].filter(~sound).to_pylist()]
