"""What was computed from a file is remembered while the file stays as it is: its size, times and inode.

A memo is a convenience of one machine. It may be removed at any time, and then costs the computation once more; a torn
one, or one of another version, is as good as none.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

_T = TypeVar("_T")
_SETTLED_NS = 1_000_000_000
"""A file that changed less than this ago is not remembered: within a tick of the clock it can change again unseen."""


class _Entry(NamedTuple):
    """What is remembered of one file."""

    state: list[int]
    value: object


class Memo:
    """Plain data by file. Use it in a `with`: what is new is written at its end, in one piece.

    Args:
        file: where it lies.
        version: names the computation; what another one left is not read.
    """

    def __init__(self, file: Path, version: str) -> None:
        self._file, self._version = file, version
        self._known: dict[str, _Entry] = _read(file, version)
        self._used: dict[str, _Entry] = {}

    def __enter__(self) -> "Memo":
        return self

    def __exit__(self, *_: object) -> None:
        if self._used:
            known = {name: entry for name, entry in (self._known | self._used).items() if Path(name).is_file()}
            _write(self._file, {"version": self._version, "files": known})

    def of(self, path: Path, compute: Callable[[], _T]) -> _T:
        """What `compute` gives for this file, or gave; it must be JSON."""
        name, state = str(path.absolute()), _state(path)
        if (known := self._known.get(name)) and known.state == state:
            return cast(_T, known.value)
        value = compute()
        if time.time_ns() - max(state[1:3]) > _SETTLED_NS and _state(path) == state:
            self._used[name] = _Entry(state, value)
        return value


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _read(file: Path, version: str) -> dict[str, _Entry]:
    try:
        content = json.loads(file.read_bytes())
        files = content["files"] if content["version"] == version else {}
        return {name: _Entry(*entry) for name, entry in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _write(file: Path, content: dict[str, object]) -> None:
    """Last writer wins, and a disk that takes nothing is no error: what was found is found again."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content), "utf-8")
        temporary.replace(file)
