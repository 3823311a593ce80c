"""Answer all requests of an artifact: only their keys are held at once, their texts a partition or a batch at a time.

keys of a shard      looked up in the store; the missing requests wait in a file
missing              asked of engines in an order that shares prefixes, their answers stored as they arrive
answers              read once, in the order of the store, into one file a partition
partitions           requests and answers joined, and written
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orca2.core.errors import Orca2Error
from orca2.core.rows import Generation, Outcome, Rejected, Request
from orca2.core.tables import arrow_schema, from_table, take
from orca2.engines.config import GenerationConfig
from orca2.engines.generation import ask
from orca2.engines.limits import require_answers, require_model, require_within_budget
from orca2.engines.runs import REASONS, GenerationRun
from orca2.project.artifacts import Artifact
from orca2.project.partitions import (
    Columns,
    map_tables,
    num_rows,
    partitions_of,
    read,
    read_aside,
    scratch,
    write_aside,
)
from orca2.project.shards import write_rows
from orca2.recipe.models import Model
from orca2.store.segments import key_words
from orca2.store.store import SegmentsChangedError, Store

if TYPE_CHECKING:
    import pyarrow as pa

_ATTEMPTS = 5
_BLOCK = 1024
"""Requests that become objects at once."""
_OF_REQUEST = ["row_id", "sample_index", "task", "strategy", "key"]
_OF_ANSWER = ["text", "finish_reason", "prompt_tokens", "completion_tokens"]


def answer_all(
    requests: Artifact[Request],
    generations: Artifact[Generation],
    failures: Artifact[Rejected],
    model: Model,
    store: Store,
    config: GenerationConfig,
) -> GenerationRun:
    """Write the answers to all requests of an artifact, and the requests that have none.

    The run holds no generations, for they are written.

    Raises:
        InputErrors, Orca2Error: as `answer` and `require_answers` do.
    """
    count, _ = partitions_of(requests)
    with scratch(generations.stage) as folder:
        waiting, num_requests = _missing(requests, count, model, store, config, folder)
        asked = ask(waiting, model, store, config)
        answers = folder / "answers"
        answers.mkdir()
        without = _scatter(requests, count, store, answers)
        lost = [_rejected(row, asked.failed, failures.stage) for row in without.to_pylist()]
        write_rows(failures.path, Rejected, lost)
        run = asked.run(num_requests, [], lost, more=num_rows(requests) - len(lost))
        require_answers(run, config)
        map_tables(_joined, [Columns(requests, _OF_REQUEST), answers], [generations])
    return run


class Waiting:
    """Requests in a file, in the order in which they are asked; each becomes an object when it is taken."""

    def __init__(self, tables: list[pa.Table], order: NDArray[np.int64]) -> None:
        self._tables, self._order = tables, order

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, request: object) -> bool:
        return any(request == waiting for waiting in self)

    def __iter__(self) -> Iterator[Request]:
        for start in range(0, len(self._order), _BLOCK):
            yield from from_table(take(self._tables, self._order[start : start + _BLOCK]), Request)


def _missing(
    requests: Artifact[Request], count: int, model: Model, store: Store, config: GenerationConfig, folder: Path
) -> tuple[Waiting, int]:
    """The distinct requests without an answer, and how many distinct ones there are."""
    import pyarrow as pa

    words, seen, most, prefixes = [], set[str](), 0, [np.empty(0, np.uint64)]
    waiting = folder / "requests"
    waiting.mkdir()
    for index in range(count):
        keys, limits = _keys(requests, index, count)
        words.append(key_words(keys)[:, 0])
        new = [i for i in np.flatnonzero(store.lookup(keys, limits) < 0).tolist() if keys[i] not in seen]
        new = list({keys[i]: i for i in reversed(new)}.values())[::-1]
        if new:
            seen |= {keys[i] for i in new}
            most += int(limits[new].sum())
            table = read(requests, index, count).take(pa.array(new))
            require_model(table["model"].unique().to_pylist(), model)
            write_aside(waiting / f"{index:06}.arrow", table)
            prefixes.append(_prefixes(table))
    require_within_budget(len(seen), most, config)
    order = np.argsort(np.concatenate(prefixes), kind="stable")
    return Waiting(read_aside(waiting), order), len(np.unique(np.concatenate(words)))


def _keys(requests: Artifact[Request], index: int, count: int) -> tuple[list[str], NDArray[np.int64]]:
    """The keys of a partition, and the limit of each."""
    table = read(requests, index, count, ["row_id", "key", "sampling"])
    limits = table["sampling"].combine_chunks().field("max_tokens").to_numpy(zero_copy_only=False)
    return table["key"].to_numpy().tolist(), limits


def _prefixes(table: pa.Table) -> NDArray[np.uint64]:
    """uint64[n]: equal for requests that share all but their last turn, so that an engine reads it once."""
    said = ("\0".join(m.content for m in request.messages[:-1]) for request in from_table(table, Request))
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in said)
    return np.frombuffer(digests, np.uint64)


def _scatter(requests: Artifact[Request], count: int, store: Store, folder: Path) -> pa.Table:
    """One file a partition of the answers to its requests, and a table of the requests that have none.

    Raises:
        Orca2Error: other processes keep merging the segments away.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _scatter_once(requests, count, store, folder)
        except SegmentsChangedError:
            continue
    raise Orca2Error("its segments keep changing", str(store.root), "wait for the other process and run again")


