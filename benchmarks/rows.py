"""What a large dataset costs apart from generation: every stage from rendering to packing, beside an earlier version.

    python benchmarks/rows.py [--rows 100000] [--base COMMIT] [--stages-only]

A project in a temporary folder: 63 tasks with two templates each, a tiny model, and stored answers to every request, so
that no engine starts. Each stage runs as a command, in turn with the base version's (a commit of this repository, in a
git worktree of its own; none where the name is empty): wall time, processor time and the largest process. Then the
plan, and what the edit of one template of many asks again. Claim: at least twice the base's rows a second at 100,000.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.answered import answer_for
from tests.tiny import make_tiny_model
from tests.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
TASKS = 63
STRATEGIES = ["direct_answer", "step_by_step"]
PROBE = 8
MEASURED = ["render_prompts", "generate", "grade", "erase", "pack"]
BASE = "8286919~1"
"""The last version that held all rows of a stage as objects."""
_FILL = """
from pathlib import Path
import pyarrow.parquet as pq
try:
    from orca2.core.rows import Answer
    from orca2.store.store import Store
except ImportError:
    from orca2.rows import Answer
    from orca2.store import Store
text = "Seven and so on, as said above; the sum follows step by step. Answer: "
with Store(Path(".orca2/store")).writer('{"engine": "test"}') as writer:
    writer.FLUSH_ROWS, writer.FLUSH_S = 50_000, 3600.0
    for shard in sorted(Path("data/requests").glob("rows-*.parquet")):
        keys = pq.read_table(shard, columns=["key"], partitioning=None)["key"].to_pylist()
        for start in range(0, len(keys), 50_000):
            writer.add([
                Answer(key=key, text=text + str(int(key[:3], 16)), finish_reason="stop", max_tokens=64,
                       prompt_tokens=400, completion_tokens=20)
                for key in keys[start:start + 50_000]
            ])
"""


class Cost(NamedTuple):
    """Of one command, with all the processes that it started."""

    wall_s: float
    cpu_s: float
    peak_mib: int
    """Private memory of the largest process; what it maps of files may be given up at any time."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--base", default=BASE)
    parser.add_argument("--stages-only", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the projects are built; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure_stages(Path(folder), arguments.rows, arguments.base)
    for rows, measure in () if arguments.stages_only else ((100_000, measure_plan), (20_000, measure_edit)):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            measure(build(Path(folder), rows))


def measure_stages(folder: Path, rows: int, base: str) -> None:
    """Every stage of both versions, one after the other."""
    versions = {"new": folder / "new"}
    copy(ROOT, versions["new"], rows)
    if base:
        worktree = folder / "worktree"
        subprocess.run(["git", "worktree", "add", "--detach", str(worktree), base], cwd=ROOT, check=True, stdout=2)
        try:
            versions = {"base": folder / "base"} | versions
            copy(worktree, versions["base"], rows)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(worktree)], cwd=ROOT, check=True)
    total = dict.fromkeys(versions, 0.0)
    for stage in ("render_prompts", "fill", *MEASURED[1:]):
        for name, root in versions.items():
            command = ("-c", _FILL) if stage == "fill" else ("-m", f"stages.{stage}")
            cost = run(root, sys.executable, *command)
            total[name] += cost.wall_s if stage != "fill" else 0
            figures = f"{cost.wall_s:8.1f} s  {cost.cpu_s:8.1f} s of processor  {cost.peak_mib:6} MiB"
            print(f"{stage:15} {name:5} {figures}  {rows / cost.wall_s:9.0f} rows/s", flush=True)
    for name, seconds in total.items():
        print(f"{name}: {rows} rows through {', '.join(MEASURED)}: {seconds:.1f} s, {rows / seconds:.0f} rows/s")
    if base:
        print(f"times the base's rows/s: {total['base'] / total['new']:.2f} (claim: 2)")


