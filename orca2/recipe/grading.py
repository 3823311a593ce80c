"""Every answer with its verdict, by strict and by lenient extraction."""

from collections.abc import Iterable

from orca2.core.rows import Example, Generation, Graded
from orca2.recipe.graders import grader_of
from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.verdict import judge


def grade(examples: Iterable[Example], generations: Iterable[Generation]) -> list[Graded]:
    """Every generation with its verdict; generations of unknown questions are a bug and raise."""
    known = {example.row_id: example for example in examples}
    graders = {name: grader_of(name, f"grader {name}") for name in {example.grader for example in known.values()}}
    return [_grade_one(graders[(of := known[row.row_id]).grader], of, row) for row in generations]


def check_grader(name: str, where: str) -> None:
    """Raise for a grader that does not exist, or that cannot be imported."""
    grader_of(name, where)


def _grade_one(grader: Grader, example: Example, generation: Generation) -> Graded:
    verdict = judge(grader, example.grader, example.answer, generation.text, example.metadata)
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
        strict_answer=verdict.strict,
        lenient_answer=verdict.lenient,
        strict_correct=verdict.strict_correct,
        lenient_correct=verdict.lenient_correct,
    )
