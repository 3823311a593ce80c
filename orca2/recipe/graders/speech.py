"""What a model says in answer to a question: without its reasoning block, and not what it goes on to ask itself.

Every search takes time in proportion to the text, whatever a model wrote.
"""

import re

_REASONING = re.compile(
    r"(?P<open><think(?:ing)?>|<reason(?:ing)?>|<thought>|\[THINK\]|◁think▷)"
    r"|</think(?:ing)?>|</reason(?:ing)?>|</thought>|\[/THINK\]|◁/think▷",
    re.IGNORECASE,
)
_END_OF_TURN = re.compile(
    r"<\|im_(?:start|end)\|>|<\|endoftext\|>|<\|eot_id\|>|<\|end\|>|<\|user\|>|</s>|<eos>|<end_of_turn>|\[INST\]"
)
_NEXT_QUESTION = re.compile(
    r"^[ \t>]{0,8}(?:[*_]{0,3}(?:(?:next|new|another)[ \t]{1,4})?(?:question|problem|exercise|task|q|user|human)"
    r"(?:[ \t]{0,4}(?P<number>\d{1,4}))?[*_]{0,3}[ \t]{0,4}[:：.)]"
    r"|#{1,6}[ \t]{0,4}(?:(?:next|new|another)[ \t]{1,4})?(?:question|problem|exercise|task|instruction|user|human)\b"
    r"(?:[ \t]{0,4}(?P<heading>\d{1,4}))?)",
    re.IGNORECASE | re.MULTILINE,
)
_MOST = 200_000
"""Characters that are searched; of a longer text the end."""
_BLANKS = re.compile(r"\s*")


def said(text: str) -> str | None:
    """What a model says: its text behind the reasoning, up to a next turn; None where the reasoning never ends."""
    end, is_open = 0, False
    for mark in _REASONING.finditer(text):
        end, is_open = mark.end(), mark["open"] is not None
    if is_open:
        return None
    text = text[max(end, len(text) - _MOST) :]
    begin = end_of_blanks(text, 0)
    ends = (mark.start() for mark in _END_OF_TURN.finditer(text) if mark.start() > begin)
    return text[: next(ends, len(text))]


def last_line(text: str) -> str | None:
    """The last line of what a model says; None where it says nothing."""
    return (said(text) or "").strip().rsplit("\n", 1)[-1] or None


def before_next_question(text: str, begin: int) -> str:
    """A text up to the first question that begins behind `begin`.

    A numbered one is none where numbered ones stand before `begin` too: a model may answer by a series of questions.
    """
    question = _NEXT_QUESTION.search(text, begin)
    if not question or (_number(question) and any(map(_number, _NEXT_QUESTION.finditer(text, 0, begin)))):
        return text
    return text[: question.start()]


def end_of_blanks(text: str, begin: int) -> int:
    """Where the first character stands at or behind `begin` that is no blank."""
    blanks = _BLANKS.match(text, begin)
    return blanks.end() if blanks else begin


def _number(question: re.Match[str]) -> str | None:
    return question["number"] or question["heading"]
