"""The requests of each stage that asks a model, rendered and keyed: the one place where questions become requests.

`probe`, `render_prompts` and `evaluate` ask what these functions return, and `orca2 plan` counts it, so that a plan and
the run after it cannot disagree.
"""

from collections.abc import Iterable, Mapping, Sequence

from orca2.core.rows import Example, Request, Sampling
from orca2.recipe.prompts import Conversation, Templates
from orca2.recipe.requests import GenerateConfig, build_request
from orca2.recipe.strategies import ProbeConfig


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
