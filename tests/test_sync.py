"""Push and pull: only what is missing moves, whatever interrupts it; damage is named and never taken."""

import os
import signal
import subprocess
import sys
import time

import pytest

from orca2.core.errors import InputErrors, Orca2Error
from orca2.core.hashing import digest
from orca2.store import segments as segment_module
from orca2.store.compaction import compact
from orca2.store.garbage import garbage, remove_garbage
from orca2.store.merging import merge
from orca2.store.store import Store
from orca2.store.sync import pull, push
from orca2.store.upkeep import conflicts
from tests.disk import full_disk, read_only
from tests.examples import ROOT
from tests.test_store import answer, asked, put, segments, texts


def numbered(root, *numbers):
    for number in numbers:
        put(root, answer(asked(number), str(number)))


@pytest.fixture
def mine(tmp_path):
    numbered(tmp_path / "mine", 1, 2, 3)
    return tmp_path / "mine"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A DVC repository with two local remotes."""
    folder = tmp_path_factory.mktemp("project") / "with [x]"
    folder.mkdir()
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, check=True, cwd=folder)
    remotes = ("shared", "../../remote [y]"), ("unused", "../../unused")
    text = "".join(f"['remote \"{name}\"']\n    url = {url}\n" for name, url in remotes)
    (folder / ".dvc" / "config").write_text(text)
    return folder


@pytest.fixture
def a_project(project, monkeypatch):
    monkeypatch.chdir(project)


@pytest.mark.parametrize("address", ["{}/folder", "{}/[a]*? folder", "file://{}/folder", "memory://{}/[m]", "shared"])
@pytest.mark.usefixtures("a_project")
def test_push_and_pull_move_only_what_is_missing_and_twice_is_nothing(tmp_path, mine, address):
    address = address.format(tmp_path)
    assert push(mine, address) == (3, 0)
    assert push(mine, address) == (0, 3)
    assert pull(tmp_path / "yours", address) == (3, 0)
    assert pull(tmp_path / "yours", address) == (0, 3)
    numbered(mine, 4)
    assert push(mine, address) == (1, 3)
    assert pull(tmp_path / "yours", address) == (1, 3)
    assert texts(tmp_path / "yours", *map(asked, range(1, 5))) == ["1", "2", "3", "4"]
    assert not list((tmp_path / "yours").glob(".*"))


@pytest.mark.usefixtures("a_project")
def test_a_dvc_remote_that_is_still_empty_gives_nothing(tmp_path):
    assert pull(tmp_path / "yours", "unused") == (0, 0)


@pytest.mark.usefixtures("a_project")
@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("sharde", "is no DVC remote and no folder"),
        ("nothing://x", "cannot be opened"),
        ("{}/none", "there is nothing"),
    ],
)
def test_an_address_that_leads_nowhere_is_an_error_and_not_an_empty_answer(tmp_path, address, problem):
    with pytest.raises(Orca2Error, match=problem) as caught:
        pull(tmp_path / "yours", address.format(tmp_path))
    assert caught.value.hint
    assert not (tmp_path / "yours").exists()


def test_two_people_who_answered_the_same_end_up_with_the_same_winners(tmp_path, mine):
    yours, elsewhere = tmp_path / "yours", str(tmp_path / "elsewhere")
    put(yours, answer(asked(2), "yours, later"), answer(asked(9), "9"))
    put(mine, answer(asked(9), "mine, later"))
    compact(Store(mine))
    for root in (mine, yours, mine, yours):
        push(root, elsewhere)
        pull(root, elsewhere)
    requests = [asked(i) for i in range(10)]
    assert Store(mine).find(requests) == Store(yours).find(requests)
    assert texts(yours, asked(2), asked(9)) == ["2", "9"]
    assert len(Store(mine)) == len(Store(yours)) == 6
    assert {c.other for c in conflicts(Store(mine))} == {"yours, later", "mine, later"}


def test_what_was_merged_here_is_not_fetched_again(tmp_path, mine):
    elsewhere = str(tmp_path / "elsewhere")
    push(mine, elsewhere)
    pull(tmp_path / "yours", elsewhere)
    compact(Store(tmp_path / "yours"))
    assert pull(tmp_path / "yours", elsewhere) == (0, 3)
    assert len(segments(tmp_path / "yours")) == 1
    assert push(tmp_path / "yours", elsewhere) == (1, 0)
    assert pull(mine, elsewhere) == (1, 3)
    assert len(Store(mine)) == 3


def test_what_gc_removed_stays_away_until_it_is_wanted_and_no_one_else_loses_it(tmp_path):
    mine, yours, elsewhere = tmp_path / "mine", tmp_path / "yours", str(tmp_path / "elsewhere")
    put(mine, answer(asked(1), "1"), answer(asked(2), "2"))
    numbered(mine, 3)
    push(mine, elsewhere)
    pull(yours, elsewhere)
    store = Store(mine)
    remove_garbage(store, garbage(store, {asked(1).key}, 0))
    assert pull(mine, elsewhere) == (0, 2)
    assert texts(mine, asked(1), asked(2), asked(3)) == ["1", None, None]
    push(mine, elsewhere)
    pull(yours, elsewhere)
    assert texts(yours, asked(1), asked(2), asked(3)) == ["1", "2", "3"]
    assert len(Store(yours)) == 3
    pull(tmp_path / "new", elsewhere)
    assert texts(tmp_path / "new", asked(2), asked(3)) == ["2", "3"]
    pull(mine, elsewhere, again=True)
    assert texts(mine, asked(1), asked(2), asked(3)) == ["1", "2", "3"]


def test_damaged_segments_there_are_all_named_and_the_others_taken(tmp_path, mine):
    elsewhere = tmp_path / "elsewhere"
    push(mine, str(elsewhere))
    for damaged in segments(elsewhere)[:2]:
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(InputErrors) as caught:
        pull(tmp_path / "yours", str(elsewhere))
    assert [segment.name in str(caught.value) for segment in segments(elsewhere)] == [True, True, False]
    assert texts(tmp_path / "yours", asked(1), asked(2), asked(3)) == [None, None, "3"]
    assert len(list((tmp_path / "yours").iterdir())) == 1


def test_a_damaged_segment_here_is_named_and_not_sent(tmp_path, mine):
    damaged = segments(mine)[1]
    damaged = damaged.rename(mine / f"{damaged.stem[:-16]}{'a' * 16}.parquet")
    with pytest.raises(Orca2Error, match=f"{damaged.name}: its content is not what its name says"):
        push(mine, str(tmp_path / "elsewhere"))
    assert len(segments(tmp_path / "elsewhere")) == 2


def test_a_segment_merged_away_during_a_push_goes_with_the_merged_one(tmp_path, mine, monkeypatch):
    sound = segment_module.is_sound

    def merge_first(segment, name=""):
        monkeypatch.setattr(segment_module, "is_sound", sound)
        merge(mine, segments(mine)[:2])
        return sound(segment, name)

    monkeypatch.setattr("orca2.store.sync._AT_ONCE", 1)
    monkeypatch.setattr(segment_module, "is_sound", merge_first)
    assert push(mine, str(tmp_path / "elsewhere")) == (2, 0)
    pull(tmp_path / "yours", str(tmp_path / "elsewhere"))
    assert texts(tmp_path / "yours", asked(1), asked(2), asked(3)) == ["1", "2", "3"]


PUSH = "import sys; from pathlib import Path; from orca2.store.sync import {0}; {0}(Path(sys.argv[1]), sys.argv[2])"


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_a_transfer_killed_in_the_middle_is_safe_and_the_next_one_ends_it(tmp_path, mine, verb):
    numbers = range(4, 300)
    for number in numbers:
        segment_module.publish(mine, segment_module.stored_table([answer(asked(number), str(number))], ["{}"]))
    elsewhere = tmp_path / "elsewhere"
    if verb == "pull":
        push(mine, str(elsewhere))
    source, target = (mine, elsewhere) if verb == "push" else (tmp_path / "yours", tmp_path / "yours")
    process = subprocess.Popen([sys.executable, "-c", PUSH.format(verb), str(source), str(elsewhere)], cwd=ROOT)
    while process.poll() is None and len(segments(target)) < 20:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(segments(target))
    assert 20 <= done < 299
    leftovers = list(target.glob(".*.tmp"))
    old = target / f".{1:020d}-abc.tmp"
    old.write_text("half")
    moved = push(mine, str(elsewhere)) if verb == "push" else pull(source, str(elsewhere))
    assert moved == (299 - done, done)
    assert all(segment_module.is_sound(segment) for segment in segments(target))
    assert sorted(target.glob(".*.tmp")) == sorted(leftovers if verb == "push" else [*leftovers, old])
    pull(tmp_path / "other", str(elsewhere))
    assert len(Store(tmp_path / "other")) == 299


def test_a_full_or_read_only_disk_here_is_not_blamed_on_the_other_address(tmp_path, mine):
    here, there = tmp_path / "here", tmp_path / "there"
    put(mine, answer(asked(4), "".join(digest("noise", i) for i in range(150_000))))
    push(mine, str(there))
    here.mkdir()
    with read_only(here), pytest.raises(Orca2Error, match="here: cannot write answers: Permission denied"):
        pull(here, str(there))
    with full_disk(4 << 20), pytest.raises(Orca2Error, match="here: cannot write answers: File too large"):
        pull(here, str(there))
    with read_only(there), pytest.raises(Orca2Error, match=r"there/elsewhere: refuses: .*Permission denied"):
        push(mine, str(there / "elsewhere"))
