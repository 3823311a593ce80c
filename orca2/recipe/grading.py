"""Every answer with its verdict, by strict and by lenient extraction, or by a model that judges (`graders/judged`)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example, Generation, Graded, Request, Sampling
from orca2.recipe.graders import grader_of, judged
from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.verdict import Verdict, judge
from orca2.recipe.requests import build_request
from orca2.recipe.templates import Templates

JUDGES = Sampling(max_tokens=512)
"""How a judge is asked: what it thinks first is short."""
Verdicts = Mapping[tuple[str, int, str], bool]
"""By question, sample and strategy, whether a model accepts the answer."""


class Opinion(NamedTuple):
    """What a judge is asked about one answer, with the verdicts in one order."""

    about: tuple[str, int, str]
    order: tuple[str, str]
    request: Request


def grade(
    examples: Iterable[Example], generations: Iterable[Generation], verdicts: Verdicts | None = None
) -> list[Graded]:
    """Every generation with its verdict; generations of unknown questions are a bug and raise.

    Args:
        examples: the questions.
        generations: answers to them.
        verdicts: of the model that judges; an answer without one is wrong.
    """
    known = {example.row_id: example for example in examples}
    graders = {name: grader_of(name, f"grader {name}") for name in {example.grader for example in known.values()}}
    return [_grade_one(graders[(of := known[row.row_id]).grader], of, row, verdicts or {}) for row in generations]


def check_grader(name: str, where: str) -> None:
    """Raise for a grader that does not exist, or that cannot be imported."""
    grader_of(name, where)


def check_judges(graders: Mapping[str, str], templates: Templates, judge: str, where: str) -> None:
    """Raise for every source that a model judges and that lacks the template, and where there is no model.

    Args:
        graders: of each source.
        templates: of the project.
        judge: reference of the model; empty where there is none.
        where: what holds the sources.
    """
    known = ", ".join(file.removeprefix("judge/").removesuffix(".j2") for file in templates.files if "judge/" in file)
    asked = {name: grader for name, grader in graders.items() if judged.is_judged(grader)}
    errors = [
        Orca2Error(f"no template templates/{judged.template_of(grader)}", f"{where}.{name}.grader", f"known: {known}")
        for name, grader in asked.items()
        if judged.template_of(grader) not in templates.files
    ]
    if asked and not judge:
        errors.append(no_judge())
    raise_all(errors)


def no_judge() -> Orca2Error:
    """What is said where a model should judge and none is named."""
    return Orca2Error("no model judges", "params.yaml: models.judge", "name one as `teacher` is named")


def opinions(
    examples: Iterable[Example], generations: Iterable[Generation], templates: Templates, model: str, role: str = ""
) -> Iterator[Opinion]:
    """What a judge is asked about the answers to questions that a model judges: each twice, in both orders.

    An answer that is cut or empty is not asked about: it is wrong.

    Args:
        examples: the questions.
        generations: answers to them.
        templates: of the project.
        model: digest of the one that judges.
        role: of the one that answered, where several did under one strategy.
    """
    known = {example.row_id: example for example in examples if judged.is_judged(example.grader)}
    for row in generations:
        of, answer = known.get(row.row_id), judged.answer_in(row.text)
        if of and answer and row.finish_reason != "length":
            for order in judged.ORDERS:
                shown = replace(of, question=judged.case(of.question, of.answer, answer, order))
                conversation = templates.render(judged.template_of(of.grader), shown)
                request = build_request(
                    row_id=row.row_id,
                    sample_index=row.sample_index,
                    task=row.task,
                    strategy=f"{role} {row.strategy}, {order[0]} first".strip(),
                    template=conversation.template,
                    model=model,
                    messages=conversation.messages,
                    sampling=JUDGES,
                    seed=0,
                )
                yield Opinion((row.row_id, row.sample_index, row.strategy), order, request)


def verdicts_of(asked: Iterable[Opinion], replies: Mapping[str, str]) -> dict[tuple[str, int, str], bool]:
    """Whether each answer is accepted in both orders; a reply, by its key, that never came accepts nothing."""
    found: dict[tuple[str, int, str], bool] = {}
    for about, order, request in asked:
        found[about] = judged.accepts(replies.get(request.key, ""), order) and found.get(about, True)
    return found


def _grade_one(grader: Grader, example: Example, generation: Generation, verdicts: Verdicts) -> Graded:
    if judged.is_judged(example.grader):
        right = verdicts.get((generation.row_id, generation.sample_index, generation.strategy), False)
        answer = judged.answer_in(generation.text)
        verdict = Verdict(answer, answer, right, right)
    else:
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
