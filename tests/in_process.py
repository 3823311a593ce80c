"""vLLM in the process of the tests, started once for all of them: for what is asked of an engine, and not of Ray.

Not a test module.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import as_completed
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from orca2.core.rows import Outcome, Request
from orca2.engines.base import Batch, Prompt
from orca2.engines.config import EngineConfig, GenerationConfig
from orca2.engines.vllm import VllmEngine
from orca2.recipe.chat import encode_prompts, load_tokenizer
from orca2.recipe.models import Model

ENGINE = EngineConfig(max_num_seqs=8, max_model_len=256, kv_cache_gib=0.05)
CONFIG = GenerationConfig(cpus_per_engine=1, batch_size=4, engine=ENGINE)


@contextmanager
def answering_in_process(
    requests: Iterable[Request], model: Model, config: GenerationConfig
) -> Iterator[Iterator[Batch]]:
    """As `engines.base.Answering` is, each answer a batch of its own."""
    yield _answered(list(requests), model.on_disk, config.engine)


def _answered(requests: list[Request], folder: Path, config: EngineConfig) -> Iterator[Batch]:
    engine = _engine(folder, config)
    ids = encode_prompts(load_tokenizer(folder), [request.messages for request in requests])
    prompts = [
        Prompt(key=r.key, token_ids=own, sampling=r.sampling, seed=r.seed) for r, own in zip(requests, ids, strict=True)
    ]
    for future in as_completed(engine.submit(prompts)):
        yield Batch([Outcome.of(future.result(), engine.provenance)], "here", 1.0)


@cache
def _engine(folder: Path, config: EngineConfig) -> VllmEngine:
    return VllmEngine(folder, config)
