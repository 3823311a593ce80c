r"""Peel what an answer is dressed in: fences, bold, `$`, `\boxed`, `\text`, and words such as "the answer is".

Every step takes time in proportion to the text, and as many are taken as an answer has layers, up to a bound.
"""

import re
from collections.abc import Iterator

_LAYERS = 12
_LONGEST = 20_000
"""Characters; a longer answer is taken as it is."""
_FENCE = re.compile(r"(?:```|~~~)[^\n`]*\n(.*?)\n?[ \t]*(?:```|~~~)[ \t]*(?:\n|$)", re.DOTALL)
_FENCE_LINE = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*$", re.MULTILINE)
_TAG_BEGIN, _TAG_END = (re.compile(tag, re.IGNORECASE) for tag in ("<answer>", "</answer>"))
_TAG = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*(?=\{)")
_COMMAND = re.compile(
    r"\\(?:boxed|fbox|framebox|text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|mbox|operatorname"
    r"|displaystyle|bf|rm|emph|underline)\b\s*"
)
_MATHS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_PAIRS = (
    ("***", "***"),
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ("_", "_"),
    ("``", "``"),
    ("`", "`"),
    ("<b>", "</b>"),
    ("<strong>", "</strong>"),
)
_LEAD = re.compile(
    r"""
    (?:(?:and\s+)?(?:so|thus|hence|therefore|finally|then|i\ think|i\ believe|i\ would\ say|in\ conclusion)\b,?\s+
        (?:that\s+)?)?
    (?:(?:the|my|our)\s+)?(?:(?:final|correct|right|best|only|most\ likely|closest)\s+){0,2}
    (?:answer|option|choice|result|solution)(?:\s+(?:here|would\ be|should\ be|must\ be|is|was))?
    (?:\s*[:=]|(?<=is)|(?<=was)|(?<=be)|(?<=option)|(?<=choice))\s+
    (?:(?:therefore|thus|clearly|simply|indeed|then)\s+)?(?:(?:option|choice|letter)\s+)?(?=\S)""",
    re.IGNORECASE | re.VERBOSE,
)
_BRACE = re.compile(r"\\?[{}]")
_DOTS = " \t.,;:!"


def peel(text: str) -> str:
    """An answer without its wrappers; what wears none comes back as it is, but for blanks at its ends."""
    if text.isalnum():
        # Most known answers: a label, a number, a word.
        return text
    for _ in range(_LAYERS if len(text) <= _LONGEST else 0):
        peeled = _peel_once(text)
        if peeled == text:
            break
        text = peeled
    return text.strip()


def boxes(text: str) -> list[str]:
    r"""What stands in each `\boxed{}` of a text, braces balanced; one that is never closed is none."""
    found, end = [], 0
    while box := _BOX.search(text, end):
        content = _braced(text, box.end())
        if content is None:
            break  # Whatever is opened behind it is inside it, and not closed either.
        found.append(content)
        end = box.end() + len(content) + 2
    return found


def fences(text: str) -> list[str]:
    """What stands in each code fence of a text."""
    marks = [*_FENCE_LINE.finditer(text)]
    pairs = zip(marks[::2], marks[1::2], strict=False)
    return [text[opening.end() + 1 : closing.start()].rstrip("\n") for opening, closing in pairs]


def tagged(text: str) -> list[str]:
    """What stands in each `<answer>` of a text."""
    ends = [tag.end() for tag in _TAG_END.finditer(text)]
    # Behind the last end no tag is closed, and each that is not costs a search of the rest.
    return _TAG.findall(text, 0, ends[-1]) if ends else []


def first_wrapped(text: str) -> int:
    """Where the first box or `<answer>` of a text opens; its length where none does."""
    return min(
        (found.start() for search in (_BOX.search, _TAG_BEGIN.search) if (found := search(text))), default=len(text)
    )


def _peel_once(text: str) -> str:
    bare = text.strip()
    if bare.isalnum():
        return bare  # one word or number, and no mark around it
    if not bare.strip("*`"):
        return ""
    for content in _wrapped(bare):
        if content.strip():
            return content.strip()
    return bare


def _wrapped(text: str) -> Iterator[str]:
    """The text without its outermost wrapper, for every wrapper that it may wear."""
    whole = _FENCE.fullmatch(text) or _TAG.fullmatch(text)
    if whole:
        yield whole[1]
    yield from _in_command(text)
    if len(found := {box.strip() for box in boxes(text)}) == 1:
        yield found.pop()
    bare = text.rstrip(_DOTS)
    for opening, closing in _MATHS:
        if _encloses(bare, opening, closing):
            yield bare[len(opening) : -len(closing)]
    for opening, closing in _PAIRS:
        if _encloses(bare, opening, closing):
            yield bare[len(opening) : -len(closing)]
    # A mark that is not closed on this line: it was opened before the answer, or closes behind it.
    if bare[:1] in ("*", "`") or bare[-1:] in ("*", "`"):
        yield bare.strip("*`")
    if lead := _LEAD.match(text):
        yield text[lead.end() :]


def _in_command(text: str) -> Iterator[str]:
    command = _COMMAND.match(text)
    if not command:
        return
    content = _braced(text, command.end())
    if content is not None and not text[command.end() + len(content) + 2 :].strip(_DOTS + "$"):
        yield content
    elif not text.startswith("{", command.end()) and "displaystyle" in command[0]:
        yield text[command.end() :]


def _encloses(text: str, opening: str, closing: str) -> bool:
    if not (text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing)):
        return False
    inner = text[len(opening) : -len(closing)]
    plain = inner.replace("\\$", "")
    return opening not in plain and closing not in plain and not inner.endswith("\\")


def _braced(text: str, begin: int) -> str | None:
    """What stands in the braces that open at `begin`, to the one that closes them; None where none does."""
    if not text.startswith("{", begin):
        return None
    depth = 0
    for brace in _BRACE.finditer(text, begin):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[begin + 1 : brace.start()]
    return None
