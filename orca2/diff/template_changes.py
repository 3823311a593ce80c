"""What changed in the templates between two revisions: which files, which lines."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.project.git import difference
from orca2.recipe.templates import Templates

_NOTHING = Path("/dev/null")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


class TemplateChanges:
    """Two versions of the templates folder.

    Args:
        before: the folder of the earlier version.
        after: that of the later one.
    """

    def __init__(self, before: Path, after: Path) -> None:
        self._folders = (before, after)
        self._reach = tuple(cache(_reach_in(folder)) for folder in self._folders)
        self.between = cache(self._between)
        self.shown: dict[str, str] = {}
        """The hunks behind each answer of `between` that names lines."""

    def _between(self, before: str | None, after: str | None) -> str:
        """What changed from one template file to another or to itself, as `tasks/x/y.j2 line 7`; empty for nothing."""
        if before is None or after is None:
            return ""
        if before != after:
            return f"templates/{before} → templates/{after}"
        reach = self._reach[0](before) | self._reach[1](after)
        changed = [
            (file, hunks) for file in sorted(reach, key=lambda f: (f != after, f)) if (hunks := self.hunks(file))
        ]
        if not changed:
            return ""
        file, hunks = changed[0]
        rest = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        label = f"templates/{file} {_lines(hunks)}{rest}"
        self.shown[label] = "".join(f"templates/{name}\n{text}" for name, text in changed)
        return label

    def hunks(self, file: str) -> str:
        """The changes of one file as `git diff` writes them, from the first `@@`; empty when it did not change."""
        before, after = (path if (path := folder / file).is_file() else _NOTHING for folder in self._folders)
        shown = difference(before, after).decode("utf-8", "replace")
        return shown[shown.find("\n@@") + 1 :] if "\n@@" in shown else ""


def _lines(hunks: str) -> str:
    """`line 7`, `lines 7-9, 12`: where the changes stand in the later file."""
    spans = []
    for _, _, start, length in _HUNK.findall(hunks):
        first, count = int(start), int(length or 1)
        spans.append(f"{first}-{first + count - 1}" if count > 1 else str(first) if count else f"after {first}")
    return f"line{'' if len(spans) == 1 and '-' not in spans[0] else 's'} {', '.join(spans)}"


def _reach_in(folder: Path) -> Callable[[str], set[str]]:
    """The files that a template of this folder is made of; itself alone where the folder is not sound."""
    try:
        templates = Templates(folder)
    except Orca2Error:
        return lambda file: {file}
    return lambda file: templates.reach(file) if file in templates.files else {file}
