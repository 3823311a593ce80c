"""The tool's own folder, `.orca2/`, which holds answers and checkpoints and belongs into no commit."""

from pathlib import Path


def hide_from_git(folder: Path) -> None:
    """Make a folder that tells git to ignore it, also in a repository whose own .gitignore knows nothing of it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".gitignore").is_file():
        (folder / ".gitignore").write_text("*\n", "utf-8")
