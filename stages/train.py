"""Fine-tune the student on the packed sequences, with the loss on the teacher's tokens only.

    python -m stages.train

Reads data/packed and models/. Writes trained/, metrics/train.json, metrics/speed/train.json and the curve under
plots/train/. Checkpoints lie in .orca2/checkpoints/ until all that is written: a killed run goes on from there.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.hashing import digest, file_digest
from orca2.core.rows import PackedSequence
from orca2.project.metrics import write_json
from orca2.project.shards import read_rows
from orca2.recipe import models
from orca2.training.loop import TrainConfig
from orca2.training.run import TrainingCluster, train

CHECKPOINTS = Path(".orca2/checkpoints")


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    seed: int
    train: TrainConfig
    cluster: TrainingCluster


def main() -> None:
    params = config.load(Params)
    student = models.read_index()["student"]
    sequences = read_rows(Path("data/packed"), PackedSequence)
    shards = [file_digest(shard) for shard in sorted(Path("data/packed").glob("*.parquet"))]
    trained = train(
        sequences,
        student.on_disk,
        Path("trained"),
        config=params.train,
        cluster=params.cluster.training,
        seed=params.seed,
        digest_of_inputs=digest("training inputs", {"packed": shards, "model": student.digest}),
        checkpoint_dir=CHECKPOINTS,
        live_dir=Path("plots/train"),
    )
    results, speed = trained["results"], trained["speed"]
    write_json(Path("metrics/train.json"), results)
    write_json(Path("metrics/speed/train.json"), speed)
    shutil.rmtree(CHECKPOINTS, ignore_errors=True)
    curve = f"loss {results['loss_first_step']:.3f} to {results['loss_last_epoch']:.3f}"
    print(
        f"train: {results['sequences']} sequences, {results['steps']} steps, {curve}, {speed['tokens_per_s']} tokens/s"
    )


if __name__ == "__main__":
    exit_on_error(main)
