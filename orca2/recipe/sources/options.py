"""The options of a question, however a source writes them, as labels and texts; and which of them is the answer.

| a source says | as in |
| --- | --- |
| a list of texts, which are labelled A, B, C | MMLU, RACE, HellaSwag |
| a list of texts that carry their labels, as `"(A)red"` or `"A) red"` | AGIEval, AQuA |
| an object with a list of labels and one of texts | ARC, CommonsenseQA |
| a list of objects with a label and a text | OpenBookQA |
| an object of texts by label | MedMCQA |
| a text in which they stand, in one line or a line each | BBH, MathQA |
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Literal

from orca2.recipe.graders.known import Option
from orca2.recipe.sources.values import Fault, is_blank, kind_of, spelt

AnswerIs = Literal["", "label", "index", "one_based_index", "text"]
_SAY = "say `answer_is: label`, `text`, `index` (from 0) or `one_based_index`"
_MARK = r"(?:\(([A-Za-z]|\d{1,2})\)|([A-Za-z]|\d{1,2})[ ]?[).:])[ \t]*"
_MARKED = re.compile(rf"\s*{_MARK}(.*)", re.DOTALL)
_ON_LINES = re.compile(rf"^[ \t]*(?:[-*][ \t]+)?{_MARK}(?=\S)", re.MULTILINE)
_IN_LINE = re.compile(r"(?<![\w(])(?:\(([A-Za-z]|\d{1,2})\)|([A-Za-z]|\d{1,2})[ ]?\))[ \t]*(?=\S)")
_LONGEST_NUMBER, _LONGEST_LABELS = 4, 200
"""Characters of an index, and of an answer of several labels."""
_MOST_MARKS = 500
"""Labels of a text, from its end, among which its options are looked for."""
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def options_of(value: object) -> tuple[Option, ...]:
    """The options that a value names.

    Raises:
        Fault: they have none of the shapes above, or are fewer than two, or two of them have one label.
    """
    found = tuple(_options(value))
    while found and not found[-1].text:
        # A table has a column for the most that a question offers.
        found = found[:-1]
    labels = [option.label.casefold() for option in found]
    if len(found) < 2:
        raise Fault("no options", f"`choices` names {len(found) or 'no'} option{'s' * (len(found) != 1)}, not several")
    if empty := [option.label for option in found if not option.text]:
        raise Fault("no options", f"option {', '.join(empty)} is empty")
    if len(set(labels)) < len(labels):
        raise Fault("no options", f"two options have one label: {', '.join(option.label for option in found)}")
    return found


def label_of(value: object, options: Sequence[Option], answer_is: AnswerIs) -> str:
    """The label of the option that is the answer.

    Raises:
        Fault: none is, or it cannot be told which.
    """
    text = spelt(value)
    if text is None:
        raise Fault("no answer", f"the answer is {kind_of(value)}, not a label, an index or a text")
    text = text.strip()
    readings = {name: read(text, options) for name, read in _READINGS.items()}
    found = readings[answer_is] if answer_is else _agreed(text, readings)
    if len(found) == 1:
        return found.pop()
    if several := _several(text, options) if answer_is in ("", "label") else "":
        return several
    labels = ", ".join(option.label for option in options)
    problem = "is that of several options" if found else f"is none of the options {labels}"
    raise Fault("no answer", f"the answer {text!r} {problem}{f' by {answer_is}' * bool(answer_is)}", _SAY)


def _agreed(text: str, readings: Mapping[str, set[str]]) -> set[str]:
    """What label and text say; a number is never taken as an index by guess, and may be one where it says otherwise."""
    found = readings["label"] | readings["text"]
    numbers = set() if readings["label"] else readings["index"] | readings["one_based_index"]
    if found and len(found | numbers) > 1:
        raise Fault("no answer", f"the answer {text!r} may be {', '.join(sorted(found | numbers))}", _SAY)
    return found


def _by_label(text: str, options: Sequence[Option]) -> set[str]:
    marked = _MARKED.fullmatch(text)
    bare = (marked[1] or marked[2]) if marked else text
    found = {option for option in options if option.label.casefold() in (text.casefold(), bare.casefold())}
    if marked and (behind := marked[3].strip()):
        found = {option for option in found if option.text == behind}
    return {option.label for option in found}


def _by_text(text: str, options: Sequence[Option]) -> set[str]:
    same = {option.label for option in options if option.text == text}
    return same or {option.label for option in options if option.text.casefold() == text.casefold()}


def _by_index(text: str, options: Sequence[Option]) -> set[str]:
    return _at(_number(text), options)


def _by_number(text: str, options: Sequence[Option]) -> set[str]:
    return _at(_number(text) - 1, options)


def _at(index: int, options: Sequence[Option]) -> set[str]:
    return {options[index].label} if 0 <= index < len(options) else set()


def _number(text: str) -> int:
    """A whole number in digits; -1 of anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else -1


