"""Prompt erasing: the teacher's instruction out, the student's generic line in (Orca 2, sections 3 and 4.1).

The question and the answer stay as they are. Every row is then checked: no run of eight words of the erased turns may
be left in the answer, unless the question or the student's own instruction says it too.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from orca2.core.rows import Chat, Graded, Message, Rejected, Request

SHINGLE_WORDS = 8
"""Shortest run of equal words that counts as a quotation of the instruction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseConfig:
    """What replaces the teacher's instruction."""

    student_template: str
    """Name of a file in `templates/student/`."""


def erase(row: Graded, teacher: Request, student: tuple[Message, ...], student_template: str) -> Chat | Rejected:
    """The training conversation of one kept answer, or its rejection because it quotes what was erased.

    Args:
        row: the answer, kept by the grader.
        teacher: the request it answers, with the turns to erase.
        student: the student's turns for the same question, ending with it; what only the teacher was told is erased.
        student_template: the file that rendered them.
    """
    erased = [message for message in teacher.messages if message not in student]
    quotation = quoted(row.text, erased, allowed=student)
    if quotation:
        return Rejected(
            row_id=row.row_id,
            sample_index=row.sample_index,
            task=row.task,
            stage="erase",
            reason="answer quotes the erased instruction",
            detail=quotation,
            strategy=row.strategy,
        )
    return Chat(
        row_id=row.row_id,
        sample_index=row.sample_index,
        task=row.task,
        strategy=row.strategy,
        key=row.key,
        erased_template=teacher.template,
        student_template=student_template,
        messages=(*student, Message(role="assistant", content=row.text)),
    )


def quoted(text: str, erased: Iterable[Message], allowed: Iterable[Message]) -> str:
    """The first run of `SHINGLE_WORDS` words that `text` shares with the erased turns but not with the allowed ones.

    Worked answers show the form that an answer should take, so a run from one of those counts only when the whole
    worked answer was copied.
    """
    words = _words(text)
    permitted = {run for message in allowed for run in _runs(_words(message.content))}
    instructed = {run for m in erased if m.role != "assistant" for run in _runs(_words(m.content))}
    copied = next((run for run in _runs(words) if run in instructed and run not in permitted), ())
    return " ".join(copied) or _copied_worked_answer(words, erased)


def _copied_worked_answer(words: list[str], erased: Iterable[Message]) -> str:
    haystack = f" {' '.join(words)} "
    worked = (_words(m.content) for m in erased if m.role == "assistant")
    return next((" ".join(w) for w in worked if len(w) >= SHINGLE_WORDS and f" {' '.join(w)} " in haystack), "")


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)


def _runs(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)]
