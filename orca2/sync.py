"""Share answers: copy the missing segments to or from an fsspec address or a named DVC remote.

Segments are immutable and named by content, so two stores merge by copying. A transfer goes to a temporary name first:
it may be interrupted and repeated, and moves nothing twice.
"""

import os
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from orca2.errors import Orca2Error, raise_all
from orca2.hashing import file_digest
from orca2.segments import read_indexed, segment_files
from orca2.store import Store

FOLDER = "orca2-store"
"""Of a DVC remote."""
_AT_ONCE = 8


class Place(NamedTuple):
    """Where segments are shared."""

    files: Any
    """An fsspec file system."""
    folder: str
    name: str
    """As the user gave it."""


def push(root: Path, address: str) -> tuple[int, int]:
    """Copy the segments that are missing there; return how many were, and how many were there already.

    Raises:
        Orca2Error: the address is not understood, or refuses.
    """
    place = open_place(address)
    local = {segment.name: segment for segment in Store(root).segments}
    there = _names(place)
    missing = sorted(local.keys() - there)
    _transfer(place, missing, lambda name: _upload(place, local[name]))
    return len(missing), len(local) - len(missing)


def pull(root: Path, address: str) -> tuple[int, int]:
    """Copy the segments that are missing here; return how many were, and how many were here already.

    What a local merge replaced is here already.

    Raises:
        Orca2Error: the address is not understood, or refuses; or segments there are damaged, all of them named.
    """
    place = open_place(address)
    root.mkdir(parents=True, exist_ok=True)
    held = {segment.name for segment in segment_files(root)}
    for segment in Store(root).segments:
        held.update(read_indexed(segment).replaces)
    there = _names(place)
    missing = sorted(there - held)
    _transfer(place, missing, lambda name: _download(place, name, root))
    return len(missing), len(there) - len(missing)


def open_place(address: str) -> Place:
    """An fsspec address (`s3://bucket/answers`, `ssh://host/answers`, a folder), or the name of a DVC remote."""
    import fsspec

    remote = _dvc_remote(address)
    if remote is not None:
        return Place(remote.fs.fs, remote.fs.join(remote.path, FOLDER), address)
    try:
        files, folder = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        hint = "give a folder, an fsspec address such as s3://bucket/answers, or a name of `dvc remote list`"
        raise Orca2Error(f"cannot be opened: {error}", address, hint) from error
    return Place(files, folder.rstrip("/"), address)


def _dvc_remote(name: str) -> Any:
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        repository = Repo()
    except NotDvcRepoError:
        return None
    return repository.cloud.get_remote(name) if name in repository.config["remote"] else None


def _names(place: Place) -> set[str]:
    try:
        listed = place.files.ls(place.folder, detail=False)
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise _refusal(place, error) from error
    return {name for path in listed if (name := path.rstrip("/").rsplit("/", 1)[-1]).endswith(".parquet")}


def _transfer(place: Place, names: Iterable[str], copy: Any) -> None:
    """Copy several at once; every damaged one is named, a refusal ends it."""
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            raise_all(error for error in pool.map(copy, names) if error)
    except OSError as error:
        raise _refusal(place, error) from error


def _upload(place: Place, segment: Path) -> None:
    place.files.makedirs(place.folder, exist_ok=True)
    temporary = f"{place.folder}/.{uuid.uuid4().hex}.tmp"
    place.files.put_file(str(segment), temporary)
    place.files.mv(temporary, f"{place.folder}/{segment.name}")


def _download(place: Place, name: str, root: Path) -> Orca2Error | None:
    temporary = root / f".{os.getpid()}-{name}.tmp"
    try:
        place.files.get_file(f"{place.folder}/{name}", str(temporary))
        if not Path(name).stem.endswith(file_digest(temporary)[:16]):
            hint = "it is damaged there, and was not taken: remove it, and push it again from a sound store"
            return Orca2Error("its content is not what its name says", f"{place.name}: {name}", hint)
        with temporary.open("rb") as copied:
            os.fsync(copied.fileno())
        temporary.rename(root / name)
    finally:
        temporary.unlink(missing_ok=True)
    return None


def _refusal(place: Place, error: OSError) -> Orca2Error:
    return Orca2Error(
        f"refuses: {error}", place.name, "mend the address, its permissions or the network, and run again"
    )
