"""Answer a list of requests: look them up, ask only the missing, stream the answers into the store.

A model in a folder is run by engines of our own on Ray, one behind HTTP is asked from here. The driver alone writes to
the store, as answers arrive, so a killed run loses only what was in flight.
"""

import os
import platform
import time
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.core.rows import Generation, Outcome, Rejected, Request
from orca2.engines import speeds
from orca2.engines.base import Batch
from orca2.engines.config import GenerationConfig
from orca2.engines.limits import require_budget, require_model
from orca2.engines.registry import engine_of
from orca2.engines.runs import GenerationRun, generations, rejected
from orca2.project.git import head
from orca2.recipe.models import Model
from orca2.store.compaction import tidy
from orca2.store.store import Store

_PROGRESS_S = 10.0
"""Seconds between two lines of progress."""


def answer(
    requests: Sequence[Request],
    model: Model,
    store: Store,
    config: GenerationConfig,
    stage: str = "generate",
    *,
    last_first: bool = False,
) -> GenerationRun:
    """Every request with its answer, from the store or from engines of `model`; `stage` names the rejections.

    Requests of one call share their sampling parameters, so that a key stands for one answer. They are asked in an
    order that lets an engine reuse shared prefixes; `last_first` turns it round, to see whether the order matters.

    Raises:
        InputErrors: a request is longer than the context; all of them are named, before an engine starts.
        Orca2Error: there is no memory for the engines, no Ray, no endpoint, or no room for the answers.
    """
    found = store.find(requests)
    missing = list({r.key: r for r in requests if r.key not in found}.values())
    require_model((request.model for request in missing), model)
    require_budget(missing, store, config)
    asked = ask(_in_order(missing, last_first), model, store, config)
    if missing:
        found = store.find(requests)
    return asked.run(
        num_requests=len({r.key for r in requests}),
        generations=generations(requests, found),
        failures=[rejected(r, asked.failed[r.key], stage) for r in requests if r.key not in found],
    )


class Asked:
    """What engines made of requests: the outcomes without an answer, and figures. The answers are in the store."""

    def __init__(self, tally: "_Tally", begin: float, failed: dict[str, Outcome]) -> None:
        self._tally, self._begin, self.failed = tally, begin, failed

    def run(
        self, num_requests: int, generations: list[Generation], failures: list[Rejected], more: int = 0
    ) -> GenerationRun:
        """The run of so many distinct requests; `more` answers are written already."""
        tally, ready = self._tally, self._tally.ready or self._begin
        return GenerationRun(
            generations=generations,
            failures=failures,
            num_answered=len(generations) + more,
            num_cached=num_requests - tally.wanted,
            num_generated=tally.answered,
            generated_tokens=tally.tokens,
            num_nodes=len(tally.nodes),
            start_s=ready - self._begin,
            generate_s=tally.last - ready if tally.answered else 0.0,
        )


def ask(missing: Collection[Request], model: Model, store: Store, config: GenerationConfig) -> Asked:
    """Ask engines of `model` these distinct requests, and store their answers as they arrive. Errors of `answer`."""
    failed: dict[str, Outcome] = {}
    begin, tally = time.time(), _Tally(len(missing))
    for batch in _generate(missing, model, store, config):
        tally.count(batch)
        failed |= {o.key: o for o in batch.outcomes if not o.answer}
    if missing:
        # Another process may have stored an earlier answer to the same request: the store's is the one that counts.
        store.refresh()
        tidy(store)
    if tally.answered:
        _remember_speed(tally, model, store, config, (tally.ready or begin) - begin)
    return Asked(tally, begin, failed)


def arrangement(config: GenerationConfig) -> str:
    """How many engines run on what, in words: speeds are compared within one such arrangement."""
    where = "a cluster" if os.environ.get("RAY_ADDRESS") else f"{os.cpu_count()} logical CPUs ({platform.machine()})"
    return f"{config.engines} engines of {config.cpus_per_engine:g} CPUs and {config.gpus_per_engine:g} GPUs, {where}"


class _Tally:
    """Counts what becomes of the requests, and says so now and then."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self._said = wanted, time.time()
        self.answered = self.tokens = self._failed = 0
        self.nodes: set[str] = set()
        self.ready = self.last = 0.0
        """When the first engine was, and when the last answer came; stopping Ray comes later."""

    def count(self, batch: Batch) -> None:
        answers = [o.answer for o in batch.outcomes if o.answer]
        self.last = time.time() if answers else self.last
        self.answered += len(answers)
        self.tokens += sum(a.completion_tokens for a in answers)
        self._failed += len(batch.outcomes) - len(answers)
        self.nodes |= {batch.node} - {""}
        self.ready = min(self.ready or batch.ready, batch.ready)
        if time.time() - self._said > _PROGRESS_S:
            self._said = time.time()
            self._say(self.tokens / (self._said - self.ready))

    def _say(self, rate: float) -> None:
        without = f", {self._failed} without an answer" if self._failed else ""
        print(f"  {self.answered} of {self.wanted} answered{without}, {rate:.0f} tokens/s", flush=True)


def _generate(missing: Collection[Request], model: Model, store: Store, config: GenerationConfig) -> Iterator[Batch]:
    """Batches of outcomes, with their answers stored under their provenance before they are passed on."""
    if not missing:
        return
    with engine_of(model)(missing, model, config) as batches, store.writer() as writer:
        for batch in batches:
            for provenance, alike in groupby(batch.outcomes, lambda o: o.provenance):
                writer.add([o.answer for o in alike if o.answer], _with_commit(provenance))
            writer.add([])  # so that no answer waits for the next one to be written
            yield batch


def _in_order(missing: list[Request], last_first: bool) -> list[Request]:
    """Requests that share a prefix one after another."""
    by_prefix = sorted(missing, key=lambda r: ([m.content for m in r.messages[:-1]], r.row_id, r.sample_index))
    return by_prefix[::-1] if last_first else by_prefix


def _remember_speed(tally: _Tally, model: Model, store: Store, config: GenerationConfig, start_s: float) -> None:
    speeds.record(
        store.root,
        speeds.Speed(
            model=model.digest,
            arrangement=arrangement(config),
            tokens=tally.tokens,
            generate_s=round(tally.last - tally.ready, 3),
            start_s=round(start_s, 3),
        ),
    )


def _with_commit(provenance: str) -> str:
    return f'{provenance[:-1]}, "commit": "{_commit(Path.cwd())}"}}'


@cache
def _commit(folder: Path) -> str:
    """The commit of the project; empty where git tells none, because no answer is lost for want of it."""
    try:
        return head(folder)
    except Orca2Error:
        return ""
