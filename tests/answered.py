"""A project whose teacher has answered already: every stage up to `pack` runs, and no engine. Not a test module."""

import json
from pathlib import Path

from orca2.rows import Answer
from orca2.store import Store
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
_ANSWER = """
import json, sys
from orca2.plan import make_plan
from orca2.store import Store, default_root
wanted = make_plan(Store(default_root())).asking[sys.argv[1]].wanted
print(json.dumps([[w.request.key, w.request.strategy, w.request.sampling.max_tokens] for w in wanted]))
"""


def answered_project(root: Path) -> Workspace:
    """Built up to `pack`; step by step is right on every question, anything else is not."""
    project = Workspace(root, PARAMS)
    make_tiny_model(root / "tiny")
    project.edit(
        "dvc.yaml", "      - orca2/models.py\n    params:", "      - orca2/models.py\n      - tiny\n    params:"
    )
    project.repro("prepare_models", "prepare_tasks")
    for stage, last in (("probe", "select_strategies"), ("generate", "pack")):
        answer_for(project, stage)
        project.repro(last)
    project.commit("built up to pack")
    return project


def answer_for(project: Workspace, stage: str, **fields) -> int:
    """Store an answer to whatever a plan says the stage still wants; return how many."""
    wanted = json.loads(project.run("python", "-c", _ANSWER, stage).stdout)
    answers = [
        Answer(**{
            "key": key, "text": f"Answer: {strategy} {key[:6]}", "finish_reason": "stop", "max_tokens": limit,
            "prompt_tokens": 20, "completion_tokens": 9,
        } | fields)
        for key, strategy, limit in wanted
    ]  # fmt: skip
    with Store(project.root / ".orca2" / "store").writer('{"engine": "test"}') as writer:
        writer.add(answers)
    return len(answers)
