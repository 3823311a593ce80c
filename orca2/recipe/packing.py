"""Conversations to packed training sequences: nothing cut, nothing lost, loss on the teacher's tokens only.

    conversations   [p p a a e] [p a e] [p p p a e]          p prompt, a answer, e end of turn
    one sequence     p p a a e   p a e                        segments at 0 and 5
    labels           . . a a e   . a e                        . is -100

`labels[i]` is the token at `i` where the loss is taken on predicting it from what stands before. The first token of a
segment is never supervised, so no loss crosses into the next conversation; nor does attention (see `training.loop`).

Conversations are encoded a partition at a time, laid out by their lengths alone, and gathered a stretch of sequences at
a time: all but the lengths stays on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orca2.core.errors import Orca2Error, require
from orca2.core.rows import Chat, PackedSequence, Rejected
from orca2.core.tables import arrow_schema, from_table, take, to_table
from orca2.recipe.chat import AnswerNotKeptError, Encoded, encode_conversations, load_tokenizer
from orca2.recipe.chat.tokenizer import Tokenizer
from orca2.recipe.layout import Layout, best_fit

if TYPE_CHECKING:
    import pyarrow as pa

IGNORED = -100
"""The label of a position without loss, as PyTorch and Hugging Face have it."""
_AT_ONCE = 1024
"""Conversations that go to the tokenizer together."""
_GATHERED_TOKENS = 8 << 20
"""Tokens of the sequences that are gathered at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackConfig:
    """How conversations are laid into training sequences."""

    max_tokens: int
    """Longest packed sequence, in tokens of the student; a longer conversation is rejected, never cut."""

    def __post_init__(self) -> None:
        require({"max_tokens must be 2 or more": self.max_tokens >= 2})


def pack(
    chats: Sequence[Chat], tokenizer: Tokenizer, config: PackConfig
) -> tuple[list[PackedSequence], list[Rejected]]:
    """Encode every conversation and pack those that fit; the same chats in any order give the same sequences.

    Raises:
        Orca2Error: the chat template does not keep a content as it is.
    """
    encoded, rejected = encode(to_table(chats, Chat), tokenizer, config)
    tables = [encoded]
    sequences = gather(tables, lay_out(tables, config), range(len(chats)))
    return list(from_table(sequences, PackedSequence)), list(from_table(rejected, Rejected))


@cache
def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder, loaded once a process."""
    return load_tokenizer(folder)


def encode(chats: pa.Table, tokenizer: Tokenizer, config: PackConfig) -> tuple[pa.Table, pa.Table]:
    """A table of chats in token ids, those that fit, the longest first; and the rejected others.

    The columns of the first are `row_id`, `sample_index`, `input_ids`, `length`, `supervised_start`, `supervised_end`.

    Raises:
        Orca2Error: the chat template does not keep a content as it is.
    """
    import pyarrow as pa

    tables, rejected = [_encoded_table([])], list[Rejected]()
    for start in range(0, len(chats), _AT_ONCE):
        rows = list(from_table(chats.slice(start, _AT_ONCE), Chat))
        kept, lost = _encode_rows(rows, tokenizer, config)
        tables.append(_encoded_table(kept))
        rejected += lost
    return in_order(pa.concat_tables(tables)), to_table(rejected, Rejected)


def in_order(encoded: pa.Table) -> pa.Table:
    """The longest first; of equal length, in order of their ids."""
    import pyarrow.compute as pc

    keys = [("length", "descending"), ("row_id", "ascending"), ("sample_index", "ascending")]
    return encoded.take(pc.sort_indices(encoded, keys))


def lay_out(encoded: Sequence[pa.Table], config: PackConfig) -> Layout:
    """Best fit decreasing over all conversations of some tables; equal lengths in order of their ids.

    A conversation is known by its row, counted over the tables.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.concat_tables(table.select(["row_id", "sample_index", "length"]) for table in encoded)
    keys = [("length", "descending"), ("row_id", "ascending"), ("sample_index", "ascending")]
    rows = pc.sort_indices(known, keys).to_numpy() if len(encoded) > 1 else np.arange(len(known))
    lengths = known["length"].to_numpy()[rows]
    order, starts = best_fit(lengths, config.max_tokens)
    return Layout(rows[order].astype(np.int64), starts)


def stretches(layout: Layout, encoded: Sequence[pa.Table]) -> Iterator[range]:
    """The sequences in stretches that are gathered at once."""
    lengths = np.concatenate([table["length"].to_numpy() for table in encoded])
    ends = np.cumsum(lengths[layout.order], dtype=np.int64)[layout.starts[1:] - 1]
    cuts = np.unique(np.searchsorted(ends, np.arange(0, (ends[-1] if len(ends) else 0) + 1, _GATHERED_TOKENS)))
    bounds = np.unique(np.concatenate([[0], cuts, [len(ends)]])).tolist()
    yield from (range(first, last) for first, last in pairwise(bounds))


