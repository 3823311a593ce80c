"""The history of the dataset over commits, from the metrics and the lock file that git holds."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orca2.errors import Orca2Error
from orca2.revisions import WORKSPACE, Revision
from orca2.shifts import STRATEGIES

_DATASET = "data/chats"
_FIELDS = "%H%x00%h%x00%cs%x00%s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The dataset at one commit."""

    commit: str
    """Abbreviated, or `workspace`."""
    date: str
    """Of the commit, YYYY-MM-DD; empty for the workspace."""
    subject: str
    rows: int | None
    """None where the commit has no such metric."""
    tasks: int
    strategies: dict[str, int]
    """How many tasks each strategy answers."""
    student: float | None
    """Strict macro accuracy of the student on the held-out questions, in [0, 1]."""
    teacher: float | None
    digest: str
    """Of the files of the dataset, as `dvc.lock` names it."""


def history(revision: str = "HEAD", limit: int = 20, root: Path = Path()) -> Iterator[Version]:
    """The versions of the dataset, latest first: the workspace where it differs, then commits that changed `dvc.lock`.

    Raises:
        Orca2Error: no such revision, or a file of a commit is torn.
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
    chosen = (_parsed(revision, STRATEGIES) or {}).get("strategies") or {}
    evaluated = _parsed(revision, "metrics/evaluate.json") or {}
    chosen = chosen if isinstance(chosen, dict) else {}
    return Version(
        commit=name,
        date=date,
        subject=subject,
        rows=(_parsed(revision, "metrics/erase.json") or {}).get("rows_out"),
        tasks=len(chosen),
        strategies={s: list(chosen.values()).count(s) for s in sorted(set(chosen.values()))},
        student=_accuracy(evaluated, "student"),
        teacher=_accuracy(evaluated, "teacher"),
        digest=revision.outs.get(_DATASET, "").removesuffix(".dir"),
    )


def _accuracy(evaluated: Any, role: str) -> float | None:
    for name in (role, "macro", "strict", "accuracy"):
        evaluated = evaluated.get(name) if isinstance(evaluated, dict) else None
    return evaluated if isinstance(evaluated, int | float) else None


def _parsed(revision: Revision, path: str) -> Any:
    text = revision.text(path)
    try:
        return json.loads(text) if text and path.endswith(".json") else yaml.safe_load(text or "")
    except (ValueError, yaml.YAMLError) as error:
        raise Orca2Error(f"is torn: {error}", f"{path} of {revision}", "mend it in a new commit") from error
