"""Whole folders on disk: put in their place in one step, and brought elsewhere without a copy where the disk can."""

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
