"""The store: an answer is paid for once, the first one stays, and no crash or foreign file spoils it."""

import dataclasses
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.core.hashing import digest
from orca2.core.rows import Answer, Rejected, Sampling
from orca2.core.tables import to_table
from orca2.project.git import main_repository
from orca2.project.shards import write_parquet
from orca2.store import merging
from orca2.store import segments as segment_module
from orca2.store.compaction import compact
from orca2.store.merging import merge
from orca2.store.root import default_root
from orca2.store.store import Store, Writer
from tests.disk import full_disk, permissions, read_only
from tests.examples import ROOT, answer, rejected, request, turns

PROVENANCE = '{"engine": "test"}'


def asked(number, max_tokens=16):
    return request(messages=turns(f"What is {number} + 1?"), sampling=Sampling(max_tokens=max_tokens))


def put(root, *answers):
    with Store(root).writer(PROVENANCE) as writer:
        writer.add(answers)


def texts(root, *requests):
    found = Store(root).find(requests)
    return [found[r.key].text if r.key in found else None for r in requests]


def segments(root):
    return sorted(root.glob("*.parquet"))


def reusable(given_answer, wanted):
    """The rule of reuse, naively."""
    if given_answer.key != wanted.key:
        return False
    if given_answer.finish_reason == "length":
        return given_answer.max_tokens == wanted.sampling.max_tokens
    return given_answer.completion_tokens <= wanted.sampling.max_tokens


def test_what_was_put_is_found_field_for_field_and_nothing_else_is(tmp_path):
    given_answer = answer(asked(1), "two ∑\n", prompt_tokens=7, completion_tokens=3)
    put(tmp_path, given_answer)
    assert Store(tmp_path).find([asked(1), asked(2)]) == {asked(1).key: given_answer}
    assert len(Store(tmp_path)) == 1


def test_what_is_missing_is_named_once_in_its_order(tmp_path):
    put(tmp_path, answer(asked(1, 8), "cut", finish_reason="length", completion_tokens=8))
    requests = [asked(3), asked(1, 8), asked(2), asked(3), asked(1, 16)]
    assert Store(tmp_path).missing(requests) == [asked(3), asked(2), asked(1, 16)]
    assert Store(tmp_path).missing([]) == []


def test_an_empty_or_missing_store_answers_nothing_and_makes_no_folder(tmp_path):
    store = Store(tmp_path / "none")
    assert store.find([asked(1)]) == {}
    assert store.find([]) == {}
    assert len(store) == 0
    with store.writer(PROVENANCE) as writer:
        writer.add([])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("finish", "tokens", "limit", "wanted", "served"),
    [
        ("stop", 4, 16, 16, True),
        ("stop", 4, 16, 99, True),
        ("stop", 4, 16, 4, True),
        ("stop", 4, 16, 3, False),
        ("stop", 0, 16, 1, True),
        ("length", 16, 16, 16, True),
        ("length", 16, 16, 15, False),
        ("length", 16, 16, 17, False),
    ],
)
def test_an_answer_that_stopped_serves_any_limit_it_fits_and_a_cut_one_only_its_own(
    tmp_path, finish, tokens, limit, wanted, served
):
    put(tmp_path, answer(asked(1, limit), finish_reason=finish, completion_tokens=tokens))
    assert (texts(tmp_path, asked(1, wanted)) != [None]) is served


def test_a_cut_and_a_longer_answer_to_one_question_live_side_by_side(tmp_path):
    put(tmp_path, answer(asked(1, 8), "cut", finish_reason="length", completion_tokens=8))
    put(tmp_path, answer(asked(1, 16), "whole", completion_tokens=12))
    assert texts(tmp_path, asked(1, 8)) == ["cut"]
    assert texts(tmp_path, asked(1, 16)) == ["whole"]
    assert texts(tmp_path, asked(1, 9)) == [None]


