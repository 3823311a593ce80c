"""Render and key every request to the teacher, before any engine starts.

    python -m stages.render_prompts

Reads data/examples, data/strategies.yaml, models/models.json and templates/. Writes data/requests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example, Request
from orca2.project.artifacts import CHOICES, EXAMPLES, REQUESTS
from orca2.project.metrics import write_counts
from orca2.project.partitions import distinct, map_rows
from orca2.recipe import models
from orca2.recipe.requests import GenerateConfig, teaching_requests
from orca2.recipe.strategies import read_choices, require_choices
from orca2.recipe.templates import opened


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    seed: int
    generate: GenerateConfig


def main() -> None:
    params, templates = config.load(Params), Path("templates").resolve()
    chosen = read_choices(CHOICES)
    opened(templates).check_strategies(chosen.values(), str(CHOICES))
    require_choices(chosen, distinct(EXAMPLES, "task", split="train"), CHOICES)
    teacher = models.read_prepared()["teacher"].digest
    mapped = map_rows(partial(requests_of, params, templates, chosen, teacher), [EXAMPLES], [REQUESTS])
    asked = mapped.figures["questions"] * params.generate.samples
    write_counts("render_prompts", asked, mapped.rows_out[0], mapped.reasons)


def requests_of(
    params: Params, templates: Path, chosen: Mapping[str, str], teacher: str, examples: Sequence[Example]
) -> tuple[list[Request], dict[str, int]]:
    """One partition."""
    requests = teaching_requests(examples, opened(templates), chosen, params.generate, teacher, params.seed)
    return requests, {"questions": sum(example.split == "train" for example in examples)}


if __name__ == "__main__":
    exit_on_error(main)
