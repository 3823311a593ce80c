"""What became of requests: those that have an answer beside it, and the others with their reason."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orca2.core.rows import Answer, Generation, Outcome, Rejected, Request

REASONS = {
    "refused": "refused by the endpoint",
    "invalid": "no valid reply from the endpoint",
    "failed": "no reply from the endpoint",
}
"""Kinds of outcomes without an answer, as rejections name them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRun:
    """What became of the requests."""

    generations: list[Generation]
    """Of those that have an answer, in the order of the requests."""
    failures: list[Rejected]
    """The others, in the same order."""
    num_answered: int
    """Requests that have an answer, whether it is held here or written already."""
    num_cached: int
    """Distinct requests that the store answered."""
    num_generated: int
    """Distinct requests that an engine answered."""
    generated_tokens: int
    num_nodes: int
    """Machines that generated; 0 behind HTTP, where nobody knows them."""
    start_s: float
    """Seconds until the first engine was ready."""
    generate_s: float
    """Seconds from there to the last answer."""


def together(runs: Sequence[GenerationRun]) -> GenerationRun:
    """Several runs, one after the other, as one."""
    return GenerationRun(
        generations=[row for run in runs for row in run.generations],
        failures=[row for run in runs for row in run.failures],
        num_answered=sum(run.num_answered for run in runs),
        num_cached=sum(run.num_cached for run in runs),
        num_generated=sum(run.num_generated for run in runs),
        generated_tokens=sum(run.generated_tokens for run in runs),
        num_nodes=max((run.num_nodes for run in runs), default=0),
        start_s=sum(run.start_s for run in runs),
        generate_s=sum(run.generate_s for run in runs),
    )


def generations(requests: Iterable[Request], found: Mapping[str, Answer]) -> list[Generation]:
    """The requests that have an answer, with it, in their order."""
    return [_generation(request, found[request.key]) for request in requests if request.key in found]


def rejected(request: Request, outcome: Outcome, stage: str) -> Rejected:
    """A request without an answer, as its stage sets it aside."""
    return Rejected(
        row_id=request.row_id,
        sample_index=request.sample_index,
        task=request.task,
        stage=stage,
        reason=REASONS[outcome.kind],
        detail=outcome.detail,
        strategy=request.strategy,
    )


def _generation(request: Request, answered: Answer) -> Generation:
    return Generation(
        row_id=request.row_id,
        sample_index=request.sample_index,
        task=request.task,
        strategy=request.strategy,
        key=request.key,
        text=answered.text,
        finish_reason=answered.finish_reason,
        prompt_tokens=answered.prompt_tokens,
        completion_tokens=answered.completion_tokens,
    )
