"""Kills at random moments: what was flushed stays, no torn file is read, one answer wins, the export is the same.

Two writers at once answer the same requests in orders of their own, merging as they go, while a third process compacts.
Each is killed with SIGKILL at a random moment and begun again.
"""

import multiprocessing
import random
import signal
import threading
import time
import warnings
from contextlib import ExitStack

import pyarrow.parquet as pq
import pytest

from orca2.core.hashing import digest
from orca2.core.rows import Answer, Generation, Sampling
from orca2.project.shards import write_rows
from orca2.store import compaction, index, upkeep
from orca2.store import store as store_module
from orca2.store.store import Store, Writer
from tests.examples import request, turns

KILLS = 50
DICE = random.SystemRandom()
REQUESTS = [
    request(row_id=digest("row", i), messages=turns(f"What is {i} + 1?"), sampling=Sampling(max_tokens=16))
    for i in range(4000)
]
# A fork of a clean process that has imported everything costs milliseconds; it shares no threads with this one.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "pandas", "pyarrow.parquet", "pyarrow.compute", "tests.test_store_kills"])


def answer_to(wanted, author=""):
    """The same on every day, and, without an author, by everyone."""
    text = f"{digest('answer', wanted.key)} {author}"
    return Answer(key=wanted.key, text=text, finish_reason="stop", max_tokens=16, prompt_tokens=5, completion_tokens=4)


def make_lively():
    """Flushes and merges that take place in a moment rather than in a long run."""
    Writer.FLUSH_ROWS, Writer.MERGE = 5, 4
    compaction.TIDY_SEGMENTS = 4
    store_module.FILE_ROWS, store_module.READ_ROWS, store_module.OPEN_ROWS = 20, 100, 200
    warnings.simplefilter("error")  # a segment set aside ends the process


def generate(root, author, flushed):
    """Look the requests up, and answer the missing ones in an order of one's own, as a stage does."""
    make_lively()
    store = Store(root)
    found = store.find(REQUESTS)
    missing = [r for r in DICE.sample(REQUESTS, len(REQUESTS)) if r.key not in found]
    with store.writer(f'{{"engine": "{author}"}}') as writer:
        for wanted in missing:
            writer.add([answer_to(wanted, author)])
            time.sleep(0.001)
            flushed.send_bytes(wanted.key.encode())
            if not writer._waiting:
                flushed.send_bytes(b"")  # everything before this is on disk
    store.refresh()
    compaction.tidy(store)


def compact(root, _author, _flushed):
    make_lively()
    while True:
        time.sleep(DICE.random() / 20)
        compaction.compact(Store(root))


def listen(pipe, kept):
    """Collect the keys that a process reports as flushed, until it is gone."""
    waiting = []
    try:
        while True:
            if key := pipe.recv_bytes():
                waiting.append(key.decode())
            else:
                kept.update(waiting)
                waiting.clear()
    except EOFError:
        return


class Running:
    """A process that may be killed at any moment, and what it had flushed by then."""

    def __init__(self, target, root, author, kept):
        ours, theirs = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=target, args=(root, author, theirs))
        self.process.start()
        theirs.close()
        self.listener = threading.Thread(target=listen, args=(ours, kept))
        self.listener.start()

    def end(self, *, kill):
        if kill:
            self.process.kill()
        self.process.join()
        self.listener.join()
        assert self.process.exitcode in (0, -signal.SIGKILL)


def export(store, folder):
    """The bytes that the stage writes."""
    found = store.find(REQUESTS)
    names = ("row_id", "sample_index", "task", "strategy", "key")
    said = ("text", "finish_reason", "prompt_tokens", "completion_tokens")
    rows = [
        Generation(**{n: getattr(r, n) for n in names}, **{n: getattr(found[r.key], n) for n in said}) for r in REQUESTS
    ]
    write_rows(folder, Generation, rows)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def winners(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a torn segment would be set aside with one
        return {key: a.text for key, a in Store(root).find(REQUESTS).items()}


def first_stored(root):
    """The winners, naively."""
    rows = [row for file in root.glob("*.parquet") for row in pq.read_table(file, partitioning=None).to_pylist()]
    return {row["key"]: row["text"] for row in sorted(rows, key=lambda row: row["stored_ns"], reverse=True)}


def later_stored(root, first):
    """The other answers, naively."""
    rows = [row for file in root.glob("*.parquet") for row in pq.read_table(file, partitioning=None).to_pylist()]
    return {(row["key"], row["text"]) for row in rows} - set(first.items())


def kill_often(root, authors, stack):
    """Kill a writer `KILLS` times, now and then the compactor too; return the keys that had been flushed."""
    kept, kills = set(), 0
    running: dict[str, Running] = {}
    stack.callback(lambda: [process.end(kill=True) for process in running.values()])
    while kills < KILLS:
        for name, target in {"compactor": compact, "one": generate, "two": generate}.items():
            if name not in running:
                running[name] = Running(target, root, name if authors else "", kept)
        time.sleep(DICE.random() * 0.12)
        name = DICE.choice(["one", "two", "one", "two", "compactor"])
        kills += name != "compactor" and running[name].process.is_alive()
        running.pop(name).end(kill=True)
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("authors", [False, True], ids=["all answer alike", "each answers otherwise"])
def test_random_kills_of_two_writers_and_a_compactor_lose_nothing_and_change_nothing(tmp_path, authors):
    root = tmp_path / "store"
    for author in ("first", "second") if authors else ():
        with Store(root).writer("{}") as writer:
            writer.add([answer_to(REQUESTS[0], author)])
    with ExitStack() as stack:
        kept = kill_often(root, authors, stack)
    before = winners(root)
    assert kept <= before.keys() < {r.key for r in REQUESTS}  # there was something to do to the end
    last = Running(generate, root, "last" if authors else "", kept)
    last.end(kill=False)
    assert last.process.exitcode == 0
    store, after = Store(root), winners(root)
    assert after.keys() == {r.key for r in REQUESTS}
    assert before.items() <= after.items()
    assert after == first_stored(root)
    assert not list(root.glob("*.aside"))
    assert list((root / index.FOLDER).glob("*.run"))
    assert upkeep.verify(root) == []
    exported = export(store, tmp_path / "export")
    compaction.compact(store)
    assert export(Store(root), tmp_path / "again") == exported
    if authors:
        conflicts = {(c.key, c.other) for c in upkeep.conflicts(store)}
        assert (REQUESTS[0].key, answer_to(REQUESTS[0], "second").text) in conflicts
        assert conflicts == later_stored(root, after)
    else:
        with Store(tmp_path / "undisturbed").writer("{}") as writer:
            writer.add(answer_to(r) for r in REQUESTS)
        assert exported == export(Store(tmp_path / "undisturbed"), tmp_path / "expected")
        assert list(upkeep.conflicts(store)) == []
    print(len(before), "answers,", len(store) - len(REQUESTS), "of them twice,", len(store.segments), "segments")
