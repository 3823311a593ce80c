"""Collect the questions, name them by content, drop duplicates and split them.

    python -m stages.prepare_tasks

Reads the sources in params.yaml. Writes data/examples, data/rejected/prepare_tasks (with the pairs of near copies that
are kept) and metrics/prepare_tasks.json.
"""

from dataclasses import dataclass

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Rejected
from orca2.project.artifacts import EXAMPLES, LEFT_OUT, NEAR_COPIES
from orca2.project.dvc_files import require_declared
from orca2.project.metrics import reasons_of, write_counts
from orca2.project.shards import write_rows
from orca2.recipe.grading import check_grader
from orca2.recipe.tasks import TasksConfig, collect
from orca2.recipe.tasks.near_copies import near_copies, rows_of, shares


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    seed: int
    tasks: TasksConfig


def main() -> None:
    params = config.load(Params)
    for name, source in params.tasks.sources.items():
        check_grader(source.grader, f"params.yaml: tasks.sources.{name}.grader")
        if source.is_local:
            require_declared(source.watched, "prepare_tasks")
    examples, left_out, num_read = collect(params.tasks, params.seed)
    write_rows(EXAMPLES.path, Example, examples)
    write_rows(LEFT_OUT.path, Rejected, left_out)
    pairs = near_copies(examples)
    write_rows(NEAR_COPIES, Rejected, rows_of(pairs))
    write_counts("prepare_tasks", num_read, len(examples), reasons_of(left_out), near_copies=shares(examples, pairs))


if __name__ == "__main__":
    exit_on_error(main)
