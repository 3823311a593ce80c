"""Tokens/s of the training loop against bare PyTorch on the same model, batches and loss. Target: at least 0.9.

    python -m benchmarks.train [MODEL_FOLDER] [--tokens 512] [--sequences 2] [--rounds 9]

One rank with all cores. Loading, Ray and the first step of each contestant are left out; the contestants take turns,
a step each, in an order that moves on every round. Shared machines drift by half within a minute, so each round is a
ratio of its own and the median of these is printed. `orca2` is the loop of `orca2.training.loop` in DeepSpeed as one
rank runs it; `bare` is forward, backward, clip and AdamW with nothing around them, once with logits on every position
as Transformers computes its loss (`bare, all logits`), once with our own loss (`bare, supervised logits`).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orca2.core.rows import Chat, Message, PackedSequence
from orca2.recipe import models
from orca2.recipe.chat import load_tokenizer
from orca2.recipe.packing import IGNORED, PackConfig, pack
from orca2.training.loop import TrainConfig, load_model, make_engine, run_steps, supervised_loss

REFERENCE = "package:smollm2-135m-instruct"


def main() -> None:
    arguments = parse_arguments()
    folder = arguments.model or models.prepare(REFERENCE).on_disk
    batch = packed_batch(folder, arguments.tokens, arguments.sequences)
    tokens = sum(len(sequence.input_ids) for sequence in batch)
    supervised = sum(label != IGNORED for sequence in batch for label in sequence.labels)
    fill = tokens / (len(batch) * arguments.tokens)
    print(f"{tokens} tokens a step, {supervised} supervised, fill {fill:.4f}")
    contestants = {"orca2": our_step(folder, batch)}
    contestants |= bare_steps(folder, batch)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    turns = list(contestants.items())
    for round_number in range(arguments.rounds + 1):
        turns = turns[1:] + turns[:1]
        for name, step in turns:
            started = time.perf_counter()
            loss = step()
            if round_number:
                seconds[name].append(time.perf_counter() - started)
            print(f"  round {round_number}: {name}: loss {loss:.4f}, {time.perf_counter() - started:.2f} s", flush=True)
    report(seconds, tokens)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, help=f"model folder; without it {REFERENCE}")
    parser.add_argument("--tokens", type=int, default=512, help="longest packed sequence")
    parser.add_argument("--sequences", type=int, default=2, help="packed sequences a step")
    parser.add_argument("--rounds", type=int, default=9, help="measured steps of each contestant")
    return parser.parse_args()


def packed_batch(folder: Path, max_tokens: int, num_sequences: int) -> list[PackedSequence]:
    """Conversations of 60 to 140 tokens, half of them supervised, packed into exactly the sequences of one step."""
    chats = [
        Chat(
            row_id=f"{number:06d}", sample_index=0, task="sums", strategy="step_by_step", key="", erased_template="",
            student_template="", messages=(
                Message(role="user", content=f"What is {number} plus {number * 7 % 50}? " * (2 + number % 3)),
                Message(role="assistant", content=f"First take {number}, then add to it. " * (3 + number % 5)),
            ),
        )
        for number in range(num_sequences * max_tokens // 50)
    ]  # fmt: skip
    sequences, _ = pack(chats, load_tokenizer(folder), PackConfig(max_tokens=max_tokens))
    return sequences[:num_sequences]


def our_step(folder: Path, batch: list[PackedSequence]) -> Callable[[], float]:
    """A step of our loop at a time: a run of one step, with the history emptied before each."""
    import torch

    os.environ.update(
        DS_ACCELERATOR="cpu", RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="29544"
    )
    torch.distributed.init_process_group("gloo")
    config = TrainConfig(
        learning_rate=1e-5, epochs=1, global_batch_sequences=len(batch), warmup_ratio=0.0, schedule="constant"
    )
    engine = make_engine(load_model(folder, config.dtype), config)

    def step() -> float:
        history: list[dict[str, float]] = []
        run_steps(engine, batch, config, 1, history, lambda: None)
        return history[0]["loss"]

    return step


def bare_steps(folder: Path, batch: list[PackedSequence]) -> dict[str, Callable[[], float]]:
    """Plain PyTorch steps; the two share one model, which halves the memory."""
    import torch

    model = load_model(folder, "float32").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)
    num_supervised = sum(label >= 0 for sequence in batch for label in sequence.labels)

    def step(loss_of: Callable[[Any, PackedSequence], Any]) -> float:
        total = 0.0
        for sequence in batch:
            loss = loss_of(model, sequence) / num_supervised
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return total

    return {
        "bare, all logits": lambda: step(loss_on_all_logits),
        "bare, supervised logits": lambda: step(lambda model, sequence: supervised_loss(model, sequence, "cpu")),
    }


def loss_on_all_logits(model: Any, sequence: PackedSequence) -> Any:
    """The sum of losses as Transformers computes it, with logits on every position."""
    import torch

    positions = [position for segment in sequence.segments for position in range(segment.length)]
    mean = model(
        input_ids=torch.tensor([sequence.input_ids]),
        position_ids=torch.tensor([positions]),
        labels=torch.tensor([sequence.labels]),
        use_cache=False,
    ).loss
    return mean * sum(label >= 0 for label in sequence.labels)


def report(seconds: dict[str, list[float]], tokens: int) -> None:
    for name, measured in seconds.items():
        ratios = sorted(bare / ours for bare, ours in zip(measured, seconds["orca2"], strict=True))
        print(
            f"{name:26} {tokens / statistics.median(measured):8.1f} tokens/s   orca2 is {statistics.median(ratios):.2f}"
            f" of it (rounds: {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
