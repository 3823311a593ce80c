"""Render and key every request to the teacher, before any engine starts.

    python -m stages.render_prompts

Reads data/examples, data/strategies.yaml, models/models.json and templates/. Writes data/requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Example
from orca2.project.artifacts import CHOICES, EXAMPLES, REQUESTS
from orca2.project.metrics import write_counts
from orca2.project.partitions import Columns, distinct, map_tables
from orca2.project.shards import read_rows
from orca2.recipe import models
from orca2.recipe.likeness.worked_turns import refuse_worked_turns
from orca2.recipe.request_tables import COLUMNS, request_table
from orca2.recipe.requests import GenerateConfig, teaching
from orca2.recipe.strategies import read_choices, require_choices
from orca2.recipe.templates import opened

if TYPE_CHECKING:
    import pyarrow as pa


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
    held_out = read_rows(EXAMPLES.path, Example, [("split", "==", "evaluation")])
    refuse_worked_turns(opened(templates), opened(templates).files_for({*chosen.values()}, held_out), held_out)
    teacher = models.read_prepared()["teacher"].digest
    function = partial(requests_of, params, templates, chosen, teacher)
    mapped = map_tables(function, [Columns(EXAMPLES, COLUMNS)], [REQUESTS])
    asked = mapped.figures["questions"] * params.generate.samples
    write_counts("render_prompts", asked, mapped.rows_out[0], mapped.reasons)


def requests_of(
    params: Params, templates: Path, chosen: Mapping[str, str], teacher: str, examples: "pa.Table"
) -> tuple["pa.Table", dict[str, int]]:
    """One partition."""
    known = opened(templates)
    asks = teaching(known, chosen, params.generate, teacher, params.seed)
    requests = request_table(asks, examples, known)
    return requests, {"questions": len(requests) // params.generate.samples}


if __name__ == "__main__":
    exit_on_error(main)
