"""A small dataset built by the real functions of every step, without DVC and without an engine. Not a test module."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from orca2.core.rows import Chat, Example, Generation, Graded, Rejected, Request, Sampling
from orca2.project.shards import write_rows
from orca2.recipe.filtering import GradeConfig, keep
from orca2.recipe.grading import grade
from orca2.recipe.requests import GenerateConfig, teaching
from orca2.recipe.templates import Templates
from tests.closure import ROOT
from tests.naive_erasure import erase

TASKS = ("reversal", "sum_of_two")
MODEL = "a" * 64


def questions(count: int = 4, split: str = "train") -> list[Example]:
    """So many questions of each task; the ids are readable."""
    return [
        Example(
            row_id=f"{task}-{number}",
            task=task,
            category="any",
            split=split,
            question=f"{task}, number {number}?",
            answer=str(number),
            grader="exact",
            metadata="{}",
            source="test",
            licence="CC0-1.0",
        )
        for task in TASKS
        for number in range(count)
    ]


def right(request: Request) -> str:
    """An answer that is right."""
    return f"Answer: {request.row_id.rsplit('-', 1)[1]}"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides a dataset; `replace` one field to change one cause."""

    examples: Sequence[Example] = field(default_factory=questions)
    strategies: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(TASKS, "step_by_step"))
    edits: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Template file to a text in it and what replaces it."""
    sampling: Sampling = field(default_factory=Sampling)
    samples: int = 1
    model: str = MODEL
    says: Callable[[Request], str] = right
    cut: frozenset[str] = frozenset()
    """Row ids whose answers are cut by the limit."""
    keep: str = "correct"
    left_out: Sequence[Example] = ()
    """Questions beyond the limit of their split."""
    student: str = "generic"
    seed: int = 42

    def changed(self, **fields) -> "Recipe":
        return replace(self, **fields)


def build(root: Path, recipe: Recipe) -> Path:
    """Write every artifact of a recipe as a workspace; return its root."""
    shutil.copytree(ROOT / "templates", root / "templates")
    for file, (old, new) in recipe.edits.items():
        path = root / "templates" / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")
    (root / "data").mkdir()
    (root / "data" / "strategies.yaml").write_text(yaml.safe_dump({"strategies": dict(recipe.strategies)}), "utf-8")
    ran_with = {"grade": {"params": {"params.yaml": {"grade": {"keep": recipe.keep}}}}}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": ran_with}), "utf-8")
    templates = Templates(root / "templates")
    config = GenerateConfig(sampling=recipe.sampling, samples=recipe.samples)
    asks = teaching(templates, recipe.strategies, config, recipe.model, recipe.seed)
    requests = asks.requests(recipe.examples, templates)
    generations = [_generation(request, recipe) for request in requests]
    graded, rejected = keep(grade(recipe.examples, generations), GradeConfig(keep=recipe.keep))
    write_rows(root / "data/examples", Example, recipe.examples)
    left_out = [_left_out(example) for example in recipe.left_out]
    write_rows(root / "data/rejected/prepare_tasks", Rejected, left_out)
    write_rows(root / "data/requests", Request, requests)
    write_rows(root / "data/generations", Generation, generations)
    write_rows(root / "data/graded", Graded, graded)
    write_rows(root / "data/rejected/grade", Rejected, rejected)
    write_rows(root / "data/chats", Chat, _chats(recipe, templates, requests, graded))
    return root


def _left_out(example: Example) -> Rejected:
    return Rejected(
        row_id=example.row_id, sample_index=0, task=example.task, stage="prepare_tasks",
        reason=f"beyond {example.split}_limit", detail="",
    )  # fmt: skip


def _generation(request: Request, recipe: Recipe) -> Generation:
    return Generation(
        row_id=request.row_id, sample_index=request.sample_index, task=request.task, strategy=request.strategy,
        key=request.key, text=recipe.says(request), finish_reason="length" if request.row_id in recipe.cut else "stop",
        prompt_tokens=10, completion_tokens=5,
    )  # fmt: skip


def _chats(recipe: Recipe, templates: Templates, requests: Sequence[Request], graded: Sequence[Graded]) -> list[Chat]:
    examples = {example.row_id: example for example in recipe.examples}
    asked = {(request.row_id, request.sample_index): request for request in requests}
    rows = []
    for row in graded:
        student = templates.student(examples[row.row_id], recipe.student)
        rows.append(erase(row, asked[row.row_id, row.sample_index], student.messages, student.template))
    return [row for row in rows if isinstance(row, Chat)]
