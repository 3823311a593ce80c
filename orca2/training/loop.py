"""One rank's part of training: the order of the data, the loss, the steps. Runs in any initialised `torch.distributed`.

The loss of a step is the mean over every supervised token of its global batch, however the batch is spread: one rank or
many, any ZeRO stage, the curve is the same to rounding. Logits are computed where labels are, and nowhere else.
Position ids restart at each segment; from them Transformers builds attention that stays inside a segment.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orca2.core.errors import Orca2Error, require
from orca2.core.hashing import derive_seed
from orca2.core.rows import PackedSequence

if TYPE_CHECKING:
    import torch
    from deepspeed import DeepSpeedEngine
    from transformers import PreTrainedModel

History = list[dict[str, float]]
"""What each finished step logged, in order."""
_NOTHING = PackedSequence(sequence_index=-1, input_ids=(0,), labels=(-100,), segments=())
"""What a rank computes when a batch has no sequence left for it: ranks must take the same number of passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """What decides the trained weights."""

    learning_rate: float
    """Peak, reached after warm-up."""
    epochs: int
    """Passes over the packed data, each in an order of its own."""
    global_batch_sequences: int
    """Packed sequences per optimiser step, over all workers together."""
    warmup_ratio: float = 0.03
    """Share of all steps in which the learning rate rises, from 0 to 1."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after warm-up; cosine and linear end near 0."""
    weight_decay: float = 0.0
    """AdamW's, on matrices only: norms and biases are left alone."""
    max_grad_norm: float = 1.0
    """Gradients with a larger norm are scaled down to it; 0 leaves them."""
    zero_stage: Literal[0, 1, 2, 3] = 1
    """What DeepSpeed ZeRO spreads over workers: 1 optimiser state, 2 also gradients, 3 also weights, 0 nothing.

    One worker in float32 has nothing to spread and runs as 0."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of weights and computation; bfloat16 keeps float32 master weights in the optimiser."""
    checkpoint_every_steps: int = 50
    """Optimiser steps between checkpoints: what a kill can cost."""

    def __post_init__(self) -> None:
        require(
            {
                "epochs must be 1 or more": self.epochs >= 1,
                "global_batch_sequences must be 1 or more": self.global_batch_sequences >= 1,
                "checkpoint_every_steps must be 1 or more": self.checkpoint_every_steps >= 1,
                "learning_rate must be above 0": self.learning_rate > 0,
                "warmup_ratio must be between 0 and 1": 0 <= self.warmup_ratio <= 1,
                "weight_decay must be 0 or more": self.weight_decay >= 0,
                "max_grad_norm must be 0 or more": self.max_grad_norm >= 0,
            }
        )


def plan_steps(num_sequences: int, config: TrainConfig, seed: int) -> list[list[int]]:
    """The sequences of each optimiser step; the last step of an epoch takes what is left."""
    steps = []
    for epoch in range(config.epochs):
        order = list(range(num_sequences))
        random.Random(derive_seed(seed, "training order", str(epoch))).shuffle(order)  # noqa: S311 - not a secret
        size = config.global_batch_sequences
        steps += [order[start : start + size] for start in range(0, num_sequences, size)]
    return steps


def learning_rate(step: int, num_steps: int, config: TrainConfig) -> float:
    """Linear warm-up, then the schedule; never 0, so that no step is wasted."""
    num_warmup = math.ceil(config.warmup_ratio * num_steps)
    if step < num_warmup:
        return config.learning_rate * (step + 1) / num_warmup
    done = (step - num_warmup) / (num_steps - num_warmup)
    share = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}
    return config.learning_rate * share[config.schedule]


def load_model(folder: Path, dtype: str) -> PreTrainedModel:
    """The causal language model of a folder, safetensors only, ready for packed sequences."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        str(folder),
        dtype=getattr(torch, dtype),
        attn_implementation="sdpa",
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )


def make_engine(model: PreTrainedModel, config: TrainConfig) -> DeepSpeedEngine:
    """DeepSpeed around the model, with torch's AdamW so that nothing is compiled."""
    import deepspeed
    import torch

    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    deepspeed.init_distributed()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=_deepspeed_config(config))
    engine.train()
    return engine