def run(root: Path, *command: str) -> Cost:
    """Run a command of a project, and watch its processes."""
    environment = os.environ | {"PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {name: value for name, value in environment.items() if name not in ("RAY_ADDRESS", "ORCA2_STORE")}
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak, cpu = [0], dict[int, float]()
    watcher = threading.Thread(target=_watch, args=(process, peak, cpu))
    watcher.start()
    _, said = process.communicate()
    watcher.join()
    if process.returncode:
        sys.exit(said.decode())
    return Cost(time.perf_counter() - begin, sum(cpu.values()), peak[0] >> 20)


def _watch(process: Any, peak: list[int], cpu: dict[int, float]) -> None:
    while process.returncode is None:
        try:
            top = psutil.Process(process.pid)
            for one in [top, *top.children(recursive=True)]:
                memory, times = one.memory_info(), one.cpu_times()
                peak[0] = max(peak[0], memory.rss - memory.shared)
                cpu[one.pid] = times.user + times.system
        except psutil.Error:
            pass
        time.sleep(0.1)


def copy(code: Path, root: Path, rows: int) -> None:
    """A project of one version, with questions and no probe: every task has its technique already."""
    for name in ("orca2", "stages", "templates"):
        shutil.copytree(code / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((code / "params.yaml").read_text("utf-8"))
    splits = {"probe_fraction": 1e-4, "evaluation_fraction": 1e-4, "probe_limit": 4, "evaluation_limit": 4}
    params |= {
        "models": {"teacher": "path:tiny", "student": "path:tiny"},
        "tasks": {"splits": splits, "sources": sources()},
        "grade": {"keep": "all"},
        "pack": {"max_tokens": 512},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    made = {"prepare_models": "models/models.json", "prepare_tasks": "data/examples"}
    pipeline = {"stages": {s: {"cmd": "-", "deps": ["tiny", "questions"], "outs": [out]} for s, out in made.items()}}
    (root / "dvc.yaml").write_text(yaml.safe_dump(pipeline), "utf-8")
    for tool in ("git", "dvc"):
        subprocess.run([tool, "init", "-q"], cwd=root, check=True)
    make_tiny_model(root / "tiny")
    write_templates(root)
    write_examples(root, rows)
    chosen = dict.fromkeys(sources(), STRATEGIES[0])
    (root / "data" / "strategies.yaml").write_text(yaml.safe_dump({"strategies": chosen}), "utf-8")
    run(root, sys.executable, "-m", "stages.prepare_models")


def write_examples(root: Path, rows: int) -> None:
    """data/examples, a shard at a time: reading and splitting the questions is not what is measured here."""
    from orca2.core.rows import Example
    from orca2.core.tables import to_table
    from orca2.project.artifacts import Artifact
    from orca2.project.partitions import writing

    examples = Artifact(stage="", folder=str(root / "data" / "examples"), row_type=Example, identity=("row_id",))
    with writing(examples) as (draft,):
        for start in range(0, rows, 1 << 17):
            numbers = range(start, min(rows, start + (1 << 17)))
            draft.add(to_table([example(number) for number in numbers], Example))


def example(number: int) -> Any:
    from orca2.core.hashing import digest
    from orca2.core.rows import Example

    task, a = number % TASKS, number * 7919 % 1000
    asked = question(number, a, task)
    return Example(
        row_id=digest("example", [task, asked["question"], asked["answer"]]), task=f"task_{task:02}", category="sums",
        split="train", grader="numeric", metadata="{}", source="datasets:questions", licence="CC0-1.0", **asked,
    )  # fmt: skip


def question(number: int, a: int, task: int) -> dict[str, str]:
    text = f"Shelf {number} holds {a} books. {task} more come. How many?"
    return {"question": text, "answer": str(a + task)}


def sources() -> dict[str, dict[str, str]]:
    return {f"task_{i:02}": source(f"questions/task_{i:02}.jsonl") for i in range(TASKS)}


def build(root: Path, rows: int) -> Workspace:
    """A project with so many training rows, answered and rendered."""
    project = Workspace(root, {
        "models": {"teacher": "path:tiny", "student": "path:tiny"},
        "tasks": {
            "splits": {"probe_fraction": 0.02, "evaluation_fraction": 0.001, "probe_limit": PROBE},
            "sources": sources(),
        },
        "probe": {"strategies": STRATEGIES, "sampling": {"temperature": 0.0, "max_tokens": 64}},
    })  # fmt: skip
    make_tiny_model(root / "tiny")
    project.add_dep("prepare_models", "tiny")
    project.add_dep("prepare_tasks", "questions")
    write_questions(root, rows)
    write_templates(root)
    project.repro("prepare_models", "prepare_tasks")
    for stage, last in (("probe", "select_strategies"), ("generate", "generate")):
        answer_for(project, stage)
        project.repro(last)
    return project


def source(file: str) -> dict[str, str]:
    return {"kind": "datasets", "name": file, "category": "sums", "grader": "numeric", "licence": "CC0-1.0"}


def write_questions(root: Path, rows: int) -> None:
    chance, number = random.Random(rows), 0  # noqa: S311
    (root / "questions").mkdir()
    for task in range(TASKS):
        lines = []
        for _ in range(round(rows / TASKS / 0.979)):
            number += 1
            lines.append(json.dumps(question(number, chance.randrange(1000), task)))
        (root / "questions" / f"task_{task:02}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def write_templates(root: Path) -> None:
    """Six worked turns for each task and strategy, as the shipped templates have."""
    for task in range(TASKS):
        folder = root / "templates" / "tasks" / f"task_{task:02}"
        folder.mkdir(parents=True)
        for strategy in STRATEGIES:
            turns = "".join(
                f"{{% call user() %}}Shelf {n} holds {n * 7} books. {task} more come. How many?{{% endcall %}}\n"
                f"{{% call assistant() %}}{n * 7} + {task} = {n * 7 + task}.\nAnswer: {n * 7 + task}{{% endcall %}}\n"
                for n in range(1, 7)
            )
            text = f'{{% extends "strategies/{strategy}.j2" %}}\n{{% block examples %}}\n{turns}{{% endblock %}}\n'
            (folder / f"{strategy}.j2").write_text(text, "utf-8")


def measure_plan(project: Workspace) -> None:
    requests = len(rows_of(project, "requests"))
    print(f"{requests} requests: orca2 plan, nothing changed: {timed(project, 'orca2', 'plan'):.1f} s", flush=True)
    edit(project)
    print(f"orca2 plan, one template edited: {timed(project, 'orca2', 'plan'):.1f} s", flush=True)


def measure_edit(project: Workspace) -> None:
    requests = len(rows_of(project, "requests"))
    edited = edit(project)
    asked = []
    seconds = 0.0
    for stage, last in (("probe", "select_strategies"), ("generate", "generate")):
        asked.append(answer_for(project, stage))
        seconds += timed(project, "dvc", "repro", last)
    expected = [rows_of(project, "probe/requests").count(edited), rows_of(project, "requests").count(edited)]
    print(f"one of {2 * TASKS} templates edited over {requests} rows: {asked} teacher calls, {expected} rows of it")
    print(f"  wall time apart from generation: {seconds:.1f} s (claim: 15)")


def edit(project: Workspace) -> str:
    """Edit the chosen template of one task; return its file."""
    import yaml

    chosen = yaml.safe_load((project.root / "data" / "strategies.yaml").read_text("utf-8"))["strategies"]
    file = f"tasks/task_07/{chosen['task_07']}.j2"
    project.edit(f"templates/{file}", "Shelf 3 holds 21 books.", "Shelf 3 has 21 books.")
    return file


def rows_of(project: Workspace, artifact: str) -> list[str]:
    """The template of every request in an artifact."""
    from orca2.project.shards import read_columns

    return read_columns(project.root / "data" / artifact, ["template"])["template"].to_pylist()


def timed(project: Workspace, *command: str) -> float:
    begin = time.perf_counter()
    done = project.run(*command, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode not in (0, 2):
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return seconds


if __name__ == "__main__":
    main()
