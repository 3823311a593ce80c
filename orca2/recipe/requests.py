"""Questions become requests, and a request has a key: the one identity of an answer (docs/identity.md).

`probe`, `render_prompts` and `evaluate` ask what these functions return, and `orca2 plan` counts it from the same
`Asks`, so that a plan and the run after it cannot disagree. The key covers the messages as rendered, so neither an
include nor a helper can be missed and a template comment costs no token. It does not cover `max_tokens`: an answer that
stopped by itself is the same under any limit it fits in, and the store keeps an answer cut by a limit apart by that
limit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

from orca2.core.errors import require
from orca2.core.hashing import derive_seed, digest
from orca2.core.rows import Example, Message, Request, Sampling, Split
from orca2.recipe.templates import Templates

KIND = "request"
"""Tag of a key. Another one (`request 2`) orphans every stored answer on purpose: when the same messages and parameters
come to mean something else to an engine."""
BESIDE_KEY = frozenset({"max_tokens"})
"""Sampling parameters that no key holds: the store compares them by rule."""
DRAWN_ONLY = frozenset({"top_p", "top_k"})
"""Those that shape a draw, so that a greedy answer does not depend on them. Any other is taken to change it."""
ALWAYS_WRITTEN = frozenset({"temperature", "top_p", "top_k", "stop"})
"""Those that a key holds also at their default: as many as there were when keys could not grow. Never another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """How the teacher is asked."""

    sampling: Sampling
    samples: int = 1
    """Answers to each question; more than one needs a temperature above 0."""

    def __post_init__(self) -> None:
        drawn = self.sampling.temperature > 0
        require(
            {
                "samples must be 1 or more": self.samples >= 1,
                "samples above 1 need sampling.temperature above 0: greedy answers are all the same": drawn
                or self.samples <= 1,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """How strategies are scored."""

    strategies: tuple[str, ...]
    """Candidates: names of files in `templates/strategies/`."""
    sampling: Sampling
    choose_per: Literal["task", "category"] = "task"
    """Whether each task has a strategy of its own, or all tasks of a category share one."""
    race: bool = False
    """Whether the worst strategy of each round is asked no more: a third of the answers, in one round fewer than there
    are strategies. Without, each is asked every question, at once."""
    judge: Literal["teacher", "student", "both"] = "teacher"
    """Whose answers decide; `student` is the student's base (Orca 2, section 3), asked the same."""

    def __post_init__(self) -> None:
        each_once = len(set(self.strategies)) == len(self.strategies)
        require({"strategies: name at least one, each once": bool(self.strategies) and each_once})

    @property
    def judges(self) -> tuple[str, ...]:
        """The roles of the models that are asked."""
        return ("teacher", "student") if self.judge == "both" else (self.judge,)


def key_parameters(sampling: Sampling) -> dict[str, object]:
    """The sampling parameters in a key: those that can change the answer, where they differ from their default.

    So a parameter that is new changes no key until somebody sets it.
    """
    unread = BESIDE_KEY | (DRAWN_ONLY if sampling.temperature == 0 else frozenset())
    given = {field.name: (getattr(sampling, field.name), field.default) for field in fields(sampling)}
    return {
        name: value
        for name, (value, default) in given.items()
        if name not in unread and (name in ALWAYS_WRITTEN or value != default)
    }


def request_key(model: str, messages: tuple[Message, ...], sampling: Sampling, seed: int, sample_index: int) -> str:
    """The key of one answer; every argument but `sampling.max_tokens` changes it.

    A greedy answer depends on no seed and no sample index, so these are left out of its key.
    """
    return digest(KIND, key_parts(model, messages, sampling, seed, sample_index))


def key_parts(
    model: str, messages: tuple[Message, ...], sampling: Sampling, seed: int, sample_index: int
) -> dict[str, object]:
    """What is digested as a key, as plain data."""
    greedy = sampling.temperature == 0
    return {
        "model": model,
        "messages": [[message.role, message.content] for message in messages],
        "sampling": key_parameters(sampling),
        "seed": None if greedy else seed,
        "sample_index": None if greedy else sample_index,
    }


def own_seed(seed: int, row_id: str, sample_index: int) -> int:
    """The seed of one request, derived from that of the pipeline."""
    return derive_seed(seed, "sampling", row_id, sample_index)


def build_request(
    *,
    row_id: str,
    sample_index: int,
    task: str,
    strategy: str,
    template: str,
    model: str,
    messages: tuple[Message, ...],
    sampling: Sampling,
    seed: int,
) -> Request:
    """One complete, keyed request; its own seed is derived from the pipeline's `seed`, the row and the sample."""
    derived = own_seed(seed, row_id, sample_index)
    return Request(
        key=request_key(model, messages, sampling, derived, sample_index),
        row_id=row_id,
        sample_index=sample_index,
        task=task,
        strategy=strategy,
        template=template,
        model=model,
        messages=messages,
        sampling=sampling,
        seed=derived,
    )


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


def probing(templates: Templates, config: ProbeConfig, model: str, seed: int) -> Asks:
    """Every candidate strategy on every probe question; `model` is the digest of one that judges."""

    def forms(task: str, category: str) -> list[Form]:
        return [Form(name, templates.for_strategy(name, task, category), model) for name in config.strategies]

    return Asks(split="probe", forms=forms, sampling=config.sampling, seed=seed)


def teaching(templates: Templates, chosen: Mapping[str, str], config: GenerateConfig, teacher: str, seed: int) -> Asks:
    """Every training question under the strategy chosen for its task, `config.samples` times."""

    def forms(task: str, category: str) -> list[Form]:
        return [Form(chosen[task], templates.for_strategy(chosen[task], task, category), teacher)]

    return Asks(split="train", forms=forms, sampling=config.sampling, samples=config.samples, seed=seed)


def examining(
    templates: Templates,
    chosen: Mapping[str, str],
    students: Mapping[str, Callable[[str, str], str]],
    models: Mapping[str, str],
    sampling: Sampling,
) -> Asks:
    """Every held-out question to each of `models`, a digest by role; the role stands in place of the strategy.

    Roles in `students` are asked zero-shot under the student template that it names for task and category (Orca 2,
    section 5); any other is a teacher, asked under the technique of the task.
    """

    def template(role: str, task: str, category: str) -> str:
        if role in students:
            return f"student/{students[role](task, category)}.j2"
        return templates.for_strategy(chosen[task], task, category)

    def forms(task: str, category: str) -> list[Form]:
        return [Form(role, template(role, task, category), model) for role, model in models.items()]

    return Asks(split="evaluation", forms=forms, sampling=sampling)


def probe_requests(
    examples: Iterable[Example], templates: Templates, config: ProbeConfig, model: str, seed: int
) -> list[Request]:
    """The requests of `probing`."""
    return probing(templates, config, model, seed).requests(examples, templates)


def evaluation_requests(
    examples: Iterable[Example],
    templates: Templates,
    chosen: Mapping[str, str],
    students: Mapping[str, Callable[[str, str], str]],
    models: Mapping[str, str],
    sampling: Sampling,
) -> list[Request]:
    """The requests of `examining`, role by role."""
    asked = examining(templates, chosen, students, models, sampling).requests(examples, templates)
    return [request for role in models for request in asked if request.strategy == role]
