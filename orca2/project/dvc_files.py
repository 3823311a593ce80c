"""DVC's files, typed: the stages that dvc.yaml has, and what dvc.lock says each was built from.

The stages of the workspace are those that DVC itself resolves, so that `foreach`, `matrix` and `vars` mean here what
they mean to `dvc repro`. A stage is known by what it writes and not by its name: who renames one loses nothing. The
lock of any revision holds its stages resolved already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import yaml

from orca2.core.errors import Orca2Error
from orca2.project import git
from orca2.project.artifacts import STEPS

if TYPE_CHECKING:
    from dvc.dependency.base import Dependency
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc.stage import Stage as DvcStage

DVC_FILE = Path("dvc.yaml")
LOCK_FILE = Path("dvc.lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage as DVC resolves it; all paths are from the root of the project."""

    name: str
    """`name@key` of one that `foreach` or `matrix` made; `folder/dvc.yaml:name` of one in another folder."""
    cmd: tuple[str, ...]
    deps: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    params: Mapping[str, tuple[str, ...]]
    """Sections that it watches, by file; none of a file that it watches as a whole."""
    always_changed: bool = False
    folder: str = "."
    """Where its commands run."""

    @property
    def writes(self) -> tuple[str, ...]:
        """All that it makes."""
        return self.outs + self.metrics + self.plots

    def makes(self, path: str | Path) -> bool:
        """Whether it writes this file or folder, or a part of it."""
        return any(overlap(Path(path).as_posix(), out) for out in self.writes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What `dvc.lock` says of one stage: what it ran with, and what came of it."""

    cmd: tuple[str, ...]
    deps: Mapping[str, str]
    """Digest by path."""
    params: Mapping[str, Mapping[str, object]]
    """Values by file and section."""
    outs: Mapping[str, str]
    """Digest by path, from the folder of the lock; that of a folder ends in `.dir`."""


class _Locked(TypedDict, total=False):
    """One stage as dvc.lock spells it."""

    cmd: str | list[str]
    deps: list[dict[str, object]]
    params: dict[str, dict[str, object] | None]
    outs: list[dict[str, object]]


def stages(root: Path = Path()) -> tuple[Stage, ...]:
    """The stages of the project's own dvc.yaml, in its order; none without the file.

    Raises:
        Orca2Error: the file is torn, empty or not DVC's, or the folder is in no DVC project.
    """
    if not (root / DVC_FILE).is_file():
        return ()
    with dvc_repository(root) as repo:
        found = tuple(resolved(stage, root) for stage in repo.stage.load_all(str(root / DVC_FILE)))
    if not found:
        raise Orca2Error("has no stages", str(root / DVC_FILE), "restore it: `git checkout -- dvc.yaml`")
    return found


def stage_that_makes(path: str | Path, among: Iterable[Stage]) -> Stage | None:
    """The stage that writes this path, whatever its name; None when the pipeline has none."""
    return next((stage for stage in among if stage.makes(path)), None)


def read_lock(text: str | None, where: str = str(LOCK_FILE)) -> dict[str, Built]:
    """The stages that a `dvc.lock` knows, by name; none of no text.

    Raises:
        Orca2Error: it is torn, holds the marks of a conflict, or is not DVC's.
    """
    try:
        read = yaml.safe_load(text or "")
        return {} if read is None else {str(name): _built(stage) for name, stage in read.get("stages", {}).items()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        hint = "mend it (`git checkout -- dvc.lock`, or resolve the conflict), or name another revision"
        raise Orca2Error(f"is torn: {error or type(error).__name__}", where, hint) from error


def locked(root: Path = Path()) -> dict[str, Built]:
    """The stages that the project's dvc.lock knows; none without the file. Errors as of `read_lock`."""
    file = root / LOCK_FILE
    try:
        return read_lock(file.read_text("utf-8") if file.is_file() else None, str(file))
    except UnicodeDecodeError as error:
        raise Orca2Error(f"is not UTF-8: {error.reason}", str(file), "save it as UTF-8") from error


def is_of_one_build(path: str, lock: Mapping[str, Built], origin: str = "") -> bool:
    """Whether what a stage made comes, all the way from `origin`, of what the lock says the stages before it made last.

    Not so where one before it was built again and it was not, or where no stage of the lock made it.
    """
    maker = next((stage for stage in lock.values() if any(overlap(path, out) for out in stage.outs)), None)
    if maker is None or origin in maker.outs:
        return maker is not None
    made = {out: digest for stage in lock.values() for out, digest in stage.outs.items()}
    read = {dep: digest for dep, digest in maker.deps.items() if dep in made}
    return all(made[dep] == digest and is_of_one_build(dep, lock, origin) for dep, digest in read.items())


def watched_sections(among: Iterable[Stage], file: str = "params.yaml") -> tuple[str, ...]:
    """The top names of a parameter file that stages watch."""
    return tuple(dict.fromkeys(name.split(".")[0] for stage in among for name in stage.params.get(file, ())))


def require_declared(path: str, step: str, root: Path = Path()) -> None:
    """Raise unless DVC watches `path`, as itself or inside a folder, for the stage that takes this step.

    What a stage reads from outside the project must be among its `deps`, or a change of it goes unseen.

    Raises:
        Orca2Error: with the line to add.
    """
    stage = stage_that_makes(STEPS[step], stages(root))
    wanted = (root / Path(path).expanduser()).resolve()
    watched = [(root / dep).resolve() for dep in stage.deps] if stage else []
    if not any(wanted == dep or dep in wanted.parents for dep in watched):
        name = f"stages.{stage.name}" if stage else f"the stage that writes {STEPS[step]}"
        hint = f"add `- {path}` to the deps of {name}, so that a change of it rebuilds what it should"
        raise Orca2Error(f"does not watch {path}", str(root / DVC_FILE), hint)


def overlap(path: str, other: str) -> bool:
    """Whether one of two paths is, or holds, the other."""
    return path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")


def reads(stage: Stage, before: Stage) -> bool:
    """Whether a stage reads what another writes."""
    return stage is not before and any(before.makes(path) for path in (*stage.deps, *stage.params))


def up_to(paths: Iterable[str | Path], among: Sequence[Stage]) -> list[Stage]:
    """The stages that make these paths, and all that those need, each after what it needs."""
    ordered: list[Stage] = []

    def add(stage: Stage) -> None:
        if stage not in ordered:
            for before in among:
                if reads(stage, before):
                    add(before)
            ordered.append(stage)

    for path in paths:
        for stage in among:
            if stage.makes(path):
                add(stage)
    return ordered


@contextmanager
def dvc_repository(root: Path) -> Iterator[Repo]:
    """DVC's own view of the repository around a folder; what it refuses is told as an error of the project."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    git.common_folder(root)  # DVC takes a git that refuses for a project without one
    try:
        with Repo(str(root)) as repo:
            yield repo
    except (DvcException, SCMError) as error:
        hint = "see `dvc status`; orca2 runs at the root of a project that git and DVC know"
        cause = getattr(error, "exc", None)
        about = f": {cause.__cause__ or cause}" if cause else ""
        raise Orca2Error(f"DVC says: {error}{about}", str(root.resolve()), hint) from error
    except UnicodeEncodeError as error:
        name = os.fsencode(error.object).decode("utf-8", "backslashreplace")
        raise Orca2Error("a name that is not UTF-8, which DVC does not take", name, "rename the file") from error


def resolved(stage: DvcStage, root: Path) -> Stage:
    """What DVC knows of a stage, its paths taken from the root of the project."""
    from dvc.dependency.param import ParamsDependency

    own = Path(stage.path).resolve() == (root / DVC_FILE).resolve()
    paths = {id(item): from_root(item, root) for item in (*stage.deps, *stage.outs)}
    return Stage(
        name=str(stage.name if own and stage.name else stage.addressing),
        cmd=_commands(stage.cmd),
        deps=tuple(paths[id(dep)] for dep in stage.deps if not isinstance(dep, ParamsDependency)),
        outs=tuple(paths[id(out)] for out in stage.outs if not out.metric and not out.plot),
        metrics=tuple(paths[id(out)] for out in stage.outs if out.metric),
        plots=tuple(paths[id(out)] for out in stage.outs if out.plot),
        params={paths[id(dep)]: tuple(dep.params) for dep in stage.deps if isinstance(dep, ParamsDependency)},
        always_changed=bool(stage.always_changed),
        folder=Path(os.path.relpath(stage.wdir, root.resolve())).as_posix(),
    )


def _commands(cmd: str | Sequence[object] | None) -> tuple[str, ...]:
    return () if cmd is None else (cmd,) if isinstance(cmd, str) else tuple(map(str, cmd))


def from_root(item: Dependency | Output, root: Path) -> str:
    """The path of a dependency or an output; an address elsewhere, such as s3://, stays what it is."""
    if item.protocol != "local":
        return str(item.def_path)
    return Path(os.path.relpath(item.fs_path, root.resolve())).as_posix()


def _built(stage: _Locked) -> Built:
    params = {str(file): dict(values or {}) for file, values in (stage.get("params") or {}).items()}
    return Built(
        cmd=_commands(stage.get("cmd")),
        deps=_digests(stage.get("deps")),
        params=params,
        outs=_digests(stage.get("outs")),
    )


def _digests(entries: Iterable[Mapping[str, object]] | None) -> dict[str, str]:
    return {str(entry["path"]): str(entry.get("md5", "")) for entry in entries or ()}
