"""The known answers of a question, however a source writes them: one, or several of which any is right."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orca2.recipe.graders.known import Option
from orca2.recipe.sources.base import Source
from orca2.recipe.sources.options import label_of
from orca2.recipe.sources.values import Fault, is_blank, kind_of, spelt

_AS_TEXT = "write what an answer is compared with as text or a number, in a column of its own; or remove the row"
_AS_BOOLEAN = "`grader: boolean` takes it as it is; or write yes and no, in a column of its own"


class Golds(NamedTuple):
    """What is right."""

    answer: str
    others: tuple[str, ...] = ()


def golds_of(value: object, source: Source, options: Sequence[Option], *, may_be_empty: bool = False) -> Golds:
    """The known answers that a value holds; of a question with options, their labels.

    Args:
        value: one answer or a list of them, or an object with a list of them as its `text`.
        source: what its parameters are.
        options: of the question.
        may_be_empty: whether an answer may be.

    Raises:
        Fault: there is none, or one of them has no text of its own.
    """
    name = source.answer or source.answer_column
    if isinstance(value, Mapping) and isinstance(value.get("text"), list | tuple):
        value = value["text"]
    several = list(value) if isinstance(value, list | tuple) else [value]
    if not several or (all(map(is_blank, several)) and not (may_be_empty and value is not None)):
        raise Fault("no answer", f"`{name}` is empty")
    texts = [_gold(one, source, options, name) for one in several]
    answer, *others = dict.fromkeys(texts)
    return Golds(answer, tuple(others))


def _gold(value: object, source: Source, options: Sequence[Option], name: str) -> str:
    text = str(value).lower() if isinstance(value, bool) and source.grader == "boolean" else spelt(value)
    if text is None:
        hint = _AS_BOOLEAN if isinstance(value, bool) else _AS_TEXT
        raise Fault("no answer", f"`{name}` is {kind_of(value)}, not text or a number", hint)
    if source.answer_pattern:
        found = re.search(source.answer_pattern, text)
        text = (found[1] or "").strip() if found else ""
        if not text:
            raise Fault("no answer", f"`{name}` holds no answer_pattern")
    if not options:
        return text.strip()
    return label_of(text if isinstance(value, str) else value, options, source.answer_is)
