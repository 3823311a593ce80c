"""Answer every request, from the store where it knows the answer and else from the teacher.

    python -m stages.generate

Reads data/requests and models/. Writes data/generations, data/rejected/generate and metrics/generate.json.
"""

from dataclasses import dataclass
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Generation, Rejected, Request
from orca2.engines.generation import GenerationCluster, answer, require_answers
from orca2.project.metrics import write_counts, write_speed
from orca2.project.shards import read_rows, write_rows
from orca2.recipe import models
from orca2.store.root import default_root
from orca2.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    cluster: GenerationCluster


def main() -> None:
    params = config.load(Params)
    requests = read_rows(Path("data/requests"), Request)
    teacher = models.read_index()["teacher"]
    run = answer(requests, teacher, Store(default_root()), params.cluster.generation)
    write_rows(Path("data/rejected/generate"), Rejected, run.failures)
    require_answers(run, params.cluster.generation)
    write_rows(Path("data/generations"), Generation, run.generations)
    write_speed("generate", run)
    write_counts("generate", len(requests), run.generations, run.failures)


if __name__ == "__main__":
    exit_on_error(main)
