"""Answer every request, from the store where it knows the answer and else from the teacher.

    python -m stages.generate

Reads data/requests and models/. Writes data/generations, data/rejected/generate and metrics/generate.json.
"""

from dataclasses import dataclass

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.engines.config import GenerationCluster
from orca2.engines.streaming import answer_all
from orca2.project.artifacts import GENERATIONS, REQUESTS, rejected
from orca2.project.metrics import reasons_of, write_counts, write_speed
from orca2.recipe import models
from orca2.store.root import default_root
from orca2.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    cluster: GenerationCluster


def main() -> None:
    generation, teacher = config.load(Params).cluster.generation, models.read_prepared()["teacher"]
    answers = Store(default_root())
    run = answer_all(REQUESTS, GENERATIONS, rejected("generate"), teacher, answers, generation)
    write_speed("generate", run)
    write_counts("generate", run.num_answered + len(run.failures), run.num_answered, reasons_of(run.failures))


if __name__ == "__main__":
    exit_on_error(main)
