"""Questions become requests, and a request has a key: the one identity of an answer (docs/identity.md).

`probe`, `render_prompts` and `evaluate` ask what these functions return, and `orca2 plan` counts it, so that a plan and
the run after it cannot disagree. The key covers the messages as rendered, so neither an include nor a helper can be
missed and a template comment costs no token. It does not cover `max_tokens`: an answer that stopped by itself is the
same under any limit it fits in, and the store keeps an answer cut by a limit apart by that limit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from orca2.core.errors import require
from orca2.core.hashing import derive_seed, digest
from orca2.core.rows import Example, Message, Request, Sampling
from orca2.recipe.prompts import Conversation, Templates

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
        require({
            "samples must be 1 or more": self.samples >= 1,
            "samples above 1 need sampling.temperature above 0: greedy answers are all the same": drawn
            or self.samples <= 1,
        })  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """How strategies are scored."""

    strategies: tuple[str, ...]
    """Candidates: names of files in `templates/strategies/`."""
    sampling: Sampling

    def __post_init__(self) -> None:
        each_once = len(set(self.strategies)) == len(self.strategies)
        require({"strategies: name at least one, each once": bool(self.strategies) and each_once})


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
    greedy = sampling.temperature == 0
    return digest(
        KIND,
        {
            "model": model,
            "messages": [[message.role, message.content] for message in messages],
            "sampling": key_parameters(sampling),
            "seed": None if greedy else seed,
            "sample_index": None if greedy else sample_index,
        },
    )


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
    own_seed = derive_seed(seed, "sampling", row_id, sample_index)
    return Request(
        key=request_key(model, messages, sampling, own_seed, sample_index),
        row_id=row_id,
        sample_index=sample_index,
        task=task,
        strategy=strategy,
        template=template,
        model=model,
        messages=messages,
        sampling=sampling,
        seed=own_seed,
    )


def probe_requests(
    examples: Iterable[Example], templates: Templates, config: ProbeConfig, teacher: str, seed: int
) -> list[Request]:
    """Every candidate strategy on every probe question; `teacher` is the model's digest."""
    return [
        _request(example, strategy, templates.teacher(example, strategy), teacher, config.sampling, seed)
        for example in examples
        if example.split == "probe"
        for strategy in config.strategies
    ]


def teaching_requests(
    examples: Iterable[Example],
    templates: Templates,
    chosen: Mapping[str, str],
    config: GenerateConfig,
    teacher: str,
    seed: int,
) -> list[Request]:
    """Every training question under the strategy chosen for its task, `config.samples` times."""
    return [
        _request(example, strategy, conversation, teacher, config.sampling, seed, sample_index)
        for example in examples
        if example.split == "train"
        for strategy in [chosen[example.task]]
        for conversation in [templates.teacher(example, strategy)]
        for sample_index in range(config.samples)
    ]


def evaluation_requests(
    examples: Sequence[Example],
    templates: Templates,
    chosen: Mapping[str, str],
    student_template: str,
    models: Mapping[str, str],
    sampling: Sampling,
) -> list[Request]:
    """Every held-out question to each of `models`, a digest by role; the role stands in place of the strategy.

    Roles but `teacher` are asked zero-shot under the student's generic instruction (Orca 2, section 5).
    """
    return [
        _request(example, role, conversation, model, sampling, 0)
        for role, model in models.items()
        for example in examples
        if example.split == "evaluation"
        for conversation in [
            templates.teacher(example, chosen[example.task])
            if role == "teacher"
            else templates.student(example, student_template)
        ]
    ]


def _request(
    example: Example,
    strategy: str,
    conversation: Conversation,
    model: str,
    sampling: Sampling,
    seed: int,
    sample_index: int = 0,
) -> Request:
    return build_request(
        row_id=example.row_id,
        sample_index=sample_index,
        task=example.task,
        strategy=strategy,
        template=conversation.template,
        model=model,
        messages=conversation.messages,
        sampling=sampling,
        seed=seed,
    )
