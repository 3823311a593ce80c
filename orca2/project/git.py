"""The only module that runs git: bytes in and out, and a git that fails is an error with its remedy.

Names come as `os.fsdecode` gives them, so that a name in any encoding leads back to its file. What people wrote, such
as the subject of a commit, is decoded as UTF-8 with a mark for what is not.
"""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orca2.core.errors import Orca2Error

_NO_REPOSITORY = b"not a git repository (or any"
"""Of all that git says, the one message for a folder that is in none; a broken one is `not a git repository:`."""
_OBJECTS = 1000
"""How many objects are asked for at a time, so that their contents need not be in memory all at once."""


class Entry(NamedTuple):
    """One file of a commit."""

    mode: str
    """`100644` or `100755`; `120000` of a link, `160000` of a submodule."""
    oid: str
    name: str
    """From the folder that was asked about."""


class Logged(NamedTuple):
    """One commit of a history."""

    commit: str
    short: str
    date: str
    """YYYY-MM-DD, of the commit."""
    subject: str


def output(folder: Path, *arguments: str, stdin: bytes = b"", no: int | None = None) -> bytes:
    """What a git command prints.

    Args:
        folder: where it runs.
        arguments: after `git`.
        stdin: what it reads.
        no: an exit status that is an answer and no failure.

    Raises:
        Orca2Error: there is no git, or it fails.
    """
    done = _run(folder, arguments, stdin)
    if done.returncode not in (0, no):
        raise _failure(folder, done.stderr)
    return done.stdout


def names(folder: Path, *arguments: str) -> list[str]:
    """What a command with `-z` prints: file names, or other fields that end in NUL."""
    return [os.fsdecode(field) for field in output(folder, *arguments).split(b"\0") if field]


def lines(folder: Path, *arguments: str, no: int | None = None) -> list[str]:
    """What a command prints that ends its lines with a newline, and with nothing else."""
    return [os.fsdecode(line) for line in output(folder, *arguments, no=no).split(b"\n") if line]


def edited_files(folder: Path, path: str = ".") -> list[str]:
    """The files under `path` that differ from the last commit, as named from the top of the repository."""
    status = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", path)
    return [entry[3:] for entry in names(folder, *status)] if common_folder(folder) else []


def is_same(folder: Path, commit: str, path: str) -> bool:
    """Whether a file of the workspace is as a commit has it."""
    done = _run(folder, ("diff", "--quiet", commit, "--", path), b"")
    if done.returncode not in (0, 1):
        raise _failure(folder, done.stderr)
    return not done.returncode


def difference(before: Path, after: Path) -> bytes:
    """The lines that differ between two files, in or outside any repository; nothing where none do."""
    how = ("--no-color", "--no-ext-diff", "--text", "--no-textconv", "--unified=0")
    return output(Path(), "diff", "--no-index", *how, "--", str(before), str(after), no=1)


def merged(ours: Path, base: Path, theirs: Path) -> bytes | None:
    """A file with the changes of two others to what both began as; None where they changed the same lines."""
    done = _run(Path(), ("merge-file", "--stdout", "--quiet", str(ours), str(base), str(theirs)), b"")
    if done.returncode > 127:
        raise _failure(Path(), done.stderr)
    return None if done.returncode else done.stdout


