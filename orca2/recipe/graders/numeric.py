"""Equal as numbers, however they are written."""

import re

from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.numbers import last_number, number_in, ratio_in, stated_number

_OPEN = re.compile(
    r"\b(?:or|not|neither|nor|never|between|least|most|(?:more|less|fewer|greater|higher|lower)\s+than|up\s+to|over|under)\b"
    r"|n't\b|[<>≤≥≠±]|\\(?:pm|[lg]eq?|neq?|sqrt|pi|log)(?![a-z])|\d\s?[-–]\s?\d|\d[a-z]\b|[a-z][_^]",
    re.IGNORECASE,
)
_LONGEST = 1_000
"""Characters of a text that may leave open which number it means."""


def numeric(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """Equal as numbers: `1,000`, `$1000`, `1e3 g` and `500 + 500 = 1000` agree.

    A text without a number never does, nor one that leaves open which of several numbers it means.
    """
    wanted = number_in(expected)
    if wanted is None:
        return ratio_in(expected) is not None and ratio_in(expected) == ratio_in(given)
    return wanted == number_in(given)


def _read(text: str) -> str | None:
    """The number that is stated, whatever words stand around it; else the last one, unless it is left open which."""
    return stated_number(text) or (None if _OPEN.search(text[:_LONGEST]) else last_number(text))


GRADER = Grader(judge=numeric, find=last_number, read=_read)
