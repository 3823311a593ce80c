"""`orca2 diff` against datacompy and DuckDB on the same Parquet files, and what it costs in memory.

    python benchmarks/diff.py          # needs the peers of requirements/bench.lock: `make bench`

Two versions of 1,000,000 answers: 0.8 % changed in place, 0.1 % removed, 0.1 % added. The rounds of ours and DuckDB's
alternate and medians are told; datacompy runs once. Then two identical commits, `orca2 why` and `--help`, and the
memory of comparing 10,000,000 answers of 1 KB.

    python benchmarks/diff.py 100000000 [FOLDER]

measures size alone: two versions of so many short answers, 0.1 % of them different and some in every shard. Their
digests are drawn and not computed, and rows lie in shards as they are numbered, so that writing them takes minutes;
what is read and compared is the same. FOLDER keeps the versions for another run.
"""

import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import numpy.typing as npt

from orca2.core.rows import Example, Generation
from orca2.core.tables import arrow_schema, shard_of
from orca2.diff.comparison import comparisons
from orca2.project import cells
from orca2.project.revisions import WORKSPACE, Revision
from orca2.project.shards import write_parquet

ROWS, LARGE = 1_000_000, 10_000_000
SHARD_ROWS = 62_500
KEY = ("row_id", "sample_index")
ROUNDS = 7
BASE = " ".join(f"{random.Random(1).getrandbits(32) * (i + 1) % 99991:x}" for i in range(60_000))  # noqa: S311
_MEASURE = """
import sys
from pathlib import Path
from orca2.diff.diff import diff
from orca2.project.revisions import WORKSPACE, Revision
found = diff(Revision(WORKSPACE, Path("before")), Revision(WORKSPACE, Path("after")), "generate")
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(found.counts.total(), peak)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_versions(root, ROWS, text_length=250)
        measure_against_peers(root)
        measure_commands(root)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_versions(root, LARGE, text_length=860)
        measure_memory(root)


def measure_size(root: Path, rows: int) -> None:
    """Time and memory of comparing two versions of so many rows, each process with the machine's cold or warm cache."""
    if not root.joinpath("after").exists():
        write_drawn(root, rows)
    begin = time.perf_counter()
    different, peak = map(int, run(root, sys.executable, "-c", _MEASURE).stdout.split())
    seconds = time.perf_counter() - begin
    print(
        f"{rows:,} rows, {different:,} of them different: "
        f"{seconds:.1f} s (claim: 60), {peak / 2**20:.2f} GiB (claim: 1)"
    )