@pytest.mark.parametrize("together", [True, False])
def test_the_first_answer_wins_and_a_later_other_one_is_kept_but_never_served(tmp_path, together):
    first, second = answer(asked(1), "first"), answer(asked(1), "second")
    if together:
        put(tmp_path, first, second)
    else:
        put(tmp_path, first)
        put(tmp_path, second)
    assert texts(tmp_path, asked(1)) == ["first"]
    assert len(Store(tmp_path)) == 2


QUESTIONS = st.integers(0, 4)
ANSWERS = st.builds(
    lambda q, limit, tokens, cut, text: answer(
        asked(q, limit),
        text,
        finish_reason="length" if cut else "stop",
        completion_tokens=limit if cut else min(tokens, limit),
    ),
    QUESTIONS, st.integers(1, 6), st.integers(0, 6), st.booleans(), st.text("xyz", min_size=1, max_size=3),
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(ANSWERS, max_size=5), max_size=4), limit=st.integers(1, 6))
def test_find_agrees_with_a_plain_list_of_answers_in_the_order_they_came(tmp_path_factory, batches, limit):
    root = tmp_path_factory.mktemp("store")
    for batch in batches:
        put(root, *batch)
    requests = [asked(q, limit) for q in range(6)]
    plain = [a for batch in batches for a in batch]
    expected = {r.key: next((a for a in plain if reusable(a, r)), None) for r in requests}
    assert Store(root).find(requests) == {key: a for key, a in expected.items() if a}


def test_keys_that_share_their_first_bytes_are_told_apart(tmp_path):
    one = dataclasses.replace(asked(1), key="ab" * 8 + "0" * 48)
    two = dataclasses.replace(asked(1), key="ab" * 8 + "1" * 48)
    three = dataclasses.replace(asked(1), key="ab" * 8 + "2" * 48)
    put(tmp_path, answer(two, "two"), answer(one, "one"))
    assert texts(tmp_path, one, two, three) == ["one", "two", None]


def test_an_open_store_sees_new_segments_after_a_refresh(tmp_path):
    store = Store(tmp_path)
    put(tmp_path, answer(asked(1)))
    assert store.find([asked(1)]) == {}
    store.refresh()
    assert len(store.find([asked(1)])) == 1


@pytest.mark.parametrize("fault", ["torn", "empty", "text", "foreign columns", "foreign keys", "flipped bits"])
def test_a_torn_or_foreign_segment_is_set_aside_with_a_warning_and_nothing_is_lost(tmp_path, fault):
    put(tmp_path, answer(asked(1), "good"))
    put(tmp_path, answer(asked(2), "spoilt"))
    good, bad = segments(tmp_path)
    content = bad.read_bytes()
    match fault:
        case "torn":
            bad.write_bytes(content[:-20])
        case "empty":
            bad.write_bytes(b"")
        case "text":
            bad.write_text("not a segment")
        case "foreign columns":
            write_parquet(bad, to_table([rejected()], Rejected))
        case "foreign keys":
            segment_module.publish(tmp_path, segment_module.stored_table([answer(asked(2), key="short")], [""]))
            bad.unlink()
            bad = segments(tmp_path)[-1]
        case "flipped bits":
            bad.write_bytes(content[:30] + bytes(b ^ 0xFF for b in content[30:60]) + content[60:])
    spoilt = bad.read_bytes()
    with pytest.warns(UserWarning, match=f"{bad.name} is not a readable segment"):
        store = Store(tmp_path)
    assert [a.text for a in store.find([asked(1), asked(2)]).values()] == ["good"]
    assert segments(tmp_path) == [good]
    assert bad.with_suffix(".aside").read_bytes() == spoilt
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Store(tmp_path)


def test_a_segment_spoilt_while_it_is_open_is_set_aside_and_never_a_wrong_answer(tmp_path):
    noise = [digest("noise", i) for i in range(20)]
    put(tmp_path, *(answer(asked(i), noise[i]) for i in range(20)))
    store, (segment,) = Store(tmp_path), segments(tmp_path)
    content = segment.read_bytes()
    set_aside = 0
    for offset in range(10, len(content), 23):
        segment.write_bytes(content[:offset] + bytes([content[offset] ^ 0x10]) + content[offset + 1 :])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert [a.text for a in store.find([asked(7)]).values()] in ([noise[7]], [])
        if not segment.exists():
            set_aside += 1
            assert segment.name in str(caught[0].message)
            segment.with_suffix(".aside").unlink()
            segment.write_bytes(content)
            store.refresh()
    assert set_aside


