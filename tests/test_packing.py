"""Packing loses nothing, cuts nothing and puts the loss on the teacher's tokens alone."""

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.rows import Chat, Message, PackedSequence, Segment
from orca2.core.tables import from_table, to_table
from orca2.recipe import packing
from orca2.recipe.chat import encode_conversation, load_tokenizer
from orca2.recipe.layout import best_fit
from orca2.recipe.packing import (
    IGNORED,
    PackConfig,
    encode,
    gather,
    lay_out,
    pack,
    pack_metrics,
    stretches,
)
from tests.tiny import make_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def make_chat(number, *, question="What is two plus two?", answer="It is 4.", last_role="assistant"):
    return Chat(
        row_id=f"row{number:04d}", sample_index=0, task="sums", strategy="direct_answer", key="k",
        erased_template="t", student_template="s",
        messages=(Message(role="user", content=question), Message(role=last_role, content=answer)),
    )  # fmt: skip


def make_chats(count):
    return [make_chat(number, answer="It is 4. " * (number % 7 + 1)) for number in range(count)]


def naive_best_fit(lengths, capacity):
    bins = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        rooms = [capacity - sum(lengths[i] for i in members) for members in bins]
        fitting = [(room, number) for number, room in enumerate(rooms) if room >= lengths[index]]
        if fitting:
            bins[min(fitting)[1]].append(index)
        else:
            bins.append([index])
    return bins


@given(st.integers(1, 40).flatmap(lambda c: st.tuples(st.just(c), st.lists(st.integers(1, c), max_size=60))))
def test_best_fit_equals_the_naive_search(case):
    capacity, lengths = case
    order, starts = best_fit(lengths, capacity)
    bins = [order[start:end].tolist() for start, end in pairwise(starts)]
    assert bins == naive_best_fit(lengths, capacity)
    assert sorted(index for members in bins for index in members) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in members) <= capacity for members in bins)


def test_ten_million_lengths_are_packed_in_seconds():
    lengths = np.random.default_rng(7).integers(1, 4097, 10_000_000)
    started = time.perf_counter()
    order, starts = best_fit(lengths, 4096)
    assert time.perf_counter() - started < 40
    assert np.add.reduceat(lengths[order], starts[:-1]).max() <= 4096
    assert lengths.sum() / (4096 * (len(starts) - 1)) > 0.99


@pytest.mark.parametrize("lengths", [[0], [11], [5, -1]])
def test_a_length_that_no_bin_can_hold_is_refused(lengths):
    with pytest.raises(ValueError, match="between 1 and 10"):
        best_fit(lengths, 10)


def test_rows_and_tokens_balance(tokenizer):
    chats = [*make_chats(40), make_chat(90, answer="too long " * 99), make_chat(91, answer="")]
    sequences, rejected = pack(chats, tokenizer, PackConfig(max_tokens=128))
    segments = [segment for sequence in sequences for segment in sequence.segments]
    assert {(r.row_id, r.reason) for r in rejected} == {("row0090", "too long"), ("row0091", "no teacher tokens")}
    assert sorted(segment.row_id for segment in segments) == [chat.row_id for chat in make_chats(40)]
    alone = sum(len(encode_conversation(tokenizer, chat.messages).input_ids) for chat in make_chats(40))
    assert sum(len(sequence.input_ids) for sequence in sequences) == alone


def test_a_row_that_just_fits_is_kept_whole(tokenizer):
    length = len(encode_conversation(tokenizer, make_chat(0).messages).input_ids)
    assert pack([make_chat(0)], tokenizer, PackConfig(max_tokens=length))[1] == []
    assert pack([make_chat(0)], tokenizer, PackConfig(max_tokens=length - 1))[1][0].reason == "too long"


def test_a_conversation_that_ends_with_a_question_is_rejected(tokenizer):
    _, rejected = pack([make_chat(0, last_role="user")], tokenizer, PackConfig(max_tokens=128))
    assert [row.reason for row in rejected] == ["no teacher tokens"]