def write_drawn(root: Path, rows: int) -> None:
    """Of each 10,000 rows 8 are changed, one is removed and one added."""
    count = 1 << (rows // SHARD_ROWS).bit_length()
    for side in ("before", "after"):
        (root / side / "data" / "generations").mkdir(parents=True)
    for index in range(count):
        numbers = np.arange(index * rows // count, (index + 1) * rows // count)
        changed, gone, new = numbers % 10_000 < 8, numbers % 10_000 == 8, numbers % 10_000 == 9
        name = f"data/generations/rows-{index:02d}-of-{count:02d}.parquet"
        _write_drawn(root / "before" / name, numbers[~new], np.zeros(int((~new).sum()), bool))
        _write_drawn(root / "after" / name, numbers[~gone], changed[~gone])


def _write_drawn(file: Path, numbers: npt.NDArray[np.int64], changed: npt.NDArray[np.bool_]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    words = [_mixed(numbers * 8 + i + 4 * changed * (i > 0)) for i in range(4)]
    constant = {"task": "task_01", "strategy": "step_by_step", "finish_reason": "stop", "text": "Answer: 3"}
    columns = {
        name: pa.array([value]).take(pa.array(np.zeros(len(numbers), np.int32))) for name, value in constant.items()
    }
    columns |= {
        "row_id": _hex(words[0]),
        "key": _hex(words[1]),
        "sample_index": pa.array(np.zeros(len(numbers), np.int64)),
    }
    columns |= {name: pa.array(numbers % 50) for name in ("prompt_tokens", "completion_tokens")}
    schema = arrow_schema(Generation)
    write_parquet(file, pa.table({name: columns[name] for name in schema.names}, schema=schema))
    drawn = {"row_id": words[0], "key": words[1], "text": words[2]}
    digests = {n: pa.array(drawn[n] if n in drawn else _mixed(numbers % 50), pa.uint64()) for n in schema.names}
    table = pa.table(digests).replace_schema_metadata({cells._OF: cells._mark(file)})
    pq.write_table(table, cells.beside(file), compression="none", version="2.6", write_statistics=False)


def _mixed(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Splitmix64: numbers that look drawn, and no two of them the same."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _hex(words: npt.NDArray[np.uint64]):  # type: ignore[no-untyped-def]
    """An Arrow array of 64 hex digits each."""
    import pyarrow as pa

    text = np.stack([_mixed(words.astype(np.int64) + i) for i in range(4)], axis=1).tobytes().hex().encode()
    offsets = np.arange(len(words) + 1, dtype=np.int32) * 64
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(offsets), pa.py_buffer(text))


def write_versions(root: Path, rows: int, text_length: int) -> None:
    """data/generations of a project `before` and of one `after`, in the shards that orca2 would choose."""
    count = 1 << (rows // SHARD_ROWS).bit_length()
    buckets: list[list[int]] = [[] for _ in range(count)]
    for number in range(rows + rows // 1000):
        buckets[shard_of(row_id(number), count)].append(number)
    for index, numbers in enumerate(buckets):
        numbers.sort(key=row_id)
        old = [number for number in numbers if number < rows]
        new = [number for number in numbers if number % 1000 != 500 or number >= rows]
        for name, chosen in (("before", old), ("after", new)):
            file = root / name / "data" / "generations" / f"rows-{index:02d}-of-{count:02d}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            table = answers(chosen, text_length, edited=name == "after")
            write_parquet(file, table)
            cells.write(file, table)


def row_id(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def answers(numbers: list[int], text_length: int, *, edited: bool):  # type: ignore[no-untyped-def]
    """An Arrow table of `Generation` rows; 8 in 1000 of them changed where `edited`."""
    import pyarrow as pa

    changed = [edited and number % 1000 < 8 for number in numbers]
    start = [number * 7919 % (len(BASE) - text_length) for number in numbers]
    columns = {
        "row_id": [row_id(number) for number in numbers],
        "sample_index": [0] * len(numbers),
        "task": [f"task_{number % 63:02}" for number in numbers],
        "strategy": [("direct_answer", "step_by_step")[number % 2] for number in numbers],
        "key": [
            hashlib.sha256(b"%d %d" % (number, new)).hexdigest() for number, new in zip(numbers, changed, strict=True)
        ],
        "text": [f"{BASE[s : s + text_length]} {'new' * new}" for s, new in zip(start, changed, strict=True)],
        "finish_reason": ["stop"] * len(numbers),
        "prompt_tokens": [300 + number % 50 for number in numbers],
        "completion_tokens": [20 + number % 40 + new for number, new in zip(numbers, changed, strict=True)],
    }
    return pa.table(columns, schema=arrow_schema(Generation))


def measure_against_peers(root: Path) -> None:
    ours, theirs = [], []
    for _ in range(ROUNDS):
        seconds, found = timed(compare_by_orca2, root)
        ours.append(seconds)
        seconds, joined = timed(compare_by_duckdb, root)
        theirs.append(seconds)
        assert found == joined, (found, joined)
    mine = statistics.median(ours)
    print(f"{ROWS} rows, {found['changed']} changed, {found['removed']} removed, {found['added']} added: {mine:.2f} s")
    duck = statistics.median(theirs)
    print(
        f"  DuckDB, full outer join over all columns {duck:.2f} s: {duck / mine:.1f} times as fast (claim: 5)",
        flush=True,
    )
    pandas, counted = timed(compare_by_datacompy, root)
    assert counted == {name: found[name] for name in counted}, (counted, found)
    print(f"  datacompy {pandas:.1f} s: {pandas / mine:.0f} times as fast (claim: 20)", flush=True)


def compare_by_orca2(root: Path) -> dict[str, int]:
    shards = [Revision(WORKSPACE, root / side).shards("data/generations") for side in ("before", "after")]
    found = dict.fromkeys(("removed", "added", "changed", "key", "text", "completion_tokens"), 0)
    for _, _, _, part in comparisons(*shards, KEY):
        for name in ("removed", "added", "changed"):
            found[name] += len(getattr(part, name))
        for name in ("key", "text", "completion_tokens"):
            found[name] += int(part.fields[name].sum())
    return found


def compare_by_duckdb(root: Path) -> dict[str, int]:
    import duckdb

    names = [name for name in arrow_schema(Generation).names if name not in KEY]
    both = "a.row_id is not null and b.row_id is not null"
    differ = {name: f"a.{name} is distinct from b.{name}" for name in names}
    wanted = {
        "removed": "b.row_id is null",
        "added": "a.row_id is null",
        "changed": f"{both} and ({' or '.join(differ.values())})",
        **{name: f"{both} and {condition}" for name, condition in differ.items()},
    }
    counts = ", ".join(f"count(*) filter (where {condition}) as {name}" for name, condition in wanted.items())
    sides = [f"read_parquet('{root / side}/data/generations/*.parquet')" for side in ("before", "after")]
    matched = " and ".join(f"a.{name} = b.{name}" for name in KEY)
    query = f"select {counts} from {sides[0]} a full outer join {sides[1]} b on {matched}"
    with duckdb.connect() as connection:
        connection.execute(f"set threads = {os.cpu_count()}")
        row = dict(zip(wanted, connection.execute(query).fetchone(), strict=True))
    return {name: row[name] for name in ("removed", "added", "changed", "key", "text", "completion_tokens")}


def compare_by_datacompy(root: Path) -> dict[str, int]:
    import datacompy
    import pandas as pd

    sides = [pd.read_parquet(root / side / "data" / "generations") for side in ("before", "after")]
    compared = datacompy.PandasCompare(*sides, join_columns=list(KEY))
    return {
        "removed": len(compared.df1_unq_rows),
        "added": len(compared.df2_unq_rows),
        "changed": int(
            (~compared.intersect_rows[[c for c in compared.intersect_rows if c.endswith("_match")]].all(axis=1)).sum()
        ),
    }


def timed(call, *arguments):  # type: ignore[no-untyped-def]
    begin = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - begin, result


def measure_commands(root: Path) -> None:
    """The whole commands, each a process of its own, on a git and DVC project of the same rows."""
    project = root / "before"
    write_examples(project)
    (project / "dvc.yaml").write_text("stages:\n  generate:\n    cmd: 'true'\n    outs: [data/generations]\n", "utf-8")
    (project / "templates").mkdir()
    (project / "params.yaml").write_text("seed: 1\n", "utf-8")
    (project / ".gitignore").write_text("/data/\n", "utf-8")
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid")
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "commit", "-q", "-f"], ["git", "add", "-A"],
                    ["git", *identity, "commit", "-qm", "one"],
                    ["git", *identity, "commit", "-qm", "two", "--allow-empty"]):  # fmt: skip
        subprocess.run(command, cwd=project, check=True, capture_output=True)
    code = "import time; from orca2.diff.diff import diff; from orca2.project.revisions import Revision;"
    code += " begin = time.perf_counter();"
    code += "found = diff(Revision('HEAD~1'), Revision('HEAD'), 'generate'); assert not found.differs;"
    same = run(project, sys.executable, "-c", f"{code} print(time.perf_counter() - begin)")
    print(f"two identical revisions, from digests alone: {float(same.stdout):.2f} s (claim: 1)")
    row = row_id(77)[:12]
    for claim, *command in ((2, "why", row, "--json"), (0.2, "--help")):
        seconds = statistics.median(timed(run, project, "orca2", *command)[0] for _ in range(5))
        print(f"orca2 {command[0]}: {seconds:.2f} s (claim: {claim})")
    assert json.loads(run(project, "orca2", "why", row, "--json").stdout)["question"]["row_id"] == row_id(77)


def write_examples(project: Path) -> None:
    import pyarrow as pa

    files = sorted((project / "data" / "generations").glob("*.parquet"))
    for file in files:
        import pyarrow.parquet as pq

        ids = pq.read_table(file, columns=["row_id"])["row_id"].to_pylist()
        constant = {"task": "task_01", "category": "any", "split": "train", "answer": "1", "grader": "exact"}
        constant |= {"metadata": "{}", "source": "benchmark", "licence": "CC0-1.0"}
        columns = {"row_id": ids, "question": [f"What of {i}?" for i in ids]}
        columns |= {name: [value] * len(ids) for name, value in constant.items()}
        out = project / "data" / "examples" / file.name
        out.parent.mkdir(exist_ok=True)
        write_parquet(out, pa.table({n: columns[n] for n in arrow_schema(Example).names}, schema=arrow_schema(Example)))


def measure_memory(root: Path) -> None:
    size = sum(file.stat().st_size for file in (root / "before").rglob("*.parquet"))
    begin = time.perf_counter()
    rows, peak = map(int, run(root, sys.executable, "-c", _MEASURE).stdout.split())
    seconds = time.perf_counter() - begin
    print(f"{LARGE} rows of 1 KB ({size / 2**30:.1f} GiB as Parquet), {rows} of them different:")
    print(f"  {seconds:.1f} s, at most {peak / 2**20:.2f} GiB of memory (claim: 4)")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as spare:
            measure_size(Path(sys.argv[2] if len(sys.argv) > 2 else spare), int(sys.argv[1]))
    else:
        main()
