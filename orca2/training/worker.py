"""One rank of a training, in a process of its own: what every worker does with its job."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orca2.core.errors import Orca2Error
from orca2.core.rows import PackedSequence
from orca2.training import checkpoints
from orca2.training.loop import History, TrainConfig, load_model, make_engine, run_steps

if TYPE_CHECKING:
    import ray
    from dvclive import Live

_CURVES = ("loss", "learning_rate")


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a worker needs, on a disk that it sees; the data lies in Ray's object store."""

    sequences: ray.ObjectRef
    model_folder: Path
    output: Path
    checkpoint_dir: Path
    live_dir: Path
    kept_files: tuple[str, ...]
    config: TrainConfig
    seed: int
    identity: str
    use_gpu: bool
    num_cpus: int


def worker(arguments: dict[str, Job]) -> History | Orca2Error:
    """One rank, in a process of its own. An error that the user can mend is returned: Ray would wrap it up."""
    import ray

    job = arguments["job"]
    os.environ["HF_HUB_OFFLINE"] = "1"
    if not job.use_gpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
    import torch

    torch.set_num_threads(job.num_cpus)
    try:
        return _train_rank(job, ray.get(job.sequences))
    except Orca2Error as error:
        return error


def _train_rank(job: Job, sequences: list[PackedSequence]) -> History:
    from deepspeed import comm

    progress = checkpoints.find(job.checkpoint_dir, job.identity)
    history = progress.history if progress else []
    engine = make_engine(load_model(job.model_folder, job.config.dtype), job.config)
    if progress:
        checkpoints.load(engine, job.checkpoint_dir, progress)
    curve = open_curve(job.live_dir, history) if comm.get_rank() == 0 else None

    def on_step() -> None:
        if curve:
            log(curve, history[-1])
        if len(history) % job.config.checkpoint_every_steps == 0:
            checkpoints.save(engine, job.checkpoint_dir, job.identity, history)

    run_steps(engine, sequences, job.config, job.seed, history, on_step)
    if curve:
        curve.end()
    checkpoints.publish(engine, [job.model_folder / name for name in job.kept_files], job.output)
    return history


def open_curve(live_dir: Path, history: History) -> Live:
    """DVCLive at the end of what is already done: steps after the last checkpoint are not there twice."""
    os.environ.update(DVC_NO_ANALYTICS="1", DVC_STUDIO_OFFLINE="1")
    from dvclive import Live

    live = Live(str(live_dir), save_dvc_exp=False, dvcyaml=None, monitor_system=False)
    for entry in history:
        log(live, entry)
    return live


def log(live: Live, entry: dict[str, float]) -> None:
    """Add one step to the curve."""
    for name in _CURVES:
        live.log_metric(name, entry[name])
    live.next_step()
