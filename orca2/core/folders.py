"""Folders on disk: made so that git ignores the tool's own, named in one step, brought elsewhere without a copy."""

import fcntl
import os
import shutil
from pathlib import Path

_FICLONE = 0x40049409
"""Linux: let a file share the blocks of another, copied when one of the two is written to."""


def cache_folder() -> Path:
    """What this machine keeps for all projects: `ORCA2_CACHE`, else `orca2` among the user's caches."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("ORCA2_CACHE") or f"{caches}/orca2").expanduser()


def student_folder(name: str) -> Path:
    """Where a student from before lies among them, once it was brought to this machine."""
    return cache_folder() / "models" / f"student-{name}"


def make_folder(folder: Path) -> None:
    """Make a folder; where it lies in `.orca2/`, that tells git to ignore it.

    The repository around it may be anybody's, and its own .gitignore know nothing of orca2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for around in (folder, *folder.parents):
        if around.name == ".orca2" and not (around / ".gitignore").exists():
            (around / ".gitignore").write_text("*\n", "utf-8")


def settle(temporary: Path, folder: Path) -> None:
    """Give a finished folder its name, on the disk for good; one that another process has put there meanwhile stays."""
    for path in (*temporary.rglob("*"), temporary):
        _sync(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(temporary)
    _sync(folder.parent)


def bring(source: Path, target: Path) -> None:
    """Have a file, or a folder's files, at `target` too: its blocks shared, else as a link, else copied."""
    if source.is_dir():
        target.mkdir(parents=True)
        for inner in sorted(source.iterdir()):
            bring(inner, target / inner.name)
    elif not _share_blocks(source, target):
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def _share_blocks(source: Path, target: Path) -> bool:
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            return False
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
