"""The tool's own folder, `.orca2/`, which holds answers and students and belongs into no commit."""

from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder; where it lies in `.orca2/`, that tells git to ignore it.

    The repository around it may be anybody's, and its own .gitignore know nothing of orca2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for around in (folder, *folder.parents):
        if around.name == ".orca2" and not (around / ".gitignore").exists():
            (around / ".gitignore").write_text("*\n", "utf-8")