_READINGS = {"label": _by_label, "text": _by_text, "index": _by_index, "one_based_index": _by_number}


def _several(text: str, options: Sequence[Option]) -> str:
    """An answer of several labels at once, as `ABD`; empty where it is none."""
    labels = [option.label for option in options]
    text = text[:_LONGEST_LABELS]
    letters = re.findall(r"[A-Z]", text)
    plain = re.fullmatch(r"[A-Z](?:\s*(?:,|and)?\s*[A-Z])+", text) and letters == sorted(set(letters))
    return ", ".join(letters) if plain and set(letters) <= set(labels) else ""


def _options(value: object) -> Iterator[Option]:
    if isinstance(value, str):
        yield from _in_text(value)
    elif isinstance(value, Mapping):
        yield from _in_object(value)
    elif isinstance(value, list | tuple):
        yield from _in_list(value)
    else:
        raise Fault("no options", f"`choices` is {kind_of(value)}, not a list, an object or a text")


def _in_object(value: Mapping[object, object]) -> Iterator[Option]:
    labels, texts = value.get("label", value.get("labels")), value.get("text", value.get("texts"))
    if isinstance(labels, list | tuple) and isinstance(texts, list | tuple):
        if len(labels) != len(texts):
            raise Fault("no options", f"`choices` has {len(labels)} labels and {len(texts)} texts")
        yield from (Option(_text(label), _text(text)) for label, text in zip(labels, texts, strict=True))
        return
    yield from (Option(_text(label), "" if text is None else _text(text)) for label, text in value.items())


def _in_list(value: Sequence[object]) -> Iterator[Option]:
    if any(isinstance(item, Mapping) for item in value):
        for item in value:
            if not isinstance(item, Mapping) or not {"label", "text"} <= item.keys():
                raise Fault("no options", "`choices` is a list of objects without a `label` and a `text` each")
            yield Option(_text(item["label"]), _text(item["text"]))
        return
    texts = ["" if item is None else _text(item) for item in value]
    marked = [_MARKED.fullmatch(text) for text in texts]
    labels = [(found[1] or found[2]) if found else "" for found in marked]
    if texts and labels[0] in ("A", "a", "1") and all(map(_follows, labels, labels[1:])):
        yield from (Option(found[1] or found[2], found[3].strip()) for found in marked if found)
        return
    if len(texts) > len(ascii_uppercase):
        raise Fault("no options", f"`choices` names {len(texts)} options, more than there are letters for labels")
    yield from map(Option, ascii_uppercase, texts)


def _in_text(text: str) -> Iterator[Option]:
    """The longest run of labels in their order, the last one where several are as long."""
    marks = max((_run(list(style.finditer(text))) for style in (_ON_LINES, _IN_LINE)), key=len)
    ends = [mark.start() for mark in marks[1:]]
    if marks:
        blank = _BLANK_LINE.search(text, marks[-1].end())
        ends.append(blank.start() if blank else len(text))
    for mark, end in zip(marks, ends, strict=True):
        yield Option(mark[1] or mark[2], text[mark.end() : end].strip().rstrip(",;").strip())


def _run(marks: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    longest: list[re.Match[str]] = []
    marks = marks[-_MOST_MARKS:]
    for number, first in enumerate(marks):
        if (first[1] or first[2]) not in ("A", "a", "1"):
            continue
        run = [first]
        for mark in marks[number + 1 :]:
            if _follows(run[-1][1] or run[-1][2], mark[1] or mark[2]):
                run.append(mark)
        longest = run if len(run) >= len(longest) else longest
    return longest


def _follows(label: str, other: str) -> bool:
    if label.isdigit():
        return other == str(int(label) + 1)
    return len(label) == len(other) == 1 and ord(other) == ord(label) + 1


def _text(value: object) -> str:
    text = spelt(value)
    if text is None:
        raise Fault("no options", f"an option is {kind_of(value)}, not text or a number")
    return text.strip() if not is_blank(text) else ""
