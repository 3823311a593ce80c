"""Two gloo ranks that train the same data under every ZeRO stage, in processes of their own. Not a test module.

python -m tests.two_ranks PACKED MODEL OUT
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from orca2.core.rows import PackedSequence
from orca2.project.shards import read_rows
from orca2.training.loop import TrainConfig, load_model, make_engine, run_steps
from tests.endpoint import free_port

CONFIG = TrainConfig(
    learning_rate=3e-3,
    epochs=2,
    global_batch_sequences=3,
    weight_decay=0.1,
    max_grad_norm=4.0,
    checkpoint_every_steps=4,
)
"""Three sequences a step do not divide by two ranks, and leave a rest at the end of an epoch. The first gradients are
clipped and the later ones are not: AdamW alone would not show that every gradient is wrong by the same factor."""
STAGES = (0, 1, 2, 3)


def curve(config, sequences, model):
    """The loss of every step, and the norm of the gradient that each was taken by."""
    history, norms = [], []
    engine = make_engine(load_model(model, config.dtype), config)
    run_steps(engine, sequences, config, 5, history, lambda: norms.append(engine.get_global_grad_norm()))
    return {"losses": [entry["loss"] for entry in history], "norms": [norm and float(norm) for norm in norms]}


def rank_main(rank, packed, model, out):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", DS_ACCELERATOR="cpu")
    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    sequences = read_rows(packed, PackedSequence)
    curves = {stage: curve(replace(CONFIG, zero_stage=stage), sequences, model) for stage in STAGES}
    curves["bfloat16"] = curve(replace(CONFIG, dtype="bfloat16"), sequences, model)
    if rank == 0:
        out.write_text(json.dumps(curves))


if __name__ == "__main__":
    import torch

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()))
    torch.multiprocessing.spawn(rank_main, tuple(map(Path, sys.argv[1:])), nprocs=2)
