"""Pull an answer out of free text.

Two extractions, reported side by side, so that learning a format is not mistaken for learning to reason: *strict* takes
what stands after the last `Answer:` line; *lenient* also accepts the usual other ways of stating a result. Both take
time in proportion to the text, whatever a model wrote.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

_ANSWER_MARK = re.compile(r"^[ \t]*[*`]*answer[*`]*[ \t]*:", re.IGNORECASE | re.MULTILINE)
_BLANKS = re.compile(r"\s*")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_STATED = re.compile(r"\banswer(?:\s+\w+){0,3}?\s+(?:is|was|equals|=|:)\s*(?::\s*)?([^\n]+?)(?:\.\s|\.?$)", re.I | re.M)
_MARKS = " *`\"'“”‘’"


def strict_answer(text: str) -> str | None:
    """What follows the last `Answer:` line, or None: the format was not kept."""
    lines = list(_answer_lines(text))
    return (_bare(lines[-1]) or None) if lines else None


def lenient_answer(text: str, find: Callable[[str], str | None]) -> str | None:
    """The strict answer, else a boxed or stated one, else what `find` sees in the text."""
    stated = list(_answer_lines(text)) or _BOXED.findall(text) or _STATED.findall(text)
    return find(stated[-1] if stated else text)


def last_words(text: str) -> str | None:
    """The last line of a text if it is short, else its last word."""
    words = _bare(text.strip().rsplit("\n", 1)[-1]).rstrip(".").split()
    if not words:
        return None
    return " ".join(words) if len(words) <= 5 else words[-1].strip("\"'*`")


def normal(text: str) -> str:
    """A text without what does not count: case, quotation marks, runs of blanks, a final full stop."""
    composed = unicodedata.normalize("NFC", text).casefold()
    return " ".join(composed.split()).strip(_MARKS).removesuffix(".").strip(_MARKS)


def _answer_lines(text: str) -> Iterator[str]:
    """What follows each `Answer:`, to the end of the line on which it begins."""
    end = 0
    while mark := _ANSWER_MARK.search(text, end):
        begin = _BLANKS.match(text, mark.end()).end()  # type: ignore[union-attr]
        if begin == len(text):
            # Nothing but blanks: an empty answer if they stand on a line, and no answer line at all if not.
            yield from [""] if text[mark.end() :].strip("\n") else []
            return
        newline = text.find("\n", begin)
        end = newline if newline >= 0 else len(text)
        yield text[begin:end].rstrip()


def _bare(text: str) -> str:
    return text.strip().strip("*`").strip()