def blob_id(content: bytes) -> str:
    """The id under which git knows this content, once it was committed."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def resolve(folder: Path, name: str) -> str | None:
    """The commit that a name stands for; None for no name of a commit."""
    found = lines(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", no=1)
    return found[0] if found else None


def head(folder: Path) -> str:
    """The commit that the workspace is at; empty outside any repository, and before its first commit."""
    return "" if common_folder(folder) is None else resolve(folder, "HEAD") or ""


def history(folder: Path, commit: str, path: str, limit: int) -> list[Logged]:
    """The latest commits up to one that changed a file, latest first."""
    what = ("-z", "--format=%H%x1f%h%x1f%cs%x1f%s", f"--max-count={limit}", commit, "--", path)
    entries = (entry.decode("utf-8", "replace") for entry in output(folder, "log", *what).split(b"\0") if entry)
    return [Logged(*entry.split("\x1f", 3)) for entry in entries]


def files(folder: Path, commit: str, *paths: str, full_tree: bool = False) -> list[Entry]:
    """The files of a commit under these paths, named from `folder`, or from the top of the repository."""
    listed = names(folder, "ls-tree", "-r", "-z", *(["--full-tree"] if full_tree else []), commit, "--", *paths)
    entries = (entry.partition("\t") for entry in listed)
    return [Entry(about.split(" ")[0], about.split(" ")[2], name) for about, _, name in entries]


def contents(folder: Path, objects: Sequence[str]) -> list[bytes | None]:
    """The contents of files, each by its id or as `COMMIT:./path`; None for what is not there."""
    return [found for i in range(0, len(objects), _OBJECTS) for found in _contents(folder, objects[i : i + _OBJECTS])]


def common_folder(folder: Path = Path()) -> Path | None:
    """The git folder that all worktrees of a repository share; None outside any repository.

    Raises:
        Orca2Error: there is no git, or it refuses the repository: that is not the same as having none.
    """
    done = _run(folder, ("rev-parse", "--path-format=absolute", "--git-common-dir"), b"")
    if not done.returncode:
        return Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
    if _NO_REPOSITORY in done.stderr:
        return None
    raise _failure(folder, done.stderr)


def main_repository(folder: Path = Path()) -> Path:
    """The folder of the repository that all worktrees and DVC experiment workspaces around `folder` belong to.

    Outside any repository, `folder` itself.
    """
    common = common_folder(folder)
    if common is None:
        return folder.resolve()
    # A DVC experiment's temporary workspace has a repository of its own, inside the `.dvc/tmp/exps` of the one that
    # it was started from; that one may be a worktree in its turn.
    inside = next((parent for parent in common.parents if parent.name == ".dvc"), None)
    return main_repository(inside.parent) if inside else _work_tree(common)


def _work_tree(common: Path) -> Path:
    """The folder beside `.git`; a submodule's git folder lies elsewhere and names its own."""
    named = lines(common, f"--git-dir={common}", "config", "core.worktree", no=1)
    return (common / named[0]).resolve() if named else common.parent


def _contents(folder: Path, objects: Sequence[str]) -> list[bytes | None]:
    printed = output(folder, "cat-file", "--batch", stdin=b"".join(os.fsencode(name) + b"\n" for name in objects))
    found: list[bytes | None] = []
    at = 0
    for _ in objects:
        end = printed.index(b"\n", at)
        about, at = printed[at:end].split(b" "), end + 1
        if about[-1] == b"missing":
            found.append(None)
            continue
        size = int(about[-1])
        found.append(printed[at : at + size] if about[-2] == b"blob" else None)
        at += size + 1
    return found


def _run(folder: Path, arguments: Sequence[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    # In English, because what git says tells what to do about it.
    environment = os.environ | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "--no-pager", *arguments]
    try:
        return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, env=environment, check=False)
    except FileNotFoundError as error:
        if not folder.is_dir():
            raise Orca2Error("no such folder", str(folder), "run this at the root of the project") from error
        hint = "install git, or add its folder to PATH"
        raise Orca2Error("there is no `git` on PATH", str(folder.resolve()), hint) from error


def _failure(folder: Path, said: bytes) -> Orca2Error:
    told = said.decode("utf-8", "replace").strip()
    where = str(folder.resolve())
    if b"dubious ownership" in said:
        remedy = next((line.strip() for line in told.splitlines() if "safe.directory" in line), "")
        remedy = remedy or f"git config --global --add safe.directory {where}"
        hint = f"if you trust it, run `{remedy}`"
        return Orca2Error("git refuses the repository, because another user owns it", where, hint)
    hint = "run this inside the project's repository" if _NO_REPOSITORY in said else "mend what it says, then run again"
    return Orca2Error(f"git says: {told}", where, hint)
