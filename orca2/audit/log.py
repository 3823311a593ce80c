"""The history of the dataset over commits, from the metrics and the lock file that git holds."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orca2.core.errors import Orca2Error
from orca2.diff.shifts import strategies
from orca2.project import git
from orca2.project.artifacts import DATASET
from orca2.project.dvc_files import LOCK_FILE, is_of_one_build
from orca2.project.revisions import WORKSPACE, Revision

_ERASED, _EVALUATED = "metrics/erase.json", "metrics/evaluate.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The dataset at one commit."""

    commit: str
    """Abbreviated, or `workspace`."""
    date: str
    """Of the commit, YYYY-MM-DD; empty for the workspace."""
    subject: str
    rows: int | None = None
    """None where the commit has no such metric."""
    tasks: int | None = None
    """None where the commit holds no choice of strategies."""
    strategies: dict[str, int] = field(default_factory=dict)
    """How many tasks each strategy answers."""
    student: float | None = None
    """Strict macro accuracy of the student on the held-out questions, in [0, 1]; None where the commit holds none, or
    holds that of a student that learnt from another dataset."""
    teacher: float | None = None
    """The same of the teacher; None where the evaluation is of other questions or models than the commit has."""
    digest: str = ""
    """Of the files of the dataset, as `dvc.lock` names it."""
    problem: str = ""
    """The file of this commit that cannot be read; then nothing else of it is told."""


def history(revision: str = "HEAD", limit: int = 20, root: Path = Path()) -> Iterator[Version]:
    """The versions of the dataset, latest first: the workspace where it differs, then commits that changed `dvc.lock`.

    Raises:
        Orca2Error: no such revision.
    """
    last = Revision(revision, root)
    if revision == "HEAD" and not git.is_same(root, "HEAD", str(LOCK_FILE)):
        yield _version(Revision(WORKSPACE, root), WORKSPACE, "", "not committed")
    for commit in git.history(root, last.commit or "HEAD", str(LOCK_FILE), limit):
        yield _version(Revision(commit.commit, root), commit.short, commit.date, commit.subject)


def _version(revision: Revision, name: str, date: str, subject: str) -> Version:
    """One torn commit hides none of the others."""
    nothing = Version(commit=name, date=date, subject=subject)
    try:
        chosen = strategies(revision)["strategies"]
        evaluation = _metrics(revision, _EVALUATED)
        belongs = is_of_one_build(_EVALUATED, revision.locked, DATASET.folder)
        student, teacher = (
            _number(evaluation, role, "macro", "strict", "accuracy") if belongs else None
            for role in ("student", "teacher")
        )
        return replace(
            nothing,
            rows=_number(_metrics(revision, _ERASED), "rows_out"),
            tasks=len(chosen) or None,
            strategies=dict(sorted(Counter(map(str, chosen.values())).items())),
            student=student,
            teacher=teacher,
            digest=revision.outs.get(DATASET.folder, "").removesuffix(".dir"),
        )
    except Orca2Error as error:
        return replace(nothing, problem=f"{error.where}: {error.message.splitlines()[0]}")


def _metrics(revision: Revision, path: str) -> object:
    """A metrics file that git tracks; None where the commit has none, or has another one than `dvc.lock` names."""
    text = revision.text(path)
    try:
        found = json.loads(text or "null")
    except ValueError as error:
        raise Orca2Error(f"is torn: {error}", f"{path} of {revision}", "mend it in a new commit") from error
    md5 = hashlib.md5((text or "").encode("utf-8"), usedforsecurity=False).hexdigest()
    return found if revision.outs.get(path) == md5 else None


def _number(found: object, *names: str) -> Any:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else None
