"""Ask the model that judges every strategy on the probe questions of every task, and grade the answers.

    python -m stages.probe

With `probe.race` it asks in rounds, and each round only the strategies that are still in the race. Reads data/examples,
models/ and templates/. Writes data/probe, data/rejected/probe and metrics/probe.json.
"""

from dataclasses import dataclass

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Graded, Rejected, Request
from orca2.engines.config import GenerationCluster
from orca2.engines.generation import answer
from orca2.engines.judging import Judging
from orca2.engines.limits import require_answers, require_budget
from orca2.engines.runs import GenerationRun, together
from orca2.project.artifacts import (
    EXAMPLES,
    JUDGED,
    PROBE_REQUESTS,
    PROBED,
    STUDENT_PROBE_REQUESTS,
    STUDENT_PROBED,
    rejected,
)
from orca2.project.metrics import reasons_of, write_counts, write_speed
from orca2.project.shards import read_rows, write_rows
from orca2.recipe import models
from orca2.recipe.likeness.worked_turns import refuse_worked_turns
from orca2.recipe.requests import ProbeConfig, probe_requests
from orca2.recipe.strategies import shared
from orca2.recipe.strategies.asking import Probe
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
    held_out = read_rows(EXAMPLES.path, Example, [("split", "==", "evaluation")])
    refuse_worked_turns(templates, templates.files_for(params.probe.strategies, [*examples, *held_out]), held_out)
    prepared = models.read_prepared()
    judges = {role: prepared[role] for role in params.probe.judges}
    grid = {
        role: probe_requests(examples, templates, params.probe, model.digest, params.seed)
        for role, model in judges.items()
    }
    groups = shared(examples, params.probe.choose_per)
    probe = Probe(grid, groups, race=params.probe.race, seed=params.seed)
    store, generation = Store(default_root()), params.cluster.generation
    judging = Judging(stage="probe", model=prepared.get("judge"), templates=templates, store=store, config=generation)
    runs: list[GenerationRun] = []
    while wanted := probe.wanted():
        require_budget([r for of in wanted.values() for r in of], store, generation, sum(probe.later().values()))
        for role, requests in wanted.items():
            run = answer(requests, judges[role], store, generation, stage="probe")
            runs.append(run)
            write_rows(rejected("probe").path, Rejected, [row for run in runs for row in run.failures])
            require_answers(run, generation)
            probe.add(role, judging.grade(examples, run.generations, role), run.failures)
    asked, graded, run = probe.requests(), probe.graded(), together(runs)
    folders = ((PROBE_REQUESTS, PROBED), (STUDENT_PROBE_REQUESTS, STUDENT_PROBED))
    for (requests_of, graded_of), role in zip(folders, judges, strict=False):
        write_rows(requests_of.path, Request, asked[role])
        write_rows(graded_of.path, Graded, graded[role])
    if judging.requests:
        write_rows(JUDGED["probe"].path, Request, judging.requests)
    write_speed("probe", run)
    write_counts("probe", sum(map(len, asked.values())), run.num_answered, reasons_of(run.failures))


if __name__ == "__main__":
    exit_on_error(main)
