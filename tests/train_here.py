"""Train as the stage does, in a process that a test can kill. Not a test module.

python -m tests.train_here FOLDER DATA
"""

import sys
from pathlib import Path

from orca2.core.rows import PackedSequence
from orca2.project.shards import read_rows
from orca2.training import finished
from orca2.training.run import TrainClusterConfig, train
from tests.two_ranks import CONFIG


def train_in(folder, *, data, config=CONFIG, model=None, **cluster):
    sequences, workers = read_rows(data / "packed", PackedSequence), cluster.get("workers", 1)
    model = model or data / "model"
    return train(
        sequences,
        model,
        folder / "trained",
        config=config,
        cluster=TrainClusterConfig(**cluster),
        seed=5,
        identity=finished.identity(sequences, model="a" * 64, config=config, seed=5, workers=workers),
        kept_files=[file.name for file in model.iterdir()],
        checkpoint_dir=folder / "checkpoints",
        live_dir=folder / "curve",
    )


if __name__ == "__main__":
    train_in(Path(sys.argv[1]), data=Path(sys.argv[2]))
