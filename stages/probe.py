"""Ask the teacher every strategy on the probe questions of every task, and grade the answers.

    python -m stages.probe

Reads data/examples, models/ and templates/. Writes data/probe, data/rejected/probe and metrics/probe.json.
"""

from dataclasses import dataclass

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Graded, Rejected, Request
from orca2.engines.config import GenerationCluster
from orca2.engines.generation import answer, require_answers
from orca2.project.artifacts import EXAMPLES, PROBE_REQUESTS, PROBED, rejected
from orca2.project.metrics import reasons_of, write_counts, write_speed
from orca2.project.shards import read_rows, write_rows
from orca2.recipe import models
from orca2.recipe.grading import grade
from orca2.recipe.requests import ProbeConfig, probe_requests
from orca2.recipe.templates import Templates
from orca2.store.root import default_root
from orca2.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    seed: int
    probe: ProbeConfig
    cluster: GenerationCluster


def main() -> None:
    params = config.load(Params)
    templates = Templates()
    templates.check_strategies(params.probe.strategies, "params.yaml: probe.strategies")
    examples = read_rows(EXAMPLES.path, Example, [("split", "==", "probe")])
    teacher = models.read_prepared()["teacher"]
    requests = probe_requests(examples, templates, params.probe, teacher.digest, params.seed)
    run = answer(requests, teacher, Store(default_root()), params.cluster.generation, stage="probe")
    write_rows(rejected("probe").path, Rejected, run.failures)
    require_answers(run, params.cluster.generation)
    graded = grade(examples, run.generations)
    write_rows(PROBE_REQUESTS.path, Request, requests)
    write_rows(PROBED.path, Graded, graded)
    write_speed("probe", run)
    write_counts("probe", len(requests), len(graded), reasons_of(run.failures))


if __name__ == "__main__":
    exit_on_error(main)
