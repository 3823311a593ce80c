"""What a newer tool would change in a project: only files that it wrote itself, and never over an edit.

Each file is judged by three contents: as the tool wrote it (the record), as it is now, and as the tool would write it
today. An edited file is merged where git can do so without a conflict, and else left as it is.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import yaml

from orca2.core.errors import Orca2Error
from orca2.project import git, scaffold
from orca2.project.code import STEPS_FILE, Body, step_digests
from orca2.project.dvc_files import stages


class _Record(TypedDict):
    """What `orca2 init` or the last upgrade wrote."""

    example: str
    files: dict[str, str]
    """git's id of each file's content, by its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What becomes of one file."""

    path: str
    kind: Literal["add", "replace", "merge", "remove", "yours"]
    """`yours`: edited here and changed by the tool, in the same lines; it stays as it is."""
    content: bytes
    """As the tool would write it; of a merge, with the edits; empty of a file that it writes no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """All that an upgrade would do."""

    example: str
    changes: tuple[FileChange, ...]

    def leftovers(self, root: Path) -> list[str]:
        """What the pipeline writes now, inside the project, and will write no longer."""
        new = next((c.content for c in self.changes if c.path == "dvc.yaml" and c.kind in ("replace", "merge")), None)
        if new is None:
            return []
        gone = _outs((root / "dvc.yaml").read_bytes()) - _outs(new)
        return sorted(out for out in gone if (root / out).exists() and _is_inside(root / out, root))

    def apply(self, root: Path) -> None:
        """Do it, and record it last: an interrupted upgrade is finished by the next one."""
        for out in self.leftovers(root):
            shutil.rmtree(root / out) if (root / out).is_dir() else (root / out).unlink()
            _drop_empty((root / out).parent, root)
        for change in self.changes:
            if change.kind == "remove":
                (root / change.path).unlink(missing_ok=True)
                _drop_empty((root / change.path).parent, root)
            elif change.kind != "yours":
                scaffold.write(root / change.path, change.content)
        ids = {name: git.blob_id(content) for name, content in scaffold.tool_files(self.example).items()}
        scaffold.write(root / scaffold.RECORD, scaffold.record_of(self.example, ids))


def upgrade(root: Path = Path()) -> Upgrade:
    """What this tool would do to the project in `root`; nothing is touched.

    Raises:
        Orca2Error: this is no project, or the tool's own repository; or its dvc.yaml or the record is torn.
    """
    if not stages(root):
        hint = "run this in the project's folder; `orca2 init DIR` writes a new one"
        raise Orca2Error("is no orca2 project: it has no dvc.yaml", str(root.resolve()), hint)
    if scaffold.shipped().resolve() == root.resolve():
        hint = "install the tool with pip, and run this in a project that `orca2 init` wrote"
        raise Orca2Error("is the repository that the tool runs from", str(root.resolve()), hint)
    record = _read_record(root)
    new = scaffold.tool_files(record["example"])
    changes = (
        _change(root, path, record["files"].get(path), new.get(path)) for path in sorted({*new, *record["files"]})
    )
    missing = scaffold.missing_templates(root).items()
    added = (FileChange(path=path, kind="add", content=content) for path, content in missing)
    return Upgrade(example=record["example"], changes=(*(change for change in changes if change), *added))


def _read_record(root: Path) -> _Record:
    """The record; of a project from before there was one, what the tool's repository held then."""
    file = (
        root / scaffold.RECORD
        if (root / scaffold.RECORD).is_file()
        else scaffold.shipped() / "examples" / "before_init.yaml"
    )
    try:
        record = yaml.safe_load(file.read_text("utf-8"))
        if record["example"] in scaffold.EXAMPLES and isinstance(record["files"], dict):
            return _Record(example=record["example"], files=record["files"])
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError):
        pass
    raise Orca2Error("is torn", str(file), f"take it back with `git checkout -- {scaffold.RECORD}`")


