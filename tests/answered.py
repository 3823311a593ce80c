"""A project whose teacher has answered already: every stage up to `pack` runs, and no engine. Not a test module."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

from orca2.core import config
from orca2.core.rows import Answer, PackedSequence
from orca2.plan.plan import Plan, make_plan
from orca2.project.shards import read_rows
from orca2.recipe import models
from orca2.store.store import Store
from orca2.training import finished
from orca2.training.loop import TrainConfig
from tests.tiny import make_tiny_model
from tests.workspace import REVERSAL, SUM, Workspace

PROBE, TRAIN = 3, 5
PARAMS = {
    "models": {"teacher": "path:tiny", "student": "path:tiny"},
    "tasks": {
        "splits": {"probe_limit": PROBE, "train_limit": TRAIN, "evaluation_limit": 2},
        "sources": {
            "reversal": REVERSAL | {"config": {"min_words": 2, "max_words": 2}, "licence": "Apache-2.0"},
            "sum_of_two": SUM | {"config": {"max_terms": 2, "max_digits": 1}, "licence": "Apache-2.0"},
        },
    },
    "probe": {"strategies": ["direct_answer", "step_by_step"], "sampling": {"temperature": 0.0, "max_tokens": 32}},
    "generate": {"samples": 1, "sampling": {"temperature": 0.0, "max_tokens": 32}},
    "grade": {"keep": "all"},
    "pack": {"max_tokens": 512},
}


def answered_project(root: Path) -> Workspace:
    """Built up to `pack`; step by step is right on every question, anything else is not."""
    project = Workspace(root, PARAMS)
    make_tiny_model(root / "tiny")
    project.add_dep("prepare_models", "tiny")
    project.repro("prepare_models", "prepare_tasks")
    for stage, last in (("probe", "select_strategies"), ("generate", "pack")):
        answer_for(project, stage)
        project.repro(last)
    project.commit("built up to pack")
    return project


def built_project(answered: Workspace, root: Path) -> Workspace:
    """Built from stored answers and a finished student alone: a budget of no tokens keeps every engine off."""
    project = answered.copy(root)
    generation = project.params()["cluster"]["generation"] | {"max_new_tokens": 0}
    project.set_params({"cluster": {"generation": generation}})
    finish_student(project.root)
    project.repro("train")
    answer_for(project, "evaluate")
    project.repro()
    project.commit("built")
    return project


def finish_student(root: Path) -> None:
    """Keep a student as if it had been trained."""
    with chdir(root):
        train = config.load_section("train", TrainConfig)
        sequences, student = read_rows(Path("data/packed"), PackedSequence), models.read_prepared()["student"]
        name = finished.identity(sequences, model=student.digest, config=train, seed=42, workers=1)
        made = finished.Outputs(model=Path("new/model"), results=Path("new/results.json"), curve=Path("new/curve"))
        make_tiny_model(made.model, seed=1)
        made.results.write_text(json.dumps({"steps": 2}))
        for curve in ("loss", "learning_rate"):
            file = made.curve / "plots" / "metrics" / f"{curve}.tsv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"step\t{curve}\n0\t2.0\n1\t1.0\n")
        finished.keep(finished.default_root(), name, made)
        shutil.rmtree("new")


def plan_of(project: Workspace, max_new_tokens: int | None = None) -> Plan:
    """What `orca2 plan` says there, without the start of another Python."""
    with chdir(project.root):
        return make_plan(Store(project.root / ".orca2" / "store"), max_new_tokens)


def answer_for(project: Workspace, stage: str, **fields) -> int:
    """Store an answer to whatever a plan says the stage still wants; return how many."""
    asking = plan_of(project).asking[stage]
    limit = asking.most_new_tokens // max(1, len(asking.wanted))
    answers = [
        Answer(**{
            "key": request.key, "text": f"Answer: {request.strategy[:3]} {request.key[:6]}", "finish_reason": "stop",
            "max_tokens": limit, "prompt_tokens": 20, "completion_tokens": 9,
        } | fields)
        for request in asking.wanted
    ]  # fmt: skip
    with Store(project.root / ".orca2" / "store").writer('{"engine": "test"}') as writer:
        writer.add(answers)
    return len(answers)
