"""A model says whether an answer is right, where no known answer could: `grader: judge:NAME`.

NAME is `templates/judge/NAME.j2`. What that template is given as its question is the whole case: question, known answer
if there is one, the answer, and two verdicts to choose from, as options A and B. Models prefer the option that comes
first, so each answer is shown twice, with the verdicts in both orders, and is right where both replies say so.
"""

import re
from collections.abc import Iterable

from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.extraction import answer_line, normal
from orca2.recipe.graders.speech import said

PREFIX = "judge:"
GOOD, BAD = "acceptable", "not acceptable"
ORDERS = ((GOOD, BAD), (BAD, GOOD))
_LETTER = re.compile(r"\W*(?:option |verdict )?([AB])\b", re.IGNORECASE)


def is_judged(grader: str) -> bool:
    """Whether a model judges."""
    return grader.startswith(PREFIX)


def template_of(grader: str) -> str:
    """The template that asks the model."""
    return f"judge/{grader.removeprefix(PREFIX)}.j2"


def answer_in(text: str) -> str | None:
    """What is judged: all that a model says; None where it says nothing."""
    return (said(text) or "").strip() or None


def case(question: str, gold: str, answer: str, order: Iterable[str]) -> str:
    """What the model is shown; `order` are the two verdicts as they come."""
    known = f"Known answer:\n{gold}\n\n" if gold else ""
    options = "\n".join(f"({letter}) {verdict}" for letter, verdict in zip("AB", order, strict=True))
    return f"Question:\n{question}\n\n{known}Answer to be judged:\n{answer}\n\nVerdicts:\n{options}"


def accepts(reply: str, order: tuple[str, str]) -> bool:
    """Whether a reply says that the answer is good, by letter, by word or by both alike, on its answer line."""
    stated = normal(answer_line(reply) or "")
    found = _LETTER.match(stated)
    by_letter = order["ab".index(found[1].lower())] if found else ""
    by_word = BAD if BAD in stated else GOOD if re.search(rf"\b{GOOD}\b", stated) else ""
    return {by_letter, by_word} - {""} == {GOOD}


def _asks(*_: str) -> bool:
    raise TypeError("a model judges; ask it")


GRADER = Grader(judge=_asks)
