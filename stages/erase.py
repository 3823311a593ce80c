"""Erase the teacher's instruction and put the student's line in its place; audit every answer for what is left of it.

    python -m stages.erase

Reads data/examples, data/requests, data/graded and templates/ (the names of techniques). Writes data/chats,
data/rejected/erase and metrics/erase.json, and stops where too many answers hold a residue.
"""

from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Rejected
from orca2.project.artifacts import CHATS, EXAMPLES, GRADED, REQUESTS, rejected
from orca2.project.metrics import write_counts
from orca2.project.partitions import Columns, map_tables
from orca2.project.shards import read_columns, read_rows
from orca2.recipe.erasure import EraseConfig, check_erased_names, check_lines
from orca2.recipe.erasure.gate import by_technique, counted, require_little
from orca2.recipe.erasure.tables import EXAMPLE_COLUMNS, GRADED_COLUMNS, REQUEST_COLUMNS, erase_table
from orca2.recipe.templates import opened

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    erase: EraseConfig


def main() -> None:
    params, templates = config.load(Params), Path("templates").resolve()
    about = read_columns(EXAMPLES.path, ["task", "category"]).group_by(["task", "category"]).aggregate([]).to_pylist()
    tasks = sorted((row["task"], row["category"]) for row in about)
    check_erased_names(params.erase, chain.from_iterable(tasks), "params.yaml: erase")
    check_lines(params.erase, opened(templates), "params.yaml: erase", tasks)
    inputs = [Columns(EXAMPLES, EXAMPLE_COLUMNS), Columns(REQUESTS, REQUEST_COLUMNS), Columns(GRADED, GRADED_COLUMNS)]
    mapped = map_tables(partial(chats_and_rejected, templates, params.erase), inputs, [CHATS, rejected("erase")])
    answers, (kept, flagged), left = mapped.rows_in[2], mapped.rows_out, rejected("erase")
    write_counts("erase", answers, kept, mapped.reasons, residue=by_technique(mapped.figures))
    most = params.erase.max_residue_share
    require_little(flagged, answers, most, lambda: read_rows(left.path, Rejected), left.folder)


def chats_and_rejected(
    templates: Path, erase: EraseConfig, examples: "pa.Table", requests: "pa.Table", graded: "pa.Table"
) -> tuple["pa.Table", "pa.Table", dict[str, int]]:
    """One partition."""
    chats, left = erase_table(examples, requests, graded, opened(templates), erase)
    return chats, left, counted(graded, left)


if __name__ == "__main__":
    exit_on_error(main)
