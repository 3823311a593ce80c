"""The items of an answer that is several: a JSON list, a line each, bullets, or separated on one line."""

import json
import re
from fractions import Fraction

from orca2.recipe.graders.extraction import normal
from orca2.recipe.graders.numbers import number_in
from orca2.recipe.graders.wrappers import peel

Item = str | Fraction
_BULLET = re.compile(r"(?:[-*•+]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]) ")
_OPENING, _CLOSING = "([{⟨", ")]}⟩"
_BRACKET = rf"[{re.escape(_OPENING + _CLOSING)}]"
_AND = re.compile(r"(?:^| )(?:and|&) ", re.IGNORECASE)
_NUMBERS = re.compile(r"[-\d. /]+")
_NUMBER = re.compile(r"[-+$€£\d.,/^ ]{1,60}")
_MOST = 10_000


def items_in(text: str) -> list[Item]:
    """Every item of a text in its order, numbers by value and other text without what does not count."""
    lines = [" ".join(line.split()) for line in peel(text).splitlines()]
    return [_item(part) for part in _parts([line for line in lines if line]) if part.strip()][:_MOST]


def _parts(lines: list[str]) -> list[str]:
    text = " ".join(lines)
    if (listed := _as_json(text)) is not None:
        return listed
    if (inside := _in_brackets(text)) is not None:
        return _on_one_line(inside)
    if len(lines) > 1:
        return [_BULLET.sub("", line, count=1) if _BULLET.match(line) else line for line in lines]
    return _on_one_line(text)


def _on_one_line(text: str) -> list[str]:
    if ";" in text:
        return _split(text, ";")
    # `1,000, 2` has a thousand in it, and `1,2,3` three numbers.
    parts = _split(text, ", " if ", " in text else ",")
    if len(parts) == 1 and number_in(text) is None and _NUMBERS.fullmatch(text):
        return text.split()
    return [*parts[:-1], *_AND.split(parts[-1])]


def _split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand in no brackets."""
    parts, begin, depth = [], 0, 0
    for mark in re.finditer(rf"{_BRACKET}|{re.escape(separator)}", text):
        if mark[0] in _OPENING:
            depth += 1
        elif mark[0] in _CLOSING:
            depth -= 1
        elif depth == 0:
            parts.append(text[begin : mark.start()])
            begin = mark.end()
    return [*parts, text[begin:]] if depth == 0 else text.split(separator)


def _in_brackets(text: str) -> str | None:
    """What stands in the brackets that are all of a text; None where it has none around it."""
    bare = text.rstrip(". ").removeprefix("\\")
    if bare[:1] not in tuple(_OPENING) or bare[-1:] != _CLOSING[_OPENING.index(bare[0])]:
        return None
    depth = 0
    for mark in re.finditer(_BRACKET, bare):
        depth += 1 if mark[0] in _OPENING else -1
        if depth == 0 and mark.end() < len(bare):
            return None
    return bare[1:-1].removesuffix("\\")


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
    bare = peel(part).rstrip(",;")
    value = number_in(bare) if _NUMBER.fullmatch(bare) else None
    return normal(bare).replace(", ", ",") if value is None else value
