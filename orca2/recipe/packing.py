"""Conversations to packed training sequences: nothing cut, nothing lost, loss on the teacher's tokens only.

    conversations   [p p a a e] [p a e] [p p p a e]          p prompt, a answer, e end of turn
    one sequence     p p a a e   p a e                        segments at 0 and 5
    labels           . . a a e   . a e                        . is -100

`labels[i]` is the token at `i` where the loss is taken on predicting it from what stands before. The first token of a
segment is never supervised, so no loss crosses into the next conversation; nor does attention (see `training`).
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from orca2.core.errors import Orca2Error, require
from orca2.core.rows import Chat, PackedSequence, Rejected, Segment
from orca2.recipe.chat import AnswerNotKeptError, Encoded, encode_conversation

IGNORED = -100
"""The label of a position without loss, as PyTorch and Hugging Face have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackConfig:
    """How conversations are laid into training sequences."""

    max_tokens: int
    """Longest packed sequence, in tokens of the student; a longer conversation is rejected, never cut."""

    def __post_init__(self) -> None:
        require({"max_tokens must be 2 or more": self.max_tokens >= 2})


class _Row(NamedTuple):
    chat: Chat
    encoded: Encoded


def pack(chats: Sequence[Chat], tokenizer: Any, config: PackConfig) -> tuple[list[PackedSequence], list[Rejected]]:
    """Encode every conversation and pack those that fit; the same chats in any order give the same sequences.

    Raises:
        Orca2Error: the chat template does not keep a content as it is.
    """
    rows: list[_Row] = []
    rejected: list[Rejected] = []
    for chat in sorted(chats, key=lambda chat: (chat.row_id, chat.sample_index)):
        if chat.messages[-1].role != "assistant" or not chat.messages[-1].content:
            rejected.append(_reject(chat, "no teacher tokens", "the conversation does not end with an answer"))
            continue
        try:
            encoded = encode_conversation(tokenizer, chat.messages)
        except AnswerNotKeptError as error:
            rejected.append(_reject(chat, "answer not kept by the tokenizer", error.message))
            continue
        num_tokens = len(encoded.input_ids)
        if num_tokens > config.max_tokens:
            rejected.append(_reject(chat, "too long", f"{num_tokens} tokens, at most {config.max_tokens}"))
        else:
            rows.append(_Row(chat, encoded))
    bins = best_fit([len(row.encoded.input_ids) for row in rows], config.max_tokens)
    sequences = [_sequence(index, [rows[i] for i in members]) for index, members in enumerate(bins)]
    _require_balance(chats, rows, sequences, rejected)
    return sequences, rejected


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of `lengths` in bins of at most `capacity`, by best fit decreasing; equal lengths keep their order.

    Each length goes into the bin that it leaves least room in, the earliest of equals, or else into a new one.
    """
    if any(not 0 < length <= capacity for length in lengths):
        raise ValueError(f"every length must be between 1 and {capacity}")
    bins: list[list[int]] = []
    rooms: list[int] = []  # the distinct rooms of bins, ascending: far fewer than bins
    bins_of_room: dict[int, list[int]] = {}  # heaps of bin numbers
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        place = bisect_left(rooms, lengths[index])
        if place == len(rooms):
            bin_number, room = len(bins), capacity
            bins.append([])
        else:
            room = rooms[place]
            bin_number = heapq.heappop(bins_of_room[room])
            if not bins_of_room[room]:
                del rooms[place], bins_of_room[room]
        bins[bin_number].append(index)
        room -= lengths[index]
        if room and room not in bins_of_room:
            insort(rooms, room)
            bins_of_room[room] = []
        if room:
            heapq.heappush(bins_of_room[room], bin_number)
    return bins


def pack_metrics(sequences: Sequence[PackedSequence], config: PackConfig) -> dict[str, int | float]:
    """What the packing came to, in tokens and the share of the sequences' room that is filled."""
    tokens = sum(len(sequence.input_ids) for sequence in sequences)
    return {
        "sequences": len(sequences),
        "tokens": tokens,
        "supervised_tokens": sum(label != IGNORED for sequence in sequences for label in sequence.labels),
        "fill_ratio": round(tokens / (len(sequences) * config.max_tokens), 6) if sequences else 0.0,
    }


def _reject(chat: Chat, reason: str, detail: str) -> Rejected:
    return Rejected(
        row_id=chat.row_id, sample_index=chat.sample_index, task=chat.task, stage="pack", reason=reason, detail=detail,
        strategy=chat.strategy,
    )  # fmt: skip


def _sequence(index: int, rows: Sequence[_Row]) -> PackedSequence:
    input_ids: list[int] = []
    labels: list[int] = []
    segments = []
    for chat, encoded in rows:
        segments.append(_segment(chat, encoded, len(input_ids)))
        input_ids += encoded.input_ids
        labels += _labels(encoded)
    return PackedSequence(
        sequence_index=index, input_ids=tuple(input_ids), labels=tuple(labels), segments=tuple(segments)
    )


def _segment(chat: Chat, encoded: Encoded, start: int) -> Segment:
    return Segment(
        row_id=chat.row_id,
        sample_index=chat.sample_index,
        start=start,
        length=len(encoded.input_ids),
        supervised_start=start + encoded.supervised_start,
        supervised_end=start + encoded.supervised_end,
    )


def _labels(encoded: Encoded) -> list[int]:
    ids, start, end = encoded
    if not 0 < start < end <= len(ids):
        raise _bug(f"the supervised span [{start}, {end}) is not inside a row of {len(ids)} tokens")
    return [IGNORED] * start + ids[start:end] + [IGNORED] * (len(ids) - end)


def _require_balance(
    chats: Sequence[Chat], rows: Sequence[_Row], sequences: Sequence[PackedSequence], rejected: Sequence[Rejected]
) -> None:
    """Every row is packed once or rejected once, and every token of the packed rows is there."""
    num_segments = sum(len(sequence.segments) for sequence in sequences)
    if len(chats) != num_segments + len(rejected):
        raise _bug(f"{len(chats)} rows in, but {num_segments} packed and {len(rejected)} rejected")
    tokens_in = sum(len(row.encoded.input_ids) for row in rows)
    tokens_out = sum(len(sequence.input_ids) for sequence in sequences)
    if tokens_in != tokens_out or tokens_in != sum(len(sequence.labels) for sequence in sequences):
        raise _bug(f"{tokens_in} tokens in, but {tokens_out} packed")


def _bug(message: str) -> Orca2Error:
    return Orca2Error(message, "packing", "report this as a bug")