def test_a_segment_of_a_later_version_is_left_alone_with_a_warning(tmp_path, monkeypatch):
    put(tmp_path, answer(asked(1), "now"))
    monkeypatch.setattr(segment_module, "SCHEME", 2)
    put(tmp_path, answer(asked(2), "later"))
    monkeypatch.undo()
    before = segments(tmp_path)
    with pytest.warns(UserWarning, match="later version of orca2"):
        assert texts(tmp_path, asked(1), asked(2)) == ["now", None]
    assert segments(tmp_path) == before


def test_of_two_answers_the_one_stored_first_wins_whatever_its_file_is_called(tmp_path):
    put(tmp_path / "theirs", answer(asked(1), "theirs"))
    put(tmp_path / "mine", answer(asked(1), "mine"))
    (theirs,) = segments(tmp_path / "theirs")
    theirs.rename(tmp_path / "mine" / f"99999999999999999999-{theirs.name[21:]}")
    assert texts(tmp_path / "mine", asked(1)) == ["theirs"]


def test_a_long_run_leaves_few_segments_however_often_it_flushed(tmp_path, monkeypatch):
    monkeypatch.setattr(Writer, "FLUSH_ROWS", 2)
    monkeypatch.setattr(Writer, "MERGE", 4)
    with Store(tmp_path).writer(PROVENANCE) as writer:
        for number in range(23):
            writer.add([answer(asked(number), str(number))])
    assert len(segments(tmp_path)) == 3  # of twelve flushes, four at a time
    assert texts(tmp_path, *map(asked, range(23))) == [str(i) for i in range(23)]
    assert len(Store(tmp_path)) == 23


def test_a_crash_between_merging_and_removing_leaves_every_answer_once(tmp_path, monkeypatch):
    for number in range(3):
        put(tmp_path, answer(asked(number), str(number)))
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    merge(tmp_path, segments(tmp_path))
    monkeypatch.undo()
    assert len(segments(tmp_path)) == 4
    assert len(Store(tmp_path)) == 3
    assert texts(tmp_path, *map(asked, range(3))) == ["0", "1", "2"]


def test_a_store_whose_segments_are_merged_under_it_still_answers(tmp_path):
    for number in range(3):
        put(tmp_path, answer(asked(number), str(number)))
    store = Store(tmp_path)
    merge(tmp_path, segments(tmp_path))
    assert sorted(a.text for a in store.find([asked(i) for i in range(3)]).values()) == ["0", "1", "2"]


def test_a_merge_keeps_conflicts_and_their_order_and_drops_copies(tmp_path):
    put(tmp_path, answer(asked(1), "first"))
    put(tmp_path, answer(asked(1), "second"))
    merge(tmp_path, segments(tmp_path))
    copies = [*segments(tmp_path), *segments(tmp_path)]
    merge(tmp_path, copies)
    assert texts(tmp_path, asked(1)) == ["first"]
    assert len(Store(tmp_path)) == 2


def test_a_segment_that_is_spoilt_or_gone_is_not_merged(tmp_path):
    put(tmp_path, answer(asked(1)))
    put(tmp_path, answer(asked(2)))
    before = segments(tmp_path)
    before[1].write_bytes(before[1].read_bytes()[:-10])
    assert merge(tmp_path, before) is None
    assert merge(tmp_path, [*before[:1], tmp_path / "gone.parquet"]) is None
    assert segments(tmp_path) == before


def test_a_temporary_file_is_never_read(tmp_path):
    put(tmp_path, answer(asked(1)))
    segments(tmp_path)[0].rename(tmp_path / ".123-456.tmp")
    assert len(Store(tmp_path)) == 0


