"""What a training run leaves on disk: checkpoints to go on from, and in the end the model.

A checkpoint is DeepSpeed's folder `<identity>-step-<n>` of weights and optimiser state, one file per rank, plus
`complete.json` with the curve so far, written last by rename: a folder without it was cut off by a kill and is not
seen. It is found again only by the identity of its inputs. Each save removes every other, so that the disk holds one.

The folder is on a disk that all ranks share. DeepSpeed writes it by pickle: it is ours, and never published.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine
    from torch import Tensor

_MARKER = "complete.json"


class Progress(NamedTuple):
    """How far a run came: a name for DeepSpeed to load, and what each finished step logged."""

    tag: str
    history: list[dict[str, float]]


def find(folder: Path, identity: str) -> Progress | None:
    """The furthest complete checkpoint of this identity."""
    markers = [json.loads(marker.read_text("utf-8")) | {"tag": marker.parent.name} for marker in _markers(folder)]
    ours = [marker for marker in markers if marker["identity"] == identity]
    if not ours:
        return None
    furthest = max(ours, key=lambda marker: len(marker["history"]))
    return Progress(furthest["tag"], furthest["history"])


def holds_others(folder: Path) -> bool:
    """Whether any complete checkpoint lies there at all."""
    return bool(_markers(folder))


def save(engine: DeepSpeedEngine, folder: Path, identity: str, history: list[dict[str, float]]) -> None:
    """Save a DeepSpeed engine and its curve; every rank calls it."""
    from deepspeed import comm

    tag = f"{identity[:12]}-step-{len(history):06d}"
    engine.save_checkpoint(str(folder), tag=tag, save_latest=False)
    comm.barrier()
    if comm.get_rank() == 0:
        _write_marker(folder / tag / _MARKER, {"identity": identity, "history": history})
        _remove_others(folder, tag)


def load(engine: DeepSpeedEngine, folder: Path, progress: Progress) -> None:
    """Bring a fresh engine to where the checkpoint was saved; every rank calls it."""
    engine.load_checkpoint(str(folder), tag=progress.tag)


def _markers(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*-step-*/{_MARKER}"))


def _write_marker(file: Path, content: dict[str, object]) -> None:
    temporary = file.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as sink:
        json.dump(content, sink)
        sink.flush()
        os.fsync(sink.fileno())
    temporary.replace(file)


def _remove_others(folder: Path, tag: str) -> None:
    for other in folder.glob("*-step-*"):
        if other.name != tag:
            # The marker goes first: a removal cut off half-way leaves no checkpoint that looks whole.
            (other / _MARKER).unlink(missing_ok=True)
            shutil.rmtree(other)


def publish(engine: DeepSpeedEngine, kept: Iterable[Path], output: Path) -> None:
    """Write the trained model as a Hugging Face folder, under its name only when complete; every rank calls it.

    Of the files `kept` of the model that training started from, tokenizer and chat template are copied byte for byte.
    """
    from deepspeed import comm

    weights = _gather_weights(engine)
    if comm.get_rank() == 0:
        temporary = output.with_name(f".{output.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for file in kept:
            if not file.name.endswith((".safetensors", ".safetensors.index.json")):
                shutil.copyfile(file, temporary / file.name)
        engine.module.save_pretrained(str(temporary), state_dict=weights)
        shutil.rmtree(output, ignore_errors=True)
        temporary.rename(output)
    comm.barrier()


def _gather_weights(engine: DeepSpeedEngine) -> dict[str, Tensor]:
    """All parameters on rank 0, one at a time from wherever ZeRO spread them; tied ones once."""
    from deepspeed import comm, zero

    weights = {}
    for name, parameter in engine.module.named_parameters():
        spread = [parameter] if hasattr(parameter, "ds_id") else []
        with zero.GatheredParameters(spread):
            if comm.get_rank() == 0:
                weights[name] = parameter.detach().cpu().clone()
    return weights
