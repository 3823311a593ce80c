"""Fine-tune the student on the packed sequences, with the loss on the teacher's tokens only.

    python -m stages.train

Reads data/packed and models/models.json. Writes trained/, metrics/train.json and the curve under plots/train/. A
student that was finished before is found in .orca2/students/ and brought back. Checkpoints lie in .orca2/checkpoints/
until all is written: a killed run goes on from there.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import PackedSequence
from orca2.project.metrics import SPEED, write_json
from orca2.project.shards import read_rows
from orca2.recipe import models
from orca2.training import finished
from orca2.training.loop import TrainConfig
from orca2.training.run import TrainingCluster, train

CHECKPOINTS = Path(".orca2/checkpoints")
OUTPUTS = finished.Outputs(model=Path("trained"), results=Path("metrics/train.json"), curve=Path("plots/train"))


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    seed: int
    train: TrainConfig
    cluster: TrainingCluster


def main() -> None:
    params = config.load(Params)
    student = models.read_prepared()["student"]
    sequences = read_rows(Path("data/packed"), PackedSequence)
    workers = params.cluster.training.workers
    name = finished.identity(sequences, model=student.digest, config=params.train, seed=params.seed, workers=workers)
    students = finished.default_root()
    if found := finished.find(students, name):
        finished.restore(found, OUTPUTS)
        print(f"train: this student was finished before: {found}")
    else:
        trained = train(
            sequences,
            student.on_disk,
            OUTPUTS.model,
            config=params.train,
            cluster=params.cluster.training,
            seed=params.seed,
            identity=name,
            kept_files=student.files,
            checkpoint_dir=CHECKPOINTS,
            live_dir=OUTPUTS.curve,
        )
        results, speed = trained["results"], trained["speed"]
        write_json(OUTPUTS.results, results)
        write_json(SPEED / "train.json", speed)
        kept = finished.keep(students, name, OUTPUTS)
        curve = f"loss {results['loss_first_step']:.3f} to {results['loss_last_epoch']:.3f}"
        steps = f"{results['sequences']} sequences, {results['steps']} steps"
        print(f"train: {steps}, {curve}, {speed['tokens_per_s']} tokens/s")
        print(f"train: kept in {kept}, one of {len(list(students.iterdir()))}; remove those that nobody needs")
    shutil.rmtree(CHECKPOINTS, ignore_errors=True)


if __name__ == "__main__":
    exit_on_error(main)