def test_a_writer_publishes_when_enough_answers_have_gathered(tmp_path, monkeypatch):
    monkeypatch.setattr(Writer, "FLUSH_ROWS", 3)
    with Store(tmp_path).writer(PROVENANCE) as writer:
        for number, published in enumerate([0, 0, 1, 1, 1, 2, 2]):
            writer.add([answer(asked(number))])
            assert len(segments(tmp_path)) == published
    assert len(Store(tmp_path)) == 7


def test_a_writer_publishes_when_enough_time_has_passed(tmp_path, monkeypatch):
    monkeypatch.setattr(Writer, "FLUSH_S", 0.05)
    with Store(tmp_path).writer(PROVENANCE) as writer:
        writer.add([answer(asked(1))])
        assert not segments(tmp_path)
        time.sleep(0.1)
        writer.add([answer(asked(2))])
        assert len(segments(tmp_path)) == 1


def test_answers_that_had_come_before_an_error_are_published(tmp_path):
    with pytest.raises(KeyboardInterrupt), Store(tmp_path).writer(PROVENANCE) as writer:
        writer.add([answer(asked(1))])
        raise KeyboardInterrupt
    assert len(Store(tmp_path)) == 1


def test_a_segment_is_named_by_its_content_and_carries_its_provenance(tmp_path):
    import pyarrow.parquet as pq

    from orca2.core.hashing import file_digest

    put(tmp_path, answer(asked(1)))
    (segment,) = segments(tmp_path)
    assert segment.stem.endswith(file_digest(segment)[:16])
    assert pq.read_table(segment)["provenance"].to_pylist() == [PROVENANCE]


def test_one_writer_keeps_the_provenance_of_each_answer_and_few_segments(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    monkeypatch.setattr(Writer, "FLUSH_S", 600)
    with Store(tmp_path).writer() as writer:
        for number in range(300):
            writer.add([answer(asked(number))], f'{{"system_fingerprint": "{number % 7}"}}')
    tables = [pq.read_table(segment, partitioning=None) for segment in segments(tmp_path)]
    assert [len(table) for table in tables] == [256, 44]
    given_order = [row for table in tables for row in table["provenance"].to_pylist()]
    assert given_order == [f'{{"system_fingerprint": "{number % 7}"}}' for number in range(300)]


def test_texts_too_long_for_one_column_go_to_several_segments(tmp_path, monkeypatch):
    monkeypatch.setattr(Writer, "SEGMENT_CHARACTERS", 100)
    lengths = [60, 40, 1, 250, 99, 1]
    put(tmp_path, *(answer(asked(number), "x" * length) for number, length in enumerate(lengths)))
    assert [len(segment_module.read_table(file)) for file in segments(tmp_path)] == [2, 1, 1, 2]
    assert texts(tmp_path, *map(asked, range(6))) == ["x" * length for length in lengths]


def test_a_merge_leaves_out_what_would_make_a_column_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "MERGED_BYTES", 3000)
    for number, length in enumerate([1000, 1200, 2000, 100]):
        put(tmp_path, answer(asked(number), "x" * length))
    kept = segments(tmp_path)[2]
    merged = merge(tmp_path, segments(tmp_path))
    assert segments(tmp_path) == [kept, merged]
    assert len(segment_module.read_table(merged)) == 3
    assert merge(tmp_path, segments(tmp_path)) is None
    assert texts(tmp_path, *map(asked, range(4))) == ["x" * length for length in [1000, 1200, 2000, 100]]


@pytest.mark.slow
def test_answers_of_more_than_two_gib_are_compacted_and_read(tmp_path):
    import pyarrow as pa

    long = "x" * (8 << 20)
    for start in (0, 90, 180):  # 3 segments of 720 MiB of text, and of some kilobytes on disk
        stored = [answer(asked(start), ""), answer(asked(start + 1), long)]
        table = segment_module.stored_table(stored, [PROVENANCE] * 2)
        rows = pa.concat_tables([table[:1], *[table[1:]] * 90])
        keys = [asked(start + number).key for number in range(91)]
        rows = rows.set_column(0, rows.schema.field("key"), pa.array(keys))
        segment_module.publish(tmp_path, rows)
    compact(Store(tmp_path))
    found = Store(tmp_path).find([asked(number) for number in (1, 90, 180, 270)])
    assert [len(found[asked(number).key].text) for number in (1, 270)] == [8 << 20] * 2
    assert sum(len(segment_module.read_table(file)) for file in segments(tmp_path)) == 273


