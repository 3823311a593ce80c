"""Pull an answer out of free text and compare it with the known one.

Two extractions, reported side by side, so that learning a format is not mistaken for learning to reason: *strict* takes
what stands after the last `Answer:` line; *lenient* also accepts the usual other ways of stating a result.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from orca2.core.errors import Orca2Error
from orca2.core.rows import Example, Generation, Graded

_ANSWER_LINE = re.compile(r"^[ \t]*[*`]*answer[*`]*[ \t]*:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_STATED = re.compile(r"\banswer(?:\s+\w+){0,3}?\s+(?:is|was|equals|=|:)\s*:?\s*([^\n]+?)(?:\.\s|\.?$)", re.I | re.M)
_UNSIGNED = r"(?:(?:\d{1,3}(?:,\d{3})+(?!,?\d)|\d+)(?:\.\d+)?|\.\d+)(?:e[+-]?\d{1,3}(?!\d))?"
_NUMBER = re.compile(rf"(?:(?<![\w)])-)?{_UNSIGNED}(?:\s*/\s*\d+)?", re.IGNORECASE)
_SPELT_MINUS = re.compile(r"\b(?:minus|negative)\s+(?=[.\d])", re.IGNORECASE)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}")
_SIGNS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"} | dict.fromkeys("$€£¥"))
_OPTION = re.compile(r"\W*?((?:a(?!\s+[a-z])|[b-z])(?!\w)|-?\d+(?:[.,/:-]\d+)*|\w\w+)")
_MARKS = " *`\"'“”‘’"
_VERDICTS = {"yes", "no", "true", "false"}


def strict_answer(text: str) -> str | None:
    """What follows the last `Answer:` line, or None: the format was not kept."""
    found = _ANSWER_LINE.findall(text)
    return (_bare(found[-1]) or None) if found else None


def lenient_answer(text: str, grader: str) -> str | None:
    """The strict answer, else a boxed or stated one, else the last number, option or word the grader could mean."""
    for pattern in (_ANSWER_LINE, _BOXED, _STATED):
        if found := pattern.findall(text):
            return _most_telling(found[-1], grader)
    return _most_telling(text, grader)


def grade(examples: Iterable[Example], generations: Iterable[Generation]) -> list[Graded]:
    """Every generation with its verdict; generations of unknown questions are a bug and raise."""
    known = {example.row_id: example for example in examples}
    return [_grade_one(known[generation.row_id], generation) for generation in generations]


def check_grader(name: str, where: str) -> None:
    """Raise for a grader that does not exist."""
    if name not in GRADERS:
        raise Orca2Error(f"unknown grader {name!r}", where, f"known: {', '.join(sorted(GRADERS))}")


def exact(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every grader takes the three)
    """Equal after trimming, case folding, and dropping quotation marks and a final full stop."""
    return _normal(expected) == _normal(given) != ""


def numeric(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every grader takes the three)
    """Equal as numbers: `1,000`, `$1000`, `1e3 g` and `500 + 500 = 1000` agree.

    A text without a number never does, nor one that leaves open which of several numbers it means.
    """
    left, right = _as_number(expected), _as_number(given)
    return left is not None and left == right


def choice(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every grader takes the three)
    """Equal as options: `(B)`, `B.` and `b) 4 apples` agree, as do `Yes` and `yes, because`; `A or B` is neither."""
    wanted, normal = _option(expected), _normal(given)
    if len(wanted) > 1 and " " in _normal(expected):
        return _normal(expected) == normal
    return wanted == _option(given) and not _hedges(normal)


def reasoning_gym(expected: str, given: str, metadata: str) -> bool:
    """The verdict of the reasoning-gym dataset that made the question: full score only."""
    entry = json.loads(metadata)
    try:
        score = _judge(entry["source_dataset"])(given, {"answer": expected, "metadata": entry})
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return False  # Some of its judges trip over text that is not even shaped like an answer.
    return score >= 1.0


@cache
def _judge(name: str) -> Callable[[str, dict[str, Any]], float]:
    import reasoning_gym

    score: Callable[[str, dict[str, Any]], float] = reasoning_gym.create_dataset(name, size=1, seed=0).score_answer
    return score


GRADERS: dict[str, Callable[[str, str, str], bool]] = {
    "exact": exact,
    "numeric": numeric,
    "choice": choice,
    "reasoning_gym": reasoning_gym,
}


def _grade_one(example: Example, generation: Generation) -> Graded:
    grader = GRADERS[example.grader]
    strict = strict_answer(generation.text)
    strict_correct = strict is not None and grader(example.answer, strict, example.metadata)
    # What is right by the strict extraction is right by the lenient one.
    lenient = strict if strict_correct else lenient_answer(generation.text, example.grader)
    return Graded(
        row_id=generation.row_id,
        sample_index=generation.sample_index,
        task=generation.task,
        strategy=generation.strategy,
        key=generation.key,
        text=generation.text,
        finish_reason=generation.finish_reason,
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=generation.completion_tokens,
        expected=example.answer,
        strict_answer=strict,
        lenient_answer=lenient,
        strict_correct=strict_correct,
        lenient_correct=lenient is not None and grader(example.answer, lenient, example.metadata),
    )


def _bare(text: str) -> str:
    return text.strip().strip("*`").strip()


def _normal(text: str) -> str:
    composed = unicodedata.normalize("NFC", text).casefold()
    return " ".join(composed.split()).strip(_MARKS).removesuffix(".").strip(_MARKS)


def _most_telling(text: str, grader: str) -> str | None:
    """The part of a statement that this grader can judge; the last one where several stand."""
    if grader == "numeric":
        numbers = _numbers(text)
        return numbers[-1] if numbers else None
    if grader == "choice":
        options = re.findall(r"\(([A-Z])\)|\b(yes|no|true|false)\b|\b([A-Z])\b(?=[.)]|$)", text, re.I)
        return next(part for part in options[-1] if part) if options else None
    words = _bare(text.strip().rsplit("\n", 1)[-1]).rstrip(".").split()
    if not words:
        return None
    return " ".join(words) if len(words) <= 5 else words[-1].strip("\"'*`")


def _numbers(text: str) -> list[str]:
    plain = _SPELT_MINUS.sub("-", _LATEX_FRACTION.sub(r"\1/\2", text.translate(_SIGNS)))
    return _NUMBER.findall(plain)


def _as_number(text: str) -> Fraction | None:
    """The one value that a text states, after its last `=` if it has one."""
    values = {_value(number) for number in _numbers(text.rsplit("=", 1)[-1])}
    return values.pop() if len(values) == 1 else None


@lru_cache(maxsize=4096)
def _value(number: str) -> Fraction | None:
    numerator, _, denominator = number.replace(",", "").partition("/")
    try:
        return Fraction(numerator.strip()) / Fraction(denominator.strip() or 1)
    except (ValueError, ZeroDivisionError):
        return None


def _option(text: str) -> str:
    normal = _normal(text)
    found = _OPTION.match(normal)
    return found.group(1) if found else normal


def _hedges(normal: str) -> bool:
    """Whether a text only names several options, as in `A or B`."""
    named = set(re.findall(r"\w+", normal)) - {"or", "and"}
    return len(named) > 1 and all(name in _VERDICTS or (len(name) == 1 and name.isalpha()) for name in named)
