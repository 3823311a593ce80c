"""Answer a list of requests: look them up, send only the missing to Ray, stream the answers into the store.

Ray Data feeds small batches to a pool of actors, each holding one engine; every actor works on several batches at once,
so its continuous batch never drains between them. The driver alone writes to the store, as answers arrive, so a killed
run loses only what was in flight, and nodes need not share a disk with it.
"""

import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from orca2.chat import encode_prompt, load_tokenizer
from orca2.cluster import ray_session, require_places
from orca2.engine import EngineConfig, Prompt, VllmEngine, check_memory
from orca2.errors import Orca2Error, raise_all
from orca2.rows import Answer, Generation, Request, Sampling
from orca2.store import Store, Writer
from orca2.upkeep import tidy

_PROGRESS_S = 10.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationConfig:
    """Where and how fast requests are answered; no answer depends on it (`cluster.generation` of params.yaml)."""

    engines: int = 1
    """Actors, each with a model of its own."""
    cpus_per_engine: float = 2
    """Cores an engine computes on."""
    gpus_per_engine: float = 0
    batch_size: int = 16
    """Requests that travel together and come back when the last of them is answered; many batches are in flight."""
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        if self.engines < 1 or self.batch_size < 1 or self.cpus_per_engine <= 0:
            raise ValueError("engines, batch_size and cpus_per_engine must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of the requests."""

    generations: list[Generation]
    """In the order of the requests."""
    num_cached: int
    """Distinct requests that the store answered."""
    num_generated: int
    """Distinct requests that an engine answered."""
    generated_tokens: int
    num_nodes: int
    """Machines that generated."""
    start_s: float
    """Seconds until the first engine was ready."""
    generate_s: float
    """Seconds from there to the last answer."""


class _Origin(NamedTuple):
    """Which engine answered."""

    node: str
    ready: float
    """When the engine was, by the driver's clock."""


def answer(requests: Sequence[Request], model: Path, store: Store, config: GenerationConfig) -> Run:
    """Every request with its answer, from the store or from engines of the model in folder `model`.

    Requests of one call share their sampling parameters, so that a key stands for one answer.

    Raises:
        InputErrors: a request is longer than the context; all of them are named, before an engine starts.
        Orca2Error: there is no memory for the engines, no Ray, or no room for the answers.
    """
    found = store.find(requests)
    missing = list({r.key: r for r in requests if r.key not in found}.values())
    begin, tally = time.time(), _Tally(len(missing))
    for origin, fresh in _generate(missing, model, store, config):
        tally.count(origin, fresh)
    if missing:
        # Another process may have stored an earlier answer to the same request: the store's is the one that counts.
        store.refresh()
        found = store.find(requests)
        tidy(store)
    ready = tally.ready or begin
    return Run(
        generations=[_generation(request, found[request.key]) for request in requests],
        num_cached=len({r.key for r in requests}) - len(missing),
        num_generated=len(missing),
        generated_tokens=tally.tokens,
        num_nodes=len(tally.nodes),
        start_s=ready - begin,
        generate_s=tally.last - ready if missing else 0.0,
    )


class _Tally:
    """Counts what the engines answer, and says so now and then."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._said = wanted, time.time()
        self.answered = self.tokens = 0
        self.nodes: set[str] = set()
        self.ready = self.last = 0.0
        """When the first engine was, and when the last answer came; stopping Ray comes later."""

    def count(self, origin: _Origin, fresh: list[Answer]) -> None:
        self.last = time.time()
        self.answered += len(fresh)
        self.tokens += sum(a.completion_tokens for a in fresh)
        self.nodes.add(origin.node)
        self.ready = min(self.ready or origin.ready, origin.ready)
        if self.last - self._said > _PROGRESS_S:
            self._said = self.last
            rate = self.tokens / (self._said - self.ready)
            print(f"  {self.answered} of {self._wanted} answered, {rate:.0f} tokens/s", flush=True)


def _generate(
    missing: list[Request], model: Path, store: Store, config: GenerationConfig
) -> Iterator[tuple[_Origin, list[Answer]]]:
    """Batches of fresh answers, each stored before it is passed on, with the engine they came from."""
    if not missing:
        return
    prompts = _tokenise(missing, model, config.engine.max_model_len)
    if not os.environ.get("RAY_ADDRESS") and not config.gpus_per_engine:
        check_memory(model, config.engine, config.engines)
    with ray_session() as ray:
        engines = min(config.engines, -(-len(prompts) // config.batch_size))
        where = "params.yaml: cluster.generation"
        require_places(ray, engines, config.cpus_per_engine, config.gpus_per_engine, where)
        try:
            yield from _stored(_answered_batches(ray, prompts, model, config, engines), store)
        except ray.exceptions.RayError as error:
            hint = "what is stored so far is kept; mend the cause and run again"
            raise Orca2Error(f"an engine failed: {_last_words(error)}", str(model), hint) from error


def _stored(batches: Iterator[list[dict[str, Any]]], store: Store) -> Iterator[tuple[_Origin, list[Answer]]]:
    """Store each batch under the provenance of the engine it came from, then pass it on."""
    with ExitStack() as stack:
        writers: dict[str, Writer] = {}
        for batch in batches:
            answers, engine = [_answer(record) for record in batch], batch[0]
            provenance = engine["provenance"]
            if provenance not in writers:
                writers[provenance] = stack.enter_context(store.writer(_with_commit(provenance)))
            writers[provenance].add(answers)
            yield _Origin(engine["node"], time.time() - engine["running_s"]), answers


def _answered_batches(
    ray: Any, prompts: list[Prompt], model: Path, config: GenerationConfig, engines: int
) -> Iterator[Any]:
    """Lists of answered records, as the actors finish them."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    engine_concurrency = 2 + config.engine.max_num_seqs // config.batch_size
    pool = ray.data.ActorPoolStrategy(
        size=engines,
        max_concurrent_calls_per_actor=engine_concurrency,
        max_tasks_in_flight_per_actor=engine_concurrency + 1,
        enable_true_multi_threading=True,
    )
    records = [_record(prompt) for prompt in prompts]
    blocks = -(-len(records) // config.batch_size)
    answered = ray.data.from_items(records, override_num_blocks=blocks).map_batches(
        EngineActor,
        fn_constructor_kwargs={"folder": str(model.resolve()), "config": config.engine},
        batch_size=None,
        compute=pool,
        num_cpus=config.cpus_per_engine,
        num_gpus=config.gpus_per_engine or None,
        runtime_env={"env_vars": {"OMP_NUM_THREADS": str(max(1, int(config.cpus_per_engine)))}},
    )
    for batch in answered.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield batch.to_pylist()


class EngineActor:
    """The Ray actor: one engine, many batches at once."""

    def __init__(self, folder: str, config: EngineConfig) -> None:
        import ray

        self._engine = VllmEngine(Path(folder), config)
        self._node, self._ready = ray.get_runtime_context().get_node_id(), time.monotonic()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        prompts = [_prompt({name: column[i] for name, column in batch.items()}) for i in range(len(batch["key"]))]
        answers = [future.result() for future in as_completed(self._engine.submit(prompts))]
        columns = {name: [getattr(a, name) for a in answers] for name in Answer.__dataclass_fields__}
        running_s = time.monotonic() - self._ready
        of_engine = {"provenance": self._engine.provenance, "node": self._node, "running_s": running_s}
        return columns | {name: [value] * len(answers) for name, value in of_engine.items()}


def _tokenise(missing: list[Request], model: Path, max_model_len: int) -> list[Prompt]:
    """Prompts in an order that lets an engine reuse shared prefixes; too long ones are errors."""
    tokenizer = load_tokenizer(model)
    ordered = sorted(missing, key=lambda r: ([m.content for m in r.messages[:-1]], r.row_id, r.sample_index))
    prompts = [
        Prompt(key=r.key, token_ids=encode_prompt(tokenizer, r.messages), sampling=r.sampling, seed=r.seed)
        for r in ordered
    ]
    raise_all(
        Orca2Error(
            f"question needs {len(p.token_ids)} + {p.sampling.max_tokens} tokens, the context holds {max_model_len}",
            f"task {r.task}, row {r.row_id[:12]}, template {r.template}",
            "raise cluster.generation.engine.max_model_len if the model allows it, or drop the question",
        )
        for r, p in zip(ordered, prompts, strict=True)
        if len(p.token_ids) + p.sampling.max_tokens > max_model_len
    )
    return prompts


def _record(prompt: Prompt) -> dict[str, Any]:
    s = prompt.sampling
    return {
        "key": prompt.key, "token_ids": prompt.token_ids, "seed": prompt.seed, "temperature": s.temperature,
        "top_p": s.top_p, "top_k": s.top_k, "max_tokens": s.max_tokens, "stop": "\0".join(s.stop),
    }  # fmt: skip


def _prompt(record: dict[str, Any]) -> Prompt:
    return Prompt(
        key=str(record["key"]),
        token_ids=[int(token) for token in record["token_ids"]],
        seed=int(record["seed"]),
        sampling=Sampling(
            temperature=float(record["temperature"]),
            top_p=float(record["top_p"]),
            top_k=int(record["top_k"]),
            max_tokens=int(record["max_tokens"]),
            stop=tuple(part for part in str(record["stop"]).split("\0") if part),
        ),
    )


def _answer(record: dict[str, Any]) -> Answer:
    return Answer(**{name: record[name] for name in Answer.__dataclass_fields__})


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
    command = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f'{provenance[:-1]}, "commit": "{commit}"}}'


def _last_words(error: Exception) -> str:
    """The innermost error's own line out of a remote traceback, without its colours and its tail."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    named = list(re.finditer(r"^(?:\w+\.)*\w*(?:Error|Exception)\b", plain, re.MULTILINE))
    return " ".join(plain[named[-1].start() if named else 0 :].split())[:400]
