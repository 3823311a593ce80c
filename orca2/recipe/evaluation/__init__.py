"""Who is examined on the held-out questions, and under which line (Orca 2, section 5): zero-shot and greedy.

`base`, `student` and `teacher` always are; models that params.yaml names in `models.compared` are too, each as its own
role. Every role but the teacher is asked under a student template: the first of `evaluate.student_templates`. Under
each further one the student is asked again, as a role of its own, `student_<template>`: so the paper reports its
students with an empty system message and with the cautious one. The teacher is asked under the technique of the task.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from orca2.core.errors import Orca2Error, require
from orca2.core.rows import Example, Sampling

Line = Callable[[str, str], str]
"""From task and category to the name of a student template."""
_FIRST_STUDENT = "student"
_RECIPE = ("base", _FIRST_STUDENT, "teacher")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """How the models are examined."""

    sampling: Sampling
    teacher_strategy: str = "direct_answer"
    """What the teacher is asked under on tasks without a probe, such as a benchmark's, that `strategies.yaml` lacks."""
    student_templates: tuple[str, ...] = ()
    """What the student is asked under, names of files in `templates/student/`, and every other model but the teacher
    under the first of them. Empty: that of `erase` alone."""

    def __post_init__(self) -> None:
        each_once = len(set(self.student_templates)) == len(self.student_templates)
        require(
            {
                "sampling.temperature must be 0: an evaluation is greedy": not self.sampling.temperature,
                "student_templates: name each once": each_once,
            }
        )


class Role(TypedDict):
    """Which model a role is, and how it is asked; for the reader of a result."""

    model: str
    """Reference."""
    template: str
    """Student template that was chosen for the evaluation; empty: that of `erase`, and of a teacher the technique."""


def student_lines(config: EvaluateConfig, taught: Line, compared: Iterable[str]) -> dict[str, Line]:
    """The student template of every role that is asked under one, which is all but the teacher.

    Args:
        config: names the templates, if it names any.
        taught: what else held-out questions are asked under.
        compared: names of further models.
    """
    first, *more = config.student_templates or ("",)
    line = _always(first) if first else taught
    further = {f"{_FIRST_STUDENT}_{template}": _always(template) for template in more}
    return {"base": line, _FIRST_STUDENT: line} | further | dict.fromkeys(compared, line)


def roles(references: Mapping[str, str], config: EvaluateConfig) -> dict[str, dict[str, Role]]:
    """Which model each role is and how it was asked, as `roles`; nothing where there are only those of the recipe.

    Args:
        references: of the model of every role.
        config: says whether a template was chosen for the evaluation.
    """
    if not config.student_templates and len(references) == len(_RECIPE):
        return {}
    first = next(iter(config.student_templates), "")
    told = {"teacher": ""} | {f"{_FIRST_STUDENT}_{template}": template for template in config.student_templates[1:]}
    return {"roles": {role: {"model": model, "template": told.get(role, first)} for role, model in references.items()}}


def _always(template: str) -> Line:
    return lambda task, category: template  # noqa: ARG005


def is_student(role: str) -> bool:
    """Whether the student stands behind a role, under whatever line."""
    return role == _FIRST_STUDENT or role.startswith(f"{_FIRST_STUDENT}_")


def require_questions(examples: Iterable[Example]) -> None:
    """Raise when no question is held out."""
    if not any(example.split == "evaluation" for example in examples):
        raise nothing_to_examine()


def nothing_to_examine() -> Orca2Error:
    """There is no question to examine anybody on."""
    hint = "raise tasks.splits.evaluation_fraction or the size of a source, or give one `split: evaluation`"
    return Orca2Error("nothing to examine: no question is held out", "data/examples", hint)
