"""What many questions cost from their files to their splits: known answers, duplicates, decontamination, draws.

    python benchmarks/questions.py [--rows 1000000]

A project in a temporary folder whose questions are made from a seed: a table of 200 tasks and one of passages with four
questions each, and a benchmark. Of every hundred questions of the table five are spelt anew, two have a word exchanged,
and one stands in the benchmark too. `prepare_tasks` runs as a command: wall time and the largest process, and how many
rows went for which reason. Claim: 1,000,000 questions in at most 120 s on 2 cores and 4 GiB.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TASKS = 200
WORDS = 40_000
SOURCE = {"kind": "file", "category": "any", "licence": "none", "grader": "numeric"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        number = write_project(project, rows)
        seconds, busy, largest = run(project)
        counts = json.loads((project / "metrics/prepare_tasks.json").read_text("utf-8"))
        assert counts["rows_in"] == number
        print(f"{number:,} questions, {counts['rows_out']:,} of them kept:")
        print(f"    {seconds:.1f} s ({busy:.1f} s of processor time), largest process {largest / 2**30:.2f} GiB")
        for reason, count in counts["rejected"].items():
            print(f"    {count:>9,} {reason}")


def write_project(project: Path, rows: int) -> int:
    """Three files and what reads them; return how many questions they hold."""
    draw = random.Random(1)  # noqa: S311
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(WORDS)]
    table = list(_table(draw, words, rows * 7 // 10))
    passages = list(_passages(draw, words, rows * 2 // 10))
    held_out = [{"question": f"Q: {row['question']}", "answer": row["answer"]} for row in table[::100]]
    held_out += [{"question": _text(draw, words), "answer": "1"} for _ in range(rows - len(table) - len(passages))]
    files = {"table": table, "passages": passages, "benchmark": held_out}
    for name, of in files.items():
        (project / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in of), "utf-8")
    sources: dict[str, dict[str, Any]] = {name: SOURCE | {"name": f"{name}.jsonl"} for name in files}
    sources["table"] |= {"task_column": "task"}
    sources["passages"] |= {"group_column": "passage", "question": "{{ passage }}\n{{ question }}"}
    sources["benchmark"] |= {"split": "evaluation"}
    draws = {"mix": {"sources": ["table"], "size": rows // 4}}
    params = {"seed": 42, "tasks": {"splits": {"evaluation_fraction": 0.05}, "sources": sources, "draws": draws}}
    (project / "params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=project, check=True)
    deps = [f"{name}.jsonl" for name in files]
    stage = {"cmd": "python -m stages.prepare_tasks", "deps": deps, "outs": ["data/examples"]}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"prepare_tasks": stage}}), "utf-8")
    return sum(map(len, files.values()))


def _text(draw: random.Random, words: list[str]) -> str:
    said = draw.choices(words, k=draw.randint(15, 45))
    return f"{' '.join(said)} {draw.randint(2, 99)} boxes, and {draw.randint(2, 999)} more?".capitalize()


def _table(draw: random.Random, words: list[str], rows: int) -> Iterator[dict[str, str]]:
    base = answer = ""
    for number in range(rows):
        of_hundred = number % 100
        if of_hundred < 93:
            base, answer = _text(draw, words), str(draw.randrange(5000))
        first = base.split()[0]
        text = f"Question: {base.upper()}" if 93 <= of_hundred < 98 else base
        text = base.replace(first, draw.choice(words), 1) if of_hundred >= 98 else text
        yield {"task": f"task {draw.randrange(TASKS)}", "question": text, "answer": answer}


def _passages(draw: random.Random, words: list[str], rows: int) -> Iterator[dict[str, str]]:
    passage = ""
    for number in range(rows):
        passage = _text(draw, words) if number % 4 == 0 else passage
        question = " ".join(draw.choices(words, k=9))
        yield {"passage": passage, "question": f"What of {question}?", "answer": str(draw.randrange(50))}


def run(project: Path) -> tuple[float, float, int]:
    """Seconds of the stage, those of processor time, and the most memory that its process held, in bytes."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "stages.prepare_tasks"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    subprocess.run(command, cwd=project, env=environment, stdout=subprocess.DEVNULL, check=True)
    seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


if __name__ == "__main__":
    main()
