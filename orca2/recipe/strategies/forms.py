"""Which technique an answer shows, by its form: the recipe's own claim is that a student learns when to use which.

The rule. The *form* of an answer is what stands before its answer line, with a number written as `0` and a word of the
question as `_`: the pairs of neighbouring tokens, counted. An answer shows the technique whose probe answers on the
same task are most alike in form (cosine of the counts against their mean), and none below a likeness of one half. The
rule is checked on the probe's own answers, of which the technique is known: each half names that of the other.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from orca2.core.hashing import digest
from orca2.core.rows import Example, Graded
from orca2.recipe.graders.extraction import ANSWER_LINES, before_answer_line
from orca2.recipe.graders.known import known
from orca2.recipe.strategies import Used

NONE = "none"
"""In place of a technique, where an answer is like none of them."""
_LIKE = 0.5
_TOKEN = re.compile(r"\d+|[^\W\d_]+|[^\w\s]")
_Form = Mapping[tuple[str, str], float]


class _Question(NamedTuple):
    """What of a question an answer's form leaves out."""

    text: str
    lines: tuple[str, ...]
    """How a line begins that holds the answer."""


def techniques_used(
    graded: Mapping[str, Sequence[Graded]],
    probed: Sequence[Graded],
    examples: Iterable[Example],
    taught: Mapping[str, str],
) -> Used:
    """The technique of every answer, by role and task; of tasks that were probed.

    Args:
        graded: the answers of each role.
        probed: answers of which the technique is known.
        examples: the questions of all of them.
        taught: task to the technique that was chosen for it.
    """
    questions = {e.row_id: _Question(e.question, known(e.metadata).answer_lines) for e in examples}
    profiles = _profiles(probed, questions)
    models: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
    for role, rows in sorted(graded.items()):
        mine = [row for row in rows if row.task in profiles]
        counts = Counter((row.task, _most_alike(row, profiles[row.task], questions)) for row in mine)
        tasks = models[role] = {task: {taught[task]: {}} for task in sorted({task for task, _ in counts})}
        for (task, used), number in sorted(counts.items()):
            tasks[task][taught[task]][used] = number
    return {"recognised": _recognised(probed, questions), "models": models}


def form(text: str, question: str, lines: Sequence[str] = ANSWER_LINES) -> Counter[tuple[str, str]]:
    """The pairs of neighbouring tokens before the answer line, which begins as in `lines`; the ends are tokens too."""
    asked = {word.casefold() for word in _TOKEN.findall(question)}
    said = _TOKEN.findall(before_answer_line(text, lines))
    tokens = ["", *(_token(word.casefold(), asked) for word in said), ""]
    return Counter(pairwise(tokens))


def _token(word: str, asked: set[str]) -> str:
    if word[0].isdigit():
        return "0"
    return "_" if word[0].isalpha() and word in asked else word


def _profiles(rows: Iterable[Graded], questions: Mapping[str, _Question]) -> dict[str, dict[str, _Form]]:
    """Of each task and technique the mean form, every answer weighing the same."""
    found: dict[str, dict[str, dict[tuple[str, str], float]]] = {}
    for row in rows:
        one = form(row.text, *questions[row.row_id])
        length, mean = _length(one), found.setdefault(row.task, {}).setdefault(row.strategy, {})
        for pair, count in one.items():
            mean[pair] = mean.get(pair, 0.0) + count / length
    return {task: dict(sorted(by_name.items())) for task, by_name in found.items()}


def _most_alike(row: Graded, forms: Mapping[str, _Form], questions: Mapping[str, _Question]) -> str:
    one = form(row.text, *questions[row.row_id])
    alike = {
        name: sum(n * other.get(pair, 0) for pair, n in one.items()) / _length(other) for name, other in forms.items()
    }
    best = max(alike, key=alike.__getitem__)
    return best if alike[best] >= _LIKE * _length(one) else NONE


def _recognised(probed: Sequence[Graded], questions: Mapping[str, _Question]) -> float | None:
    """Share of the probe's answers that a rule made from the other half of its questions names rightly."""
    halves = [[row for row in probed if _half(row.row_id) == half] for half in (0, 1)]
    right = total = 0
    for one, other in (halves, halves[::-1]):
        profiles = _profiles(one, questions)
        mine = [row for row in other if row.task in profiles]
        told = [_most_alike(row, profiles[row.task], questions) == row.strategy for row in mine]
        right, total = right + sum(told), total + len(told)
    return round(right / total, 4) if total else None


def _half(row_id: str) -> int:
    """0 or 1, by the content of the question's name alone."""
    return int(digest("half", row_id)[-1], 16) % 2


def _length(one: _Form) -> float:
    return math.sqrt(sum(value**2 for value in one.values()))
