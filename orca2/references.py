"""Which stored answers anything still needs: the workspace, and every branch, tag and DVC experiment.

A revision needs the keys in its artifacts. They are read from the DVC cache or remote through its `dvc.lock`, without a
checkout; an artifact that is in neither is an error, because what cannot be known must not be removed.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from orca2.errors import Orca2Error, raise_all

ASKING = ("data/probe", "data/requests", "data/evaluation")
"""The outs whose rows carry the key of a request."""
_REFS = ("refs/heads", "refs/remotes", "refs/tags", "refs/exps", "refs/stash")


class _Artifact(NamedTuple):
    """One version of an out, and a revision that has it."""

    path: str
    md5: str
    revision: str


def needed_keys(repository: Path) -> tuple[set[str], list[str]]:
    """Every key that a revision or the workspace refers to, and the names of those revisions.

    Raises:
        InputErrors: artifacts that are neither in the DVC cache nor in the remote.
    """
    keys = {key for path in ASKING for key in _keys_in_folder(repository / path)}
    names = _revisions(repository)
    errors = []
    for artifact in sorted(_artifacts(repository, names)):
        try:
            keys |= set(_keys_at(repository, artifact))
        except FileNotFoundError:
            errors.append(
                Orca2Error(
                    "is neither in the DVC cache nor in the remote, so what it needs is not known",
                    f"{artifact.path} of {names[artifact.revision]}",
                    "run `dvc fetch --all-branches --all-tags`, or remove the branch or tag",
                )
            )
    raise_all(errors)
    return keys, sorted(names.values())


def _revisions(repository: Path) -> dict[str, str]:
    """Commit to name: of every branch, tag and experiment, and of the heads of all worktrees."""
    listed = _git(repository, "for-each-ref", "--format=%(objectname) %(*objectname) %(refname:short)", *_REFS)
    names = {(peeled or commit): name for commit, peeled, name in (line.split(" ", 2) for line in listed)}
    for line in _git(repository, "worktree", "list", "--porcelain"):
        if line.startswith("HEAD "):
            names.setdefault(line.removeprefix("HEAD "), line.removeprefix("HEAD ")[:10])
    return names


def _artifacts(repository: Path, revisions: dict[str, str]) -> set[_Artifact]:
    """Each distinct version of the asking artifacts once."""
    versions: dict[tuple[str, str], str] = {}
    for revision in revisions:
        shown = subprocess.run(
            ["git", "show", f"{revision}:dvc.lock"], cwd=repository, capture_output=True, text=True, check=False
        )
        lock = yaml.safe_load(shown.stdout) if shown.returncode == 0 else {}
        for stage in ((lock or {}).get("stages") or {}).values():
            for out in stage.get("outs", []):
                if out["path"] in ASKING:
                    versions.setdefault((out["path"], out["md5"]), revision)
    return {_Artifact(path, md5, revision) for (path, md5), revision in versions.items()}


def _keys_at(repository: Path, artifact: _Artifact) -> Iterator[str]:
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(str(repository), rev=artifact.revision)
    for file in files.find(artifact.path):
        if file.endswith(".parquet"):
            with files.open(file) as stream:
                yield from _keys_in(stream)


def _keys_in_folder(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*.parquet")):
        yield from _keys_in(file)


def _keys_in(source: Any) -> list[str]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        keys: list[str] = file.read(columns=["key"])["key"].to_pylist()
    return keys


def _git(repository: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Orca2Error(
            f"git says: {done.stderr.strip()}", str(repository), "run this inside the project's repository"
        )
    return done.stdout.splitlines()
