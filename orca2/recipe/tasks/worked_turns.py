"""No worked turn of a template may be a held-out question: the teacher would have been told its answer."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example
from orca2.recipe.tasks.near import near_duplicates
from orca2.recipe.tasks.overlap import overlaps
from orca2.recipe.tasks.wording import wording
from orca2.recipe.templates import QUESTION, Templates

_SEVERAL = 4
"""Texts of a task that begin or end alike for that to be its instruction, and not a likeness of two of them."""
_HINT = "work another question in the template, or take this one out of its source"


def refuse_worked_turns(
    templates: Templates, files: Iterable[tuple[str, str, str]], held_out: Sequence[Example]
) -> None:
    """Raise for every worked question that equals a held-out one, nearly equals it, or holds much of it.

    Args:
        templates: the folder.
        files: of it, each with a task and a category that it is rendered for.
        held_out: the questions of evaluation.

    Raises:
        InputErrors: each, with its file and the question.
    """
    turns = {turn: (file, task) for file, task, category in files for turn in _worked(templates, file, task, category)}
    found = [_Turn(text, said, task) for text, (_, task) in turns.items() if (said := wording(text))]
    asked = [wording(example.question) for example in held_out]
    by_text: dict[int, tuple[str, int]] = {}
    bare, own = _without_instructions(found, held_out, asked)
    for row, question, how in (*_overlapping(bare, own), *_near(bare, held_out, own), *_equal(found, asked)):
        by_text[row] = how, question
    raise_all(
        Orca2Error(
            f"a worked question {how} the held-out question {held_out[question].row_id[:12]}: {found[row].text[:80]!r}",
            str(templates.root / turns[found[row].text][0]),
            _HINT,
        )
        for row, (how, question) in sorted(by_text.items())
    )


class _Turn(NamedTuple):
    """A worked question, what it says, and a task that it is shown for."""

    text: str
    said: str
    task: str


def _worked(templates: Templates, file: str, task: str, category: str) -> list[str]:
    nobody = dict.fromkeys(("row_id", "answer", "grader", "metadata", "source", "licence"), "")
    example = Example(**nobody, task=task, category=category, split="train", question=QUESTION)
    turns = templates.render(file, example).messages
    return [turn.content for turn in turns if turn.role == "user" and QUESTION not in turn.content]


def _without_instructions(
    found: Sequence[_Turn], held_out: Sequence[Example], asked: Sequence[str]
) -> tuple[list[_Turn], list[str]]:
    """Both without the words that all of a task begin or end with, which are most of what a short question says."""
    texts: dict[str, set[str]] = {}
    for task, said in (
        *((turn.task, turn.said) for turn in found),
        *zip((e.task for e in held_out), asked, strict=True),
    ):
        texts.setdefault(task, set()).add(said)
    ends = {task: _ends(alike) if len(alike) >= _SEVERAL else (0, 0) for task, alike in texts.items()}

    def bare(task: str, said: str) -> str:
        (first, last), words = ends[task], said.split(" ")
        return " ".join(words[first : len(words) - last]) or said

    turns = [turn._replace(said=bare(turn.task, turn.said)) for turn in found]
    return turns, [bare(example.task, said) for example, said in zip(held_out, asked, strict=True)]


def _ends(texts: Collection[str]) -> tuple[int, int]:
    """How many words all of them begin with, and end with."""
    words = [text.split(" ") for text in texts]
    first = _alike(words)
    return first, _alike([own[first:][::-1] for own in words])


def _alike(texts: Sequence[Sequence[str]]) -> int:
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False)))


def _equal(found: Sequence[_Turn], asked: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    rows = {text: row for row, text in enumerate(asked)}
    for row, turn in enumerate(found):
        if turn.said in rows:
            yield row, rows[turn.said], "equals"


def _near(found: Sequence[_Turn], held_out: Sequence[Example], asked: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """By the search for near duplicates, in which what is held out comes first."""
    nobody = dict.fromkeys(("category", "question", "answer", "metadata", "source", "licence"), "")
    turns = [
        Example(**nobody, row_id=str(row), task=turn.task, split="train", grader="exact")
        for row, turn in enumerate(found)
    ]
    texts, examples = [*asked, *(turn.said for turn in found)], [*held_out, *turns]
    ranks = [0] * len(held_out) + [1] * len(turns)
    by_id = {example.row_id: row for row, example in enumerate(held_out)}
    for rejection in near_duplicates(texts, [""] * len(texts), examples, ranks):
        first = rejection.detail.rpartition(" ")[2]
        if first in by_id:
            yield rejection.row - len(held_out), by_id[first], "nearly equals"


def _overlapping(found: Sequence[_Turn], asked: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    for overlap in overlaps([turn.said for turn in found], asked):
        yield overlap.text, overlap.question, "holds much of"
