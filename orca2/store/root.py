"""Where the store of a project lies."""

import os
from pathlib import Path

from orca2.project.git import main_repository


def default_root() -> Path:
    """`ORCA2_STORE`, else `.orca2/store`, in the main repository, also from a worktree or an experiment's copy.

    Raises:
        Orca2Error: git cannot tell which repository this is; a folder from the root of the disk needs no git.
    """
    named = Path(os.environ.get("ORCA2_STORE") or ".orca2/store").expanduser()
    return named if named.is_absolute() else main_repository() / named
