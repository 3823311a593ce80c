"""A complete request and its key: the one identity of an answer (DESIGN section 6).

The key covers the messages as rendered, so neither an include nor a helper can be missed and a template comment costs
no token. It does not cover `max_tokens`: an answer that stopped by itself is the same under any limit it fits in, and
the store keeps an answer cut by a limit apart by that limit.
"""

from dataclasses import dataclass
from typing import Any

from orca2.core.hashing import derive_seed, digest
from orca2.core.rows import Message, Request, Sampling

KIND = "request"
"""Tag of a key. Another one (`request 2`) orphans every stored answer on purpose: when the same messages and parameters
come to mean something else to an engine."""
IN_KEY = frozenset({"temperature", "top_p", "top_k", "stop"})
"""Sampling parameters that are part of the key."""
BESIDE_KEY = frozenset({"max_tokens"})
"""Sampling parameters that the store compares by rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """How the teacher is asked."""

    sampling: Sampling
    samples: int = 1
    """Answers to each question; more than one needs a temperature above 0."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError("samples must be 1 or more")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise ValueError("samples above 1 need sampling.temperature above 0: greedy answers are all the same")


def request_key(model: str, messages: tuple[Message, ...], sampling: Sampling, seed: int, sample_index: int) -> str:
    """The key of one answer; every argument but `sampling.max_tokens` changes it.

    A greedy answer depends on no seed and no sample index, so these are left out of its key.
    """
    return digest(KIND, key_parts(model, messages, sampling, seed, sample_index))


def key_parts(
    model: str, messages: tuple[Message, ...], sampling: Sampling, seed: int, sample_index: int
) -> dict[str, Any]:
    """What is digested as a key, as plain data."""
    greedy = sampling.temperature == 0
    return {
        "model": model,
        "messages": [[message.role, message.content] for message in messages],
        "sampling": {"temperature": 0.0, "stop": sampling.stop}
        if greedy
        else {name: getattr(sampling, name) for name in sorted(IN_KEY)},
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
