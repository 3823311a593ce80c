"""No worked turn of a template may be a held-out question: the teacher would have been told its answer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example
from orca2.recipe.tasks.instructions import without_instructions
from orca2.recipe.tasks.near import near_duplicates
from orca2.recipe.tasks.overlap import overlaps
from orca2.recipe.tasks.wording import wording
from orca2.recipe.templates import QUESTION, Templates

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
    tasks = [*(turn.task for turn in found), *(example.task for example in held_out)]
    bare = without_instructions(tasks, [*(turn.said for turn in found), *asked])
    turned, own = [turn._replace(said=said) for turn, said in zip(found, bare, strict=False)], bare[len(found) :]
    for row, question, how in (*_overlapping(turned, own), *_near(turned, held_out, own), *_equal(found, asked)):
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
