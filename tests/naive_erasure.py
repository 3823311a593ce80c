"""Erasing one answer at a time: what tables of them are held against. Not a test module."""

from orca2.core.rows import Chat, Message, Rejected
from orca2.recipe.erasure.residue import residue, told
from orca2.recipe.templates import Templates
from tests.examples import ROOT

NAMES = Templates(ROOT / "templates").strategies


def erase(row, teacher, student, student_template):
    """The conversation of one kept answer to the request `teacher`, shown as the turns `student`; or its rejection."""
    left = residue_in(row.text, [m for m in teacher.messages if m not in student], student, NAMES)
    names = {name: getattr(row, name) for name in ("row_id", "sample_index", "task", "strategy")}
    if left:
        return Rejected(**names, stage="erase", reason=left.kind, detail=left.words)
    return Chat(
        **names,
        key=row.key,
        erased_template=teacher.template,
        student_template=student_template,
        messages=(*student, Message(role="assistant", content=row.text)),
    )


def residue_in(text, erased, allowed, names=NAMES):
    """What is left in a text of turns, unless other turns say it too."""
    return residue(text, told(tuple(erased)), [message.content for message in allowed], names)
