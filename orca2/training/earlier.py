"""Students from before, as models: a reference `student:NAME` in params.yaml, of a comparison or to go on from.

NAME is the whole identity of a student that `train` kept (64 hex digits, the name of its folder in `.orca2/students`),
or the commit (40) whose `trained` it is, from the DVC cache or the remote. It is brought to this machine's cache, under
its name, without a copy of the weights where the disk can.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.core.folders import bring, make_folder, settle, student_folder
from orca2.project.artifacts import TRAINED
from orca2.project.git import main_repository
from orca2.project.revisions import Revision

STUDENTS = Path(".orca2/students")
"""Of the main repository: a folder for each finished student."""
MODEL = "model"
"""Its folder in that."""
_KIND = "student:"
_COMMIT = 40


def bring_student(reference: str) -> None:
    """Have the student that a reference names on this machine; nothing for a reference of another kind.

    Raises:
        Orca2Error: there is no such student.
    """
    if not reference.startswith(_KIND):
        return
    name = reference.removeprefix(_KIND)
    folder = student_folder(name)
    if folder.is_dir():
        return
    files = _of_commit(name) if len(name) == _COMMIT else _finished(name)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    make_folder(temporary)
    for file, path in files.items():
        bring(path, temporary / file)
    settle(temporary, folder)


def check_student(reference: str) -> None:
    """Fail early on a student that was never there, without fetching anything."""
    name = reference.removeprefix(_KIND)
    if not reference.startswith(_KIND) or student_folder(name).is_dir():
        return
    if len(name) != _COMMIT:
        _finished(name)
    elif TRAINED.as_posix() not in Revision(name).outs:
        raise _untrained(name)


def _finished(identity: str) -> Mapping[str, Path]:
    """The files of a student that was kept here, by name."""
    folder = main_repository() / STUDENTS / identity / MODEL
    if not folder.is_dir():
        hint = (
            f"{STUDENTS} has those that were trained here; of a commit, name the commit: its model is in the DVC remote"
        )
        raise Orca2Error("no such finished student", f"{_KIND}{identity}", hint)
    return {path.name: path for path in sorted(folder.iterdir())}


def _of_commit(commit: str) -> Mapping[str, Path]:
    """The files of what a commit trained, by name."""
    files = Revision(commit).files(TRAINED.as_posix())
    if not files:
        raise _untrained(commit)
    return {name: file.path for name, file in files.items()}


def _untrained(commit: str) -> Orca2Error:
    hint = "name a commit whose dvc.lock has it: `orca2 log` lists those with a student"
    return Orca2Error(f"has no {TRAINED}", f"{_KIND}{commit}", hint)