def _scatter_once(requests: Artifact[Request], count: int, store: Store, folder: Path) -> pa.Table:
    """In a file, `request` is the row in the partition."""
    import pyarrow as pa

    found, partition, row, without = [], [], [], []
    for index in range(count):
        at = store.lookup(*_keys(requests, index, count))
        known = np.flatnonzero(at >= 0)
        found.append(at[known])
        row.append(known.astype(np.int32))
        partition.append(np.full(len(known), index, np.int32))
        if len(known) < len(at):
            without.append(read(requests, index, count, _OF_REQUEST).take(pa.array(np.flatnonzero(at < 0))))
    rows, partitions = np.concatenate(row), np.concatenate(partition)
    generation = arrow_schema(Generation)
    schema = pa.schema([("request", pa.int32()), ("key", pa.string()), *(generation.field(n) for n in _OF_ANSWER)])
    sinks = [pa.OSFile(str(folder / f"{index:06}.arrow"), "wb") for index in range(count)]
    writers = [pa.ipc.new_file(sink, schema) for sink in sinks]
    try:
        for which, table in store.read_in_order(np.concatenate(found)):
            order = np.argsort(partitions[which], kind="stable")
            which = which[order]
            answers = table.take(pa.array(order)).select(["key", *_OF_ANSWER])
            answers = answers.add_column(0, "request", pa.array(rows[which])).cast(schema)
            present, starts = np.unique(partitions[which], return_index=True)
            for index, low, high in zip(present, starts, [*starts[1:], len(which)], strict=True):
                writers[index].write_table(answers.slice(low, high - low))
    finally:
        for opened in (*writers, *sinks):
            opened.close()
    return pa.concat_tables(without) if without else pa.table({name: [] for name in _OF_REQUEST})


def _joined(requests: pa.Table, answers: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """The generations of one partition."""
    import pyarrow as pa
    import pyarrow.compute as pc

    answered = requests.take(answers["request"])
    if not pc.all(pc.equal(answered["key"], answers["key"]), min_count=0).as_py():
        raise Orca2Error("an answer lies where another one should", "the store's index", "report this as a bug")
    columns = {name: answered[name] for name in _OF_REQUEST} | {name: answers[name] for name in _OF_ANSWER}
    schema = arrow_schema(Generation)
    return pa.table([columns[name] for name in schema.names], schema=schema), {}


def _rejected(request: Mapping[str, Any], failed: Mapping[str, Outcome], stage: str) -> Rejected:
    outcome = failed[request["key"]]
    names = ("row_id", "sample_index", "task", "strategy")
    about = {name: request[name] for name in names}
    return Rejected(**about, stage=stage, reason=REASONS[outcome.kind], detail=outcome.detail)
