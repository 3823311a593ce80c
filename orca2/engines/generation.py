"""Answer a list of requests: look them up, ask only the missing, stream the answers into the store.

A model in a folder is run by engines of our own on Ray, one behind HTTP is asked from here. The driver alone writes to
the store, as answers arrive, so a killed run loses only what was in flight.
"""

import os
import platform
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.core.rows import Answer, Generation, Outcome, Rejected, Request
from orca2.engines import speeds
from orca2.engines.base import Batch
from orca2.engines.config import GenerationConfig
from orca2.engines.registry import engine_of
from orca2.project.git import head
from orca2.recipe.models import Model
from orca2.store.compaction import tidy
from orca2.store.store import Store

_PROGRESS_S = 10.0
"""Seconds between two lines of progress."""
_SHOWN = 20
"""Rows without an answer that an error names; the others lie beside them on disk."""
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
        failures=[_rejected(r, asked.failed[r.key], stage) for r in requests if r.key not in found],
    )


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


def generations(requests: Iterable[Request], found: Mapping[str, Answer]) -> list[Generation]:
    """The requests that have an answer, with it, in their order."""
    return [_generation(request, found[request.key]) for request in requests if request.key in found]


def most_new_tokens(requests: Iterable[Request]) -> int:
    """What these requests could generate, were every answer as long as its limit."""
    return sum(request.sampling.max_tokens for request in requests)


def arrangement(config: GenerationConfig) -> str:
    """How many engines run on what, in words: speeds are compared within one such arrangement."""
    where = "a cluster" if os.environ.get("RAY_ADDRESS") else f"{os.cpu_count()} logical CPUs ({platform.machine()})"
    return f"{config.engines} engines of {config.cpus_per_engine:g} CPUs and {config.gpus_per_engine:g} GPUs, {where}"


def require_budget(requests: Sequence[Request], store: Store, config: GenerationConfig, later: int = 0) -> None:
    """Raise when those of the requests that the store does not answer could generate more than `max_new_tokens`.

    A stage that asks several models calls this with all its requests before the first one is asked. So many `later`
    ones, of the same limit, count where any is missing: what is stored decides what they are.
    """
    if config.max_new_tokens is None:
        return
    missing = store.missing(requests)
    following = later * missing[0].sampling.max_tokens if missing else 0
    require_within_budget(len(missing) + (later if missing else 0), most_new_tokens(missing) + following, config)


def require_within_budget(missing: int, most: int, config: GenerationConfig) -> None:
    """Raise when so many requests could generate `most` tokens, more than `max_new_tokens`."""
    if config.max_new_tokens is not None and most > config.max_new_tokens:
        message = f"{missing} requests could generate {most} tokens, above max_new_tokens {config.max_new_tokens}"
        hint = "see `orca2 plan` for what they are; then ask less, raise the budget, or set it to null"
        raise Orca2Error(message, "params.yaml: cluster.generation.max_new_tokens", hint)


def require_answers(run: GenerationRun, config: GenerationConfig) -> None:
    """Raise, and name the rows, when more of them have no answer than `max_failure_share` allows."""
    failures, total = run.failures, len(run.failures) + run.num_answered
    if len(failures) <= config.http.max_failure_share * total:
        return
    stage = failures[0].stage
    rows = [f"row {f.row_id[:12]}, sample {f.sample_index}, {f.strategy}: {f.reason}: {f.detail}" for f in failures]
    more = [f"and {len(rows) - _SHOWN} more, all in data/rejected/{stage}"] if len(rows) > _SHOWN else []
    listed = "\n    ".join(rows[:_SHOWN] + more)
    message = f"{len(failures)} of {total} requests have no answer, more than max_failure_share allows\n    {listed}"
    hint = "run it again, which asks for these alone; or raise cluster.generation.http.max_failure_share to go without"
    raise Orca2Error(message, f"stage {stage}", hint)


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


def require_model(digests: Iterable[str], model: Model) -> None:
    """An answer must be that of the model its key names: requests of another one are older than the model folder."""
    if any(digest != model.digest for digest in digests):
        hint = "run `dvc repro`, which renders the requests for it"
        raise Orca2Error("requests name another model than the one prepared", model.reference, hint)


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


def _rejected(request: Request, outcome: Outcome, stage: str) -> Rejected:
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


def _with_commit(provenance: str) -> str:
    return f'{provenance[:-1]}, "commit": "{_commit(Path.cwd())}"}}'


@cache
def _commit(folder: Path) -> str:
    """The commit of the project; empty where git tells none, because no answer is lost for want of it."""
    try:
        return head(folder)
    except Orca2Error:
        return ""
