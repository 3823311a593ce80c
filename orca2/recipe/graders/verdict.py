"""One answer judged: extracted strictly and leniently, each with its verdict."""

import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from orca2.core.errors import Orca2Error
from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.extraction import Shape, answer_line, lenient_answer
from orca2.recipe.graders.known import known
from orca2.recipe.graders.speech import last_line
from orca2.recipe.graders.wrappers import peel

_BLANK_LINE = re.compile(r"\n[ \t]*\n")


class Verdict(NamedTuple):
    """What was found in a text, and whether it is right."""

    strict: str | None
    """What stands on the answer line, peeled; None where there is no such line."""
    lenient: str | None
    strict_correct: bool
    lenient_correct: bool


def judge(grader: Grader, name: str, expected: str, text: str, metadata: str) -> Verdict:
    """The verdict on a text; `name` is the grader's own.

    Raises:
        Orca2Error: a grader of the user's own gave no verdict, or the metadata are of no known shape.
    """
    facts = known(metadata)
    golds = (expected, *facts.answers)
    awaited = _shape(golds, grader)
    is_right = partial(_is_right, grader, name, golds, metadata)
    dressed = answer_line(text, facts.answer_lines, awaited)
    strict = peel(dressed or "") or None
    # A known answer may itself be dressed in what is peeled.
    strict_correct = strict is not None and (is_right(strict) or (dressed != strict and is_right(dressed or "")))
    if strict_correct:
        # What is right by the strict extraction is right by the lenient one.
        return Verdict(strict, strict, True, True)
    lenient = lenient_answer(text, grader.find, facts.answer_lines, awaited, grader.read)
    if lenient is None and facts.choices:
        # A sentence may name an option by its text.
        lenient = last_line(text)
    return Verdict(strict, lenient, False, lenient is not None and is_right(lenient))


def _shape(golds: Sequence[str], grader: Grader) -> Shape:
    bare = [gold.strip("\n") for gold in golds]
    rows = max(1 + gold.count("\n") for gold in bare)
    return Shape(
        rows=max(rows, 1 + grader.takes_lines),
        blank_lines=any(_BLANK_LINE.search(gold) for gold in bare),
        is_list=grader.takes_lines,
    )


def _is_right(grader: Grader, name: str, golds: Sequence[str], metadata: str, given: str) -> bool:
    """Whether it is one of the right answers."""
    return any(_says_right(grader, name, gold, given, metadata) for gold in golds)


def _says_right(grader: Grader, name: str, gold: str, given: str, metadata: str) -> bool:
    if len(given) > max(grader.longest, 2 * len(gold)):
        return False
    verdict: object = grader.judge(gold, given, metadata)
    if not isinstance(verdict, bool):
        message = f"gave {verdict!r} for the answer {given[:40]!r}, which is neither True nor False"
        raise Orca2Error(message, f"grader {name}", "let it return a bool; `None` is a forgotten `return`")
    return verdict