def test_every_segment_holds_its_row_and_only_its_answer_is_supervised(tokenizer):
    chats = {chat.row_id: chat for chat in make_chats(40)}
    sequences, _ = pack(list(chats.values()), tokenizer, PackConfig(max_tokens=128))
    for sequence in sequences:
        for segment in sequence.segments:
            messages = chats[segment.row_id].messages
            end = segment.start + segment.length
            assert list(sequence.input_ids[segment.start : end]) == encode_conversation(tokenizer, messages).input_ids
            supervised = [i for i in range(segment.start, end) if sequence.labels[i] != IGNORED]
            assert supervised == list(range(segment.supervised_start, segment.supervised_end))
            taught = [sequence.labels[i] for i in supervised]
            assert tokenizer.decode(taught) == messages[-1].content + "<|im_end|>"


def test_segments_follow_on_each_other_and_never_begin_supervised(tokenizer):
    sequences, _ = pack(make_chats(40), tokenizer, PackConfig(max_tokens=128))
    for sequence in sequences:
        assert sequence.segments[0].start == 0
        assert all(after.start == before.start + before.length for before, after in pairwise(sequence.segments))
        assert all(sequence.labels[segment.start] == IGNORED for segment in sequence.segments)


def test_the_order_of_the_rows_changes_nothing(tokenizer):
    shuffled = make_chats(40)[::-1]
    config = PackConfig(max_tokens=128)
    assert pack(shuffled, tokenizer, config) == pack(make_chats(40), tokenizer, config)


def naive_pack(chats, tokenizer, capacity):
    """Every chat by itself, list by list."""
    encoded = {chat.row_id: encode_conversation(tokenizer, chat.messages) for chat in chats}
    ids = sorted(encoded)
    sequences = []
    for index, members in enumerate(naive_best_fit([len(encoded[i].input_ids) for i in ids], capacity)):
        tokens, labels, segments = [], [], []
        for member in members:
            (own, start, end), at = encoded[ids[member]], len(tokens)
            segments.append(
                Segment(
                    row_id=ids[member], sample_index=0, start=at, length=len(own),
                    supervised_start=at + start, supervised_end=at + end,
                )
            )  # fmt: skip
            tokens += own
            labels += [IGNORED] * start + own[start:end] + [IGNORED] * (len(own) - end)
        sequences.append(
            PackedSequence(
                sequence_index=index, input_ids=tuple(tokens), labels=tuple(labels), segments=tuple(segments)
            )
        )
    return sequences


def test_packing_in_columns_equals_packing_list_by_list(tokenizer):
    chats = [make_chat(n, question=f"What is {n}?", answer="So. " * (n * n % 23 + 1)) for n in range(150)]
    assert pack(chats, tokenizer, PackConfig(max_tokens=128))[0] == naive_pack(chats, tokenizer, 128)


def test_chats_cut_into_partitions_and_stretches_are_packed_as_they_are_in_one(tokenizer, monkeypatch):
    chats, config = make_chats(150), PackConfig(max_tokens=128)
    tables = [encode(to_table(chats[part::4], Chat), tokenizer, config)[0] for part in range(4)]
    layout = lay_out(tables, config)
    monkeypatch.setattr(packing, "_GATHERED_TOKENS", 300)
    cut = list(stretches(layout, tables))
    assert len(cut) > 5
    rows = [row for stretch in cut for row in from_table(gather(tables, layout, stretch), PackedSequence)]
    assert rows == pack(chats, tokenizer, config)[0]


def test_the_metrics_count_what_is_there(tokenizer):
    config = PackConfig(max_tokens=128)
    sequences, _ = pack(make_chats(40), tokenizer, config)
    tables = [encode(to_table(make_chats(40), Chat), tokenizer, config)[0]]
    metrics = pack_metrics(tables, lay_out(tables, config), config)
    segments = [segment for sequence in sequences for segment in sequence.segments]
    assert metrics["supervised_tokens"] == sum(s.supervised_end - s.supervised_start for s in segments)
    assert 0.8 < metrics["fill_ratio"] == round(metrics["tokens"] / (128 * metrics["sequences"]), 6) <= 1
    nothing = [encode(to_table([], Chat), tokenizer, config)[0]]
    assert pack_metrics(nothing, lay_out(nothing, config), config)["fill_ratio"] == 0
    assert pack([], tokenizer, config) == ([], [])
