"""Fine-tuning on packed conversations: DeepSpeed ZeRO under Ray Train, one code path from a laptop to a cluster.

This module starts the workers and collects what they made; what each of them does is in `worker`. The model, the
output, the checkpoints and the curve are on a disk that all workers share. A run that was killed goes on from its last
checkpoint when data, model, config, seed and number of workers are the same, and otherwise starts afresh and says so.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from orca2.core.cluster import ray_session, require_slots
from orca2.core.config import Sections
from orca2.core.errors import Orca2Error, require
from orca2.core.rows import PackedSequence
from orca2.training import checkpoints
from orca2.training.loop import History, TrainConfig, plan_steps
from orca2.training.worker import Job, worker

_PROGRESS_S = 15.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainClusterConfig:
    """Where training runs. Speed only: the curve is the same to rounding."""

    workers: int = 1
    """Processes, one rank each; on a CPU machine one with all cores is fastest."""
    use_gpu: bool = False
    """One GPU for each worker; without it they compute on CPUs and talk by gloo."""
    cpus_per_worker: int | None = None
    """Logical CPUs; null shares all CPUs of the cluster out evenly."""

    def __post_init__(self) -> None:
        cpus = self.cpus_per_worker
        require(
            {
                "workers must be 1 or more": self.workers >= 1,
                "cpus_per_worker must be 1 or more, or null": cpus is None or cpus >= 1,
            }
        )


@dataclass(frozen=True, kw_only=True)
class TrainingCluster(Sections):
    """The part of `cluster:` that training reads."""

    training: TrainClusterConfig


def train(
    sequences: Sequence[PackedSequence],
    model_folder: Path,
    output: Path,
    *,
    config: TrainConfig,
    cluster: TrainClusterConfig,
    seed: int,
    identity: str,
    kept_files: Iterable[str],
    checkpoint_dir: Path,
    live_dir: Path,
) -> dict[str, dict[str, float]]:
    """Train the model and write it to `output` as a Hugging Face folder in safetensors.

    Args:
        sequences: the packed data.
        model_folder: the model that training starts from.
        output: the trained model's folder.
        config: what decides the weights.
        cluster: where training runs.
        seed: of the order of the data.
        identity: names all that decides the result (`finished.identity`); checkpoints of another are left.
        kept_files: names of files in `model_folder` that go into `output`, but for weights.
        checkpoint_dir: kept after success: the caller removes it once its own outputs are written.
        live_dir: the curve.

    Returns:
        `results`, which a rerun repeats as far as the hardware does, and `speed`, which it does not.

    Raises:
        Orca2Error: there is nothing to train on, data and model do not fit, the cluster is too small, or the loss
            is not a number.
    """
    _require_trainable(sequences, model_folder)
    _say_where_it_starts(checkpoint_dir, identity)
    started = time.perf_counter()
    with ray_session() as ray:
        num_cpus = _cpus_per_worker(ray, cluster)
        job = Job(
            sequences=ray.put(list(sequences)),
            model_folder=model_folder.resolve(),
            output=output.resolve(),
            checkpoint_dir=checkpoint_dir.resolve(),
            live_dir=live_dir.resolve(),
            kept_files=tuple(kept_files),
            config=config,
            seed=seed,
            identity=identity,
            use_gpu=cluster.use_gpu,
            num_cpus=num_cpus,
        )
        num_steps = len(plan_steps(len(sequences), config, seed))
        with _progress(live_dir / "metrics.json", num_steps):
            history = _run_workers(job, cluster)
    return _summary(sequences, config, seed, history, time.perf_counter() - started)


@contextmanager
def _progress(metrics: Path, num_steps: int) -> Iterator[None]:
    """Print where the curve is now and then; the workers' own output stays in Ray's logs."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_PROGRESS_S):
            if metrics.is_file() and (text := metrics.read_text("utf-8").rstrip()).endswith("}"):
                now = json.loads(text)
                print(f"  step {now['step'] + 1} of {num_steps}, loss {now['loss']:.3f}", flush=True)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


def _require_trainable(sequences: Sequence[PackedSequence], model_folder: Path) -> None:
    if not sequences:
        raise Orca2Error("nothing to train on", "data/packed", "see why rows were rejected in data/rejected")
    config_file = model_folder / "config.json"
    if not config_file.is_file():
        raise Orca2Error("no model here", str(model_folder), "run the stage `prepare_models`")
    vocabulary = json.loads(config_file.read_text("utf-8"))["vocab_size"]
    largest = max(max(sequence.input_ids) for sequence in sequences)
    if largest >= vocabulary:
        problem = f"token {largest} of the packed data is beyond the model's vocabulary of {vocabulary}"
        raise Orca2Error(problem, str(model_folder), "pack the data with this model's tokenizer")


def _say_where_it_starts(checkpoint_dir: Path, identity: str) -> None:
    progress = checkpoints.find(checkpoint_dir, identity)
    if progress:
        print(f"train: resuming after step {len(progress.history)} ({checkpoint_dir})", flush=True)
    elif checkpoints.holds_others(checkpoint_dir):
        print(f"train: the checkpoint in {checkpoint_dir} is of other inputs: starting afresh", flush=True)


def _cpus_per_worker(ray: ModuleType, cluster: TrainClusterConfig) -> int:
    """CPUs for each worker: as asked for, else an even share, at most what the largest node has."""
    per_node = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    num_cpus = cluster.cpus_per_worker or max(1, min(sum(per_node) // cluster.workers, max(per_node)))
    require_slots(ray, cluster.workers, num_cpus, int(cluster.use_gpu), "params.yaml: cluster.training")
    return num_cpus


def _run_workers(job: Job, cluster: TrainClusterConfig) -> History:
    from ray.train import RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    resources = {"CPU": job.num_cpus} | ({"GPU": 1} if cluster.use_gpu else {})
    trainer = TorchTrainer(
        worker,
        train_loop_config={"job": job},
        torch_config=TorchConfig(backend="nccl" if cluster.use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=cluster.workers, use_gpu=cluster.use_gpu, resources_per_worker=resources
        ),
        run_config=RunConfig(name="ray", storage_path=str(job.checkpoint_dir)),
    )
    try:
        outcome: History | Orca2Error = trainer.fit().return_value
    except TrainingFailedError as error:
        hint = "run it again: it goes on from the last checkpoint; a worker that runs out of memory needs fewer tokens"
        raise Orca2Error(f"a worker failed: {error}", "training", hint) from error
    if isinstance(outcome, Orca2Error):
        raise outcome
    return outcome


def _summary(
    sequences: Sequence[PackedSequence], config: TrainConfig, seed: int, history: History, seconds: float
) -> dict[str, dict[str, float]]:
    tokens = config.epochs * sum(len(sequence.input_ids) for sequence in sequences)
    supervised = config.epochs * sum(label >= 0 for sequence in sequences for label in sequence.labels)
    last_epoch = history[-(len(plan_steps(len(sequences), config, seed)) // config.epochs) :]
    in_steps = sum(entry["seconds"] for entry in history)
    return {
        "results": {
            "sequences": len(sequences),
            "steps": len(history),
            "tokens": tokens,
            "supervised_tokens": supervised,
            "loss_first_step": round(history[0]["loss"], 6),
            "loss_last_step": round(history[-1]["loss"], 6),
            "loss_last_epoch": round(sum(entry["loss"] for entry in last_epoch) / len(last_epoch), 6),
        },
        "speed": {
            "seconds": round(seconds, 1),
            "seconds_in_steps": round(in_steps, 1),
            "tokens_per_s": round(tokens / in_steps, 1),
        },
    }
