"""What a cell of a row says as text, and what is wrong with a row that cannot become a question.

No value is turned into text by guess: text is text, and a number has Python's spelling of it, `5` of a whole number and
`5.0` of a floating one, which is what the file says. Nothing else has a spelling of its own.
"""

import math

MEND = "mend or remove the row"
_KINDS = {dict: "an object", list: "a list", tuple: "a list", bool: "true or false", bytes: "bytes", int: "a number"}


class Fault(Exception):  # noqa: N818  (it is not raised to a user: the row is rejected, or its source refused)
    """Why a row is no question.

    Args:
        reason: a short fixed phrase, to be counted by.
        detail: what is wrong with this row.
        hint: what to do next.
    """

    def __init__(self, reason: str, detail: str, hint: str = MEND) -> None:
        super().__init__(reason, detail, hint)
        self.reason, self.detail, self.hint = reason, detail, hint


def spelt(value: object) -> str | None:
    """A value as text; None of what has no spelling of its own."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return repr(value) if isinstance(value, int) or math.isfinite(value) else None


def is_blank(value: object) -> bool:
    """Whether nothing is said."""
    return value is None or (isinstance(value, str) and not value.strip())


def kind_of(value: object) -> str:
    """What a value is, in words."""
    if value is None:
        return "nothing (null)"
    return repr(value) if isinstance(value, float) else _KINDS.get(type(value), f"a {type(value).__name__}")


def is_halved(text: str) -> bool:
    """Whether it holds half a character (a lone surrogate), which no file can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
