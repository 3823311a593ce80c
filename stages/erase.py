"""Erase the teacher's instruction and put the student's generic line in its place, checked on every row.

    python -m stages.erase

Reads data/examples, data/requests, data/graded and templates/student/. Writes data/chats, data/rejected/erase and
metrics/erase.json.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Chat, Example, Graded, Rejected, Request
from orca2.project.artifacts import CHATS, EXAMPLES, GRADED, REQUESTS, rejected
from orca2.project.metrics import write_counts
from orca2.project.partitions import map_rows
from orca2.recipe.erasure import EraseConfig, erase
from orca2.recipe.templates import opened


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    erase: EraseConfig


def main() -> None:
    params, templates = config.load(Params), Path("templates").resolve()
    student = params.erase.student_template
    opened(templates).check_student(student, "params.yaml: erase.student_template")
    inputs, outputs = (EXAMPLES, REQUESTS, GRADED), (CHATS, rejected("erase"))
    mapped = map_rows(partial(chats_and_rejected, templates, student), inputs, outputs)
    write_counts("erase", mapped.rows_in[2], mapped.rows_out[0], mapped.reasons)


def chats_and_rejected(
    templates: Path, student: str, examples: Sequence[Example], requests: Sequence[Request], graded: Sequence[Graded]
) -> tuple[list[Chat], list[Rejected]]:
    """One partition."""
    example_of = {example.row_id: example for example in examples}
    request_of = {(request.row_id, request.sample_index): request for request in requests}
    rows = []
    for row in graded:
        shown = opened(templates).student(example_of[row.row_id], student)
        rows.append(erase(row, request_of[row.row_id, row.sample_index], shown.messages, shown.template))
    return [row for row in rows if isinstance(row, Chat)], [row for row in rows if isinstance(row, Rejected)]


if __name__ == "__main__":
    exit_on_error(main)
