"""Which stored answers anything still needs: every workspace, branch, tag, stash and DVC experiment.

A revision needs the keys in its artifacts. They are read from the DVC cache or remote through its `dvc.lock`, without a
checkout; an artifact that is in neither is an error, because what cannot be known must not be removed.
"""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from orca2.core.errors import Orca2Error, raise_all

ASKING = ("data/probe", "data/requests", "data/evaluation")
"""The outs whose rows carry the key of a request, from the folder of `dvc.yaml`."""
_REFS = ("refs/heads", "refs/remotes", "refs/tags", "refs/exps")
_LOCK = "dvc.lock"


class _Artifact(NamedTuple):
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
    names: dict[str, str] = {}
    listed = _git(repository, "for-each-ref", "--format=%(objecttype) %(objectname) %(refname)", *_REFS)
    for kind, commit, name in (line.split(" ", 2) for line in listed):
        if kind != "commit":  # an annotated tag; one may name what is no commit at all
            commit = "".join(_git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False))
        if commit:
            names.setdefault(commit, name.split("/", 2)[-1])
    for number, commit in enumerate(_git(repository, "reflog", "show", "--format=%H", "refs/stash", check=False)):
        names.setdefault(commit, f"stash@{{{number}}}")
    for line in _git(repository, "worktree", "list", "--porcelain"):
        if line.startswith("HEAD ") and (commit := line.removeprefix("HEAD ")).strip("0"):
            names.setdefault(commit, commit[:10])
    return names


def _workspaces(repository: Path) -> list[Path]:
    """The folders of all worktrees, the main one first."""
    listed = _git(repository, "worktree", "list", "--porcelain")
    folders = [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
    return [repository, *(folder for folder in folders if folder.is_dir() and folder != repository)]


def _artifacts(repository: Path, revisions: Iterable[str], workspaces: list[Path]) -> set[_Artifact]:
    """Each distinct version of the asking artifacts once."""
    locks = {lock: revision for revision in revisions for lock in _locks(repository, revision)}
    versions: dict[tuple[str, str], str] = {}
    for (path, blob), revision in locks.items():
        text = "\n".join(_git(repository, "cat-file", "blob", blob))
        versions |= dict.fromkeys(_asking(path, text, f"{path} of {revision[:10]}"), revision)
    for workspace in workspaces:
        for lock in _project_files(workspace, _LOCK):
            inside = lock.relative_to(workspace).as_posix()
            for version in _asking(inside, lock.read_text("utf-8"), str(lock)):
                versions.setdefault(version, "")
    return {_Artifact(path, version, revision) for (path, version), revision in versions.items()}


def _locks(repository: Path, revision: str) -> Iterator[tuple[str, str]]:
    """Path and blob of every `dvc.lock` in a revision."""
    for entry in "\n".join(_git(repository, "ls-tree", "-r", "-z", "--full-tree", revision)).split("\0"):
        about, _, path = entry.partition("\t")
        if PurePosixPath(path).name == _LOCK:
            yield path, about.split()[2]


def _asking(lock: str, text: str, where: str) -> Iterator[tuple[str, str]]:
    """Path and version of the asking outs that a `dvc.lock` names."""
    try:
        stages = (yaml.safe_load(text) or {}).get("stages") or {}
    except (yaml.YAMLError, AttributeError) as error:
        raise Orca2Error("cannot be read, so what it needs is not known", where, "mend it or drop it") from error
    for stage in stages.values():
        for out in stage.get("outs", []):
            if out["path"] in ASKING:
                yield str(PurePosixPath(lock).parent / out["path"]), str(out.get("md5", out))


def _keys_at(workspaces: list[Path], artifact: _Artifact) -> set[str]:
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


def _read_keys(workspace: Path, artifact: _Artifact) -> Iterator[str]:
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
    projects = {workspace, *(file.parent for file in _project_files(workspace, "dvc.yaml"))}
    for folder in (project / asking for project in sorted(projects) for asking in ASKING):
        for file in sorted(folder.rglob("*.parquet")):
            yield from _keys_in(file)


def _project_files(workspace: Path, name: str) -> list[Path]:
    """The files of this name that git does not ignore."""
    listed = _git(workspace, "ls-files", "-z", "-co", "--exclude-standard", "--", name, f"**/{name}")
    found = (workspace / path for path in "\n".join(listed).split("\0") if path)
    return sorted({file for file in found if file.is_file()})


def _keys_in(source: Any) -> list[str]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        keys: list[str] = file.read(columns=["key"])["key"].to_pylist()
    return keys


def _unknown(artifact: _Artifact, name: str, error: Exception) -> Orca2Error:
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


def _git(repository: Path, *arguments: str, check: bool = True) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise Orca2Error(
            f"git says: {done.stderr.strip()}", str(repository), "run this inside the project's repository"
        )
    return done.stdout.splitlines() if not done.returncode else []