def test_a_full_disk_is_an_error_that_keeps_what_is_published_and_what_is_waiting(tmp_path):
    put(tmp_path, answer(asked(1)))
    noise = "".join(digest("noise", i) for i in range(4000))
    writer = Store(tmp_path).writer(PROVENANCE)
    with full_disk(), pytest.raises(Orca2Error, match="cannot write answers: File too large") as caught:
        writer.add([answer(asked(2), noise)] * Writer.FLUSH_ROWS)
    assert "free some space" in caught.value.hint
    assert [p.suffix for p in tmp_path.iterdir()] == [".parquet"]
    assert texts(tmp_path, asked(1), asked(2)) == ["Answer: 5", None]
    writer.flush()
    assert texts(tmp_path, asked(2)) == [noise]


def test_a_folder_that_cannot_be_written_is_an_error_with_the_next_step(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Orca2Error, match="cannot write answers: Not a directory") as caught:
        put(tmp_path / "file" / "store", answer(asked(1)))
    assert "ORCA2_STORE" in caught.value.hint


def _write_many(root, first, count):
    for number in range(first, first + count):
        put(root, answer(asked(number), str(number)))


def test_writers_in_several_processes_lose_nothing_of_each_other(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(tmp_path, first, 20)) for first in (0, 15)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert texts(tmp_path, *map(asked, range(35))) == [str(i) for i in range(35)]
    assert len(Store(tmp_path)) == 40


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from orca2.store.store import Writer
from tests.test_store import answer, asked
Writer.FLUSH_ROWS = 8
writer = Writer(Path(sys.argv[1]), "{}")
for number in range(10**6):
    writer.add([answer(asked(number), str(number))])
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_loses_only_what_was_not_flushed(tmp_path):
    for round_ in range(2):
        root = tmp_path / str(round_)
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE_UNTIL_KILLED, str(root)], stdout=subprocess.PIPE, cwd=ROOT
        )
        for _ in range(30 + 7 * round_):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        added = 30 + 7 * round_ + len(process.stdout.read().split(b"\n")) - 1
        process.wait()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept = texts(root, *map(asked, range(added)))
        assert kept[: added - 8] == [str(i) for i in range(added - 8)]
        assert len(Store(root)) in range(added - 8, added + 9)


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def a_repository(folder):
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "first")
    return folder


@pytest.fixture
def no_store_variable(monkeypatch):
    monkeypatch.delenv("ORCA2_STORE", raising=False)


