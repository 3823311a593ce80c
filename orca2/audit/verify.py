"""Two honest rebuilds: from the stored answers alone, byte for byte; and by asking the engine again, as it comes.

The first is a promise (docs/design.md, 2): same inputs, same bytes. The second is a measurement of one machine: what a
model says again may differ by rounding, and the report says how often and where.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from orca2.core import config
from orca2.core.errors import Orca2Error
from orca2.core.hashing import unit_interval
from orca2.core.rows import Example, Generation, Request
from orca2.engines.config import GenerationConfig
from orca2.engines.generation import answer
from orca2.project import git
from orca2.project.artifacts import STEPS
from orca2.project.dvc_files import (
    DVC_FILE,
    LOCK_FILE,
    Stage,
    dvc_repository,
    from_root,
    locked,
    overlap,
    stages,
    up_to,
)
from orca2.project.pipeline import changed_inputs
from orca2.recipe.chat import load_tokenizer
from orca2.recipe.grading import grade
from orca2.recipe.models import Model
from orca2.store.store import Store

_REPEATED = [made for step, made in STEPS.items() if step not in ("train", "evaluate", "report")]
"""What a rebuild repeats to the byte; trained weights depend on the machine, and so does all that follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One stage, rebuilt in another folder from the stored answers."""

    stage: str
    differing: tuple[str, ...]
    """Outputs that are not what dvc.lock says."""
    stale: tuple[str, ...]
    """What it reads and dvc.lock does not know: then nothing can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A request whose second answer is not the first."""

    request: Request
    first_token: int
    """Position of the first token that differs, from 0."""
    tokens: int
    """Of the stored answer."""
    same_grade: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Regenerated:
    """What asking again gave."""

    asked: int
    differences: tuple[Difference, ...]


def replay(store: Store, root: Path = Path()) -> Iterator[Replayed]:
    """Rebuild every stage before training in a temporary folder, from the stored answers alone; compare with dvc.lock.

    The stages are those of dvc.yaml that the last known step needs, each by its own command. Where the output of one
    differs, or it is stale, the next ones go on from the output as it lies in the project.

    Raises:
        Orca2Error: a stage fails; above all, when an answer is not in the store.
    """
    stages = _stages_to_replay(root)
    with tempfile.TemporaryDirectory(prefix="orca2-replay-") as folder:
        copy = Path(folder)
        _copy_project(root, copy)
        for stage in stages:
            if stage.always_changed:  # no artifact, but what others are judged by
                _run(stage, copy, store.root)
                continue
            stale = changed_inputs(stage.name, copy)
            if not stale:
                _run(stage, copy, store.root)
            differing = list(stage.writes) if stale else _differing(stage, copy)
            for out in differing:
                _take_over(root / out, copy / out)
            yield Replayed(stage=stage.name, differing=() if stale else tuple(differing), stale=stale)


def regenerate(
    requests: Sequence[Request],
    stored: Sequence[Generation],
    examples: Sequence[Example],
    model: Model,
    config: GenerationConfig,
) -> Regenerated:
    """Ask again into an empty store, last request first and with half as many sequences at a time."""
    halved = replace(config.engine, max_num_seqs=max(1, config.engine.max_num_seqs // 2))
    with tempfile.TemporaryDirectory(prefix="orca2-regenerate-") as folder:
        other = replace(config, engine=halved, max_new_tokens=None)
        again = answer(requests, model, Store(Path(folder)), other, last_first=True).generations
    by_sample = {(g.row_id, g.sample_index): g for g in stored}
    first = [by_sample[g.row_id, g.sample_index] for g in again]
    tokenizer = load_tokenizer(model.folder) if model.folder else None
    differences = []
    verdicts = zip(grade(examples, first), grade(examples, again), strict=True)
    asked = {(r.row_id, r.sample_index): r for r in requests}
    for old, new in verdicts:
        if old.text != new.text:
            words = [tokenizer.encode(g.text, add_special_tokens=False) if tokenizer else g.text for g in (old, new)]
            differences.append(
                Difference(
                    request=asked[old.row_id, old.sample_index],
                    first_token=sum(1 for _ in itertools.takewhile(_equal, zip(*words, strict=False))),
                    tokens=len(words[0]),
                    same_grade=old.strict_correct == new.strict_correct,
                )
            )
    return Regenerated(asked=len(again), differences=tuple(differences))


def _equal(pair: tuple[object, object]) -> bool:
    return pair[0] == pair[1]


def sample(requests: Sequence[Request], share: str) -> list[Request]:
    """The requests of a share such as `1%` or `0.01`, chosen by their keys: the same ones each time, at least one.

    Raises:
        Orca2Error: the share is no number above 0 and at most 100 %.
    """
    if not re.fullmatch(r"\d+(\.\d*)?%?", share):
        raise Orca2Error(f"{share!r} is no share", "--sample", "give one such as 1% or 0.01")
    part = float(share.rstrip("%")) / (100 if share.endswith("%") else 1)
    if not 0 < part <= 1:
        raise Orca2Error(f"{share} is not above 0 and at most 100%", "--sample", "give one such as 1% or 0.01")
    ranked = sorted(requests, key=lambda r: (unit_interval(0, "regenerate", r.key), r.row_id, r.sample_index))
    return ranked[: max(1, round(part * len(ranked)))]


def _stages_to_replay(root: Path) -> list[Stage]:
    if not (root / DVC_FILE).is_file():
        raise Orca2Error("no such file", str(root.resolve() / DVC_FILE), "run this at the root of the project")
    wanted = up_to(_REPEATED, stages(root))
    if not wanted:
        raise Orca2Error("has no stage whose output could be rebuilt", str(root / DVC_FILE), "see `dvc stage list`")
    if not set(locked(root)) & {stage.name for stage in wanted}:
        raise Orca2Error("knows no stage: nothing was built", str(root / LOCK_FILE), "run `dvc repro` first")
    return wanted


def _copy_project(root: Path, copy: Path) -> None:
    """Everything of the project but what DVC made, with a budget of no tokens: an engine can not start."""
    for name in git.names(root, "ls-files", "-co", "--exclude-standard", "-z"):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy / name)
    _link_what_git_ignores(root, copy)
    shutil.rmtree(copy / ".dvc", ignore_errors=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm"], cwd=copy, check=True)
    file = copy / config.PARAMS_FILE
    try:
        params = yaml.safe_load(file.read_text("utf-8")) or {}
        params.setdefault("cluster", {}).setdefault("generation", {})["max_new_tokens"] = 0
    except (OSError, yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
        raise Orca2Error(f"cannot be read: {error}", str(root / file.name), "see `orca2 check`") from error
    file.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")


def _link_what_git_ignores(root: Path, copy: Path) -> None:
    """Question files and model folders that a stage depends on and git does not hold."""
    known = stages(root)
    outs = [out for stage in known for out in stage.writes]
    for dep in (Path(d) for stage in known for d in stage.deps if "://" not in d):
        if dep.is_absolute() or any(overlap(dep.as_posix(), out) for out in outs):
            continue
        if ".." in dep.parts:
            hint = "move it into the project to replay from it"
            raise Orca2Error("lies outside the project", f"dvc.yaml: {dep}", hint)
        if (root / dep).exists() and not (copy / dep).exists():
            (copy / dep).parent.mkdir(parents=True, exist_ok=True)
            (copy / dep).symlink_to((root / dep).resolve())


def _run(stage: Stage, copy: Path, store: Path) -> None:
    # As DVC does: by a shell. `python` is the one that runs this.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"PYTHONPATH": str(copy), "ORCA2_STORE": str(store.resolve()), "PATH": path}
    for command in stage.cmd:
        done = subprocess.run(  # noqa: S602  (the project's own dvc.yaml)
            command, shell=True, cwd=copy / stage.folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            hint = "an answer that is missing can be had by `orca2 store pull` or `dvc repro`"
            raise Orca2Error(f"cannot be replayed:\n{done.stderr.strip()}", f"stage {stage.name}", hint)


def _differing(stage: Stage, copy: Path) -> list[str]:
    with dvc_repository(copy) as repo:
        found = next(found for found in repo.stage.load_all(str(copy / DVC_FILE)) if found.name == stage.name)
        return [from_root(out, copy) for out in found.outs if not out.exists or out.changed_checksum()]


def _take_over(original: Path, copied: Path) -> None:
    if copied.is_dir():
        shutil.rmtree(copied)
    if original.is_dir():
        shutil.copytree(original, copied)
    elif original.is_file():
        shutil.copyfile(original, copied)
