"""Train as the stage does, in a process that a test can kill. Not a test module.

python -m tests.train_here FOLDER DATA
"""

import sys
from pathlib import Path

from orca2.core.rows import PackedSequence
from orca2.project.shards import read_rows
from orca2.training.run import TrainClusterConfig, train
from tests.two_ranks import CONFIG


def train_in(folder, *, data, digest="inputs", config=CONFIG, model=None, **cluster):
    return train(
        read_rows(data / "packed", PackedSequence),
        model or data / "model",
        folder / "trained",
        config=config,
        cluster=TrainClusterConfig(**cluster),
        seed=5,
        digest_of_inputs=digest,
        checkpoint_dir=folder / "checkpoints",
        live_dir=folder / "curve",
    )


if __name__ == "__main__":
    train_in(Path(sys.argv[1]), data=Path(sys.argv[2]))