def _change(root: Path, path: str, was: str | None, new: bytes | None) -> FileChange | None:
    """What becomes of one file that was written as `was` (git's id), and would now be written as `new`."""
    file = root / path
    now = file.read_bytes() if file.is_file() else None
    if now == new or (new is not None and git.blob_id(new) == was) or (now is None and was is not None):
        return None  # Up to date, or changed or removed by its owner alone.
    if now is None:
        return FileChange(path=path, kind="add", content=new or b"")
    edited = git.blob_id(now) != was
    if new is None:
        return FileChange(path=path, kind="yours" if edited else "remove", content=b"")
    if not edited:
        return FileChange(path=path, kind="replace", content=new)
    merged = _merge(root, path, now, was, new)
    return FileChange(path=path, kind="yours" if merged is None else "merge", content=new if merged is None else merged)


def _merge(root: Path, path: str, now: bytes, was: str | None, new: bytes) -> bytes | None:
    """The edits carried over to what the tool writes now; None where that leaves a conflict or the original is lost."""
    base = git.contents(root, [was])[0] if was and git.common_folder(root) else None
    if base is None:
        return None
    if path == "dvc.yaml" and (carried := _carried(base, now, new)) is not None:
        return carried
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("now", "was", "new")]
        for file, content in zip(files, (now, base, new), strict=True):
            file.write_bytes(content)
        return git.merged(*files)


def _carried(base: bytes, now: bytes, new: bytes) -> bytes | None:
    """dvc.yaml as the tool writes it now, with the deps and stages that were added; None where more was edited.

    The commonest edits by far, beside lines that change with every version: by lines alone, they would be conflicts.
    """
    was, own, then = (yaml.safe_load(text)["stages"] for text in (base, now, new))
    added = [name for name in own if name not in was]
    deps = [(name, dep) for name in was if name in own for dep in _deps(own[name]) if dep not in _deps(was[name])]
    rest = {name: _without(own[name], deps, name) for name in own if name not in added}
    if rest != was or any(name in then for name in added) or any(name not in then for name, _ in deps):
        return None
    text = new.decode("utf-8")
    for name, dep in reversed(deps):
        text = text if dep in _deps(then[name]) else scaffold.watching(text, name, dep)
    blocks = re.findall(r"^  ([\w-]+):\n((?:    .*\n|\n(?=    ))+)", now.decode("utf-8") + "\n", flags=re.MULTILINE)
    return (text + "".join(f"\n  {name}:\n{block}" for name, block in blocks if name in added)).encode()


def _deps(stage: Body) -> list[str]:
    return list(stage.get("deps") or [])


def _without(stage: Body, deps: list[tuple[str, str]], name: str) -> Body:
    left = [dep for dep in _deps(stage) if (name, dep) not in deps]
    return {key: value for key, value in stage.items() if key != "deps"} | ({"deps": left} if left else {})


def changed_steps(root: Path, found: Upgrade) -> list[str]:
    """The stages whose code would mean something else, after this upgrade, than when the project was built.

    Raises:
        InputErrors: as of `code.step_digests`.
    """
    built = yaml.safe_load((root / STEPS_FILE).read_text("utf-8")) if (root / STEPS_FILE).is_file() else {}
    names = git.names(root, "ls-files", "-z", "-co", "--exclude-standard", "--", "*.py", "dvc.yaml", "params.yaml")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in names:
            if (root / name).is_file():
                scaffold.write(copy / name, (root / name).read_bytes())
        found.apply(copy)
        return [stage for stage, meaning in step_digests(copy).items() if built.get(stage) != meaning]


def _outs(text: bytes) -> set[str]:
    found = yaml.safe_load(text)["stages"].values()
    entries = [entry for stage in found for kind in ("outs", "metrics", "plots") for entry in stage.get(kind) or ()]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def _is_inside(path: Path, root: Path) -> bool:
    return root.resolve() in path.resolve().parents


def _drop_empty(folder: Path, root: Path) -> None:
    """Remove folders in which nothing is left but what Python compiled."""
    while folder != root and folder.is_dir() and all(entry.name == "__pycache__" for entry in folder.iterdir()):
        for compiled in folder.glob("__pycache__/*.pyc"):
            compiled.unlink()
        for empty in folder.glob("__pycache__"):
            empty.rmdir()
        folder.rmdir()
        folder = folder.parent
