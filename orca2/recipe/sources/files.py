"""Questions of local files: one, all of a folder (`questions/`), or those of a pattern (`questions/*.jsonl.gz`).

No cached copy of a file that has changed is served, and a folder here never stands in for a set of the hub.
"""

import glob
from collections.abc import Iterator
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.recipe.sources.base import Kind, Record, Source
from orca2.recipe.sources.formats import FORMATS, format_of, rows_of

_READ = f"{', '.join(FORMATS)}, all but parquet also with .gz or .zst"
_SETTINGS = {".json": {"field"}}
_PATTERN = frozenset("*?[")
_BESIDE = ("", ".md", ".txt")
"""Suffixes of files that stand beside the data of a folder, such as its licence."""


def is_local_name(name: str) -> bool:
    """Whether a name is one of files rather than of a set on the hub."""
    return bool(format_of(name) or _PATTERN & set(name) or name.endswith("/") or name.startswith((".", "/", "~")))


def watched(name: str) -> str:
    """What DVC must watch for what a name stands for: itself, or the folder that a pattern looks in."""
    if not _is_pattern(name):
        return name
    fixed: list[str] = []
    for part in Path(name).parts[:-1]:
        if _PATTERN & set(part):
            break
        fixed.append(part)
    return str(Path(*fixed))


def files_of(name: str, where: str) -> list[Path]:
    """The files that a name stands for, in the order of their names.

    Args:
        name: of a file, a folder or a pattern.
        where: the parameter that says it.

    Raises:
        Orca2Error: there is none, or a folder holds one that is not read.
    """
    path = Path(name)
    if path.is_dir():
        inside = [file for file in path.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(path))]
        found = [file for file in inside if file.suffix.lower() not in _BESIDE]
    else:
        # Not `Path.glob`, which also gives hidden files.
        there = glob.glob(name, recursive=True) if _is_pattern(name) else [name]  # noqa: PTH207
        found = [file for file in map(Path, there) if file.is_file()]
    if not found:
        raise Orca2Error("no such file", name, f"mend {where}")
    if unread := [file for file in found if not format_of(file.name)]:
        hint = f"name those to read by a pattern, as `{path}/*.jsonl`; they may be {_READ}"
        raise Orca2Error(f"is not read: {', '.join(sorted(map(str, unread))[:5])}", name, hint)
    return sorted(found, key=Path.as_posix)


def _rules(source: Source) -> dict[str, bool]:
    name = source.name
    one_file = not (_is_pattern(name) or name.endswith("/") or Path(name).is_dir())
    extra = sorted(set(source.config) - _SETTINGS.get(format_of(name) or ".json", set()))
    return {
        f"name: {name!r} must end in one of {_READ}; or be a folder, or a pattern": not one_file
        or bool(format_of(name)),
        f"name: {name!r} is a pattern in no folder of its own, which DVC could watch": watched(name) != ".",
        "size: is for reasoning_gym; limit other sources with `limit`": not source.size,
        "revision: is for a set of the hub; a file is watched by its content": not source.revision,
        f"config: a local file has no setting {', '.join(extra)}": not extra,
        "config: `field` must be a name": all(isinstance(value, str) for value in source.config.values()),
    }


def _read(name: str, source: Source, seed: int) -> Iterator[Record]:  # noqa: ARG001  (every reader takes the three)
    files = files_of(source.name, f"params.yaml: tasks.sources.{name}.name")
    for file in files:
        among = f"{file}: " if len(files) > 1 else ""
        for row in rows_of(file, str(source.config.get("field", ""))):
            yield Record(row.columns, position=f"{among}{row.position}", fault=row.fault)


def _is_pattern(name: str) -> bool:
    """Whether it is no name of a file; one may hold a bracket."""
    return bool(_PATTERN & set(name)) and not Path(name).exists()


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)


KIND = Kind(read=_read, rules=_rules, is_file=True)
