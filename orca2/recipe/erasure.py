"""Prompt erasing: the teacher's instruction out, the student's generic line in (Orca 2, sections 3 and 4.1).

The question and the answer stay as they are. Every row is then checked: no run of eight words of the erased turns may
be left in the answer, unless the question or the student's own instruction says it too.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

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
    shown = set(student)
    erased = [message for message in teacher.messages if message not in shown]
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
    told = _told(tuple(erased))
    copied = [run for run in _runs(words) if run in told.runs]
    permitted = {run for message in allowed if copied for run in _runs(_words(message.content))}
    haystack = f" {' '.join(words)} "
    whole = (worked for worked in told.worked if f" {worked} " in haystack)
    return next((" ".join(run) for run in copied if run not in permitted), "") or next(whole, "")


class _Told(NamedTuple):
    """What the erased turns of a request say."""

    runs: frozenset[tuple[str, ...]]
    """Of all but the worked answers."""
    worked: tuple[str, ...]
    """The words of each worked answer that is long enough to count."""


@lru_cache(maxsize=512)
def _told(erased: tuple[Message, ...]) -> _Told:
    """Read once for all the requests of a task, which share these turns."""
    words = [(message.role == "assistant", _words(message.content)) for message in erased]
    runs = frozenset(run for is_worked, said in words if not is_worked for run in _runs(said))
    return _Told(runs, tuple(" ".join(w) for is_worked, w in words if is_worked and len(w) >= SHINGLE_WORDS))


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)


def _runs(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)]
