"""Erase the teacher's instruction and put the student's generic line in its place, checked on every row.

    python -m stages.erase

Reads data/examples, data/requests, data/graded and templates/student/. Writes data/chats, data/rejected/erase and
metrics/erase.json.
"""

from dataclasses import dataclass
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Chat, Example, Graded, Rejected, Request
from orca2.project.metrics import write_counts
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.erasure import EraseConfig, erase
from orca2.recipe.prompts import Templates


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    erase: EraseConfig


def main() -> None:
    params = config.load(Params)
    templates = Templates()
    templates.check_student(params.erase.student_template, "params.yaml: erase.student_template")
    examples = {e.row_id: e for e in read_rows(Path("data/examples"), Example)}
    requests = {(r.row_id, r.sample_index): r for r in read_rows(Path("data/requests"), Request)}
    graded = read_rows(Path("data/graded"), Graded)
    rows = []
    for row in graded:
        student = templates.student(examples[row.row_id], params.erase.student_template)
        rows.append(erase(row, requests[row.row_id, row.sample_index], student.messages, student.template))
    chats = [row for row in rows if isinstance(row, Chat)]
    rejected = [row for row in rows if isinstance(row, Rejected)]
    write_rows(Path("data/chats"), Chat, chats)
    write_rows(Path("data/rejected/erase"), Rejected, rejected)
    write_counts("erase", len(graded), chats, rejected)


if __name__ == "__main__":
    exit_on_error(main)
