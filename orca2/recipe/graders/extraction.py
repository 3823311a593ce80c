"""Pull an answer out of free text.

Every answer takes the same way: a reasoning block is cut, and one that is never closed leaves no answer; the text ends
where a new question begins; the answer line is found; and its wrappers are peeled. What is left goes to a grader.

Two extractions, reported side by side, so that learning a format is not mistaken for learning to reason: *strict* takes
what stands after the last answer line; *lenient* also accepts the usual other ways of stating a result. Both take
time in proportion to the text, whatever a model wrote.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from orca2.recipe.graders.speech import before_next_question, end_of_blanks, said
from orca2.recipe.graders.wrappers import boxes, fences, first_wrapped, peel, tagged

ANSWER_LINES = ("Answer:", "Final answer:", "The answer:", "The final answer:")
"""How a line begins that holds the answer, by default."""
_OTHER_LINES = (
    "Correct answer:", "The correct answer:", "My answer:", "Final result:", "Result:", "Ans:", "Ans.", "####",
    "Answer =", "Answer -", "Answer", "Final answer",
)  # fmt: skip
_STATED = re.compile(
    r"\b(?:answer|(?:correct|right|best|my)\s+(?:option|choice|letter))(?:\s+(?!is\b|was\b|equals\b)\w{1,30}){0,4}?"
    r"\s*(?:\bis\b|\bwas\b|\bequals\b|\b(?:would|should|must|will)\s+be\b|=|[:：])\s*(?:[:：]\s*)?"
    r"([^\n]+?)(?:[.!?](?=\s|$|[*_`])|$)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSED = re.compile(r"\banswer\s+is:?\s+[^\n]{1,60}$", re.IGNORECASE | re.MULTILINE)
_NAMED = re.compile(
    r" (?:is|must be|would be|should be) (?:the|my|our) "
    r"(?:(?:final|correct|right|best) ){0,2}(?:answer|option|choice|result|solution)\b",
    re.IGNORECASE,
)
_NAMED_ANSWER = re.compile(r"((?:[^\s.,;:!?]|[.,](?=\d)){1,60})" + _NAMED.pattern, re.IGNORECASE)
_OPEN_BLOCK = re.compile(r"[ \t]*(?:(```|~~~)[^\n`]*\n|(\\\[|\$\$))")
_BLOCK_ENDS = {"```": "```", "~~~": "~~~", "\\[": "\\]", "$$": "$$"}
_ENVIRONMENT = re.compile(r"\\begin\{([a-zA-Z]{1,20}\*?)\}")
_LONGEST_MATHS = 2_000
"""Characters of a formula on lines of its own."""
_LISTED = re.compile(r"[ \t]*(?:[-*•+]|\(?\d{1,3}[.)])[ \t]")
_GOES_ON = (",", ";", "[", "{", "(")
_SEPARATED = re.compile(r"[,;]|\b(?:and|or)\b")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_MARKS = " *`\"'“”‘’"
_TAIL = 20_000
"""Characters at the end of a text in which a result may be stated otherwise than on an answer line."""


class Shape(NamedTuple):
    """What an answer looks like."""

    rows: int = 1
    """Lines that the known one has."""
    blank_lines: bool = False
    """Whether some of them are blank."""
    is_list: bool = False
    """Whether it is a list, which may stand on one line or have a line for each item."""


ONE_LINE = Shape()


def answer_line(text: str, lines: Sequence[str] = ANSWER_LINES, awaited: Shape = ONE_LINE) -> str | None:
    """What follows the last answer line, as it is dressed there; None where there is no such line.

    An answer of one line is the rest of that line, or a code fence below it; one of several ends at a blank line.

    Args:
        text: what a model wrote.
        lines: how an answer line may begin.
        awaited: of what shape the answer is.
    """
    spoken = _in_answer(text, tuple(lines))
    return None if spoken is None else _last_stated(spoken, lines, awaited)


def before_answer_line(text: str, lines: Sequence[str] = ANSWER_LINES) -> str:
    """What stands before the last answer line; the whole text where there is none."""
    found = [line.start() for line in _line(tuple(lines)).finditer(text)]
    return text[: found[-1]] if found else text


def lenient_answer(
    text: str,
    find: Callable[[str], str | None],
    lines: Sequence[str] = ANSWER_LINES,
    awaited: Shape = ONE_LINE,
    read: Callable[[str], str | None] | None = None,
) -> str | None:
    """The answer of an answer line, else a boxed or stated one, else what `find` sees in the text.

    `read` takes what is stated to the part that counts; by default `find` does. Otherwise as `strict_answer`.
    """
    spoken = _in_answer(text, tuple(lines))
    if spoken is None:
        return None
    stated = _last_stated(spoken, lines, awaited)
    if stated is not None:
        return (read or find)(peel(stated))
    tail = spoken[-_TAIL:]
    stated = _stated_otherwise(tail, awaited)
    if stated and ((found := (read or find)(peel(stated))) or find(peel(stated))):
        # What is stated and cannot be read, as `7 or 8`, is not looked for elsewhere.
        return found
    return _last_rows(tail) if awaited.rows > 1 else find(tail)


def last_words(text: str) -> str | None:
    """The last line of a text if it is short, else its last word."""
    words = peel(text.strip().rsplit("\n", 1)[-1]).rstrip(".").split()
    if not words:
        return None
    return " ".join(words) if len(words) <= 5 else words[-1].strip("\"'*`")


def normal(text: str) -> str:
    """A text without what does not count: case, quotation marks, runs of blanks, a final full stop."""
    composed = unicodedata.normalize("NFC", text).casefold()
    return " ".join(composed.split()).strip(_MARKS).removesuffix(".").strip(_MARKS)


@lru_cache(maxsize=1)
def _in_answer(text: str, lines: tuple[str, ...]) -> str | None:
    """What a model says up to the first question behind its first answer; None where it says nothing.

    Both extractions look at one text in turn.
    """
    spoken = said(text)
    if spoken is None:
        return None
    searches = (_line(lines).search, _line(_OTHER_LINES).search, _CLOSED.search)
    starts = [found.start() for search in searches if (found := search(spoken))]
    return before_next_question(spoken, min(*starts, first_wrapped(spoken), len(spoken)))


def _last_rows(text: str) -> str | None:
    """The lines behind the last blank one."""
    return peel(_BLANK_LINE.split(text.strip())[-1]) or None


def _last_stated(text: str, lines: Sequence[str], awaited: Shape) -> str | None:
    answers = list(_answer_lines(text, _line(tuple(lines)), awaited))
    return answers[-1] if answers else None


def _stated_otherwise(text: str, awaited: Shape) -> str | None:
    """What is stated last, in the first of the other usual ways that occurs."""
    told = boxes(text) or tagged(text) or list(_answer_lines(text, _line(_OTHER_LINES), awaited))
    # Looking for what is named, word by word, costs more than all else: first, whether anything is.
    told = (
        told
        or (_NAMED.search(text) and _NAMED_ANSWER.findall(text))
        or [_whole(text, found) for found in _STATED.finditer(text)]
    )
    told = told or (fences(text) if awaited.rows > 1 else [])
    return told[-1] if told else None


def _whole(text: str, stated: re.Match[str]) -> str:
    """What is stated, to the end of the formula or fence that begins there."""
    begin = stated.start(1)
    block = _end_of_block(text, begin, _end_of_line(text, begin))
    return text[begin:block] if block > begin else stated[1]


def _answer_lines(text: str, line: re.Pattern[str], awaited: Shape) -> Iterator[str]:
    """What follows each answer line."""
    end = 0
    while mark := line.search(text, end):
        begin = end_of_blanks(text, mark.end())
        if begin == len(text):
            # Nothing but blanks: an empty answer if they stand on a line, and no answer line at all if not.
            yield from [""] if text[mark.end() :].strip("\n") else []
            return
        if awaited.rows > 1:
            # Blanks before the first of several lines may be part of them.
            begin = text.rfind("\n", mark.end(), begin) + 1 or begin
        end = _end_of_answer(text, begin, awaited, is_beside=text.find("\n", mark.end(), begin) < 0)
        yield text[begin:end].rstrip() if awaited.rows == 1 else text[begin:end].rstrip("\n")


def _end_of_answer(text: str, begin: int, awaited: Shape, *, is_beside: bool) -> int:
    """Where the answer ends that begins here; `is_beside` its mark, or on a line below."""
    end = _end_of_line(text, begin)
    if (block := _end_of_block(text, begin, end)) > begin:
        return block
    if awaited.rows == 1 or (awaited.is_list and _is_one_line(text, begin, end, is_beside=is_beside)):
        return end
    gap = None if awaited.blank_lines else _BLANK_LINE.search(text, begin)
    return gap.start() if gap else len(text)


def _end_of_block(text: str, begin: int, end: int) -> int:
    """Where a fence or a formula ends that goes on behind the end of its first line; `begin` where none does."""
    if opened := _OPEN_BLOCK.match(text, begin):
        closing = _BLOCK_ENDS[opened[1] or opened[2]]
        longest = len(text) if opened[1] else opened.end() + _LONGEST_MATHS
        found = text.find(closing, opened.end(), longest)
        if opened[1]:
            return found + 3 if found >= 0 else len(text)
        return found + 2 if found >= end else begin
    for name in _ENVIRONMENT.findall(text, begin, end)[:1]:
        found = text.find(f"\\end{{{name}}}", begin, begin + _LONGEST_MATHS)
        return _end_of_line(text, found) if found >= end else begin
    return begin


def _is_one_line(text: str, begin: int, end: int, *, is_beside: bool) -> bool:
    """Whether a list is all on the line that begins it, and what follows is something else."""
    line = text[begin:end].rstrip()
    goes_on = line.endswith(_GOES_ON) or _LISTED.match(line) or _LISTED.match(text, end + 1)
    return not goes_on and (is_beside or _SEPARATED.search(line) is not None)


def _end_of_line(text: str, begin: int) -> int:
    end = text.find("\n", begin)
    return end if end >= 0 else len(text)


@cache
def _line(lines: tuple[str, ...]) -> re.Pattern[str]:
    """Finds the beginning of an answer line: quoted, listed, a heading, in bold, or plain."""
    starts = "|".join(sorted(map(_start, lines), key=len, reverse=True))
    return re.compile(
        rf"^[ \t]{{0,80}}(?:[-+*>•#]{{1,6}}[ \t]+|\d{{1,2}}[.)][ \t]+)?[*_`]{{0,4}}(?:{starts})",
        re.IGNORECASE | re.MULTILINE,
    )


def _start(line: str) -> str:
    words = [re.escape(word) for word in line.removesuffix(":").split()]
    spelt = r"[ \t]+".join(words)
    if line == "####":
        return r"####(?=[ \t]*(?:[-+$(\\.]|\d|[A-Z]\)?[ \t]*$))"
    if line.endswith(":"):
        return rf"{spelt}[*_`]{{0,4}}[ \t]*[:：][*_]{{0,4}}"
    # A heading, or a word before the answer.
    return rf"{spelt}[*_]{{0,4}}(?=[ \t]*(?:$|[-\d$(]))" if line[-1:].isalpha() else spelt
