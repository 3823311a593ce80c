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
from functools import cache
from typing import NamedTuple

from orca2.recipe.graders.wrappers import boxes, fences, peel, tagged

ANSWER_LINES = ("Answer:", "Final answer:", "The answer:", "The final answer:")
"""How a line begins that holds the answer, by default."""
_OTHER_LINES = (
    "Correct answer:", "The correct answer:", "My answer:", "Final result:", "Result:", "Ans:", "Ans.", "####",
    "Answer =", "Answer -", "Answer", "Final answer",
)  # fmt: skip
_REASONING = re.compile(
    r"(?P<open><think(?:ing)?>|<reason(?:ing)?>|<thought>|\[THINK\]|◁think▷)"
    r"|</think(?:ing)?>|</reason(?:ing)?>|</thought>|\[/THINK\]|◁/think▷",
    re.IGNORECASE,
)
_NEXT_TURN = re.compile(
    r"^[ \t]*(?:<\|im_start\|>\s*user|<\|user\|>|\[INST\]|#{1,4}[ \t]*(?:Instruction|User|Human)\b"
    r"|(?:User|Human)[ \t]*:)"
    r"|<\|im_end\|>|<\|endoftext\|>|<\|eot_id\|>|</s>",
    re.IGNORECASE | re.MULTILINE,
)
_NEXT_QUESTION = re.compile(
    r"^[ \t>]*[*_#]*[ \t]*(?:(?:next|new|another)[ \t]+)?(?:question|problem|exercise|task|q)"
    r"(?:[ \t]*\d+)?[*_]*[ \t]*[:：.)]",
    re.IGNORECASE | re.MULTILINE,
)
_STATED = re.compile(
    r"\b(?:answer|(?:correct|right|best|my)\s+(?:option|choice|letter))(?:\s+(?!is\b|was\b|equals\b)\w{1,30}){0,4}?"
    r"\s*(?:\bis\b|\bwas\b|\bequals\b|\b(?:would|should|must|will)\s+be\b|=|[:：])\s*(?:[:：]\s*)?"
    r"([^\n]+?)(?:[.!?](?=\s|$|[*_`])|$)",
    re.IGNORECASE | re.MULTILINE,
)
_NAMED_ANSWER = re.compile(
    r"([^\s.,;:!?]{1,60}) (?:is|as|must be|would be|should be) (?:the|my|our) (?:(?:final|correct|right|best) ){0,2}"
    r"(?:answer|option|choice|result|solution)\b",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"\s*")
_OPEN_FENCE = re.compile(r"[ \t]*(?:```|~~~)[^\n`]*\n")
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


ONE_LINE = Shape()


def said(text: str) -> str | None:
    """What a model says: its text behind the reasoning, up to a next turn; None where the reasoning never ends."""
    end, is_open = 0, False
    for mark in _REASONING.finditer(text):
        end, is_open = mark.end(), mark["open"] is not None
    if is_open:
        return None
    text = text[end:]
    begin = _BLANKS.match(text).end()  # type: ignore[union-attr]
    turn = _NEXT_TURN.search(text, begin)
    return text[: turn.start()] if turn and turn.start() > begin else text


def answer_line(text: str, lines: Sequence[str] = ANSWER_LINES, awaited: Shape = ONE_LINE) -> str | None:
    """What follows the last answer line, as it is dressed there; None where there is no such line.

    An answer of one line is the rest of that line, or a code fence below it; one of several ends at a blank line.

    Args:
        text: what a model wrote.
        lines: how an answer line may begin.
        awaited: of what shape the answer is.
    """
    spoken = said(text)
    return None if spoken is None else _last_stated(spoken, lines, awaited)


def strict_answer(text: str, lines: Sequence[str] = ANSWER_LINES) -> str | None:
    """The answer of one line on the last answer line, peeled; None: the format was not kept."""
    return peel(answer_line(text, lines) or "") or None


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
    spoken = said(text)
    if spoken is None:
        return None
    stated = _last_stated(spoken, lines, awaited)
    if stated is not None:
        return (read or find)(peel(stated))
    tail = spoken[-_TAIL:]
    stated = _stated_otherwise(tail, awaited)
    found = (read or find)(peel(stated)) if stated else None
    return found or (_last_rows(tail) if awaited.rows > 1 else find(tail))


def last_line(text: str) -> str | None:
    """The last line of what a model says; None where it says nothing."""
    spoken = said(text)
    return (spoken or "").strip().rsplit("\n", 1)[-1] or None


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


def _last_rows(text: str) -> str | None:
    """The lines behind the last blank one."""
    return peel(_BLANK_LINE.split(text.strip())[-1]) or None


def _last_stated(text: str, lines: Sequence[str], awaited: Shape) -> str | None:
    answers = list(_answer_lines(text, _line(tuple(lines)), awaited))
    return answers[-1] if answers else None


def _stated_otherwise(text: str, awaited: Shape) -> str | None:
    """What is stated last, in the first of the other usual ways that occurs."""
    if found := boxes(text) or tagged(text):
        return found[-1]
    if found := list(_answer_lines(text, _line(_OTHER_LINES), awaited)):
        return found[-1]
    first = _STATED.search(text)
    text = _before_next_question(text, first.end() if first else len(text))
    found = _NAMED_ANSWER.findall(text) or _STATED.findall(text)
    if found:
        return found[-1]
    found = fences(text) if awaited.rows > 1 else []
    return found[-1] if found else None


def _answer_lines(text: str, line: re.Pattern[str], awaited: Shape) -> Iterator[str]:
    """What follows each answer line, until a new question begins."""
    end, is_first = 0, True
    while mark := line.search(text, end):
        begin = _BLANKS.match(text, mark.end()).end()  # type: ignore[union-attr]
        if begin == len(text):
            # Nothing but blanks: an empty answer if they stand on a line, and no answer line at all if not.
            yield from [""] if text[mark.end() :].strip("\n") else []
            return
        if is_first:
            text, is_first = _before_next_question(text, begin), False
        if begin >= len(text):
            yield ""
            return
        if awaited.rows > 1:
            # Blanks before the first of several lines may be part of them.
            begin = text.rfind("\n", mark.end(), begin) + 1 or begin
        end = _end_of_answer(text, begin, awaited)
        yield text[begin:end].rstrip() if awaited.rows == 1 else text[begin:end].rstrip("\n")


def _end_of_answer(text: str, begin: int, awaited: Shape) -> int:
    if fence := _OPEN_FENCE.match(text, begin):
        closing = text.find(fence[0].strip()[:3], fence.end())
        return closing + 3 if closing >= 0 else len(text)
    if awaited.rows == 1:
        newline = text.find("\n", begin)
        return newline if newline >= 0 else len(text)
    gap = None if awaited.blank_lines else _BLANK_LINE.search(text, begin)
    return gap.start() if gap else len(text)


def _before_next_question(text: str, begin: int) -> str:
    question = _NEXT_QUESTION.search(text, begin)
    return text[: question.start()] if question else text


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
    if line.endswith(":"):
        return rf"{spelt}[*_`]{{0,4}}[ \t]*[:：][*_]{{0,4}}"
    # A heading, or a word before the answer.
    return rf"{spelt}[*_]{{0,4}}(?=[ \t]*(?:$|[-\d$(]))" if line[-1:].isalpha() else spelt
