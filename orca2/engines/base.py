"""What an engine is, to all that ask one.

`Answering` is how a stage sees any engine: requests in, batches of typed outcomes out, in any order. `Engine` is what
one process of an engine of our own does with prompts that are tokenised already.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from orca2.core.rows import Answer, Outcome, Request, Sampling
from orca2.engines.config import GenerationConfig
from orca2.recipe.models import Model


class Batch(NamedTuple):
    """Outcomes that are known at the same time; perhaps none, so that what came before can be stored meanwhile."""

    outcomes: list[Outcome]
    node: str
    """The machine that generated; empty where nobody knows."""
    ready: float
    """When its engine was, by the driver's clock."""


Answering = Callable[[Iterable[Request], Model, GenerationConfig], AbstractContextManager[Iterator[Batch]]]
"""Answers requests of one model: each gets one outcome. Leaving the context stops what was started.

Raises `InputErrors` for requests that cannot be asked, before an engine starts, and `Orca2Error` where none can be had.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One request as an engine takes it: already tokenised, so that text can never become a control token."""

    key: str
    token_ids: list[int]
    sampling: Sampling
    seed: int


class Engine(Protocol):
    """One process's engine, for one model."""

    provenance: str
    """JSON: engine, version, dtype, hardware class."""

    def submit(self, prompts: Sequence[Prompt]) -> list["Future[Answer]"]:
        """Start answering; the futures are done in any order, or hold the error that stopped the engine."""

    def close(self) -> None:
        """Stop; prompts without an answer fail."""
