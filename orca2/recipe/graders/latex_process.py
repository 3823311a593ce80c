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
    from math_verify import LatexExtractionConfig, parse, verify

    def is_right(expected: str, given: str) -> bool:
        how = [LatexExtractionConfig()]  # The other one runs its text as Python.
        sides = [parse(text, how, fallback_mode="no_fallback", parsing_timeout=None) for text in (expected, given)]
        return all(sides) and verify(*sides, timeout_seconds=None)

    signal.signal(signal.SIGPROF, _stop)
    is_right("$x^2 - 1$", "$(x - 1)(x + 1)$")  # The first time loads much.
    print("ready", flush=True)
    for line in sys.stdin:
        right = False
        with contextlib.suppress(_TooLong, MemoryError, RecursionError):
            # A signal waits for the end of one operation on numbers; the limit does not.
            resource.setrlimit(
                resource.RLIMIT_CPU, (int(time.process_time()) + _SECONDS_TO_DEATH, resource.RLIM_INFINITY)
            )
            signal.setitimer(signal.ITIMER_PROF, _SECONDS)
            right = is_right(*json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print("right" if right else "wrong", flush=True)


def _stop(signum: int, frame: object) -> None:  # noqa: ARG001  (every handler takes the two)
    raise _TooLong


if __name__ == "__main__":
    main()
