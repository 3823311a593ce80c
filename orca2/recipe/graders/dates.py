"""Equal as days of the calendar.

With slashes the month stands first, unless it cannot be one; with dots the day does; a year has four digits. A time of
day or a day of the week does no harm, and a text with two different days states none.
"""

import datetime
import re
from collections.abc import Iterator

from orca2.recipe.graders.base import Grader

_NAMES = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTHS = {name[:3]: number for number, name in enumerate(_NAMES, 1)}
_MONTH = rf"(?P<name>{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _NAMES)}|sept)\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})(?!\d)"
_FORMS = tuple(
    re.compile(rf"(?<![\d/.-])(?:{form})(?![/-]\d)", re.IGNORECASE)
    for form in (
        rf"{_YEAR}(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})(?!\d)",
        rf"(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<second>\d{{1,2}})(?P=mark){_YEAR}",
        rf"{_DAY}(?:\s+of)?[\s-]+{_MONTH},?[\s-]+{_YEAR}",
        rf"{_MONTH}\s+(?:the\s+)?{_DAY},?\s+{_YEAR}",
    )
)

_DENIED = re.compile(r"\b(?:not|never|before|after|until)\s+(?:on\s+)?(?:the\s+)?$", re.IGNORECASE)


def date(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """The same day: `2020-03-05`, `03/05/2020`, `5.3.2020`, `5 March 2020` and `Thursday, Mar 5th, 2020` agree."""
    wanted, found = set(_days(expected)), set(_days(given))
    return len(wanted) == 1 and None not in wanted and wanted == found


def last_date(text: str) -> str | None:
    """The last date of a text, as it is written there."""
    found = [match for form in _FORMS for match in form.finditer(text[-2_000:])]
    return max(found, key=lambda match: match.end())[0] if found else None


def _read(text: str) -> str | None:
    return text if len(set(_days(text))) == 1 else last_date(text)


def _days(text: str) -> Iterator[datetime.date | None]:
    """Every day that is named; None of one that is not in the calendar, or not meant."""
    for form in _FORMS:
        for found in form.finditer(text):
            if _DENIED.search(text[max(0, found.start() - 20) : found.start()]):
                yield None
            try:
                yield datetime.date(*_numbers(found.groupdict()))
            except ValueError:
                yield None


def _numbers(parts: dict[str, str | None]) -> tuple[int, int, int]:
    """Year, month and day."""
    year = int(parts["year"] or 0)
    if name := parts.get("name"):
        return year, _MONTHS[name[:3].lower()], int(parts["day"] or 0)
    if month := parts.get("month"):
        return year, int(month), int(parts["day"] or 0)
    first, second = int(parts["first"] or 0), int(parts["second"] or 0)
    is_day_first = parts["mark"] == "." or first > 12
    return (year, second, first) if is_day_first else (year, first, second)


GRADER = Grader(judge=date, find=last_date, read=_read)
