"""What a grader may know of a question beside its one answer: its options, further right answers, its answer lines.

They stand in the metadata of its row under one name, as a source puts them there by `grading_facts`:

    {"grading": {"choices": [["A", "Paris"], ["B", "Rome"]], "answers": ["Paris"], "answer_lines": ["Answer:"]}}
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from orca2.core.errors import Orca2Error
from orca2.recipe.graders.extraction import ANSWER_LINES

_KEY = "grading"
_SHAPES = {"choices": "a list of [label, text]", "answers": "a list of texts", "answer_lines": "a list of texts"}


class Option(NamedTuple):
    """One of the options that a question offers."""

    label: str
    text: str


class Known(NamedTuple):
    """What the metadata of a question says to its grader."""

    choices: tuple[Option, ...] = ()
    answers: tuple[str, ...] = ()
    """Right answers beside that of the row."""
    answer_lines: tuple[str, ...] = ANSWER_LINES


def grading_facts(
    *, choices: Sequence[tuple[str, str]] = (), answers: Sequence[str] = (), answer_lines: Sequence[str] = ()
) -> dict[str, object]:
    """What to add to the metadata of a question; nothing where there is nothing to say."""
    facts: dict[str, object] = {
        "choices": [list(choice) for choice in choices],
        "answers": list(answers),
        "answer_lines": list(answer_lines),
    }
    said = {name: value for name, value in facts.items() if value}
    return {_KEY: said} if said else {}


def known(metadata: str) -> Known:
    """What a question's metadata, as JSON, says to its grader.

    Raises:
        Orca2Error: it says it in another shape.
    """
    return _known(metadata) if f'"{_KEY}"' in metadata else Known()


@lru_cache(maxsize=1024)
def _known(metadata: str) -> Known:
    facts = json.loads(metadata).get(_KEY, {})
    faults = [f"{name} is not {shape}" for name, shape in _SHAPES.items() if not _fits(name, facts)]
    if faults:
        raise Orca2Error(f"`{_KEY}` in its metadata: {'; '.join(faults)}", metadata[:200], "build it by grading_facts")
    return Known(
        choices=tuple(Option(label, text) for label, text in facts.get("choices", ())),
        answers=tuple(facts.get("answers", ())),
        answer_lines=tuple(facts.get("answer_lines", ANSWER_LINES)),
    )


def _fits(name: str, facts: object) -> bool:
    if not isinstance(facts, dict) or not isinstance(facts.get(name, []), list):
        return False
    items = facts.get(name, [])
    if name != "choices":
        return all(isinstance(item, str) for item in items)
    return all(isinstance(item, list) and len(item) == 2 and all(isinstance(p, str) for p in item) for item in items)
