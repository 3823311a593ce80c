"""A project whose teacher has answered already: every stage up to `pack` runs, and no engine. Not a test module."""

from contextlib import chdir
from pathlib import Path

from orca2.core.rows import Answer
from orca2.plan.plan import Plan, make_plan
from orca2.store.store import Store
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
            "key": request.key, "text": f"Answer: {request.strategy} {request.key[:6]}", "finish_reason": "stop",
            "max_tokens": limit, "prompt_tokens": 20, "completion_tokens": 9,
        } | fields)
        for request in asking.wanted
    ]  # fmt: skip
    with Store(project.root / ".orca2" / "store").writer('{"engine": "test"}') as writer:
        writer.add(answers)
    return len(answers)
