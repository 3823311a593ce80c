"""Pull an answer out of free text and compare it with the known one.

Two extractions, reported side by side, so that learning a format is not mistaken for learning to reason: *strict* takes
what stands after the last `Answer:` line; *lenient* also accepts the usual other ways of stating a result.
"""

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation

from orca2.errors import Orca2Error
from orca2.rows import Example, Generation, Graded

_ANSWER_LINE = re.compile(r"^\s*\**answer\**\s*:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_STATED = re.compile(r"\banswer(?:\s+\w+){0,3}?\s+(?:is|was|equals|=|:)\s*:?\s*([^\n]+?)(?:\.\s|\.?$)", re.I | re.M)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")


def strict_answer(text: str) -> str | None:
    """What follows the last `Answer:` line, or None: the format was not kept."""
    found = _ANSWER_LINE.findall(text)
    return _bare(found[-1]) if found else None


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


def exact(expected: str, given: str, metadata: str) -> bool:
    """Equal after trimming, case folding and dropping a final full stop."""
    return _normal(expected) == _normal(given)


def numeric(expected: str, given: str, metadata: str) -> bool:
    """Equal as numbers: `1,000`, `1000.0` and `$1000` agree; a text without a number never does."""
    left, right = _as_number(expected), _as_number(given)
    return left is not None and left == right


def choice(expected: str, given: str, metadata: str) -> bool:
    """Equal as options: `(B)`, `B.` and `b) 4 apples` agree, as do `Yes` and `yes, because`."""
    return _option(expected) == _option(given)


def reasoning_gym(expected: str, given: str, metadata: str) -> bool:
    """The verdict of the reasoning-gym dataset that made the question: full score only."""
    import reasoning_gym

    entry = json.loads(metadata)
    dataset = reasoning_gym.create_dataset(entry["source_dataset"], size=1, seed=0)
    return dataset.score_answer(given, {"answer": expected, "metadata": entry}) >= 1.0


GRADERS: dict[str, Callable[[str, str, str], bool]] = {
    "exact": exact,
    "numeric": numeric,
    "choice": choice,
    "reasoning_gym": reasoning_gym,
}


def _grade_one(example: Example, generation: Generation) -> Graded:
    grader = GRADERS[example.grader]
    strict = strict_answer(generation.text)
    lenient = lenient_answer(generation.text, example.grader)
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
        strict_correct=strict is not None and grader(example.answer, strict, example.metadata),
        lenient_correct=lenient is not None and grader(example.answer, lenient, example.metadata),
    )


def _bare(text: str) -> str:
    return text.strip().strip("*`").strip()


def _normal(text: str) -> str:
    return " ".join(_bare(text).casefold().rstrip(".").split())


def _most_telling(text: str, grader: str) -> str | None:
    """The part of a statement that this grader can judge; the last one where several stand."""
    if grader == "numeric":
        numbers = _NUMBER.findall(text)
        return numbers[-1] if numbers else None
    if grader == "choice":
        options = re.findall(r"\(([A-Z])\)|\b(yes|no|true|false)\b|\b([A-Z])\b(?=[.)]|$)", text, re.I)
        return next(part for part in options[-1] if part) if options else None
    words = _bare(text.strip().rsplit("\n", 1)[-1]).rstrip(".").split()
    if not words:
        return None
    return " ".join(words) if len(words) <= 5 else words[-1].strip("\"'*`")


def _as_number(text: str) -> Decimal | None:
    found = _NUMBER.search(text)
    if not found:
        return None
    numerator, _, denominator = found.group().replace(",", "").partition("/")
    try:
        return Decimal(numerator) / Decimal(denominator or 1)
    except (InvalidOperation, ZeroDivisionError):
        return None


def _option(text: str) -> str:
    found = re.match(r"\W*([a-z]+|\d+)", _normal(text))
    return found.group(1) if found else _normal(text)
