"""Upkeep: what is counted is there, what is spoilt is named, and only garbage is ever removed."""

import dataclasses
import multiprocessing
import shutil
import time
import warnings

import pytest

from orca2.core.errors import Orca2Error
from orca2.core.hashing import digest
from orca2.store import compaction
from orca2.store import segments as segment_module
from orca2.store.compaction import compact, tidy
from orca2.store.garbage import garbage, remove_garbage
from orca2.store.merging import merge
from orca2.store.store import Store
from orca2.store.upkeep import conflicts, stat, verify
from tests.disk import read_only
from tests.test_store import answer, asked, put, segments, texts

FOREVER = 0
"""Days that nothing is kept for being young."""


def numbered(root, *numbers):
    for number in numbers:
        put(root, answer(asked(number), str(number)))


def keys(*numbers):
    return {asked(number).key for number in numbers}


def collect(root, needed, keep_days=FOREVER):
    store = Store(root)
    found = garbage(store, needed, keep_days)
    remove_garbage(store, found)
    return found


def test_stat_counts_answers_tokens_files_conflicts_and_engines(tmp_path):
    put(tmp_path, answer(asked(1), "first"), answer(asked(1), "second"), answer(asked(2), completion_tokens=7))
    numbered(tmp_path, 3)
    counted = stat(Store(tmp_path))
    assert counted.pop("bytes") == sum(s.stat().st_size for s in segments(tmp_path))
    assert counted == {
        "store": str(tmp_path), "answers": 4, "generated_tokens": 19, "segments": 2, "conflicts": 1, "set_aside": 0,
        "engines": {"test ? ? ?": 4},
    }  # fmt: skip


def test_a_conflict_names_the_answer_that_is_served_and_the_other_and_equal_answers_are_none(tmp_path):
    put(tmp_path, answer(asked(1), "first"), answer(asked(2), "same"))
    put(tmp_path, answer(asked(2), "same"), answer(asked(1), "second"))
    put(tmp_path, answer(asked(1, 4), "cut", finish_reason="length"))
    (conflict,) = conflicts(Store(tmp_path))
    assert (conflict.key, conflict.kept, conflict.other) == (asked(1).key, "first", "second")


def test_stat_names_a_spoilt_segment_and_one_that_was_merged_meanwhile(tmp_path):
    numbered(tmp_path, 1, 2)
    store = Store(tmp_path)
    merge(tmp_path, segments(tmp_path))
    with pytest.raises(Orca2Error, match="was merged meanwhile\n    -> run again"):
        stat(store)


def test_verify_finds_a_flipped_byte_at_any_offset(tmp_path):
    numbered(tmp_path, 1)
    (segment,) = segments(tmp_path)
    content = segment.read_bytes()
    assert verify(tmp_path) == []
    for offset in range(0, len(content), 7):
        segment.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
        assert [problem.where for problem in verify(tmp_path)] == [str(segment)]
    assert segments(tmp_path) == [segment]  # verify looks, and touches nothing


def test_verify_finds_a_renamed_and_a_truncated_segment_rows_that_are_no_answers_and_a_wrong_key(tmp_path):
    numbered(tmp_path, 1, 2)
    put(tmp_path, answer(asked(3), completion_tokens=99))
    renamed, torn, _ = segments(tmp_path)
    renamed.rename(tmp_path / f"{renamed.stem[:-16]}{'a' * 16}.parquet")
    torn.write_bytes(torn.read_bytes()[:-9])
    wrong = dataclasses.replace(asked(2), key="b" * 64)
    found = [str(problem) for problem in verify(tmp_path, [wrong, asked(1)])]
    assert len(found) == 4
    assert "its content is not what its name says" in found[0]
    assert "cannot be read" in found[1]
    assert f"1 rows are no answers, the first for key {asked(3).key[:12]}" in found[2]
    assert "its key is not the one its content gives" in found[3]


def test_compaction_leaves_one_segment_and_every_answer(tmp_path, monkeypatch):
    numbered(tmp_path, *range(7))
    assert compact(Store(tmp_path)) == 6
    assert texts(tmp_path, *map(asked, range(7))) == [str(i) for i in range(7)]
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 1)
    numbered(tmp_path, 7)
    assert compact(Store(tmp_path)) == 0


def test_grouping_thousands_of_small_segments_looks_at_each_once(tmp_path, monkeypatch):
    files = [tmp_path / f"{number:05d}.parquet" for number in range(4000)]
    for file in files:
        file.write_bytes(b"x" * 100)
    looked = []
    size = compaction.size
    monkeypatch.setattr(compaction, "size", lambda file: looked.append(file) or size(file))
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 150_000)
    groups = list(compaction._groups(files))
    assert [len(group) for group in groups] == [1500, 1500, 1000]
    assert [file for group in groups for file in group] == files
    assert looked == files


def test_compaction_ends_what_a_killed_process_had_begun(tmp_path, monkeypatch):
    numbered(tmp_path, 1, 2)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    merge(tmp_path, segments(tmp_path))
    monkeypatch.undo()
    old, young = tmp_path / f".{1:020d}-abc.tmp", tmp_path / segment_module.temporary_name()
    for file in (old, young, tmp_path / ".mine.tmp"):
        file.write_text("half")
    compact(Store(tmp_path))
    assert len(segments(tmp_path)) == 1
    assert sorted(file.name for file in tmp_path.glob(".*")) == sorted([young.name, ".mine.tmp"])
    assert texts(tmp_path, asked(1), asked(2)) == ["1", "2"]


def test_what_a_spoilt_segment_claims_to_replace_is_not_removed(tmp_path, monkeypatch):
    numbered(tmp_path, 1, 2)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    merged = merge(tmp_path, segments(tmp_path))
    monkeypatch.undo()
    merged.rename(tmp_path / f"{merged.stem[:-16]}{'a' * 16}.parquet")
    compact(Store(tmp_path))
    assert len(segments(tmp_path)) == 3


