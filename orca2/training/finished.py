"""Finished students, found again by what they were made from: no training is ever paid for twice.

`.orca2/students/<identity>/` of the main repository holds the model, its results and its curve, beside the answer store
and outside DVC, which deletes a stage's outputs before each run. What is in an identity, and what is not, is in
docs/identity.md. A student may be removed at any time (`rm -r .orca2/students/...`): it is trained anew when it is
wanted again.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from orca2.core.folders import bring, make_folder, settle
from orca2.core.hashing import digest, file_digest
from orca2.core.rows import PackedSequence
from orca2.project.git import main_repository
from orca2.training.earlier import MODEL, STUDENTS
from orca2.training.loop import TrainConfig

STEP = 1
"""Raised by hand when the same inputs are to give other weights: another loss, order, schedule, optimiser, or a way to
write the model. Not for what only moves, renames, speeds up or rounds: until it is raised, old students are served."""
_DECIDING = frozenset(
    {
        "learning_rate",
        "epochs",
        "global_batch_sequences",
        "warmup_ratio",
        "schedule",
        "weight_decay",
        "max_grad_norm",
        "zero_stage",
        "dtype",
    }
)
"""In every identity, whatever their value. A field that comes later counts only where it is not at its default."""
_SPEED_ONLY = frozenset({"checkpoint_every_steps"})
_MANIFEST = "student.json"


class Outputs(NamedTuple):
    """What a training leaves in the project."""

    model: Path
    """Folder."""
    results: Path
    """JSON."""
    curve: Path
    """Folder."""


def identity(
    sequences: Iterable[PackedSequence], *, model: str, config: TrainConfig, seed: int, workers: int, step: int = STEP
) -> str:
    """What decides a student: 64 hex digits.

    Args:
        sequences: the packed data; its tokens, labels and segments count, and not how its files are cut.
        model: digest of the model that training starts from.
        config: without what is speed only.
        seed: of the order of the data.
        workers: how many ranks share a batch, which changes the rounding of its sums.
        step: version of the training itself.
    """
    value = {
        "packed": _contents(sequences),
        "model": model,
        "config": _deciding(config, workers),
        "seed": seed,
        "workers": workers,
        "step": step,
    }
    return digest("student", value)


def default_root() -> Path:
    """`.orca2/students` of the main repository, also from a worktree or an experiment's copy."""
    return main_repository() / STUDENTS


def find(root: Path, name: str) -> Path | None:
    """Where the student of this identity is kept, whole; one that is damaged is removed, and says so."""
    folder = root / name
    if not folder.is_dir():
        return None
    if _is_sound(folder):
        return folder
    print(f"train: the student in {folder} is damaged: it is trained anew", flush=True)
    shutil.rmtree(folder)
    return None


def keep(root: Path, name: str, outputs: Outputs) -> Path:
    """Keep what a finished training left, under its identity, for good."""
    temporary = root / f".{name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    make_folder(temporary)
    _bring_all(outputs, _inside(temporary))
    # They may be one file with those in the project: whoever writes into those in place shall be told, as by DVC.
    for path in _files(temporary):
        (temporary / path).chmod(0o444)
    _write_manifest(temporary)
    settle(temporary, root / name)
    return root / name


def restore(folder: Path, outputs: Outputs) -> None:
    """Put a student that was found where a training would have put it."""
    _bring_all(_inside(folder), outputs)


def _inside(folder: Path) -> Outputs:
    return Outputs(model=folder / MODEL, results=folder / "results.json", curve=folder / "curve")


def _bring_all(source: Outputs, target: Outputs) -> None:
    """The model without a copy where the disk can; the small rest as copies, because others write into it in place."""
    for old in (target.model, target.curve):
        shutil.rmtree(old, ignore_errors=True)
    temporary = target.model.with_name(f".{target.model.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    bring(source.model, temporary)
    temporary.rename(target.model)
    shutil.copytree(source.curve, target.curve, copy_function=shutil.copyfile)
    target.results.parent.mkdir(parents=True, exist_ok=True)
    target.results.unlink(missing_ok=True)
    shutil.copyfile(source.results, target.results)


def _contents(sequences: Iterable[PackedSequence]) -> str:
    """Of what training reads, in its order."""
    state = hashlib.sha256()
    for sequence in sequences:
        segments = [number for segment in sequence.segments for number in (segment.start, segment.length)]
        for numbers in (sequence.input_ids, sequence.labels, segments):
            state.update(len(numbers).to_bytes(8, "little"))
            state.update(struct.pack(f"<{len(numbers)}q", *numbers))
    return state.hexdigest()


def _deciding(config: TrainConfig, workers: int) -> Mapping[str, object]:
    """The parameters that count."""
    counted = {
        field.name: value
        for field in dataclasses.fields(config)
        if field.name not in _SPEED_ONLY
        and ((value := getattr(config, field.name)) != field.default or field.name in _DECIDING)
    }
    # One worker in float32 has nothing to spread: every ZeRO stage runs as 0 (see `loop`).
    alone = workers == 1 and config.dtype == "float32"
    return counted | ({"zero_stage": 0} if alone else {})


def _write_manifest(folder: Path) -> None:
    files = {path: file_digest(folder / path) for path in _files(folder)}
    (folder / _MANIFEST).write_text(json.dumps({"step": STEP, "files": files}, indent=2) + "\n", "utf-8")


def _is_sound(folder: Path) -> bool:
    """Whether every file is there as it was kept, and no other."""
    try:
        files = json.loads((folder / _MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return bool(files == {path: file_digest(folder / path) for path in _files(folder)})


def _files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path != folder / _MANIFEST)
    return sorted(path.relative_to(folder).as_posix() for path in found)
