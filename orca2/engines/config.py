"""How requests are answered, and how fast: `cluster.generation` of params.yaml. No answer depends on any of it.

Each config tells all of its broken rules at once.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from orca2.core.config import Sections
from orca2.core.errors import require


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """How an engine of our own runs (`cluster.generation.engine`)."""

    max_num_seqs: int = 64
    """Sequences that are decoded together."""
    max_model_len: int = 2048
    """Longest prompt and answer together, in tokens; a request past it is refused before an engine starts."""
    block_size: int = 32
    """Tokens in a block of the KV cache; shared prefixes are reused in whole blocks."""
    kv_cache_gib: float = 1.0
    """Memory for the KV cache of an engine on a CPU, in GiB."""
    gpu_memory_utilization: float = 0.9
    """Share of a GPU's memory for weights and KV cache."""
    tensor_parallel_size: int = 1
    """GPUs an engine is spread over."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    enforce_eager: bool = True
    """Skip compilation: it costs minutes at start and gains about a tenth on a CPU."""

    def __post_init__(self) -> None:
        require(
            {
                "max_num_seqs must be 1 or more": self.max_num_seqs >= 1,
                "max_model_len must be 2 or more: a token to read and one to write": self.max_model_len >= 2,
                "block_size must be 1 or more": self.block_size >= 1,
                "kv_cache_gib must be above 0": self.kv_cache_gib > 0,
                "gpu_memory_utilization must be above 0 and at most 1": 0 < self.gpu_memory_utilization <= 1,
                "tensor_parallel_size must be 1 or more": self.tensor_parallel_size >= 1,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RayConfig:
    """Where engines of our own run."""

    engines: int = 1
    """Actors, each with a model of its own."""
    cpus_per_engine: float = 2
    """Cores an engine computes on."""
    gpus_per_engine: float = 0
    batch_size: int = 16
    """Requests that travel together and come back when the last of them is answered; many batches are in flight."""
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        gpus, spread, decoded = self.gpus_per_engine, self.engine.tensor_parallel_size, self.engine.max_num_seqs
        require(
            {
                "engines must be 1 or more": self.engines >= 1,
                "cpus_per_engine must be above 0": self.cpus_per_engine > 0,
                "gpus_per_engine must be 0 or more, and whole above 1": gpus >= 0 and (gpus <= 1 or gpus == int(gpus)),
                "batch_size must be 1 or more": self.batch_size >= 1,
                f"batch_size must be at most engine.max_num_seqs, {decoded}: what is finished would wait for what has"
                " not begun": self.batch_size <= decoded,
                f"engine.tensor_parallel_size {spread} needs gpus_per_engine of as many, not {gpus:g}": spread == 1
                or gpus == spread,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """How an endpoint is asked (`cluster.generation.http`)."""

    base_url: str = ""
    """Where the endpoint is, up to its version: `https://api.openai.com/v1`."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; never the key itself."""
    concurrency: int = 32
    """Requests on their way at once."""
    timeout_s: float = 600
    """Seconds that the endpoint may be silent before a request counts as lost."""
    max_retries: int = 6
    """Times that a request is sent again when the fault may pass."""
    requests_per_minute: int = 0
    """Sent evenly, repeated ones included; 0 is no limit."""
    tokens_per_minute: int = 0
    """Of prompt (four bytes are taken for a token) and `max_tokens` together; 0 is no limit."""
    max_failure_share: float = 0.0
    """Share of a stage's requests that may stay without an answer; above it, the stage fails."""

    def __post_init__(self) -> None:
        # What was given is not repeated: it may be the key.
        require(
            {
                "base_url must be http(s)://HOST with a path, no user, password or query": _is_address(self.base_url),
                "api_key_env must be a variable's name, in capitals, never the key": _is_variable(self.api_key_env),
                "concurrency must be 1 to 1000": 1 <= self.concurrency <= 1000,
                "timeout_s must be above 0": self.timeout_s > 0,
                "max_retries must be 0 or more": self.max_retries >= 0,
                "requests_per_minute must be 0 or more": self.requests_per_minute >= 0,
                "tokens_per_minute must be 0 or more": self.tokens_per_minute >= 0,
                "max_failure_share must be 0 to 1": 0 <= self.max_failure_share <= 1,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationConfig(RayConfig):
    """Where and how fast requests are answered, whatever answers them."""

    http: HttpConfig = field(default_factory=HttpConfig)
    max_new_tokens: int | None = None
    """Budget of each stage that asks: one that could generate more stops before an engine starts; null is no limit."""

    def __post_init__(self) -> None:
        RayConfig.__post_init__(self)
        budget = self.max_new_tokens
        require({"max_new_tokens must be 0 or more, or null for no limit": budget is None or budget >= 0})


@dataclass(frozen=True, kw_only=True)
class GenerationCluster(Sections):
    """The part of `cluster:` that generation reads."""

    generation: GenerationConfig


def _is_variable(name: str) -> bool:
    return re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) is not None


def _is_address(url: str) -> bool:
    return not url or re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", url) is not None
