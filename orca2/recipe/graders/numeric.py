"""Equal as numbers, however they are written."""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from orca2.recipe.graders.base import Grader

_GROUPED = r"\d{1,3}(?:,\d{3})++(?!,?\d)"
_REST = r"(?:\.\d+)?|\.\d+)(?:e[+-]?\d{1,3}(?!\d))?"
_SIGN, _OVER = r"(?:(?<![\w)])-)?", r"(?:\s*/\s*\d+)?"
_NUMBER = re.compile(rf"{_SIGN}(?:(?:{_GROUPED}|\d+){_REST}{_OVER}", re.IGNORECASE)
_UNGROUPED = re.compile(rf"{_SIGN}(?:\d+{_REST}{_OVER}", re.IGNORECASE)
_GROUPS = re.compile(r"-?\d{1,3}(?:,\d{3})+")
_SPELT_MINUS = re.compile(r"\b(?:minus|negative)\s+(?=[.\d])", re.IGNORECASE)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}")
_SIGNS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"} | dict.fromkeys("$€£¥"))


def numeric(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """Equal as numbers: `1,000`, `$1000`, `1e3 g` and `500 + 500 = 1000` agree.

    A text without a number never does, nor one that leaves open which of several numbers it means.
    """
    left, right = _as_number(expected), _as_number(given)
    return left is not None and left == right


def last_number(text: str) -> str | None:
    """The last number in a text, as it is written there."""
    numbers = list(_numbers(text))
    return numbers[-1] if numbers else None


def _numbers(text: str) -> Iterator[str]:
    """Every number, from left to right; `1,234` is one, `1,23` two."""
    plain = _SPELT_MINUS.sub("-", _LATEX_FRACTION.sub(r"\1/\2", text.translate(_SIGNS)))
    end = ungrouped_until = 0
    while found := (_UNGROUPED if end < ungrouped_until else _NUMBER).search(plain, end):
        if end >= ungrouped_until:
            # Where a row of groups ends in no proper way, each later group of it would find that again: asked once.
            groups = _GROUPS.match(plain, found.start())
            ungrouped_until = groups.end() if groups and groups.end() > found.end() else 0
        elif found.start() >= ungrouped_until:
            end = found.start()
            continue
        end = found.end()
        yield found.group()


def _as_number(text: str) -> Fraction | None:
    """The one value that a text states, after its last `=` if it has one."""
    values = {_value(number) for number in _numbers(text.rsplit("=", 1)[-1])}
    return values.pop() if len(values) == 1 else None


@lru_cache(maxsize=4096)
def _value(number: str) -> Fraction | None:
    numerator, _, denominator = number.replace(",", "").partition("/")
    try:
        return Fraction(numerator.strip()) / Fraction(denominator.strip() or 1)
    except (ValueError, ZeroDivisionError):
        return None


GRADER = Grader(judge=numeric, find=last_number)
