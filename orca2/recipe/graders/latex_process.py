"""The process behind the grader `latex`: reads `[expected, given]` a line, and writes `right` or `wrong`.

    python -m orca2.recipe.graders.latex_process

Each verdict may take 0.8 seconds of the processor and the process 2 GiB of memory; what needs more is wrong.
"""

import contextlib
import json
import resource
import signal
import sys
import time

_SECONDS = 0.8
_SECONDS_TO_DEATH = 3
_BYTES = 2 << 30


class _TooLong(BaseException):
    """Not an `Exception`: the library catches all of those."""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    signal.signal(signal.SIGPROF, _stop)
    _is_right("$x^2 - 1$", "$(x - 1)(x + 1)$")  # The first time loads much.
    print("ready", flush=True)
    for line in sys.stdin:
        print("right" if _in_time(*json.loads(line)) else "wrong", flush=True)


def _in_time(expected: str, given: str) -> bool:
    """Whether the two are equal, within the time; what takes longer or too much memory is not."""
    # A signal waits for the end of one operation on numbers; the limit does not.
    death = int(time.process_time()) + _SECONDS_TO_DEATH
    resource.setrlimit(resource.RLIMIT_CPU, (death, resource.RLIM_INFINITY))
    right = False
    with contextlib.suppress(_TooLong, MemoryError, RecursionError):
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        right = _is_right(expected, given)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return right


def _is_right(expected: str, given: str) -> bool:
    from math_verify import LatexExtractionConfig, parse, verify

    how = [LatexExtractionConfig()]  # The other one runs its text as Python.
    sides = [parse(text, how, fallback_mode="no_fallback", parsing_timeout=None) for text in (expected, given)]
    return all(sides) and verify(*sides, timeout_seconds=None)


def _stop(signum: int, frame: object) -> None:  # noqa: ARG001  (every handler takes the two)
    raise _TooLong


if __name__ == "__main__":
    main()
