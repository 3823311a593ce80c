"""Errors that say what went wrong, where, and what to do next.

One base class for everything a user can cause. Anything else that escapes is a bug and keeps its traceback.
All errors survive pickling, because Ray carries them between processes.
"""

import errno
import signal
import sys
from collections.abc import Callable, Iterable, Mapping

INTERRUPTED = 130
"""The status that shells give to what a Ctrl-C ended."""
_DISK_REFUSES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM, errno.ENOTDIR}


class Orca2Error(Exception):
    """Something a user can mend.

    Args:
        message: what is wrong, in one sentence.
        where: the file, line, field or row that is wrong; empty when there is none.
        hint: what to do next.
    """

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        super().__init__(message, where, hint)
        self.message, self.where, self.hint = message, where, hint

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        step = f"\n    -> {self.hint}" if self.hint else ""
        return f"{where}{self.message}{step}"


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
    """Run a command-line entry point, and end the process with its status; tell an error without a traceback.

    The statuses of all commands and stages:

        0    done; nothing differs, nothing is to do
        1    an error, told on stderr with its next step; of a command that compares: something differs
        2    a mistyped command line; of a command that compares: an error
        3    of `orca2 plan`: there is work
        130  interrupted

    Args:
        main: the entry point; it returns its status.
        status: that of an error.
    """
    try:
        sys.exit(main())
    except (Exception, KeyboardInterrupt) as error:
        if _was_interrupted(error):
            # Another Ctrl-C would only spoil the end.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print("interrupted: finished answers are kept; the same command again goes on from there", file=sys.stderr)
            sys.exit(INTERRUPTED)
        if isinstance(error, Orca2Error):
            print(f"error: {error}", file=sys.stderr)
        elif isinstance(error, OSError) and error.errno in _DISK_REFUSES:
            print(f"error: {error.strerror} {error.filename or ''}", file=sys.stderr)
            print("    -> free some space or mend the permissions, then run the stage again", file=sys.stderr)
        else:
            raise
    sys.exit(status)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an interruption led to this error: an engine that is stopped, for one, says that it failed."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
