"""Extract and grade the teacher's answers, and keep those to teach from.

    python -m stages.grade

Reads data/examples and data/generations. Writes data/graded, data/rejected/grade and metrics/grade.json.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Generation, Graded, Rejected
from orca2.project.artifacts import EXAMPLES, GENERATIONS, GRADED, rejected
from orca2.project.metrics import write_counts
from orca2.project.partitions import Mapped, map_rows, read, scratch
from orca2.recipe.filtering import GradeConfig, keep
from orca2.recipe.filtering.balance import Position, balance, last_kept, limits, uneven
from orca2.recipe.grading import grade

INPUTS, OUTPUTS = (EXAMPLES, GENERATIONS), (GRADED, rejected("grade"))
ANSWERS, KEPT = "answers of ", "kept of "
"""Begin the name of a figure of one task."""


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    grade: GradeConfig


def main() -> None:
    params = config.load(Params).grade
    if params.quotas or params.weights:
        mapped = in_balance(params)
    else:
        mapped = map_rows(partial(graded_and_rejected, params), INPUTS, OUTPUTS)
        if warning := uneven(of_tasks(mapped, KEPT), of_tasks(mapped, ANSWERS)):
            print(f"grade: warning: {warning}")
    (_, answers), (kept, _) = mapped.rows_in, mapped.rows_out
    format_ok = round(mapped.figures["format_ok"] / max(1, answers), 4)
    write_counts("grade", answers, kept, mapped.reasons, format_ok=format_ok)


def in_balance(params: GradeConfig) -> Mapped:
    """Grade all, and then let as many answers of each task remain as it may have."""
    with scratch("grade") as folder:
        drafts = tuple(replace(artifact, folder=str(folder / artifact.folder)) for artifact in OUTPUTS)
        mapped = map_rows(partial(graded_and_rejected, params), INPUTS, drafts)
        columns = read(drafts[0], 0, 1, ["row_id", "sample_index", "task"]).to_pydict().values()
        last = last_kept(zip(*columns, strict=True), limits(of_tasks(mapped, KEPT), params))
        chosen = map_rows(partial(remaining_and_rejected, last), drafts, OUTPUTS)
    return mapped._replace(rows_out=chosen.rows_out, reasons=chosen.reasons)


def graded_and_rejected(
    params: GradeConfig, examples: Sequence[Example], generations: Sequence[Generation]
) -> tuple[list[Graded], list[Rejected], dict[str, int]]:
    """One partition."""
    graded = grade(examples, generations)
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
