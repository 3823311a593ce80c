"""Extract and grade the teacher's answers, and keep those to teach from.

    python -m stages.grade

Reads data/examples and data/generations. Writes data/graded, data/rejected/grade and metrics/grade.json.
"""

from dataclasses import dataclass
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Generation, Graded, Rejected
from orca2.project.metrics import write_counts
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.filtering import GradeConfig, keep
from orca2.recipe.grading import grade


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    grade: GradeConfig


def main() -> None:
    params = config.load(Params)
    examples = read_rows(Path("data/examples"), Example)
    graded = grade(examples, read_rows(Path("data/generations"), Generation))
    kept, rejected = keep(graded, params.grade)
    write_rows(Path("data/graded"), Graded, kept)
    write_rows(Path("data/rejected/grade"), Rejected, rejected)
    format_ok = sum(row.strict_answer is not None for row in graded) / max(1, len(graded))
    write_counts("grade", len(graded), kept, rejected, format_ok=round(format_ok, 4))


if __name__ == "__main__":
    exit_on_error(main)
