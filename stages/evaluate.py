"""Examine base, student and teacher on the held-out questions.

    python -m stages.evaluate

Reads data/examples, data/probe, data/strategies.yaml, models/, trained/ and templates/. Writes data/evaluation/,
data/rejected/evaluate and metrics/evaluate.json.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Graded, Rejected, Request
from orca2.engines.config import GenerationCluster
from orca2.engines.generation import answer, require_answers, require_budget
from orca2.project.artifacts import CHOICES, EVALUATED, EVALUATION_REQUESTS, EXAMPLES, PROBED, rejected
from orca2.project.metrics import write_json, write_speed
from orca2.project.shards import read_rows, write_rows
from orca2.recipe import models
from orca2.recipe.erasure import EraseConfig
from orca2.recipe.evaluation import EvaluateConfig, require_questions
from orca2.recipe.evaluation.comparison import compare_student
from orca2.recipe.evaluation.summary import summarise
from orca2.recipe.grading import grade
from orca2.recipe.requests import evaluation_requests
from orca2.recipe.strategies import examined_under, read_choices, require_choices
from orca2.recipe.strategies.forms import techniques_used
from orca2.recipe.templates import Templates
from orca2.store.root import default_root
from orca2.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    evaluate: EvaluateConfig
    erase: EraseConfig
    cluster: GenerationCluster


def main() -> None:
    params = config.load(Params)
    templates = Templates()
    known = read_rows(EXAMPLES.path, Example, [("split", "in", ["evaluation", "probe"])])
    examples = [example for example in known if example.split == "evaluation"]
    require_questions(examples)
    prepared = models.read_prepared()
    base, teacher, trained = prepared["student"], prepared["teacher"], models.from_folder(Path("trained"))
    chosen = examined_under(read_choices(CHOICES), known, params.evaluate.teacher_strategy)
    require_choices(chosen, {e.task for e in examples}, CHOICES)
    templates.check_strategies({*chosen.values()}, f"{CHOICES} or params.yaml: evaluate.teacher_strategy")
    digests = {"base": base.digest, "student": trained.digest, "teacher": teacher.digest}
    requests = evaluation_requests(examples, templates, chosen, params.erase.asked, digests, params.evaluate.sampling)
    answers = Store(default_root())
    require_budget(requests, answers, params.cluster.generation)
    results: dict[str, Any] = {}
    examined, unanswered = {}, []
    for model in {m.digest: m for m in (base, teacher, trained)}.values():
        asked = [r for r in requests if r.model == model.digest]
        run = answer(asked, model, answers, params.cluster.generation, stage="evaluate")
        unanswered += run.failures
        write_rows(rejected("evaluate").path, Rejected, unanswered)
        require_answers(run, params.cluster.generation)
        roles = sorted({request.strategy for request in asked})
        write_speed(f"evaluate_{'_'.join(roles)}", run)
        graded = grade(examples, run.generations)
        for role in roles:
            examined[role] = [row for row in graded if row.strategy == role]
            write_rows(EVALUATED[role].path, Graded, examined[role])
            results[role] = summarise(examined[role], [row for row in run.failures if row.strategy == role])
            print(f"evaluate: {role}: {results[role]['macro']['strict']['accuracy']:.1%} strict")
    write_rows(EVALUATION_REQUESTS.path, Request, requests)
    results["student_against"] = compare_student(examined, unanswered)
    probed = read_rows(PROBED.path, Graded) if PROBED.path.is_dir() else []  # the choice may be made by hand
    results["techniques"] = techniques_used(examined, probed, known, chosen)
    write_json(Path("metrics/evaluate.json"), results)


if __name__ == "__main__":
    exit_on_error(main)
