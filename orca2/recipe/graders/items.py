"""The items of an answer that is several: a JSON list, a line each, bullets, or separated on one line."""

import json
import re
from fractions import Fraction

from orca2.recipe.graders.extraction import normal
from orca2.recipe.graders.numbers import number_in
from orca2.recipe.graders.wrappers import peel

Item = str | Fraction
_BULLET = re.compile(r"[ \t]*(?:[-*•+]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]+")
_ENDS = (("[", "]"), ("{", "}"), ("(", ")"), (r"\{", r"\}"), ("⟨", "⟩"))
_AND = re.compile(r"\s*,?\s+(?:and|und|et|y|&)\s+", re.IGNORECASE)
_MOST = 10_000


def items_in(text: str) -> list[Item]:
    """Every item of a text in its order, numbers by value and other text without what does not count."""
    return [_item(part) for part in _parts(peel(text)) if part.strip()][:_MOST]


def _parts(text: str) -> list[str]:
    if (listed := _as_json(text)) is not None:
        return listed
    for opening, closing in _ENDS:
        if text.startswith(opening) and text.rstrip(". ").endswith(closing):
            text = text.rstrip(". ")[len(opening) : -len(closing)]
            break
    if len(lines := [line for line in text.splitlines() if line.strip()]) > 1:
        return [_BULLET.sub("", line, count=1).rstrip(" ,;") for line in lines]
    if ";" in text:
        return text.split(";")
    # `1,000, 2` has a thousand in it, and `1,2,3` three numbers.
    parts = re.split(r",\s+", text) if re.search(r",\s", text) else text.split(",")
    if len(parts) == 1 and _AND.search(text) is None and number_in(text) is None and re.fullmatch(r"[-\d.\s/]+", text):
        return text.split()
    return [*parts[:-1], *_AND.split(re.sub(r"^(?:and|&)\s+", "", parts[-1]))]


def _as_json(text: str) -> list[str] | None:
    """The items of a JSON list of texts, numbers and lists."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return [one if isinstance(one, str) else json.dumps(one) for one in found]


def _item(part: str) -> Item:
    bare = peel(part)
    value = number_in(bare) if re.fullmatch(r"[-+$€£\d.,/^ ]{1,60}", bare) else None
    return normal(bare) if value is None else value
