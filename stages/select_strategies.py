"""Choose one strategy per task from the probe's grades, with the evidence.

    python -m stages.select_strategies

Reads data/probe. Writes data/strategies.yaml, for people to review in a diff.
"""

from orca2.core.errors import exit_on_error
from orca2.core.rows import Graded
from orca2.project.artifacts import CHOICES, PROBED
from orca2.project.shards import read_rows
from orca2.recipe.strategies import select, write_choices


def main() -> None:
    choices = select(read_rows(PROBED.path, Graded))
    write_choices(choices, CHOICES)
    for choice in choices:
        best = choice.scores[0]
        print(f"select_strategies: {choice.task}: {choice.strategy}, {best.accuracy:.0%} ({choice.verdict})")


if __name__ == "__main__":
    exit_on_error(main)
