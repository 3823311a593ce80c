"""Erasing one answer at a time: what tables of them are held against. Not a test module."""

from orca2.core.rows import Chat, Message, Rejected
from orca2.recipe.erasure.tables import quoted, told


def erase(row, teacher, student, student_template):
    """The conversation of one kept answer to the request `teacher`, shown as the turns `student`; or its rejection."""
    quotation = quotation_in(row.text, [m for m in teacher.messages if m not in student], allowed=student)
    names = {name: getattr(row, name) for name in ("row_id", "sample_index", "task", "strategy")}
    if quotation:
        return Rejected(**names, stage="erase", reason="answer quotes the erased instruction", detail=quotation)
    return Chat(
        **names,
        key=row.key,
        erased_template=teacher.template,
        student_template=student_template,
        messages=(*student, Message(role="assistant", content=row.text)),
    )


def quotation_in(text, erased, allowed):
    """What a text quotes of turns, unless other turns say it too."""
    return quoted(text, told(tuple(erased)), [message.content for message in allowed])
