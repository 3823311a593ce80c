"""The student of a project from before students were kept, kept under its identity: it is not trained again."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from orca2.core import config
from orca2.core.rows import PackedSequence
from orca2.project.artifacts import PACKED
from orca2.project.dvc_files import dvc_repository, locked, resolved, stage_that_makes
from orca2.project.shards import read_rows
from orca2.training import finished
from orca2.training.loop import TrainConfig
from orca2.training.run import TrainingCluster

_OUTPUTS = finished.Outputs(model=Path("trained"), results=Path("metrics/train.json"), curve=Path("plots/train"))
_INDEX = Path("models/models.json")
_NO_DATA = ("orca2/", "stages/", "params.yaml")
"""What the training watched besides its data and its model: code, and parameters, of which the lock has the values."""


@dataclass(frozen=True, kw_only=True)
class _Locked(config.Sections):
    seed: int
    train: TrainConfig


@dataclass(frozen=True, kw_only=True)
class _Cluster(config.Sections):
    cluster: TrainingCluster


def adopt() -> Path | None:
    """Keep the student of the project in the current folder under its identity; where it is kept.

    None where there is none, where it is kept already, or where DVC finds that it, its data or its model is not what
    dvc.lock says. How many workers trained it was written nowhere: as many as params.yaml names now.
    """
    name = _stage_as_locked()
    if not name or not _OUTPUTS.results.is_file() or not _INDEX.is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        values = Path(folder) / "params.yaml"
        values.write_text(yaml.safe_dump(dict(locked()[name].params["params.yaml"])), "utf-8")
        made_with = config.load(_Locked, values)
    identity = finished.identity(
        read_rows(PACKED.path, PackedSequence),
        model=json.loads(_INDEX.read_text("utf-8"))["student"]["digest"],
        config=made_with.train,
        seed=made_with.seed,
        workers=config.load(_Cluster).cluster.training.workers,
    )
    students = finished.default_root()
    return None if finished.find(students, identity) else finished.keep(students, identity, _OUTPUTS)


def _stage_as_locked() -> str:
    """The stage that made the student, if all that is data is as it left it; else nothing."""
    root = Path()
    with dvc_repository(root) as repo, repo.lock:
        known = {resolved(stage, root).name: stage for stage in repo.stage.load_all("dvc.yaml")}
        made = stage_that_makes(_OUTPUTS.model, [resolved(stage, root) for stage in known.values()])
        if made is None:
            return ""
        changes: list[object] = next(iter(known[made.name].status(check_updates=True).values()), [])
    named = [path for change in changes for path in _changed_data(change)]
    return "" if named else made.name


def _changed_data(change: object) -> list[str]:
    if not isinstance(change, dict):
        return []
    deps = [path for path in change.get("changed deps", ()) if not path.startswith(_NO_DATA)]
    return deps + list(change.get("changed outs", ()))