def run_steps(
    engine: DeepSpeedEngine,
    sequences: Sequence[PackedSequence],
    config: TrainConfig,
    seed: int,
    history: History,
    on_step: Callable[[], None],
) -> None:
    """Take every step that `history` does not hold yet, appending to it and calling `on_step` after each.

    Raises:
        Orca2Error: on every rank at once, when a loss is not a number.
    """
    plan = plan_steps(len(sequences), config, seed)
    for step in range(len(history), len(plan)):
        started = time.perf_counter()
        batch = [sequences[index] for index in plan[step]]
        rate = learning_rate(step, len(plan), config)
        _prepare_step(engine, rate, seed, step)
        loss = _accumulate(engine, batch)
        if not math.isfinite(loss):
            hint = "lower train.learning_rate, or train in float32"
            raise Orca2Error(f"the loss is {loss}", f"training step {step + 1} of {len(plan)}", hint)
        engine.step()
        tokens = sum(len(sequence.input_ids) for sequence in batch)
        seconds = time.perf_counter() - started
        history.append({"loss": loss, "learning_rate": rate, "tokens_per_s": tokens / seconds, "seconds": seconds})
        on_step()


def supervised_loss(
    model: PreTrainedModel | DeepSpeedEngine, sequence: PackedSequence, device: torch.device
) -> torch.Tensor:
    """The sum of the losses on the labels of one packed sequence, as a tensor to go backward from."""
    import torch
    from torch.nn.functional import cross_entropy

    predicted = [index for index, label in enumerate(sequence.labels) if label >= 0]
    positions = [position for segment in sequence.segments for position in range(segment.length)] or [0]
    # The key-value cache is off for more than memory: with one, Transformers would not look for restarting positions.
    logits = model(
        input_ids=torch.tensor([sequence.input_ids], device=device),
        position_ids=torch.tensor([positions], device=device),
        logits_to_keep=torch.tensor(predicted, dtype=torch.long, device=device) - 1,
        use_cache=False,
    ).logits
    targets = torch.tensor([sequence.labels[index] for index in predicted], dtype=torch.long, device=device)
    return cross_entropy(logits[0].float(), targets, reduction="sum")


def _deepspeed_config(config: TrainConfig) -> dict[str, object]:
    """Accumulation and the learning rate are ours (see `_accumulate`, `_prepare_step`); the rest is DeepSpeed's."""
    from deepspeed import comm

    # One rank has nobody to share with: ZeRO's partitioned buffers would only cost it a fifth of its speed.
    alone = comm.get_world_size() == 1 and config.dtype == "float32"
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.max_grad_norm,
        "zero_optimization": {"stage": 0 if alone else config.zero_stage},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": config.dtype == "bfloat16"},
    }


def _prepare_step(engine: DeepSpeedEngine, rate: float, seed: int, step: int) -> None:
    """What a step depends on beside weights and data is set anew before each, so that a resumed run repeats it."""
    import torch
    from deepspeed import comm

    for group in engine.optimizer.param_groups:
        group["lr"] = rate
    torch.manual_seed(derive_seed(seed, "dropout", str(step), comm.get_rank()))


def _accumulate(engine: DeepSpeedEngine, batch: Sequence[PackedSequence]) -> float:
    """Gradients of the global batch's mean loss, left in the engine; returns that loss, the same on every rank."""
    import torch
    from deepspeed import comm

    world = comm.get_world_size()
    mine = batch[comm.get_rank() :: world]
    num_supervised = sum(label >= 0 for sequence in batch for label in sequence.labels)
    num_passes = math.ceil(len(batch) / world)
    total = torch.zeros((), device=engine.device)
    for index in range(num_passes):
        engine.set_gradient_accumulation_boundary(index == num_passes - 1)
        loss = supervised_loss(engine, mine[index] if index < len(mine) else _NOTHING, engine.device) / num_supervised
        engine.backward(loss * world)  # DeepSpeed averages gradients over ranks; the sum is meant
        total += loss.detach()
    comm.all_reduce(total)
    return float(total)
