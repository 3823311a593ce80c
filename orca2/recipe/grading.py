"""Every answer with its verdict, by strict and by lenient extraction."""

from collections.abc import Iterable

from orca2.core.errors import Orca2Error
from orca2.core.rows import Example, Generation, Graded
from orca2.recipe.extraction import lenient_answer, strict_answer
from orca2.recipe.graders import grader_of
from orca2.recipe.graders.base import Grader


def grade(examples: Iterable[Example], generations: Iterable[Generation]) -> list[Graded]:
    """Every generation with its verdict; generations of unknown questions are a bug and raise."""
    known = {example.row_id: example for example in examples}
    graders = {name: grader_of(name, f"grader {name}") for name in {example.grader for example in known.values()}}
    return [_grade_one(graders[(of := known[row.row_id]).grader], of, row) for row in generations]


def check_grader(name: str, where: str) -> None:
    """Raise for a grader that does not exist, or that cannot be imported."""
    grader_of(name, where)


def _grade_one(grader: Grader, example: Example, generation: Generation) -> Graded:
    strict = strict_answer(generation.text)
    strict_correct = strict is not None and _is_right(grader, example, strict)
    # What is right by the strict extraction is right by the lenient one.
    lenient = strict if strict_correct else lenient_answer(generation.text, grader.find)
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
        lenient_correct=lenient is not None and _is_right(grader, example, lenient),
    )


def _is_right(grader: Grader, example: Example, given: str) -> bool:
    verdict: object = grader.judge(example.answer, given, example.metadata)
    if not isinstance(verdict, bool):
        message = f"gave {verdict!r} for row {example.row_id[:12]}, which is neither True nor False"
        raise Orca2Error(message, f"grader {example.grader}", "let it return a bool; `None` is a forgotten `return`")
    return verdict
