"""Which stages are stale, and why: DVC's own verdict, with the parameter or the file that changed."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from orca2.core.errors import Orca2Error

_CODE = ("orca2/", "stages/")
_SHOWN = 3
"""Files named in one line; of more, only the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageState:
    """One stage of dvc.yaml."""

    name: str
    state: Literal["fresh", "stale", "waiting"]
    """`waiting`: nothing of its own changed, but a stage before it will run and may change what it reads."""
    why: tuple[str, ...]


def stage_states(root: Path = Path()) -> list[StageState]:
    """Every stage in the order of dvc.yaml.

    Raises:
        Orca2Error: this is no DVC project, or its files are broken.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        changed = Repo(str(root)).status()
    except DvcException as error:
        hint = "see `dvc status`; orca2 runs at the root of a project that git and DVC know"
        raise Orca2Error(f"DVC says: {error}", str(root.resolve()), hint) from error
    stages = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))["stages"]
    lock_file = root / "dvc.lock"
    locked = (yaml.safe_load(lock_file.read_text("utf-8")) or {}).get("stages", {}) if lock_file.is_file() else {}
    params = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    states: list[StageState] = []
    for name, stage in stages.items():
        why = tuple(_reasons(root, changed.get(name, []), locked.get(name), params))
        before = _stale_before(stage, stages, states)
        if name in changed:
            states.append(StageState(name=name, state="stale", why=why or ("DVC says so",)))
        elif before:
            states.append(StageState(name=name, state="waiting", why=(f"after {', '.join(before)}",)))
        else:
            states.append(StageState(name=name, state="fresh", why=()))
    return states


def edited_files(folder: Path, path: str = ".") -> list[str]:
    """The files under `path` that differ from the last commit, as named from the top of the repository."""
    command = ["git", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", path]
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return [entry[3:] for entry in listed.stdout.split("\0") if entry]


def outs_of(stage: dict[str, Any]) -> list[str]:
    """What a stage of dvc.yaml writes: outs, metrics and plots."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def overlap(path: str, other: str) -> bool:
    """Whether one of two paths is, or holds, the other."""
    return path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")


def _reasons(root: Path, changes: list[Any], locked: dict[str, Any] | None, params: Any) -> Iterator[str]:
    if locked is None and changes:
        yield "never run here"
        return
    for change in changes:
        if isinstance(change, str):
            yield change
            continue
        deps = change.get("changed deps", {})
        code = [path for path in deps if path.startswith(_CODE)]
        if code:
            yield f"code: {_listed(code)}"
        for path, what in deps.items():
            if path == "params.yaml":
                sections = (locked or {}).get("params", {}).get(path, {})
                yield from _changed_params(sections, params)
                yield from (f"{section} {word}" for section, word in what.items() if section not in sections)
            elif path not in code:
                yield f"{path} {what}{_changed_files(root, path)}"
        for path, what in change.get("changed outs", {}).items():
            yield f"output {path} {what}"


def _changed_params(before: dict[str, Any], now: Any, path: str = "") -> Iterator[str]:
    """`probe.sampling.max_tokens 64 → 96`, for every leaf under the sections that the stage reads."""
    for name, old in before.items():
        place, new = f"{path}{name}", now.get(name) if isinstance(now, dict) else None
        if isinstance(old, dict) and isinstance(new, dict):
            added = {key: None for key in new if key not in old}
            yield from _changed_params(old | added, new, f"{place}.")
        elif old != new:
            yield f"{place} {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _changed_files(root: Path, path: str) -> str:
    """The files of a folder that differ from the last commit: the likeliest ones, where git knows any."""
    files = edited_files(root, path)
    return f" ({_listed(files)})" if files and files != [path] else ""


def _listed(files: list[str]) -> str:
    return ", ".join(files[:_SHOWN]) + (f" and {len(files) - _SHOWN} more" if files[_SHOWN:] else "")


def _stale_before(stage: dict[str, Any], stages: dict[str, Any], states: list[StageState]) -> list[str]:
    """The stages that will or may run, and whose outputs this one reads."""
    running = [s.name for s in states if s.state != "fresh"]
    return [
        name
        for name in running
        if any(overlap(dep, out) for dep in stage.get("deps", []) for out in outs_of(stages[name]))
    ]