@pytest.mark.usefixtures("no_store_variable")
def test_every_workspace_of_a_repository_finds_the_store_of_the_main_one(tmp_path, monkeypatch):
    main = a_repository(tmp_path / "main")
    git(main, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    (main / "deep" / "inside").mkdir(parents=True)
    experiment = a_repository(main / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1")
    of_a_worktree = a_repository(tmp_path / "tree" / ".dvc" / "tmp" / "exps" / "tmp2")
    for folder in (main, main / "deep" / "inside", tmp_path / "tree", experiment, of_a_worktree):
        monkeypatch.chdir(folder)
        assert default_root().resolve() == (main / ".orca2" / "store").resolve()


@pytest.mark.usefixtures("no_store_variable")
def test_outside_any_repository_the_store_is_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main_repository() == tmp_path


def test_orca2_store_wins_over_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(a_repository(tmp_path / "main"))
    monkeypatch.setenv("ORCA2_STORE", str(tmp_path / "elsewhere"))
    assert default_root() == tmp_path / "elsewhere"


def test_every_field_of_an_answer_is_stored():
    beside = {"provenance", "stored_ns"}
    assert set(Answer.__dataclass_fields__) | beside == set(segment_module.Stored.__dataclass_fields__)


@pytest.mark.parametrize("name", ["with space", "[x]*?", "a:b", "50%20#", "ünï ∑", "{a,b}", "key=1"])
def test_a_store_works_in_a_folder_of_any_name(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for root in (tmp_path / name, Path(name, "relative")):
        put(root, answer(asked(1), "1"))
        put(root, answer(asked(2), "2"))
        assert merge(root, segments(root))
        assert texts(root, asked(1), asked(2)) == ["1", "2"]


def test_an_answer_merged_away_while_the_store_is_opened_is_still_found(tmp_path, monkeypatch):
    for number in range(4):
        put(tmp_path, answer(asked(number), str(number)))
    read = segment_module.read_indexed

    def merge_then_read(segment):
        monkeypatch.setattr(segment_module, "read_indexed", read)
        merge(tmp_path, segments(tmp_path)[:3])
        return read(segment)

    monkeypatch.setattr(segment_module, "read_indexed", merge_then_read)
    assert texts(tmp_path, *map(asked, range(4))) == ["0", "1", "2", "3"]


def test_an_answer_merged_away_while_the_folder_is_listed_is_still_found(tmp_path, monkeypatch):
    put(tmp_path, answer(asked(1), "1"))
    put(tmp_path, answer(asked(2), "2"))
    listing = segment_module.segment_files

    def unlucky_listing(root):  # the listing passes where the new file will be, then the old ones go
        monkeypatch.setattr(segment_module, "segment_files", listing)
        merge(root, segments(root))
        return []

    put(tmp_path / "other", answer(asked(3), "3"))
    (kept,) = segments(tmp_path / "other")
    kept.rename(tmp_path / kept.name)
    monkeypatch.setattr(segment_module, "segment_files", lambda root: [*unlucky_listing(root), tmp_path / kept.name])
    assert texts(tmp_path, asked(1), asked(2)) == ["1", "2"]


def test_what_two_processes_merged_at_once_counts_once_and_its_conflicts_stay(tmp_path):
    put(tmp_path, answer(asked(1), "first"), answer(asked(1), "second"), answer(asked(2)))
    put(tmp_path, answer(asked(3)))
    first, second = segments(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "twin")
    put(tmp_path / "twin", answer(asked(4)))
    one = merge(tmp_path, [first, second])
    other = merge(tmp_path / "twin", segments(tmp_path / "twin"))
    other.rename(tmp_path / other.name)
    assert segments(tmp_path) == [one, tmp_path / other.name]
    assert len(Store(tmp_path)) == 5
    assert texts(tmp_path, asked(1)) == ["first"]
    merge(tmp_path, segments(tmp_path))
    assert len(Store(tmp_path)) == 5


def test_a_merge_leaves_out_what_is_spoilt_and_writes_nothing_when_another_was_quicker(tmp_path, monkeypatch):
    for number in range(3):
        put(tmp_path, answer(asked(number), str(number)))
    before = segments(tmp_path)
    before[1].write_bytes(before[1].read_bytes()[:-1] + b"?")
    merged = merge(tmp_path, before)
    assert segments(tmp_path) == [before[1], merged]
    last = segment_module.publish(tmp_path, segment_module.stored_table([answer(asked(3))], [PROVENANCE]))
    read = segment_module.read_table

    def read_then_lose(segment):
        table = read(segment)
        if segment == last:
            merged.unlink()
        return table

    monkeypatch.setattr(segment_module, "read_table", read_then_lose)
    assert merge(tmp_path, [merged, last]) is None
    assert segments(tmp_path) == [before[1], last]


def test_a_segment_whose_content_is_not_its_name_is_never_merged_into_a_sound_one(tmp_path):
    put(tmp_path, answer(asked(1)))
    put(tmp_path, answer(asked(2)))
    one, other = segments(tmp_path)
    other = other.rename(tmp_path / f"{other.stem[:-16]}{'0' * 16}.parquet")
    assert merge(tmp_path, [one, other]) is None
    assert segments(tmp_path) == [one, other]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(st.lists(ANSWERS, max_size=4), st.tuples(st.integers(0, 3), st.integers(2, 4))), max_size=7
    ),
    limit=st.integers(1, 6),
)
def test_find_agrees_with_a_plain_list_whatever_is_merged_in_between(tmp_path_factory, steps, limit):
    root = tmp_path_factory.mktemp("store")
    plain = []
    for step in steps:
        if isinstance(step, list):
            put(root, *step)
            plain += step
        else:
            first, count = step
            merge(root, segments(root)[first : first + count])
    requests = [asked(q, limit) for q in range(6)]
    expected = {r.key: next((a for a in plain if reusable(a, r)), None) for r in requests}
    store = Store(root)
    assert store.find(requests) == {key: a for key, a in expected.items() if a}
    assert len(store) == len(plain)


def test_a_flipped_byte_anywhere_never_gives_a_wrong_answer(tmp_path):
    noise = [digest("noise", i) for i in range(3)]
    put(tmp_path, *(answer(asked(i), noise[i]) for i in range(3)))
    (segment,) = segments(tmp_path)
    content, wanted = segment.read_bytes(), {asked(i).key: noise[i] for i in range(3)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for offset in range(0, len(content), 3):
            segment.write_bytes(content[:offset] + bytes([content[offset] ^ 0x41]) + content[offset + 1 :])
            found = {key: a.text for key, a in Store(tmp_path).find([asked(i) for i in range(3)]).items()}
            assert found.items() <= wanted.items(), f"byte {offset}"
            segment.with_suffix(".aside").unlink(missing_ok=True)


def test_too_little_memory_says_nothing_against_a_segment(tmp_path, monkeypatch):
    import pyarrow as pa

    put(tmp_path, answer(asked(1)))

    def refuse(*_):
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(segment_module, "read_indexed", refuse)
    with pytest.raises(pa.ArrowMemoryError):
        Store(tmp_path)
    assert len(segments(tmp_path)) == 1


def test_a_read_only_store_answers_and_says_that_it_takes_nothing(tmp_path):
    put(tmp_path, answer(asked(1), "kept"))
    with read_only(tmp_path):
        assert texts(tmp_path, asked(1)) == ["kept"]
        with pytest.raises(Orca2Error, match="cannot write answers: Permission denied") as caught:
            put(tmp_path, answer(asked(2)))
    assert "ORCA2_STORE" in caught.value.hint
    assert texts(tmp_path, asked(1), asked(2)) == ["kept", None]


def readable(read, segment):
    try:
        read(segment)
    except (OSError, ValueError):
        return False
    return True


def text_of(segment):
    return segment_module.read_answers(segment, [0])


@pytest.mark.parametrize("where", ["text", "end"])
def test_a_spoilt_segment_of_a_read_only_store_is_left_and_the_others_answer(tmp_path, where):
    put(tmp_path, answer(asked(1), "good"))
    put(tmp_path, answer(asked(2), digest("spoilt", 2)))
    bad = segments(tmp_path)[1]
    content = bad.read_bytes()
    for offset in range(4, len(content)) if where == "text" else [len(content) - 1]:
        bad.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
        if where == "end" or (readable(segment_module.read_indexed, bad) and not readable(text_of, bad)):
            break
    left = r"not a readable segment .*left as it is \(Permission denied\)"
    with read_only(tmp_path), pytest.warns(UserWarning, match=left):
        assert texts(tmp_path, asked(1), asked(2)) == ["good", None]
    assert bad.exists()


def test_a_folder_that_may_not_be_read_is_an_error_and_not_an_empty_store(tmp_path):
    put(tmp_path, answer(asked(1)))
    with permissions(tmp_path, 0), pytest.raises(PermissionError):
        Store(tmp_path)


@pytest.mark.usefixtures("no_store_variable")
def test_a_submodule_has_its_store_in_its_own_folder(tmp_path, monkeypatch):
    a_repository(tmp_path / "inner")
    outer = a_repository(tmp_path / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "inner"), "part")
    monkeypatch.chdir(outer / "part")
    assert default_root() == outer / "part" / ".orca2" / "store"
