"""No worked turn of a template may be a held-out question: the teacher would have been told its answer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example
from orca2.recipe.likeness.instructions import without_instructions
from orca2.recipe.likeness.near import near_pairs
from orca2.recipe.likeness.overlap import overlaps
from orca2.recipe.likeness.wording import wording
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
    turns = {
        text: _Turn(text, wording(text), file, task)
        for file, task, category in files
        for text in _worked(templates, file, task, category)
    }
    found = [turn for turn in turns.values() if turn.said]
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
            str(templates.root / found[row].file),
            _HINT,
        )
        for row, (how, question) in sorted(by_text.items())
    )


class _Turn(NamedTuple):
    """A worked question, what it says, its template, and a task that it is shown for."""

    text: str
    said: str
    file: str
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
    texts = [*asked, *(turn.said for turn in found)]
    tasks = [*(example.task for example in held_out), *(turn.task for turn in found)]
    ranks, count = [0] * len(asked) + [1] * len(found), len(asked)
    for pair in near_pairs(texts, tasks, ranks, lambda first, row: first < count <= row):
        yield pair.row - count, pair.first, "nearly equals"


def _overlapping(found: Sequence[_Turn], asked: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    for overlap in overlaps([turn.said for turn in found], asked):
        yield overlap.text, overlap.question, "holds much of"
