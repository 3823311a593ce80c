"""Equal as one of several options."""

import re

from orca2.recipe.extraction import normal
from orca2.recipe.graders.base import Grader

_OPTION = re.compile(r"\W*?((?:a(?!\s+[a-z])|[b-z])(?!\w)|-?\d+(?:[.,/:-]\d+)*|\w\w+)")
_NAMED = re.compile(r"\(([A-Z])\)|\b(yes|no|true|false)\b|\b([A-Z])\b(?=[.)]|$)", re.IGNORECASE)
_VERDICTS = {"yes", "no", "true", "false"}


def choice(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """Equal as options: `(B)`, `B.` and `b) 4 apples` agree, as do `Yes` and `yes, because`; `A or B` is neither."""
    wanted, given = _option(expected), normal(given)
    if len(wanted) > 1 and " " in normal(expected):
        return normal(expected) == given
    return wanted == _option(given) and not _hedges(given)


def last_option(text: str) -> str | None:
    """The last option that a text names."""
    options = _NAMED.findall(text)
    return next(part for part in options[-1] if part) if options else None


def _option(text: str) -> str:
    plain = normal(text)
    found = _OPTION.match(plain)
    return found.group(1) if found else plain


def _hedges(plain: str) -> bool:
    """Whether a text only names several options, as in `A or B`."""
    named = set(re.findall(r"\w+", plain)) - {"or", "and"}
    return len(named) > 1 and all(name in _VERDICTS or (len(name) == 1 and name.isalpha()) for name in named)


GRADER = Grader(judge=choice, find=last_option)
