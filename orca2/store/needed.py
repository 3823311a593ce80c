"""Which stored answers anything still needs: every workspace, branch, tag, stash and DVC experiment.

A revision needs the keys in its artifacts. They are read from the DVC cache or remote through its `dvc.lock`, without a
checkout; an artifact that is in neither is an error, because what cannot be known must not be removed.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from orca2.core.errors import Orca2Error, raise_all
from orca2.project import git
from orca2.project.artifacts import ASKING
from orca2.project.dvc_files import DVC_FILE, LOCK_FILE, overlap, read_lock

_REFS = ("refs/heads", "refs/remotes", "refs/tags", "refs/exps")


class _Version(NamedTuple):
    """One version of an out, and a revision that has it."""

    path: str
    version: str
    revision: str
    """Empty for what is in a workspace and not committed."""


def needed_keys(repository: Path) -> tuple[set[str], list[str]]:
    """Every key that a revision or a workspace refers to, and the names of those revisions.

    Raises:
        InputErrors: artifacts that are neither in the DVC cache nor in the remote.
    """
    names = _revisions(repository)
    workspaces = _workspaces(repository)
    keys = {key for workspace in workspaces for key in _keys_in_workspace(workspace)}
    errors = []
    for artifact in sorted(_artifacts(repository, names, workspaces)):
        try:
            keys |= _keys_at(workspaces, artifact)
        except (OSError, ValueError) as error:
            errors.append(_unknown(artifact, names.get(artifact.revision, "the workspace"), error))
    raise_all(errors)
    return keys, sorted(names.values())


def _revisions(repository: Path) -> dict[str, str]:
    """Commit to name: of every branch, tag, stash and experiment, and of the heads of all workspaces."""
    found: dict[str, str] = {}
    listed = git.lines(repository, "for-each-ref", "--format=%(objecttype) %(objectname) %(refname)", *_REFS)
    for kind, commit, name in (line.split(" ", 2) for line in listed):
        # Of an annotated tag; one may name what is no commit at all.
        named = commit if kind == "commit" else git.resolve(repository, name)
        if named:
            found.setdefault(named, name.split("/", 2)[-1])
    stashed = git.resolve(repository, "refs/stash")
    stashes = git.lines(repository, "reflog", "show", "--format=%H", "refs/stash") if stashed else []
    for number, commit in enumerate(stashes):
        found.setdefault(commit, f"stash@{{{number}}}")
    for line in git.lines(repository, "worktree", "list", "--porcelain"):
        if line.startswith("HEAD ") and (commit := line.removeprefix("HEAD ")).strip("0"):
            found.setdefault(commit, commit[:10])
    return found


def _workspaces(repository: Path) -> list[Path]:
    """The folders of all worktrees, the main one first."""
    listed = git.lines(repository, "worktree", "list", "--porcelain")
    folders = [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
    return [repository, *(folder for folder in folders if folder.is_dir() and folder != repository)]


def _artifacts(repository: Path, revisions: Iterable[str], workspaces: list[Path]) -> set[_Version]:
    """Each distinct version of the asking artifacts once."""
    locks = {lock: revision for revision in revisions for lock in _locks(repository, revision)}
    versions: dict[tuple[str, str], str] = {}
    texts = git.contents(repository, [blob for _, blob in locks])
    for ((path, _), revision), text in zip(locks.items(), texts, strict=True):
        versions |= dict.fromkeys(_asking(path, text or b"", f"{path} of {revision[:10]}"), revision)
    for workspace in workspaces:
        for lock in _project_files(workspace, LOCK_FILE.name):
            for version in _asking(lock.relative_to(workspace).as_posix(), lock.read_bytes(), str(lock)):
                versions.setdefault(version, "")
    return {_Version(path, version, revision) for (path, version), revision in versions.items()}


def _locks(repository: Path, revision: str) -> Iterator[tuple[str, str]]:
    """Path and blob of every `dvc.lock` in a revision."""
    for entry in git.files(repository, revision, full_tree=True):
        if PurePosixPath(entry.name).name == LOCK_FILE.name:
            yield entry.name, entry.oid


def _asking(lock: str, content: bytes, where: str) -> Iterator[tuple[str, str]]:
    """Path and version of the outs that a `dvc.lock` names and that hold requests."""
    try:
        built = read_lock(content.decode("utf-8"), where)
    except (Orca2Error, UnicodeDecodeError) as error:
        raise Orca2Error("cannot be read, so what it needs is not known", where, "mend it or drop it") from error
    for path, version in {out for stage in built.values() for out in stage.outs.items()}:
        if any(overlap(path, artifact.folder) for artifact in ASKING):
            yield str(PurePosixPath(lock).parent / path), version


def _keys_at(workspaces: list[Path], artifact: _Version) -> set[str]:
    """The keys in one version of an artifact, by the cache of any of the worktrees, or the remote.

    Raises:
        FileNotFoundError: it is in none. Arrow's own ValueError for a spoilt one.
    """
    for workspace in workspaces[:-1]:
        try:
            return set(_read_keys(workspace, artifact))
        except FileNotFoundError:
            continue
    return set(_read_keys(workspaces[-1], artifact))


def _read_keys(workspace: Path, artifact: _Version) -> Iterator[str]:
    from dvc.api import DVCFileSystem
    from dvc_data.index import DataIndexDirError

    files = DVCFileSystem(str(workspace), rev=artifact.revision or None, subrepos=True)
    try:
        shards = [file for file in files.find(artifact.path) if file.endswith(".parquet")]
    except DataIndexDirError as error:
        raise FileNotFoundError(artifact.path) from error
    if not shards:
        raise FileNotFoundError(artifact.path)
    for shard in shards:
        with files.open(shard) as stream:
            yield from _keys_in(stream)


def _keys_in_workspace(workspace: Path) -> Iterator[str]:
    projects = {workspace, *(file.parent for file in _project_files(workspace, DVC_FILE.name))}
    for folder in (project / artifact.folder for project in sorted(projects) for artifact in ASKING):
        for file in sorted(folder.rglob("*.parquet")):
            try:
                yield from _keys_in(file)
            except (OSError, ValueError) as error:
                raise Orca2Error(f"cannot be read: {error}", str(file), "run `dvc checkout --force`") from error


def _project_files(workspace: Path, name: str) -> list[Path]:
    """The files of this name that git does not ignore."""
    listed = git.names(workspace, "ls-files", "-z", "-co", "--exclude-standard", "--", name, f"**/{name}")
    found = (workspace / path for path in listed)
    return sorted({file for file in found if file.is_file()})


def _keys_in(source: Path | BinaryIO) -> list[str]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        keys: list[str] = file.read(columns=["key"])["key"].to_pylist()
    return keys


def _unknown(artifact: _Version, name: str, error: Exception) -> Orca2Error:
    problem = (
        "is neither in the DVC cache nor in the remote"
        if isinstance(error, FileNotFoundError)
        else f"cannot be read ({error})"
    )
    return Orca2Error(
        f"{problem}, so what it needs is not known",
        f"{artifact.path} of {name}",
        f"run `dvc push` where {name} was built, or remove that branch or tag",
    )
