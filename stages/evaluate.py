"""Examine base, student and teacher on the held-out questions.

    python -m stages.evaluate

Reads data/examples, data/strategies.yaml, models/, trained/ and templates/. Writes data/evaluation/ and
metrics/evaluate.json.
"""

from pathlib import Path

from orca2 import config, models, store
from orca2.counts import write_json, write_speed
from orca2.erasure import EraseConfig
from orca2.errors import exit_on_error
from orca2.evaluation import EvaluateConfig, student_requests, summarise, teacher_requests
from orca2.generation import GenerationConfig, answer
from orca2.grading import grade
from orca2.prompts import Templates
from orca2.rows import Example, Graded
from orca2.shards import read_rows, write_rows
from orca2.strategies import read_choices


def main() -> None:
    params = config.load(evaluate=EvaluateConfig, erase=EraseConfig, cluster={"generation": GenerationConfig})
    templates, generic = Templates(), params.erase.student_template
    examples = [e for e in read_rows(Path("data/examples"), Example) if e.split == "evaluation"]
    index = models.read_index()
    base, teacher, trained = index["student"], index["teacher"], models.from_folder(Path("trained"))
    chosen = read_choices(Path("data/strategies.yaml"))
    contestants = {
        "base": (base, student_requests(examples, templates, generic, "base", base.digest, params.evaluate)),
        "student": (trained, student_requests(examples, templates, generic, "student", trained.digest, params.evaluate)),
        "teacher": (teacher, teacher_requests(examples, templates, chosen, teacher.digest, params.evaluate)),
    }
    results = {}
    for role, (model, requests) in contestants.items():
        run = answer(requests, model.folder, store.Store(store.default_root()), params.cluster.generation)
        graded = grade(examples, run.generations)
        write_rows(Path("data/evaluation") / role, Graded, graded)
        write_speed(f"evaluate_{role}", run)
        results[role] = summarise(graded)
        print(f"evaluate: {role}: {results[role]['macro']['strict']['accuracy']:.1%} strict")
    write_json(Path("metrics/evaluate.json"), results)


if __name__ == "__main__":
    exit_on_error(main)
