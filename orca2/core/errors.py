"""Errors that say what went wrong, where, and what to do next.

One base class for everything a user can cause. Anything else that escapes is a bug and keeps its traceback.
All errors survive pickling, because Ray carries them between processes.
"""

import errno
import sys
from collections.abc import Callable, Iterable, Mapping

_DISK_REFUSES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


class Orca2Error(Exception):
    """Something a user can mend.

    Args:
        message: what is wrong, in one sentence.
        where: the file, line, field or row that is wrong; empty when there is no such place.
        hint: what to do next.
    """

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        super().__init__(message, where, hint)
        self.message, self.where, self.hint = message, where, hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        step = f"\n    -> {self.hint}" if self.hint else ""
        return f"{place}{self.message}{step}"


class InputErrors(Orca2Error):  # noqa: N818  (it is several)
    """Every error found in one pass over the input, so that they can all be mended at once."""

    def __init__(self, errors: Iterable[Orca2Error]) -> None:
        self.errors = list(errors)
        Exception.__init__(self, self.errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def raise_all(errors: Iterable[Orca2Error]) -> None:
    """Raise the errors together, flattening groups; do nothing when there is none."""
    flat = [e for error in errors for e in (error.errors if isinstance(error, InputErrors) else [error])]
    if len(flat) == 1:
        raise flat[0]
    if flat:
        raise InputErrors(flat)


def require(rules: Mapping[str, bool]) -> None:
    """For `__post_init__` of a config: raise for all rules that are not kept, at once.

    Args:
        rules: each rule as a sentence to its user, and whether it is kept.

    Raises:
        ValueError: the broken ones; the loader adds file and path.
    """
    if broken := [rule for rule, kept in rules.items() if not kept]:
        raise ValueError("; ".join(broken))


def exit_on_error(main: Callable[[], int | None], status: int = 1) -> None:
    """Run a command-line entry point; print an `Orca2Error` plainly and exit with this status."""
    try:
        sys.exit(main())
    except Orca2Error as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        if error.errno not in _DISK_REFUSES:
            raise
        print(f"error: {error.strerror} {error.filename or ''}", file=sys.stderr)
        print("    -> free some space or mend the permissions, then run the stage again", file=sys.stderr)
    sys.exit(status)
