"""Extract and grade the teacher's answers, and keep those to teach from.

    python -m stages.grade

Reads data/examples and data/generations; where a model judges, also models/ and templates/judge. Writes data/graded,
data/rejected/grade and metrics/grade.json.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Generation, Graded, Rejected, Request
from orca2.engines.config import GenerationCluster, GenerationConfig
from orca2.engines.judging import Judging
from orca2.project.artifacts import EXAMPLES, GENERATIONS, GRADED, JUDGED, rejected
from orca2.project.metrics import write_counts
from orca2.project.partitions import Function, Mapped, distinct, map_rows, read, scratch
from orca2.project.shards import read_rows, write_rows
from orca2.recipe import models
from orca2.recipe.filtering import GradeConfig, keep
from orca2.recipe.filtering.balance import Position, balance, last_kept, limits, uneven
from orca2.recipe.graders.judged import is_judged
from orca2.recipe.grading import Verdicts, grade
from orca2.recipe.templates import Templates
from orca2.store.root import default_root
from orca2.store.store import Store

INPUTS, OUTPUTS = (EXAMPLES, GENERATIONS), (GRADED, rejected("grade"))
ANSWERS, KEPT = "answers of ", "kept of "
"""Begin the name of a figure of one task."""


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    grade: GradeConfig
    cluster: GenerationCluster


def main() -> None:
    loaded = config.load(Params)
    params, (verdicts, asked) = loaded.grade, judged(loaded.cluster.generation)
    function = partial(graded_and_rejected, params, verdicts)
    if params.quotas or params.weights:
        mapped = in_balance(params, function)
    else:
        mapped = map_rows(function, INPUTS, OUTPUTS)
        if warning := uneven(of_tasks(mapped, KEPT), of_tasks(mapped, ANSWERS)):
            print(f"grade: warning: {warning}")
    (_, answers), (kept, _) = mapped.rows_in, mapped.rows_out
    if asked:
        write_rows(JUDGED["grade"].path, Request, asked)
    format_ok = round(mapped.figures["format_ok"] / max(1, answers), 4)
    write_counts("grade", answers, kept, mapped.reasons, format_ok=format_ok)


def judged(generation: GenerationConfig) -> tuple[Verdicts, list[Request]]:
    """The verdicts on answers that a model judges, and what it was asked; all such answers are held at once."""
    graders = sorted(filter(is_judged, distinct(EXAMPLES, "grader")))
    if not graders:
        return {}, []
    examples = read_rows(EXAMPLES.path, Example, [("grader", "in", graders), ("split", "==", "train")])
    generations = read_rows(GENERATIONS.path, Generation, [("task", "in", sorted({e.task for e in examples}))])
    judging = Judging(
        stage="grade",
        model=models.read_prepared().get("judge"),
        templates=Templates(),
        store=Store(default_root()),
        config=generation,
    )
    return judging.verdicts(examples, generations), judging.requests


def in_balance(params: GradeConfig, function: Function) -> Mapped:
    """Grade all, and then let as many answers of each task remain as it may have."""
    with scratch("grade") as folder:
        drafts = tuple(replace(artifact, folder=str(folder / artifact.folder)) for artifact in OUTPUTS)
        mapped = map_rows(function, INPUTS, drafts)
        columns = read(drafts[0], 0, 1, ["row_id", "sample_index", "task"]).to_pydict().values()
        last = last_kept(zip(*columns, strict=True), limits(of_tasks(mapped, KEPT), params))
        chosen = map_rows(partial(remaining_and_rejected, last), drafts, OUTPUTS)
    return mapped._replace(rows_out=chosen.rows_out, reasons=chosen.reasons)


def graded_and_rejected(
    params: GradeConfig, verdicts: Verdicts, examples: Sequence[Example], generations: Sequence[Generation]
) -> tuple[list[Graded], list[Rejected], dict[str, int]]:
    """One partition."""
    graded = grade(examples, generations, verdicts)
    kept, lost = keep(graded, params)
    figures = Counter({"format_ok": sum(row.strict_answer is not None for row in graded)})
    figures.update(ANSWERS + row.task for row in graded)
    figures.update({KEPT + row.task: 0 for row in graded})
    figures.update(KEPT + row.task for row in kept)
    return kept, lost, dict(figures)


def remaining_and_rejected(
    last: Mapping[str, Position], kept: Sequence[Graded], lost: Sequence[Rejected]
) -> tuple[list[Graded], list[Rejected]]:
    """One partition of what was kept so far."""
    remaining, surplus = balance(kept, last)
    return remaining, [*lost, *surplus]


def of_tasks(mapped: Mapped, begin: str) -> dict[str, int]:
    """One figure of each task."""
    return {name.removeprefix(begin): n for name, n in sorted(mapped.figures.items()) if name.startswith(begin)}


if __name__ == "__main__":
    exit_on_error(main)
