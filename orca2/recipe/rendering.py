"""The requests of each stage that asks a model, rendered and keyed: the one place where questions become requests.

`probe`, `render_prompts` and `evaluate` ask what these functions return, and `orca2 plan` counts it from the same
`Asks`, so that a plan and the run after it cannot disagree.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orca2.core.rows import Example, Request, Sampling, Split
from orca2.recipe.prompts import Templates
from orca2.recipe.requests import GenerateConfig, build_request
from orca2.recipe.strategies import ProbeConfig


class Form(NamedTuple):
    """One way in which a question is asked."""

    strategy: str
    """Or the role of the model that is examined."""
    template: str
    model: str
    """Digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """What a stage asks about every question of one split."""

    split: Split
    forms: Callable[[str, str], Sequence[Form]]
    """By task and category of the question."""
    sampling: Sampling
    samples: int = 1
    seed: int = 0
    """Of the pipeline."""

    def requests(self, examples: Iterable[Example], templates: Templates) -> list[Request]:
        """All of it, question by question."""
        return [
            build_request(
                row_id=example.row_id,
                sample_index=sample_index,
                task=example.task,
                strategy=form.strategy,
                template=conversation.template,
                model=form.model,
                messages=conversation.messages,
                sampling=self.sampling,
                seed=self.seed,
            )
            for example in examples
            if example.split == self.split
            for form in self.forms(example.task, example.category)
            for conversation in [templates.render(form.template, example)]
            for sample_index in range(self.samples)
        ]


def probing(templates: Templates, config: ProbeConfig, teacher: str, seed: int) -> Asks:
    """Every candidate strategy on every probe question; `teacher` is the model's digest."""

    def forms(task: str, category: str) -> list[Form]:
        return [Form(name, templates.for_strategy(name, task, category), teacher) for name in config.strategies]

    return Asks(split="probe", forms=forms, sampling=config.sampling, seed=seed)


def teaching(templates: Templates, chosen: Mapping[str, str], config: GenerateConfig, teacher: str, seed: int) -> Asks:
    """Every training question under the strategy chosen for its task, `config.samples` times."""

    def forms(task: str, category: str) -> list[Form]:
        return [Form(chosen[task], templates.for_strategy(chosen[task], task, category), teacher)]

    return Asks(split="train", forms=forms, sampling=config.sampling, samples=config.samples, seed=seed)


def examining(
    templates: Templates,
    chosen: Mapping[str, str],
    student_template: str,
    models: Mapping[str, str],
    sampling: Sampling,
) -> Asks:
    """Every held-out question to each of `models`, a digest by role; the role stands in place of the strategy.

    Roles but `teacher` are asked zero-shot under the student's generic instruction (Orca 2, section 5).
    """

    def template(role: str, task: str, category: str) -> str:
        if role == "teacher":
            return templates.for_strategy(chosen[task], task, category)
        return f"student/{student_template}.j2"

    def forms(task: str, category: str) -> list[Form]:
        return [Form(role, template(role, task, category), model) for role, model in models.items()]

    return Asks(split="evaluation", forms=forms, sampling=sampling)


def probe_requests(
    examples: Iterable[Example], templates: Templates, config: ProbeConfig, teacher: str, seed: int
) -> list[Request]:
    """The requests of `probing`."""
    return probing(templates, config, teacher, seed).requests(examples, templates)


def teaching_requests(
    examples: Iterable[Example],
    templates: Templates,
    chosen: Mapping[str, str],
    config: GenerateConfig,
    teacher: str,
    seed: int,
) -> list[Request]:
    """The requests of `teaching`."""
    return teaching(templates, chosen, config, teacher, seed).requests(examples, templates)


def evaluation_requests(
    examples: Iterable[Example],
    templates: Templates,
    chosen: Mapping[str, str],
    student_template: str,
    models: Mapping[str, str],
    sampling: Sampling,
) -> list[Request]:
    """The requests of `examining`, role by role."""
    asked = examining(templates, chosen, student_template, models, sampling).requests(examples, templates)
    return [request for role in models for request in asked if request.strategy == role]
