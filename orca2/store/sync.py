"""Share answers: copy the missing segments to or from an fsspec address or a named DVC remote.

Segments are immutable and named by content, so two stores merge by copying. A transfer goes to a temporary name first:
it may be interrupted and repeated, and moves nothing twice.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.folders import make_folder
from orca2.store import segments
from orca2.store.store import Store

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

FOLDER = "orca2-store"
"""Of a DVC remote."""
_AT_ONCE = 8
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""What only a disk that is written to says."""


class Location(NamedTuple):
    """Where segments are shared."""

    files: AbstractFileSystem
    """An fsspec file system."""
    folder: str
    name: str
    """As the user gave it."""
    is_remote: bool
    """A DVC remote, which may be still empty."""


def push(root: Path, address: str) -> tuple[int, int]:
    """Copy the segments that are missing there; return how many were, and how many were there already.

    Raises:
        Orca2Error: the address is not understood, or refuses; or segments here are damaged, all of them named.
    """
    location = open_location(address)
    copied: set[str] = set()
    while True:
        local = {segment.name: segment for segment in Store(root).segments}
        missing = sorted(local.keys() - _prepare(location))
        _transfer(location, missing, lambda name: _upload(location, local[name]))  # noqa: B023  (it ends within the turn)
        copied.update(missing)
        if all(segment.exists() for segment in local.values()):  # else another process has merged some of them
            return len(copied & local.keys()), len(local.keys() - copied)


def pull(root: Path, address: str, *, again: bool = False) -> tuple[int, int]:
    """Copy the segments that are missing here; return how many were, and how many were not wanted.

    What a local merge replaced is here already. What a local gc removed stays away, unless it is wanted `again`.

    Raises:
        Orca2Error: the address is not understood, or refuses; or segments there are damaged, all of them named.
    """
    location = open_location(address)
    there = {name for name in _names(location) if name.endswith(".parquet")}
    store = Store(root)
    held = {segment.name for segment in segments.segment_files(root)} | store.index.replaced
    missing = sorted(there - held - (set() if again else segments.removed_names(root)))
    with segments.writing(root):
        make_folder(root)
    _transfer(location, missing, lambda name: _download(location, name, root))
    segments.sync_folder(root)
    return len(missing), len(there) - len(missing)


def open_location(address: str) -> Location:
    """An fsspec address (`s3://bucket/answers`, `ssh://host/answers`, a folder), or the name of a DVC remote.

    Raises:
        Orca2Error: it is none of these.
    """
    import fsspec

    if (remote := _dvc_remote(address)) is not None:
        return remote
    hint = "give a folder, an fsspec address such as s3://bucket/answers, or a name of `dvc remote list`"
    if not address.strip():
        raise Orca2Error("is empty", "the address", hint)
    if "/" not in address and not Path(address).exists():
        raise Orca2Error("is no DVC remote and no folder", address, f"{hint}; `./{address}` makes a folder")
    try:
        files, folder = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise Orca2Error(f"cannot be opened: {error}", address, hint) from error
    return Location(files, folder.rstrip("/"), address, is_remote=False)


def _dvc_remote(name: str) -> Location | None:
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        repository = Repo()
        if name not in repository.config["remote"]:
            return None
        remote = repository.cloud.get_remote(name)
        return Location(remote.fs.fs, remote.fs.join(remote.path, FOLDER), name, is_remote=True)
    except NotDvcRepoError:
        return None
    except DvcException as error:
        raise Orca2Error(f"cannot be opened: {error}", f"DVC remote {name}", "mend it with `dvc remote`") from error


def _prepare(location: Location) -> set[str]:
    """Make the folder, remove what killed processes left in it, and return the names there."""
    try:
        location.files.makedirs(location.folder, exist_ok=True)
    except (OSError, NotImplementedError) as error:
        raise _refusal(location, error) from error
    names = _names(location)
    for name in filter(segments.is_stale, names):
        with suppress(OSError):  # another process has just removed it
            location.files.rm_file(f"{location.folder}/{name}")
    return names


def _names(location: Location) -> set[str]:
    try:
        location.files.invalidate_cache()
        listed = location.files.ls(location.folder, detail=False)
    except FileNotFoundError as error:
        if location.is_remote:
            return set()
        hint = "mend the address, or fill it with `orca2 store push`"
        raise Orca2Error("there is nothing", location.name, hint) from error
    except OSError as error:
        raise _refusal(location, error) from error
    return {path.rstrip("/").rsplit("/", 1)[-1] for path in listed}


def _transfer(location: Location, names: Iterable[str], copy: Callable[[str], Orca2Error | None]) -> None:
    """Copy several at once; every damaged one is named, a refusal ends it."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        results = [pool.submit(copy, name) for name in names]
        raise_all([error for result in results if (error := result.result())])
    except (OSError, NotImplementedError) as error:
        raise _refusal(location, error) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _upload(location: Location, segment: Path) -> Orca2Error | None:
    try:
        if not segments.is_sound(segment) and segment.exists():
            hint = "it is damaged here, and was not sent: see `orca2 store verify`"
            return Orca2Error("its content is not what its name says", str(segment), hint)
        _put(location.files, segment, f"{location.folder}/{segment.name}")
    except FileNotFoundError:
        if segment.exists():
            raise
    return None  # sent, or merged meanwhile


def _put(files: AbstractFileSystem, segment: Path, target: str) -> None:
    from fsspec import AbstractFileSystem

    if type(files).mv is AbstractFileSystem.mv:  # an object store: a file appears only when it is whole
        files.put_file(str(segment), target)
        return
    temporary = f"{target.rpartition('/')[0]}/{segments.temporary_name()}"
    try:
        files.put_file(str(segment), temporary)
        files.mv(temporary, target)
    except OSError:
        with suppress(OSError):
            files.rm_file(temporary)
        raise


def _download(location: Location, name: str, root: Path) -> Orca2Error | None:
    temporary = root / segments.temporary_name()
    try:
        location.files.get_file(f"{location.folder}/{name}", str(temporary))
        if not segments.is_sound(temporary, name):
            hint = "it is damaged there, and was not taken: remove it, and push it again from a sound store"
            return Orca2Error("its content is not what its name says", f"{location.name}: {name}", hint)
        with temporary.open("rb") as copied:
            os.fsync(copied.fileno())
        temporary.rename(root / name)
    except OSError as error:
        if error.errno not in _DISK and error.filename != str(temporary):
            raise
        with segments.writing(root):  # it is this disk that refuses, not the address
            raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return None


def _refusal(location: Location, error: Exception) -> Orca2Error:
    return Orca2Error(
        f"refuses: {error}", location.name, "mend the address, its permissions or the network, and run again"
    )
