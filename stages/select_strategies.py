"""Choose one strategy per task from the probe's grades, with the evidence.

    python -m stages.select_strategies

Reads data/examples and data/probe. Writes data/strategies.yaml, for people to review in a diff.
"""

from dataclasses import dataclass

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Graded, Request
from orca2.project.artifacts import CHOICES, EXAMPLES, PROBE_REQUESTS, PROBED, STUDENT_PROBED
from orca2.project.shards import read_rows
from orca2.recipe.filtering import GradeConfig
from orca2.recipe.requests import ProbeConfig
from orca2.recipe.strategies import select, shared, write_choices
from orca2.recipe.zero_scores import refuse_zero_scores


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    grade: GradeConfig
    probe: ProbeConfig


def main() -> None:
    params, probed = config.load(Params), read_rows(PROBED.path, Graded)
    student = read_rows(STUDENT_PROBED.path, Graded) if params.probe.judge == "both" else []
    refuse_zero_scores([*probed, *student], params.grade)
    examples = read_rows(EXAMPLES.path, Example, [("split", "==", "probe")])
    raced = read_rows(PROBE_REQUESTS.path, Request) if params.probe.race else None
    choices = select(probed, shared(examples, params.probe.choose_per), raced, student)
    write_choices(choices, CHOICES)
    for choice in choices:
        best = choice.scores[0]
        print(f"select_strategies: {choice.task}: {choice.strategy}, {best.accuracy:.0%} ({choice.verdict})")


if __name__ == "__main__":
    exit_on_error(main)