def gather(encoded: Sequence[pa.Table], layout: Layout, sequences: range) -> pa.Table:
    """Some sequences, as a table of `PackedSequence`."""
    import pyarrow as pa

    chosen = range(len(layout.starts) - 1)[sequences.start : sequences.stop]
    starts = layout.starts[chosen.start : chosen.stop + 1]
    rows = take(encoded, layout.order[starts[0] : starts[-1]])
    starts = starts - starts[0]
    lengths, spans = (
        rows["length"].to_numpy(),
        [rows[name].to_numpy() for name in ("supervised_start", "supervised_end")],
    )
    offsets = np.append(0, np.cumsum(lengths, dtype=np.int64))
    ids = rows["input_ids"].combine_chunks().flatten().to_numpy()
    inside = np.zeros(len(ids) + 1, np.int8)
    np.add.at(inside, offsets[:-1] + spans[0], 1)
    np.add.at(inside, offsets[:-1] + spans[1], -1)
    labels = np.where(np.cumsum(inside[:-1], dtype=np.int8) > 0, ids, IGNORED).astype(np.int32)
    schema = arrow_schema(PackedSequence)
    begin = offsets[:-1] - np.repeat(offsets[starts[:-1]], np.diff(starts))
    columns = [rows["row_id"], rows["sample_index"], begin, lengths, begin + spans[0], begin + spans[1]]
    segment = schema.field("segments").type.value_type
    arrays = [
        column.combine_chunks() if isinstance(column, pa.ChunkedArray) else pa.array(column.astype(np.int64))
        for column in columns
    ]
    segments = pa.StructArray.from_arrays(arrays, fields=list(segment))
    ends, own = pa.array(offsets[starts].astype(np.int32)), pa.array(starts.astype(np.int32))
    lists = [(ends, pa.array(ids)), (ends, pa.array(labels)), (own, segments)]
    built = [
        pa.ListArray.from_arrays(at, values, type=schema.field(name).type)
        for name, (at, values) in zip(("input_ids", "labels", "segments"), lists, strict=True)
    ]
    return pa.table([pa.array(np.arange(chosen.start, chosen.stop)), *built], schema=schema)


def pack_metrics(encoded: Sequence[pa.Table], layout: Layout, config: PackConfig) -> dict[str, int | float]:
    """What the packing came to, in tokens and the share of the sequences' room that is filled."""
    tokens, sequences = sum(_sum(table["length"]) for table in encoded), len(layout.starts) - 1
    return {
        "sequences": sequences,
        "tokens": tokens,
        "supervised_tokens": sum(_sum(t["supervised_end"]) - _sum(t["supervised_start"]) for t in encoded),
        "fill_ratio": round(tokens / (sequences * config.max_tokens), 6) if sequences else 0.0,
    }


def _sum(column: pa.ChunkedArray) -> int:
    return int(column.to_numpy().sum(dtype=np.int64))


def _encode_rows(
    chats: Sequence[Chat], tokenizer: Tokenizer, config: PackConfig
) -> tuple[list[tuple[Chat, Encoded]], list[Rejected]]:
    answered = [chat for chat in chats if chat.messages[-1].role == "assistant" and chat.messages[-1].content]
    known = set(map(id, answered))
    without = (chat for chat in chats if id(chat) not in known)
    rejected = [_reject(c, "no teacher tokens", "the conversation does not end with an answer") for c in without]
    kept = []
    for chat, encoded in zip(answered, encode_conversations(tokenizer, [c.messages for c in answered]), strict=True):
        if isinstance(encoded, AnswerNotKeptError):
            rejected.append(_reject(chat, "answer not kept by the tokenizer", encoded.message))
        elif len(encoded.input_ids) > config.max_tokens:
            detail = f"{len(encoded.input_ids)} tokens, at most {config.max_tokens}"
            rejected.append(_reject(chat, "too long", detail))
        else:
            kept.append((chat, encoded))
    return kept, rejected


def _encoded_table(rows: Iterable[tuple[Chat, Encoded]]) -> pa.Table:
    import pyarrow as pa

    rows = list(rows)
    for _, (ids, start, end) in rows:
        if not 0 < start < end <= len(ids):
            message = f"the supervised span [{start}, {end}) is not inside a row of {len(ids)} tokens"
            raise Orca2Error(message, "packing", "report this as a bug")
    columns = {
        "row_id": pa.array([chat.row_id for chat, _ in rows], pa.string()),
        "sample_index": pa.array([chat.sample_index for chat, _ in rows], pa.int64()),
        "input_ids": pa.array([encoded.input_ids for _, encoded in rows], pa.list_(pa.int32())),
        "length": pa.array([len(encoded.input_ids) for _, encoded in rows], pa.int32()),
        "supervised_start": pa.array([encoded.supervised_start for _, encoded in rows], pa.int32()),
        "supervised_end": pa.array([encoded.supervised_end for _, encoded in rows], pa.int32()),
    }
    return pa.table(columns)


def _reject(chat: Chat, reason: str, detail: str) -> Rejected:
    return Rejected(
        row_id=chat.row_id,
        sample_index=chat.sample_index,
        task=chat.task,
        stage="pack",
        reason=reason,
        detail=detail,
        strategy=chat.strategy,
    )
