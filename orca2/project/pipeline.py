"""Which stages are stale, and why: DVC's own verdict, with the parameter or the file that changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from orca2.core.errors import Orca2Error
from orca2.project import git
from orca2.project.dvc_files import DVC_FILE, Stage, dvc_repository, from_root, reads, resolved

if TYPE_CHECKING:
    from dvc.dependency.param import ParamsDependency
    from dvc.stage import Stage as DvcStage

_CODE = ("orca2/", "stages/")
_MEANINGS = "steps.yaml"
"""What the code of each step means, as the stage `code` writes it: a change in it is a change of code."""
_StatusEntry: TypeAlias = "str | dict[str, dict[str, str | dict[str, str]]]"
"""Of DVC's status: words, or `changed deps` and `changed outs` by path, of a parameter file by name."""
_SHOWN = 3
"""Files named in one line; of more, only the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageState:
    """One stage, and whether `dvc repro` would run it."""

    stage: Stage
    state: Literal["fresh", "stale", "waiting"]
    """`waiting`: nothing of its own changed, but a stage before it will run and may change what it reads."""
    why: tuple[str, ...]
    reads_anew: frozenset[str] = frozenset()
    """Files and folders among its deps that changed."""

    @property
    def name(self) -> str:
        """Of the stage."""
        return self.stage.name


def stage_states(root: Path = Path(), will_say: Mapping[str, Mapping[str, object]] | None = None) -> list[StageState]:
    """Every stage of dvc.yaml and those before them in other folders, in DVC's order.

    Args:
        root: the project.
        will_say: the contents of parameter files that a stage which always runs is going to write, by path.

    Raises:
        Orca2Error: this is no DVC project, or its files are broken.
    """
    if not (root / DVC_FILE).is_file():
        raise Orca2Error("no such file", str(root.resolve() / DVC_FILE), "run this at the root of the project")
    with dvc_repository(root) as repo, repo.lock:
        wanted = set(repo.stage.collect(str(root / DVC_FILE), with_deps=True))
        found = [stage for stage in repo.index.stages if stage in wanted]
        changes: list[list[_StatusEntry]] = [
            next(iter(stage.status(check_updates=True).values()), []) for stage in found
        ]
    stages = [resolved(stage, root) for stage in found]
    if not stages:
        raise Orca2Error("has no stages", str(root / DVC_FILE), "restore it: `git checkout -- dvc.yaml`")
    why = {
        stage.name: tuple(dict.fromkeys(_reasons(root, dvc_stage, changed, will_say or {})))
        for stage, dvc_stage, changed in zip(stages, found, changes, strict=True)
    }
    frozen = {stage.name for stage, dvc_stage in zip(stages, found, strict=True) if dvc_stage.frozen}
    before = {s.name: [b.name for b in stages if s.name not in frozen and reads(s, b)] for s in stages}
    runs = _running(why, before)
    anew = {
        stage.name: frozenset(_changed_items(root, dvc_stage, changed, "deps"))
        for stage, dvc_stage, changed in zip(stages, found, changes, strict=True)
    }
    return [
        _state(stage, why[stage.name], anew[stage.name], [b for b in before[stage.name] if b in runs])
        for stage in stages
    ]


def changed_inputs(name: str, root: Path = Path()) -> tuple[str, ...]:
    """What the command, the files and the parameters of a stage have become since dvc.lock was written.

    Raises:
        Orca2Error: as of `stage_states`.
    """
    with dvc_repository(root) as repo, repo.lock:
        found = next(stage for stage in repo.stage.load_all(str(root / DVC_FILE)) if stage.name == name)
        changes = [part for part in next(iter(found.status().values()), []) if "changed outs" not in part]
    return tuple(dict.fromkeys(_reasons(root, found, changes, {})))


def state_of(path: str | Path, among: Iterable[StageState]) -> StageState | None:
    """The state of the stage that writes this path; None when the pipeline has none."""
    return next((state for state in among if state.stage.makes(path)), None)


def _running(why: Mapping[str, Sequence[str]], reads: Mapping[str, Sequence[str]]) -> set[str]:
    """The stages that have a reason to run, and all that read, by way of others too, what those write."""
    running, after = set[str](), {name for name, reasons in why.items() if reasons}
    while after:
        running |= after
        after = {name for name, before in reads.items() if after.intersection(before)} - running
    return running


def _state(stage: Stage, why: tuple[str, ...], anew: frozenset[str], before: Sequence[str]) -> StageState:
    if why:
        return StageState(stage=stage, state="stale", why=why, reads_anew=anew)
    if before:
        return StageState(stage=stage, state="waiting", why=(f"after {', '.join(before)}",))
    return StageState(stage=stage, state="fresh", why=())


def _reasons(
    root: Path, stage: DvcStage, changed: list[_StatusEntry], will_say: Mapping[str, Mapping[str, object]]
) -> Iterator[str]:
    """Why a stage must run; nothing of one that only always does."""
    from dvc.dependency.param import ParamsDependency

    watched = {from_root(dep, root): dep for dep in stage.deps if isinstance(dep, ParamsDependency)}
    foreseen = {path: dep for path, dep in watched.items() if path in will_say}
    deps = {p: what for p, what in _changed_items(root, stage, changed, "deps").items() if p not in foreseen}
    outs = _changed_items(root, stage, changed, "outs")
    words = [change for change in changed if isinstance(change, str) and change != "always changed"]
    if not _has_run(stage):
        yield from () if stage.always_changed else ("never run here",)
        return
    yield from words
    if code := [path for path in deps if path.startswith(_CODE)]:
        yield f"code: {_listed(code)}"
    for path, dep in foreseen.items():
        yield from _changed_params(path, dep, will_say[path], dep.params)
    for path, what in deps.items():
        if path in watched and isinstance(what, dict):
            yield from _changed_params(path, watched[path], watched[path].read_params(flatten=True), what)
        elif path not in code:
            yield f"{path} {what}{_changed_files(root, path)}"
    yield from (f"output {path} {what}" for path, what in outs.items())


def _changed_items(
    root: Path, stage: DvcStage, changed: Sequence[_StatusEntry], kind: Literal["deps", "outs"]
) -> dict[str, str | dict[str, str]]:
    """What became of each that changed, by its path from the root."""
    # In its status DVC names a path from the current folder, or from elsewhere where that lies outside its repository.
    named = {str(item): from_root(item, root) for item in (*stage.deps, *stage.outs)}
    parts = [change for change in changed if isinstance(change, dict)]
    return {named[path]: what for part in parts for path, what in part.get(f"changed {kind}", {}).items()}


def _has_run(stage: DvcStage) -> bool:
    """Whether dvc.lock knows it."""
    return any(item.hash_info for item in (*stage.deps, *stage.outs))


def _changed_params(path: str, dep: ParamsDependency, now: Mapping[str, object], names: Iterable[str]) -> Iterator[str]:
    """What changed in these sections of a parameter file since the stage ran."""
    before = dep.hash_info.value or {}
    for name in names:
        if name not in before and name not in now:
            yield f"{path} has no {name}"
        elif name not in before and path != _MEANINGS:
            yield f"{name if path == 'params.yaml' else f'{path}: {name}'} new"
        elif before.get(name) != now.get(name) or name not in now:
            yield from _leaves(path, name, before.get(name), now.get(name))


def _leaves(path: str, name: str, old: object, new: object) -> Iterator[str]:
    """`probe.sampling.max_tokens 64 → 96`, for every leaf that differs."""
    if path == _MEANINGS:
        yield f"code: {name}"
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            if old.get(key) != new.get(key):
                yield from _leaves(path, f"{name}.{key}", old.get(key), new.get(key))
    else:
        where = name if path == "params.yaml" else f"{path}: {name}"
        yield f"{where} {_short(old)} → {_short(new)}"


def _short(value: object) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _changed_files(root: Path, path: str) -> str:
    """The files of a folder that differ from the last commit: the likeliest ones, where git knows any."""
    files = git.edited_files(root, path)
    return f" ({_listed(files)})" if files and files != [path] else ""


def _listed(files: list[str]) -> str:
    return ", ".join(files[:_SHOWN]) + (f" and {len(files) - _SHOWN} more" if files[_SHOWN:] else "")