def _compact_often(root, done):
    while not done.is_set():
        compact(Store(root))


def test_two_compactors_and_a_reader_at_once_find_every_answer_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    workers = [context.Process(target=_compact_often, args=(tmp_path, done)) for _ in range(2)]
    for worker in workers:
        worker.start()
    put(tmp_path, answer(asked(0), "late"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(1, 40):
            put(tmp_path, answer(asked(number), str(number)), answer(asked(0), f"later {number}"))
            store = Store(tmp_path)
            found = store.find([asked(i) for i in range(number + 1)])
            assert found[asked(0).key].text == "late"
            assert [found[asked(i).key].text for i in range(1, number + 1)] == [str(i) for i in range(1, number + 1)]
            assert len(store) == 2 * number + 1
    done.set()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert verify(tmp_path) == []


def test_many_small_segments_are_tidied_and_a_full_disk_only_puts_it_off(tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "TIDY_SEGMENTS", 3)
    numbered(tmp_path, 1, 2)
    tidy(Store(tmp_path))
    assert len(segments(tmp_path)) == 2
    numbered(tmp_path, 3, 4)
    with read_only(tmp_path), pytest.warns(UserWarning, match="stays in many small files"):
        tidy(Store(tmp_path))
    tidy(Store(tmp_path))
    assert len(segments(tmp_path)) == 1
    assert texts(tmp_path, *map(asked, range(1, 5))) == ["1", "2", "3", "4"]


def test_what_gc_finds_is_what_it_removes_and_the_rest_stays(tmp_path):
    put(tmp_path, *(answer(asked(i), str(i), completion_tokens=i) for i in range(1, 5)))
    put(tmp_path, answer(asked(3), "other"), answer(asked(1), "other"))
    numbered(tmp_path, 9)
    found = collect(tmp_path, keys(1, 2))
    assert (found.answers, found.tokens, found.kept, found.young) == (4, 3 + 4 + 4 + 4, 3, 0)
    store = Store(tmp_path)
    assert len(store) == found.kept
    assert texts(tmp_path, *map(asked, [1, 2, 3, 4, 9])) == ["1", "2", None, None, None]
    assert [c.other for c in conflicts(store)] == ["other"]
    assert collect(tmp_path, keys(1, 2)).answers == 0


def test_young_answers_stay_and_are_counted(tmp_path):
    numbered(tmp_path, 1, 2)
    found = collect(tmp_path, keys(1), keep_days=1)
    assert (found.answers, found.kept, found.young) == (0, 2, 1)
    assert len(Store(tmp_path)) == 2


def test_an_answer_that_grows_old_while_one_is_asked_stays(tmp_path):
    numbered(tmp_path, 1)
    store = Store(tmp_path)
    found = garbage(store, set(), keep_days=0.3 / 86_400)
    time.sleep(0.4)
    remove_garbage(store, found)
    assert len(Store(tmp_path)) == 1


def test_gc_counts_and_removes_every_copy_that_two_mergers_left(tmp_path):
    numbered(tmp_path, 1, 2)
    (tmp_path / "twin").mkdir()
    for segment in segments(tmp_path):
        shutil.copy(segment, tmp_path / "twin")
    merge(tmp_path, segments(tmp_path))
    numbered(tmp_path / "twin", 3)
    other = merge(tmp_path / "twin", segments(tmp_path / "twin"))
    other.rename(tmp_path / other.name)
    found = collect(tmp_path, keys(1, 3))
    assert (found.answers, found.kept) == (1, 2)
    assert texts(tmp_path, asked(1), asked(2), asked(3)) == ["1", None, "3"]


def test_gc_removes_nothing_where_a_segment_is_spoilt_or_was_merged_meanwhile(tmp_path):
    numbered(tmp_path, 1, 2)
    store = Store(tmp_path)
    found = garbage(store, set(), FOREVER)
    first = segments(tmp_path)[0]
    renamed = first.rename(tmp_path / f"{first.stem[:-16]}{'a' * 16}.parquet")
    with pytest.raises(Orca2Error, match="is spoilt or was merged meanwhile; nothing is removed"):
        remove_garbage(store, found)
    assert len(segments(tmp_path)) == 2
    with pytest.raises(Orca2Error, match=f"{renamed.name}: is spoilt"):
        collect(tmp_path, set())


def test_gc_of_a_read_only_store_is_a_clear_error_and_removes_nothing(tmp_path):
    numbered(tmp_path, 1, 2)
    with read_only(tmp_path), pytest.raises(Orca2Error, match="cannot write answers: Permission denied"):
        collect(tmp_path, keys(1))
    assert texts(tmp_path, asked(1), asked(2)) == ["1", "2"]


def test_a_gc_killed_before_it_removed_the_old_segment_leaves_every_needed_answer_once(tmp_path, monkeypatch):
    put(tmp_path, answer(asked(1), "1"), answer(asked(2), "2"))
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    collect(tmp_path, keys(1))
    monkeypatch.undo()
    assert len(segments(tmp_path)) == 2
    assert len(Store(tmp_path)) == 2
    assert texts(tmp_path, asked(1)) == ["1"]
    assert collect(tmp_path, keys(1)).answers == 1
    assert len(Store(tmp_path)) == 1


def test_a_compaction_of_repetitive_and_of_long_answers_keeps_them(tmp_path):
    long = digest("long", 1) * 1000
    put(tmp_path, answer(asked(1), long))
    put(tmp_path, answer(asked(2), "a" * 100_000))
    compact(Store(tmp_path))
    assert texts(tmp_path, asked(1), asked(2)) == [long, "a" * 100_000]
