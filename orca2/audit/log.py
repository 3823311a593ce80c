"""The history of the dataset over commits, from the metrics and the lock file that git holds."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orca2.core.errors import Orca2Error
from orca2.diff.shifts import strategies
from orca2.project.artifacts import DATASET
from orca2.project.revisions import WORKSPACE, Revision

_FIELDS = "%H%x00%h%x00%cs%x00%s"


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
    tasks: int = 0
    strategies: dict[str, int] = field(default_factory=dict)
    """How many tasks each strategy answers."""
    student: float | None = None
    """Strict macro accuracy of the student on the held-out questions, in [0, 1]."""
    teacher: float | None = None
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
    if revision == "HEAD" and _changed_here(root):
        yield _version(Revision(WORKSPACE, root), WORKSPACE, "", "not committed")
    command = ["git", "log", f"--format={_FIELDS}", f"--max-count={limit}", last.commit or "HEAD", "--", "dvc.lock"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    for line in filter(None, listed.stdout.split("\n")):
        commit, short, date, subject = line.split("\0", 3)
        yield _version(Revision(commit, root), short, date, subject)


def _changed_here(root: Path) -> bool:
    command = ["git", "diff", "--quiet", "HEAD", "--", "dvc.lock"]
    return bool(subprocess.run(command, cwd=root, capture_output=True, check=False).returncode)


def _version(revision: Revision, name: str, date: str, subject: str) -> Version:
    """One torn commit hides none of the others."""
    nothing = Version(commit=name, date=date, subject=subject)
    try:
        chosen = strategies(revision)["strategies"]
        return replace(
            nothing,
            rows=_metric(revision, "metrics/erase.json", "rows_out"),
            tasks=len(chosen),
            strategies=dict(sorted(Counter(map(str, chosen.values())).items())),
            student=_metric(revision, "metrics/evaluate.json", "student", "macro", "strict", "accuracy"),
            teacher=_metric(revision, "metrics/evaluate.json", "teacher", "macro", "strict", "accuracy"),
            digest=revision.outs.get(DATASET.folder, "").removesuffix(".dir"),
        )
    except Orca2Error as error:
        return replace(nothing, problem=f"{error.where}: {error.message.splitlines()[0]}")


def _metric(revision: Revision, path: str, *names: str) -> Any:
    """A number in a JSON file that git tracks; None where the commit has no such file or number."""
    try:
        found = json.loads(revision.text(path) or "null")
    except ValueError as error:
        raise Orca2Error(f"is torn: {error}", f"{path} of {revision}", "mend it in a new commit") from error
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else None
