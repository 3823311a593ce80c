"""The one number that a text states, as an exact fraction; and the numbers that stand in a text.

A number alone is a number with a unit, a remark in brackets, or words around it. `2x`, `at least 42`, `5 or 6` and
`B3` are not, and a text that leaves open which of several numbers it means states none. Nothing is evaluated but a
fraction, a power of whole numbers and a factor that is a power of ten, all within bounds.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from orca2.recipe.graders.spelling import plain

_LONGEST = 1_000
"""Characters of a text that states a number."""
_LARGEST_POWER = 400
_MOST_DIGITS = 400
_IN_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_WORDS = {word: value for value, word in enumerate(_IN_WORDS.split(" "))}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12}

_WHOLE = r"(?:\d{1,3}(?:(?:,\d{3})+|(?:'\d{3})+|(?:_\d{3})+|(?:[ \u2009]\d{3})+)(?![\d]|[,'_ \u2009]\d)|\d+)"
_DECIMAL = rf"(?:{_WHOLE}(?:\.\d+)?|\.\d+)"
_EXPONENT = r"(?:e[-+]?\d{1,3}(?![\d]))?"
_NUMBER = re.compile(
    rf"""(?P<sign>[-+]\s*[$€£¥₹]?\s*)?
    (?:(?P<mixed>\d+)[ \u2009]+(?P<over>\d+)\s*/\s*(?P<under>\d+)
    |(?P<base>{_DECIMAL}{_EXPONENT})
        (?:\s*/\s*(?P<divisor>\d+)|\s*\^\s*(?P<power>[-+]?\d+)|\s*(?:\*|x)\s*10\s*\^\s*(?P<ten>[-+]?\d+))?)""",
    re.IGNORECASE | re.VERBOSE,
)
_UNITS = (
    r"(?:[kcmµμnd]?m|k?g|mg|µg|lbs?|oz|k?w|kwh|[kmgt]?b|ml|l|dl|cl|s|h|hrs?|mins?|secs?|ft|in|yd|mi|km/h|mph|k?hz|c|f|k|v|a|am|pm"
    r"|usd|eur|cents?|ct|st|nd|rd|th)(?![a-z])(?:\s*\^\s*[-+]?\d+)?(?:\s*/\s*[a-z]+(?:\^\d+)?)?"
)
_AFTER = re.compile(
    rf"\s*(?:$|[%$€£¥₹,;:!?\"'’)\]}}&=≈\u201c-\u27ff\U0001f000-\U0001faff]|\.(?!\d)|-(?=[a-z])|degrees|{_UNITS}|[a-z]{{3,}}|\u2009*(?=\s[a-z])"
    r"|(?<=\s)(?:a|an|as|at|by|if|in|is|it|of|on|so|to|we)\b)",
    re.IGNORECASE,
)
_AFTER_UNIT = re.compile(rf"\s*{_UNITS}", re.IGNORECASE)
_GLUE = re.compile(r"[a-z_^]$|[a-z]\^[-+]?$", re.IGNORECASE)
_LETTER_AFTER = re.compile(r"\s+[a-z](?![a-z'’.])", re.IGNORECASE)
_NO_NUMBER_AFTER = re.compile(
    r"\s*(?:\+(?!\d)|(?:or|and)\s+(?:more|less|fewer|higher|lower|greater|above|below|up|over|under|so\s+many)\b"
    r"|(?:\w+\s+){0,1}and\s+(?:a|an|one|two|three)\s+(?:half|third|quarter|fifth)s?\b|pi\b|sqrt\b|dozens?\b|k\b|bn\b|(?-i:M)\b|(?:tenth|hundredth)s?\b|at\s+(?:least|most)\b)",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"\b(?:not|never|neither|cannot|isn't|aren't|wasn't|doesn't|don't|no)\b|n't\b|[<>≤≥≠±√π∞∑∫∏]|\\(?:pm|le|ge|lt|gt|ne)q?\b",
    re.IGNORECASE,
)
_BOUNDS = re.compile(
    r"\b(?:least|most|than|over|under|above|below|beyond|between|up\s+to|almost|nearly|except|maximum|minimum|max|min)"
    r"(?:\s+of)?[\s$€£¥₹]*$",
    re.IGNORECASE,
)
_CURRENCY = re.compile(r"(?<![\w.])[$€£¥₹]\s*(?=[-+]?[\d.])|(?<=[\d])\s*[$€£¥₹]")
_EQUALS = re.compile(r"[=-]>|[≈→⇒]")
_SPELT_MINUS = re.compile(r"\b(?:minus|negative)\s+(?=[$€£¥₹.\d]|[a-z])", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_REMARK = re.compile(r"(?<=[^\s,;])[,;]?\s(?:because|since)\b.*", re.IGNORECASE | re.DOTALL)
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_RATIO = re.compile(r"\d{1,9}(?::\d{1,9}){1,3}")
_WORD = re.compile(
    r"(?:(?:about|around|approximately|exactly|only|just|there (?:are|is|were|was)|it is|it's|a total of)\s+)?"
    r"(?P<sign>-\s*)?(?P<word>[a-z]+)(?:\s+(?P<scale>hundred|thousand|million|billion|trillion)\b)?(?P<rest>(?![-\w]).*)",
    re.IGNORECASE | re.DOTALL,
)
_NO_WORD_AFTER = re.compile(
    rf"\b(?:{'|'.join((*_WORDS, *_SCALES))}|or|to|of|dozens?|hal(?:f|ves)|(?:quarter|third|fif|tenth|hundredth)\w*)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"[,;:]\s|\.\s|\b(?:so|thus|hence|therefore|then|total|altogether|and|is|are|was|were|means|gives|makes|leaves)\b",
    re.IGNORECASE,
)
"""What may stand between the result of a sum and another one, as in `2 + 3 = 5, which makes 12`."""
_TERM = re.compile(r"(?:\d|(?<![a-z])[a-z])\s+$", re.IGNORECASE)
_SCALE = re.compile(r"\s*(hundred|thousand|million|billion|trillion)s?\b", re.IGNORECASE)


def number_in(text: str) -> Fraction | None:
    """The one value that a text states; None where it states none, or more than one."""
    return _number_in(text) if len(text) <= _LONGEST else None


def ratio_in(text: str) -> tuple[int, ...] | None:
    """The parts of a time of day or a ratio, as in `12:30`; None of any other text."""
    bare = text.strip().rstrip(".")
    return tuple(map(int, bare.split(":"))) if _RATIO.fullmatch(bare) else None


def stated_number(text: str) -> str | None:
    """The number that a text states, as it is written there; None where it states none or more than one."""
    value = number_in(text)
    if value is None:
        return None
    same = [number for number in _numbers(plain(text)) if number_in(number) == value]
    return same[-1].strip() if same else text.strip()


def last_number(text: str) -> str | None:
    """The number that the last line states, else the last result or number in the text, as it is written there."""
    tail = text.rstrip()[-_LONGEST:]
    line = tail.rsplit("\n", 1)[-1]
    if stated := stated_number(line):
        return stated
    behind = plain(line).rpartition("=")[2]
    results = list(_numbers(behind)) if "=" in line and not _GOES_ON.search(behind) else []
    numbers = results[:1] or list(_numbers(plain(tail)))[-1:]
    return numbers[0].strip() if numbers else None


@lru_cache(maxsize=4096)
def _number_in(text: str) -> Fraction | None:
    spelt = _SPELT_MINUS.sub("-", _CURRENCY.sub("", _EQUALS.sub("=", plain(text)).replace("~", "").strip()))
    spelt = _REMARK.sub("", spelt, count=1)
    sides = spelt.rsplit("=", 1)
    for side in (sides[-1], spelt.split("=", 1)[0]):
        value = _alone(side.strip())
        if value is not None or len(sides) == 1:
            return value
    return None


def _alone(text: str) -> Fraction | None:
    """The value of a text without `=`."""
    outside = _BRACKETS.sub(" ", text)
    has_digits = any(sign.isdigit() for sign in outside)
    if _COMMAND.search(text) or _DENIES.search(outside if has_digits else text):
        return None
    if has_digits:
        values = set(_stated(outside))
    elif (worded := _worded(outside.strip())) is not None:
        values = {worded}
    else:
        inside = text.replace("(", " ").replace(")", " ").replace("[", " ").replace("]", " ")
        values = set(_stated(inside))
    return values.pop() if len(values) == 1 else None


def _stated(text: str) -> Iterator[Fraction | None]:
    """The value of each number of a text; None of one that does not stand alone."""
    end = 0
    while found := _NUMBER.search(text, end):
        end = found.end()
        if _is_glued(text, found.start() + len(found["sign"] or "")):
            continue
        sign = _sign(found, text[: found.start()])
        scale = _SCALE.match(text, end)
        end = scale.end() if scale else end
        if sign is None or _BOUNDS.search(text[max(0, found.start() - 40) : found.start()]) or not _ends(text, end):
            yield None
            continue
        value = _value(found, sign)
        yield value * _SCALES[scale[1].lower()] if scale and value is not None else value


def _sign(found: re.Match[str], before: str) -> str | None:
    """The sign of a number behind other text; None where it is none: in a name, a range or a difference."""
    sign = found["sign"] or ""
    if not sign or not before.rstrip()[-1:].isalnum():
        return sign
    if "+" in sign or not before[-1:].isspace() or _TERM.search(before):
        return None
    # `about -3` is below zero, and `Total - 3` is not.
    return "" if sign[-1:].isspace() else sign


def _ends(text: str, end: int) -> bool:
    """Whether a number that ends here stands alone: with nothing, a unit or words behind it."""
    if _NO_NUMBER_AFTER.match(text, end) or not _AFTER.match(text, end):
        return False
    return not _LETTER_AFTER.match(text, end) or _AFTER_UNIT.match(text, end) is not None


def _is_glued(text: str, begin: int) -> bool:
    """Whether the number that begins here is the end of a name such as `B3`, or of a unit such as `cm^2`."""
    return _GLUE.search(text[max(0, begin - 2) : begin]) is not None


def _worded(text: str) -> Fraction | None:
    """The value of a text that begins with a number in words."""
    found = _WORD.match(text)
    if not found or found["word"].lower() not in _WORDS or _NO_WORD_AFTER.search(found["rest"]):
        return None
    value = Fraction(_WORDS[found["word"].lower()]) * _SCALES.get((found["scale"] or "").lower(), 1)
    return -value if found["sign"] else value


def _numbers(text: str) -> Iterator[str]:
    """Every number of a text, as it is written."""
    end = 0
    while found := _NUMBER.search(text, end):
        end = found.end()
        begin = found.start() + len(found["sign"] or "")
        if _is_glued(text, begin):
            continue
        is_dash = found["sign"] and (text[: found.start()].rstrip()[-1:].isalnum() or found["sign"][-1:].isspace())
        yield text[begin:end] if is_dash else found[0]


def _value(found: re.Match[str], sign: str) -> Fraction | None:
    parts = {name: text for name, text in found.groupdict().items() if text}
    if sum(map(len, parts.values())) > _MOST_DIGITS or any(
        abs(int(parts[name])) > _LARGEST_POWER for name in ("power", "ten") if name in parts
    ):
        return None
    try:
        value = _magnitude(parts)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return -value if "-" in sign else value


def _magnitude(parts: dict[str, str]) -> Fraction:
    if "mixed" in parts:
        return int(parts["mixed"]) + Fraction(int(parts["over"]), int(parts["under"]))
    base = Fraction(re.sub(r"[,'_ \u2009]", "", parts["base"]))
    if "power" in parts:
        return Fraction(base ** int(parts["power"]))
    if "ten" in parts:
        return base * Fraction(10) ** int(parts["ten"])
    return base / int(parts.get("divisor", "1"))
