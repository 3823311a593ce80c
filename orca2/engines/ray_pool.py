"""Requests to engines of our own: vLLM in Ray actors.

Ray Data feeds small batches to a pool of actors, each holding one engine; every actor works on several batches at once,
so its continuous batch never drains between them. Answers travel back to the driver, so nodes need not share a disk.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from orca2.core.cluster import ray_session, require_slots
from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Answer, Outcome, Request, Sampling
from orca2.engines.base import Batch, Prompt
from orca2.engines.config import EngineConfig, GenerationConfig, RayConfig
from orca2.engines.vllm import VllmEngine, check_memory
from orca2.recipe.chat import encode_prompts, load_tokenizer
from orca2.recipe.models import Model

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_Record = dict[str, Any]
"""One row of a batch, by column."""
_BLOCK_BATCHES = 64
"""Batches whose requests are objects at once."""
_PROGRESS_S = 10.0
"""Seconds between two lines of progress."""


@contextmanager
def answering_on_ray(requests: Iterable[Request], model: Model, config: GenerationConfig) -> Iterator[Iterator[Batch]]:
    """Engines of the model in its folder, which give every request's answer, a batch as soon as it is finished.

    Raises:
        InputErrors: a request is longer than the context; all of them are named, before an engine starts.
        Orca2Error: there is no memory for the engines, or no Ray, or an engine failed.
    """
    folder = model.on_disk
    batches = _tokenise(requests, folder, config)
    engines = min(config.engines, len(batches))
    if not os.environ.get("RAY_ADDRESS") and not config.gpus_per_engine:
        check_memory(folder, config.engine, engines)
    with ray_session() as ray:
        where = "params.yaml: cluster.generation"
        require_slots(ray, engines, config.cpus_per_engine, config.gpus_per_engine, where)
        try:
            yield map(_batch, _answered_batches(ray, batches, folder, config, engines))
        except ray.exceptions.RayError as error:
            hint = "what is stored so far is kept; mend the cause and run again"
            raise Orca2Error(f"an engine failed: {_last_words(error)}", str(folder), hint) from error


def _answered_batches(
    ray: ModuleType, batches: list[pa.Table], model: Path, config: RayConfig, engines: int
) -> Iterator[list[_Record]]:
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
    answered = ray.data.from_arrow(batches).map_batches(
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

    def __call__(self, batch: Mapping[str, NDArray[np.generic]]) -> dict[str, list[object]]:
        prompts = [_prompt({name: column[i] for name, column in batch.items()}) for i in range(len(batch["key"]))]
        answers = [future.result() for future in as_completed(self._engine.submit(prompts))]
        columns = {name: [getattr(a, name) for a in answers] for name in Answer.__dataclass_fields__}
        running_s = time.monotonic() - self._ready
        of_engine = {"provenance": self._engine.provenance, "node": self._node, "running_s": running_s}
        return columns | {name: [value] * len(answers) for name, value in of_engine.items()}


def _tokenise(requests: Iterable[Request], model: Path, config: RayConfig) -> list[pa.Table]:
    """Batches of prompts as Arrow tables, a tenth of what they take as objects; too long ones are errors."""
    tokenizer, waiting = load_tokenizer(model), iter(requests)
    batches, errors, said = [], list[Orca2Error](), time.monotonic()
    while block := list(islice(waiting, _BLOCK_BATCHES * config.batch_size)):
        ids = encode_prompts(tokenizer, [request.messages for request in block])
        errors += _too_long(block, ids, config.engine.max_model_len)
        starts = range(0, len(block), config.batch_size)
        batches += [_records(block[i : i + config.batch_size], ids[i : i + config.batch_size]) for i in starts]
        if time.monotonic() - said > _PROGRESS_S:
            said = time.monotonic()
            print(f"  {len(batches) * config.batch_size} requests tokenised", flush=True)
    raise_all(errors)
    return batches


def _too_long(requests: Sequence[Request], ids: Sequence[Sequence[int]], max_model_len: int) -> Iterator[Orca2Error]:
    for request, prompt in zip(requests, ids, strict=True):
        limit = request.sampling.max_tokens
        if len(prompt) + limit > max_model_len:
            yield Orca2Error(
                f"question needs {len(prompt)} + {limit} tokens, the context holds {max_model_len}",
                f"task {request.task}, row {request.row_id[:12]}, template {request.template}",
                "raise cluster.generation.engine.max_model_len if the model allows it, or drop the question",
            )


def _records(requests: Sequence[Request], ids: Sequence[Sequence[int]]) -> pa.Table:
    """One batch as it travels."""
    import pyarrow as pa

    columns = {
        "key": [request.key for request in requests],
        "token_ids": pa.array(ids, pa.list_(pa.int32())),
        "seed": [request.seed for request in requests],
        "sampling": [json.dumps(asdict(request.sampling)) for request in requests],
    }
    return pa.table(columns)


def _prompt(record: _Record) -> Prompt:
    sampling: dict[str, Any] = json.loads(str(record["sampling"]))
    sampling |= {name: tuple(value) for name, value in sampling.items() if isinstance(value, list)}
    return Prompt(
        key=str(record["key"]),
        token_ids=[int(token) for token in record["token_ids"]],
        seed=int(record["seed"]),
        sampling=Sampling(**sampling),
    )


def _batch(records: list[_Record]) -> Batch:
    answers = [Answer(**{name: record[name] for name in Answer.__dataclass_fields__}) for record in records]
    engine = records[0]
    outcomes = [Outcome.of(answer, engine["provenance"]) for answer in answers]
    return Batch(outcomes, engine["node"], time.time() - engine["running_s"])


def _last_words(error: Exception) -> str:
    """The innermost error's own line out of a remote traceback, without its colours and its tail."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    named = list(re.finditer(r"^(?:\w+\.)*\w*(?:Error|Exception)\b", plain, re.MULTILINE))
    return " ".join(plain[named[-1].start() if named else 0 :].split())[:400]
