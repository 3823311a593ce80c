"""Examine base, student, teacher and the models compared with them on the held-out questions.

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
from orca2.engines.generation import answer
from orca2.engines.judging import Judging
from orca2.engines.limits import require_answers, require_budget
from orca2.project.artifacts import CHOICES, EVALUATED, EVALUATION_REQUESTS, EXAMPLES, FURTHER, JUDGED, PROBED, rejected
from orca2.project.metrics import write_json, write_speed
from orca2.project.shards import read_rows, write_rows
from orca2.recipe import models
from orca2.recipe.erasure import EraseConfig
from orca2.recipe.evaluation import EvaluateConfig, is_student, require_questions, roles, student_lines
from orca2.recipe.evaluation.benchmarks import figures
from orca2.recipe.evaluation.comparison import compare_students
from orca2.recipe.evaluation.summary import summarise
from orca2.recipe.likeness.worked_turns import refuse_worked_turns
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
    templates, generation = Templates(), params.cluster.generation
    known = read_rows(EXAMPLES.path, Example, [("split", "in", ["evaluation", "probe"])])
    examples = [example for example in known if example.split == "evaluation"]
    require_questions(examples)
    prepared, compared = models.read_prepared(), models.read_compared()
    base, teacher, trained = prepared["student"], prepared["teacher"], models.from_folder(Path("trained"))
    students = student_lines(params.evaluate, params.erase.asked, compared)
    asked = {role: trained if is_student(role) else compared.get(role, base) for role in students} | {
        "teacher": teacher
    }
    chosen = examined_under(read_choices(CHOICES), known, params.evaluate.teacher_strategy)
    require_choices(chosen, {e.task for e in examples}, CHOICES)
    templates.check_strategies({*chosen.values()}, f"{CHOICES} or params.yaml: evaluate.teacher_strategy")
    refuse_worked_turns(templates, templates.files_for({*chosen.values()}, examples), examples)
    digests = {role: model.digest for role, model in asked.items()}
    requests = evaluation_requests(examples, templates, chosen, students, digests, params.evaluate.sampling)
    answers = Store(default_root())
    require_budget(requests, answers, generation)
    judge = prepared.get("judge")
    judging = Judging(stage="evaluate", model=judge, templates=templates, store=answers, config=generation)
    results: dict[str, Any] = {}
    examined: dict[str, list[Graded]] = {}
    unanswered: list[Rejected] = []
    for model in {m.digest: m for m in (base, teacher, trained, *compared.values())}.values():
        to_it = [r for r in requests if r.model == model.digest]
        run = answer(to_it, model, answers, generation, stage="evaluate")
        unanswered += run.failures
        write_rows(rejected("evaluate").path, Rejected, unanswered)
        require_answers(run, generation)
        own = sorted({request.strategy for request in to_it})
        write_speed(f"evaluate_{'_'.join(own)}", run)
        graded = judging.grade(examples, run.generations)
        for role in own:
            examined[role] = [row for row in graded if row.strategy == role]
            results[role] = summarise(examined[role], [row for row in run.failures if row.strategy == role])
            print(f"evaluate: {role}: {results[role]['macro']['strict']['accuracy']:.1%} strict")
    for role, artifact in EVALUATED.items():
        write_rows(artifact.path, Graded, examined[role])
    if further := [row for role in asked if role not in EVALUATED for row in examined[role]]:
        write_rows(FURTHER.path, Graded, further)
    write_rows(EVALUATION_REQUESTS.path, Request, requests)
    if judging.requests:
        write_rows(JUDGED["evaluate"].path, Request, judging.requests)
    compared_with = compare_students(examined, unanswered)
    results |= figures(known, results, compared_with["student_against"]) | compared_with
    results |= roles({role: model.reference for role, model in asked.items()}, params.evaluate)
    probed = read_rows(PROBED.path, Graded) if PROBED.path.is_dir() else []  # the choice may be made by hand
    results["techniques"] = techniques_used(examined, probed, known, chosen)
    write_json(Path("metrics/evaluate.json"), results)


if __name__ == "__main__":
    exit_on_error(main)
