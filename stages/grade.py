"""Extract and grade the teacher's answers, and keep those to teach from.

    python -m stages.grade

Reads data/examples and data/generations. Writes data/graded, data/rejected/grade and metrics/grade.json.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Generation, Graded, Rejected
from orca2.project.artifacts import EXAMPLES, GENERATIONS, GRADED, rejected
from orca2.project.metrics import write_counts
from orca2.project.partitions import map_rows
from orca2.recipe.filtering import GradeConfig, keep
from orca2.recipe.grading import grade


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    grade: GradeConfig


def main() -> None:
    params = config.load(Params)
    outputs = (GRADED, rejected("grade"))
    mapped = map_rows(partial(graded_and_rejected, params.grade), (EXAMPLES, GENERATIONS), outputs)
    (_, answers), (kept, _) = mapped.rows_in, mapped.rows_out
    format_ok = round(mapped.figures["format_ok"] / max(1, answers), 4)
    write_counts("grade", answers, kept, mapped.reasons, format_ok=format_ok)


def graded_and_rejected(
    params: GradeConfig, examples: Sequence[Example], generations: Sequence[Generation]
) -> tuple[list[Graded], list[Rejected], dict[str, int]]:
    """One partition."""
    graded = grade(examples, generations)
    return *keep(graded, params), {"format_ok": sum(row.strict_answer is not None for row in graded)}


if __name__ == "__main__":
    exit_on_error(main)
