"""What `orca2 plan` costs on many rows: seconds and the most memory of the whole command.

    python benchmarks/plan.py [ROWS] [FOLDER]        # 1,000,000 rows; FOLDER keeps the project for another run

A project of 63 tasks whose pipeline is `prepare_models`, `prepare_tasks`, `render_prompts` and `generate`, built
without running them: questions, requests of about 1.2 KB and an answer to each are written by the functions of the
stages, and DVC is told so. Then nothing is changed; one template of 63 is edited; another model is named.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.rows import STRATEGIES, TASKS, write_templates
from orca2.core.rows import Answer, Example, Generation, Request, Sampling
from orca2.core.tables import shard_of, to_table
from orca2.engines.runs import generations
from orca2.project.shards import shard_names, write_parquet
from orca2.recipe import models
from orca2.recipe.requests import GenerateConfig, teaching
from orca2.recipe.templates import Templates
from orca2.store import segments
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parent.parent
SHARD_ROWS = 16_384
DVC = """
stages:
  prepare_models:
    cmd: python -m stages.prepare_models
    params: [models]
    outs: [models]
  prepare_tasks:
    cmd: python -m stages.prepare_tasks
    params: [seed, tasks]
    outs: [data/examples]
  render_prompts:
    cmd: python -m stages.render_prompts
    deps: [data/examples, models, templates]
    params: [seed, generate]
    outs: [data/requests]
  generate:
    cmd: python -m stages.generate
    deps: [data/requests]
    outs: [data/generations]
"""
PARAMS = """
seed: 42
models: {teacher: "path:tiny", student: "path:tiny"}
tasks:
  sources:
    books: {kind: datasets, name: books.jsonl, category: sums, grader: numeric, licence: CC0-1.0}
generate: {samples: 1, sampling: {temperature: 0.0, max_tokens: 64}}
cluster: {generation: {}}
"""
_MEASURE = """
import sys
from orca2.cli.main import main
try:
    main()
finally:
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print("peak", line.split()[1], file=sys.stderr)
"""


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as spare:
        root = Path(sys.argv[2] if len(sys.argv) > 2 else spare).resolve()
        if not (root / "dvc.lock").is_file():
            build(root, rows)
        measure(root, rows, "nothing changed")
        file = root / f"templates/tasks/task_07/{STRATEGIES[0]}.j2"
        text = file.read_text("utf-8")
        file.write_text(text.replace("Shelf 3 holds 21 books.", "Shelf 3 has 21 books."), "utf-8")
        measure(root, rows, "one template of 63 edited")
        file.write_text(text, "utf-8")
        make_tiny_model(root / "other", seed=1)
        (root / "params.yaml").write_text(PARAMS.replace('teacher: "path:tiny"', 'teacher: "path:other"'), "utf-8")
        measure(root, rows, "another model, so that everything is asked again")
        (root / "params.yaml").write_text(PARAMS, "utf-8")


def measure(root: Path, rows: int, what: str) -> None:
    """One run of the whole command."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ORCA2_STORE": str(root / "store")}
    command = [sys.executable, "-c", _MEASURE, "plan"]
    before, begin = os.times(), time.perf_counter()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - begin, os.times()
    assert "peak" in done.stderr and "Traceback" not in done.stderr, done.stderr
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    peak = int(done.stderr.rsplit("peak", 1)[1].split()[0]) / 2**20
    print(f"{rows:,} rows, {what}: {seconds:.1f} s (claim: 30), {cpu:.1f} s of CPU, {peak:.2f} GiB (claim: 2)")
    print("  " + next((line.strip() for line in done.stdout.splitlines() if "rows:" in line), done.stdout), flush=True)


def build(root: Path, rows: int) -> None:
    """Write the project, its rows partition by partition."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dvc.yaml").write_text(DVC, "utf-8")
    (root / "params.yaml").write_text(PARAMS, "utf-8")
    (root / ".gitignore").write_text("/models\n/data/examples\n/data/requests\n/data/generations\n/store\n", "utf-8")
    for name in ("strategies", "student"):
        (root / "templates" / name).mkdir(parents=True)
        for file in (ROOT / "templates" / name).glob("*.j2"):
            (root / "templates" / name / file.name).write_bytes(file.read_bytes())
    write_templates(root)
    chosen = {f"task_{task:02}": STRATEGIES[0] for task in range(TASKS)}
    (root / "data").mkdir()
    (root / "data/strategies.yaml").write_text("strategies:\n" + "".join(f"  {t}: {s}\n" for t, s in chosen.items()))
    make_tiny_model(root / "tiny")
    os.chdir(root)
    teacher = models.prepare("path:tiny", Path("models"))
    models.write_prepared({"teacher": teacher, "student": teacher})
    write_rows(rows, chosen, teacher.digest)
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid")
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "commit", "-q", "-f"], ["git", "add", "-A"],
                    ["git", *identity, "commit", "-qm", "built"]):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)


def write_rows(rows: int, chosen: dict[str, str], teacher: str) -> None:
    count = 1 << (rows // SHARD_ROWS).bit_length()
    cut: list[list[int]] = [[] for _ in range(count)]
    for number in range(rows):
        cut[shard_of(f"{number:064x}", count)].append(number)
    config = GenerateConfig(sampling=Sampling(max_tokens=64))
    templates = Templates()
    for name, numbers in zip(shard_names(count), cut, strict=True):
        examples = [example(number) for number in numbers]
        requests = teaching(templates, chosen, config, teacher, 42).requests(examples, templates)
        answers = [answer(request) for request in requests]
        segments.publish(Path("store"), segments.stored_table(answers, "{}"))
        answered = generations(requests, {a.key: a for a in answers})
        for folder, kind, made in (("examples", Example, examples), ("requests", Request, requests),
                                   ("generations", Generation, answered)):  # fmt: skip
            file = Path("data", folder, name)
            file.parent.mkdir(exist_ok=True)
            write_parquet(file, to_table(made, kind))


def example(number: int) -> Example:
    task, books = number % TASKS, number * 7919 % 1000
    return Example(
        row_id=f"{number:064x}", task=f"task_{task:02}", category="sums", split="train",
        question=f"Shelf {number} holds {books} books. {task} more come. How many?", answer=str(books + task),
        grader="numeric", metadata="{}", source="benchmark", licence="CC0-1.0",
    )  # fmt: skip


def answer(request: Request) -> Answer:
    return Answer(
        key=request.key, text="Answer: 3", finish_reason="stop", max_tokens=64, prompt_tokens=300, completion_tokens=9
    )


if __name__ == "__main__":
    main()
