"""Render and key every request to the teacher, before any engine starts.

    python -m stages.render_prompts

Reads data/examples, data/strategies.yaml, models/models.json and templates/. Writes data/requests.
"""

from dataclasses import dataclass
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Request
from orca2.project.metrics import write_counts
from orca2.project.shards import read_rows, write_rows
from orca2.recipe import models
from orca2.recipe.prompts import Templates
from orca2.recipe.requests import GenerateConfig, teaching_requests
from orca2.recipe.strategies import read_choices, require_choices

CHOICES = Path("data/strategies.yaml")


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    seed: int
    generate: GenerateConfig


def main() -> None:
    params = config.load(Params)
    templates = Templates()
    chosen = read_choices(CHOICES)
    templates.check_strategies(chosen.values(), str(CHOICES))
    examples = [e for e in read_rows(Path("data/examples"), Example) if e.split == "train"]
    require_choices(chosen, {e.task for e in examples}, CHOICES)
    teacher = models.read_index()["teacher"]
    requests = teaching_requests(examples, templates, chosen, params.generate, teacher.digest, params.seed)
    write_rows(Path("data/requests"), Request, requests)
    write_counts("render_prompts", len(examples) * params.generate.samples, requests, [])


if __name__ == "__main__":
    exit_on_error(main)
