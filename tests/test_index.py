"""The index: a cache that may be missing, torn, stale or foreign at any moment, and never changes what is found."""

import os
import shutil
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca2.store import index, runs
from orca2.store import run_files as run_file_module
from orca2.store import segments as segment_module
from orca2.store import store as store_module
from orca2.store.compaction import compact
from orca2.store.merging import merge
from orca2.store.store import Store
from orca2.store.upkeep import conflicts, stat
from tests.disk import full_disk, read_only
from tests.examples import ROOT
from tests.naive_index import NaiveIndex
from tests.test_store import ANSWERS, answer, asked, put, segments, texts


@contextmanager
def lively(block=2, file_rows=1, read_rows=3, open_rows=6):
    """Every opening writes and merges runs, whose blocks are tiny."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "BLOCK", block)
        patch.setattr(store_module, "FILE_ROWS", file_rows)
        patch.setattr(store_module, "READ_ROWS", read_rows)
        patch.setattr(store_module, "OPEN_ROWS", open_rows)
        patch.setattr(index, "_PART_ROWS", 2 * block)
        yield


@pytest.fixture
def a_lively_index():
    with lively():
        yield


def run_files(root):
    return sorted((root / index.FOLDER).glob("*.run"))


def found(store, requests):
    """Segment and row of each answer, as the index has them."""
    rows = store.lookup([r.key for r in requests], [r.sampling.max_tokens for r in requests])
    located = [(int(np.searchsorted(store.index.starts, row, side="right")) - 1, row) for row in rows.tolist()]
    return [
        None if row < 0 else (store.segments[number].name, row - store.index.starts[number]) for number, row in located
    ]


ASKED = [asked(question, limit) for question in range(6) for limit in (1, 3, 6)]


def agree(store):
    """Whether this store finds and counts what a naive index of all segments does."""
    naive = NaiveIndex(store.root)
    assert found(store, ASKED) == [naive.find(r.key, r.sampling.max_tokens) for r in ASKED]
    assert len(store) == len(naive)
    return True


STEPS = st.one_of(
    *[st.tuples(st.just("put"), st.lists(ANSWERS, min_size=1, max_size=5))] * 3,
    st.tuples(st.just("merge"), st.integers(0, 3), st.integers(2, 4)),
    st.tuples(st.just("merge, killed before the old ones go"), st.integers(0, 3), st.integers(2, 3)),
    st.tuples(st.just("lose"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["open", "compact", "copy", "restore", "touch"])),
    st.tuples(st.just("tear"), st.integers(0, 9), st.integers(0, 10**6)),
    st.tuples(st.just("flip"), st.integers(0, 9), st.integers(0, 10**6)),
    st.tuples(st.just("forget"), st.integers(0, 9)),
)


def take(step, root, kept):
    """One step of a history."""
    files, filed = segments(root), run_files(root)
    match step:
        case "put", answers:
            put(root, *answers)
        case "merge", first, count:
            merge(root, files[first : first + count])
        case "merge, killed before the old ones go", first, count:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
                merge(root, files[first : first + count])
        case "lose", number if files:
            files[number % len(files)].unlink()
        case ("open",):
            Store(root)
        case ("compact",):
            compact(Store(root))
        case ("copy",) if filed:
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(root / index.FOLDER, kept)
        case ("restore",) if kept.exists():
            shutil.copytree(kept, root / index.FOLDER, dirs_exist_ok=True)
        case ("touch",) if files:
            os.utime(files[0])
        case "tear", number, size if filed:
            file = filed[number % len(filed)]
            os.truncate(file, size % max(1, file.stat().st_size))
        case "flip", number, position if filed and filed[number % len(filed)].stat().st_size:
            flip(filed[number % len(filed)], position)
        case "forget", number if filed:
            filed[number % len(filed)].unlink()


def flip(file, position):
    content = bytearray(file.read_bytes())
    content[position % len(content)] ^= 0x20
    file.write_bytes(content)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=4, max_size=14), read_rows=st.integers(1, 30), open_rows=st.integers(1, 30))
def test_whatever_happens_to_segments_and_index_it_finds_what_a_naive_one_finds(
    tmp_path_factory, steps, read_rows, open_rows
):
    root = tmp_path_factory.mktemp("store")
    with lively(read_rows=read_rows, open_rows=open_rows):
        for step in steps:
            take(step, root, root / "kept")
        store = Store(root)
        assert agree(store)
        assert agree(Store(root))
        compact(store)
        assert agree(store)


@pytest.mark.usefixtures("a_lively_index")
def test_a_flipped_byte_anywhere_in_the_index_hides_no_answer_and_serves_no_wrong_one(tmp_path):
    for number in range(4):
        put(tmp_path, answer(asked(number % 3), f"{number}, first"), answer(asked(number), f"{number}, second"))
    compact(Store(tmp_path))
    expected = texts(tmp_path, *map(asked, range(5)))
    (file,) = run_files(tmp_path)
    content = file.read_bytes()
    for position in range(0, len(content), 5):
        shutil.rmtree(tmp_path / index.FOLDER)
        file.parent.mkdir()
        file.write_bytes(content)
        opened_before = Store(tmp_path)
        with file.open("r+b") as changed:
            changed.seek(position)
            changed.write(bytes([content[position] ^ 0x10]))
        for store in (opened_before, Store(tmp_path)):
            got = store.find([asked(i) for i in range(5)])
            assert [got[asked(i).key].text if asked(i).key in got else None for i in range(5)] == expected
            assert len(store) == 8


@pytest.mark.usefixtures("a_lively_index")
def test_a_segment_exchanged_for_another_of_the_same_size_and_time_is_noticed_when_it_is_read(tmp_path):
    put(tmp_path / "mine", answer(asked(1), "1"))
    (mine,) = segments(tmp_path / "mine")
    Store(tmp_path / "mine")
    other = None
    for number in range(2, 100):
        put(tmp_path / str(number), answer(asked(number), str(number)))
        (other,) = segments(tmp_path / str(number))
        if other.stat().st_size == mine.stat().st_size:
            break
    before = mine.stat()
    mine.write_bytes(other.read_bytes())
    os.utime(mine, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert texts(tmp_path / "mine", asked(1), asked(number)) == [None, str(number)]


@pytest.mark.usefixtures("a_lively_index")
def test_a_segment_that_changed_is_read_again(tmp_path):
    put(tmp_path / "mine", answer(asked(1), "1"), answer(asked(2), "2"))
    put(tmp_path / "other", answer(asked(3), "3"))
    (mine,), (other,) = segments(tmp_path / "mine"), segments(tmp_path / "other")
    assert Store(tmp_path / "mine").missing([asked(1), asked(3)]) == [asked(3)]
    mine.write_bytes(other.read_bytes())
    assert Store(tmp_path / "mine").missing([asked(1), asked(3)]) == [asked(1)]


@pytest.mark.usefixtures("a_lively_index")
def test_of_a_run_only_the_segments_that_are_still_there_count(tmp_path):
    for number in range(4):
        put(tmp_path, answer(asked(number % 2), f"{number}"), answer(asked(number + 5), "other"))
    with lively(open_rows=100):
        Store(tmp_path).compact_index()
        assert len(run_files(tmp_path)) == 1
        segments(tmp_path)[0].unlink()
        store = Store(tmp_path)
        assert agree(store)
        assert [a.text for a in store.find([asked(0)]).values()] == ["2"]
        assert len(store) == 6


@pytest.mark.usefixtures("a_lively_index")
def test_an_index_merged_by_another_process_while_it_is_loaded_is_found_again(tmp_path, monkeypatch):
    for number in range(6):
        put(tmp_path, answer(asked(number), str(number)))
        Store(tmp_path)
    read = run_file_module.read

    def merge_first(file):
        monkeypatch.setattr(run_file_module, "read", read)
        put(tmp_path, *(answer(asked(number), "later") for number in range(6, 12)))
        Store(tmp_path).compact_index()
        return read(file)

    before = run_files(tmp_path)
    monkeypatch.setattr(run_file_module, "read", merge_first)
    store = Store(tmp_path)
    assert run_files(tmp_path) != before
    assert [view.run.file for view in store.index.views] == run_files(tmp_path)
    assert agree(store)


def test_many_answers_are_read_once_and_then_mapped(tmp_path, monkeypatch):
    with lively(block=64, read_rows=1 << 20, open_rows=1 << 20):
        put(tmp_path, *(answer(asked(number), str(number)) for number in range(300)))
        Store(tmp_path)
        (file,) = run_files(tmp_path)
        monkeypatch.setattr(segment_module, "read_indexed", lambda _: pytest.fail("a key column was read again"))
        store = Store(tmp_path)
        assert [view.run.file for view in store.index.views] == [file]
        assert texts(tmp_path, *map(asked, range(301))) == [*map(str, range(300)), None]


def test_a_small_store_has_no_index_on_disk(tmp_path):
    put(tmp_path, answer(asked(1)))
    assert len(Store(tmp_path)) == 1
    assert [file.suffix for file in tmp_path.iterdir()] == [".parquet"]


@pytest.mark.usefixtures("a_lively_index")
def test_runs_stay_few_and_no_entry_is_rewritten_often(tmp_path, monkeypatch):
    written = []
    write = run_file_module.write
    monkeypatch.setattr(run_file_module, "write", lambda *a: written.append(write(*a)) or written[-1])
    for number in range(100):
        put(tmp_path, answer(asked(number), str(number)))
        Store(tmp_path).compact_index()
    assert len(run_files(tmp_path)) <= 4
    assert sum(len(run.entries) for run in written) < 100 * 12
    assert texts(tmp_path, *map(asked, range(100))) == [*map(str, range(100))]


def test_a_large_index_is_never_rewritten_by_opening_and_is_by_compaction(tmp_path):
    for number in range(30):
        put(tmp_path, answer(asked(number), str(number)))
    with lively():
        Store(tmp_path)
        (large,) = run_files(tmp_path)
        for number in range(30, 50):
            put(tmp_path, answer(asked(number), str(number)))
            Store(tmp_path)
            assert large in run_files(tmp_path)
        compact(Store(tmp_path))
        assert len(run_files(tmp_path)) == 1
        assert texts(tmp_path, *map(asked, range(50))) == [*map(str, range(50))]


@pytest.mark.usefixtures("a_lively_index")
def test_a_disk_that_takes_no_index_costs_only_time(tmp_path):
    put(tmp_path, *(answer(asked(number), str(number)) for number in range(2000)))
    with read_only(tmp_path):
        assert texts(tmp_path, asked(3), asked(2000)) == ["3", None]
    with full_disk():
        assert texts(tmp_path, asked(3), asked(2000)) == ["3", None]
    assert not [file for file in (tmp_path / index.FOLDER).glob("*") if file.stat().st_size > 64 << 10]
    assert not list((tmp_path / index.FOLDER).glob(".*"))
    assert texts(tmp_path, asked(3), asked(2000)) == ["3", None]


@pytest.mark.usefixtures("a_lively_index")
def test_a_spoilt_index_of_a_read_only_store_is_passed_over(tmp_path):
    put(tmp_path, *(answer(asked(number), str(number)) for number in range(3)))
    Store(tmp_path)
    for file in run_files(tmp_path):
        flip(file, 3)
    with read_only(tmp_path / index.FOLDER), read_only(tmp_path):
        assert texts(tmp_path, *map(asked, range(4))) == ["0", "1", "2", None]


@pytest.mark.usefixtures("a_lively_index")
def test_what_killed_processes_left_beside_the_index_is_cleared_up_when_it_is_old(tmp_path):
    put(tmp_path, answer(asked(1), "1"))
    Store(tmp_path)
    old = tmp_path / index.FOLDER / f".{1:020d}-abc.tmp"
    young = tmp_path / index.FOLDER / segment_module.temporary_name()
    for file in (old, young):
        file.write_text("half")
    compact(Store(tmp_path))
    assert not old.exists()
    assert young.exists()


@pytest.mark.usefixtures("a_lively_index")
def test_conflicts_and_counts_come_out_the_same_with_an_index_and_without(tmp_path):
    for number in range(6):
        put(tmp_path, answer(asked(number % 2), f"{number}"), answer(asked(number), "same"))
        Store(tmp_path)
    with_index = stat(Store(tmp_path)), list(conflicts(Store(tmp_path)))
    shutil.rmtree(tmp_path / index.FOLDER)
    with lively(block=64, file_rows=1 << 20, read_rows=1 << 20):
        assert (stat(Store(tmp_path)), list(conflicts(Store(tmp_path)))) == with_index
    assert [(c.kept, c.other) for c in with_index[1] if c.key == asked(0).key] == [
        ("0", "same"),
        ("0", "2"),
        ("0", "4"),
    ]


def test_opening_a_store_imports_nothing_that_takes_longer_than_opening_it(tmp_path):
    put(tmp_path, answer(asked(1)))
    code = "import sys, pathlib, orca2.store.store as s; s.Store(pathlib.Path(sys.argv[1])); print(*sys.modules)"
    opened = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert "pyarrow" in opened.stdout.split() and "pandas" not in opened.stdout.split()


def test_a_run_is_found_by_words_as_numpy_finds_them(tmp_path):
    chance = np.random.default_rng(0)
    for count in (0, 1, 63, 64, 65, 1000):
        keys = chance.integers(0, 50 if count == 1000 else 1 << 62, (count, 4)).astype(np.uint64)
        limits, times = np.full(count, -1, np.int32), np.arange(count)
        covered = runs.Covered("a", 1, 1, count, ())
        run = runs.of_segments([(covered, segment_module.Indexed(keys, limits, times, ()))])
        filed = run_file_module.write(tmp_path / "index", run.covered, [run.entries])
        words = np.sort(np.append(keys[:, 0], chance.integers(0, 1 << 63, 100).astype(np.uint64)))
        expected = np.searchsorted(np.sort(keys[:, 0]), words)
        assert (run.position(words) == expected).all()
        assert (filed.position(words) == expected).all()
        assert filed.covered == run.covered


def test_opening_is_warned_of_nothing_and_leaves_no_half_file(tmp_path):
    with lively(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(20):
            put(tmp_path, answer(asked(number), str(number)))
            Store(tmp_path)
            time.sleep(0.001)
    assert not list((tmp_path / index.FOLDER).glob(".*"))
