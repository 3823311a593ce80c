"""What a large dataset costs apart from generation: plan, a full-hit generate, and the edit of one template of many.

    python benchmarks/rows.py

A project in a temporary folder: 63 tasks with two templates each, a tiny model, and stored answers to every request, so
that no engine starts. Prints wall times of whole commands, and how many requests the edit of one template asks again.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.answered import answer_for
from tests.tiny import make_tiny_model
from tests.workspace import Workspace

TASKS = 63
STRATEGIES = ["direct_answer", "step_by_step"]
PROBE = 8


def main() -> None:
    for rows, measure in ((100_000, measure_plan_and_full_hit), (20_000, measure_edit)):
        with tempfile.TemporaryDirectory() as folder:
            project = build(Path(folder), rows)
            measure(project)


def build(root: Path, rows: int) -> Workspace:
    """A project with so many training rows, answered and rendered."""
    sources = {f"task_{i:02}": source(f"questions/task_{i:02}.jsonl") for i in range(TASKS)}
    project = Workspace(root, {
        "models": {"teacher": "path:tiny", "student": "path:tiny"},
        "tasks": {
            "splits": {"probe_fraction": 0.02, "evaluation_fraction": 0.001, "probe_limit": PROBE},
            "sources": sources,
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
            a = chance.randrange(1000)
            lines.append(
                json.dumps(
                    {
                        "question": f"Shelf {number} holds {a} books. {task} more come. How many?",
                        "answer": str(a + task),
                    }
                )
            )
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


def measure_plan_and_full_hit(project: Workspace) -> None:
    requests = len(rows_of(project, "requests"))
    seconds = timed(project, "dvc", "repro", "--single-item", "--force", "generate")
    assert project.speed("generate")["num_generated"] == 0
    print(f"full-hit generate of {requests} requests: {seconds:.1f} s (claim: 20), no engine", flush=True)
    print(f"orca2 plan, nothing changed: {timed(project, 'orca2', 'plan'):.1f} s (claim: 10)", flush=True)
    edit(project)
    print(f"orca2 plan, one template edited: {timed(project, 'orca2', 'plan'):.1f} s (claim: 10)", flush=True)


def measure_edit(project: Workspace) -> None:
    requests = len(rows_of(project, "requests"))
    edited = edit(project)
    asked = []
    seconds = 0.0
    for stage, last in (("probe", "select_strategies"), ("generate", "generate")):
        asked.append(answer_for(project, stage))
        seconds += timed(project, "dvc", "repro", last)
        assert project.speed(stage)["num_generated"] == 0
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
