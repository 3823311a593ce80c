"""Equal as yes or no."""

import re

from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.extraction import normal

_TRUE = ("yes", "true", "correct", "right", "y", "t", "1", "valid")
_FALSE = ("no", "false", "incorrect", "wrong", "n", "f", "0", "invalid")
_VALUES = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
_SAID = re.compile(
    r"\b(?:yes|true|false|correct|incorrect|no(?=\W*$|[.,;:!*]|\s+(?:because|since)\b))\b", re.IGNORECASE
)
_LEAD = re.compile(r"(?:(?:it|this|that|the (?:statement|claim|sentence|expression|result|argument)) (?:is|was) )")
_DENIED = re.compile(r"\bnot\b|n't\b")


def boolean(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """Equal as yes or no: `Yes`, `true` and `Yes, because 3 > 2` agree; `yes or no` and `not true` are neither."""
    wanted = _value(expected)
    return wanted is not None and wanted == _value(given)


def last_boolean(text: str) -> str | None:
    """The last word of a text that says yes or no."""
    found = _SAID.findall(text)
    return found[-1] if found else None


def _read(text: str) -> str | None:
    return text if _value(text) is not None else last_boolean(text)


def _value(text: str) -> bool | None:
    plain = _LEAD.sub("", normal(text), count=1)
    words = re.findall(r"[\w']+", plain[:200])
    first = _VALUES.get(words[0]) if words else None
    # The head of the sentence counts: `No, it is not true that ...`.
    head = re.split(r"[,.;:!—–-]|\s[(\[]|\b(?:because|since|as|so)\b", plain, maxsplit=1)[0]
    said = {_VALUES[word] for word in re.findall(r"\w+", head) if word in _VALUES}
    if first is None or len(said) != 1 or _DENIED.search(head) or _alternatives(words):
        return None
    return first


def _alternatives(words: list[str]) -> bool:
    """Whether there is nothing but answers, and they differ."""
    named = [word for word in words if word not in ("or", "and")]
    return len({_VALUES.get(word) for word in named}) > 1 and all(word in _VALUES for word in named)


GRADER = Grader(judge=boolean, find=last_boolean, read=_read)
