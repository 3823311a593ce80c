r"""Equal as mathematics: `\frac{1}{2}`, `0.5` and `2^{-1}` agree, as `x^2-1` and `(x-1)(x+1)` do.

What is equal as text or as a number is right at once. The rest is judged by `math-verify`, in a process of its own
(`latex_process`): algebra may run for ever, and there it ends when its time of the processor is spent. What would make
numbers too large to write down is not even asked. The answer is parsed as LaTeX and never run.
"""

import json
import os
import re
import subprocess
import sys
import threading
from functools import cache
from math import prod

from orca2.core.errors import Orca2Error
from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.extraction import normal
from orca2.recipe.graders.numbers import number_in
from orca2.recipe.graders.wrappers import peel

_LARGEST_POWER = 100_000
_MOST_POWERS = 24
_POWER = re.compile(r"\^\s*\{?\s*[-+]?\s*(\d+)")
_TOO_LARGE = re.compile(
    r"\d{100}|\^\s*\{[^}]*\d[\s)\]}]*\^|\^\s*\d+\s*\^|\d{4,}\s*!|[)}\]]\s*!|!\s*!"
    r"|\\(?:binom|dbinom|tbinom|Gamma|sum|prod|int|iint|lim|zeta|bigcup|bigcap|choose|pmod|mod)(?![a-zA-Z])"
)
_SPELT = re.compile(r"\\(?:left|right|displaystyle|[,;:! ])(?![a-zA-Z])|\s+(?=[^\sa-zA-Z])|(?<=[^\sa-zA-Z])\s+")
_UNKNOWN = re.compile(r"([a-z])\s*=[^=]*$")
_BASE = re.compile(r"(?<![a-z\\])\d_\{?(\d+)\}?$")
_MATHS = re.compile(r"\$|\\\(|\\\[")
_FORMULA = re.compile(
    r"\$\$((?:\\.|[^$\\]){1,800})\$\$|\$((?:\\.|[^$\\]){1,800})\$|\\\((.{1,800}?)\\\)|\\\[(.{1,800}?)\\\]", re.DOTALL
)


def latex(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """Equal as mathematical expressions, sets, intervals, tuples, matrices or equations."""
    wanted, found = _bare(expected), _bare(given)
    if wanted == found:
        return wanted != ""
    if _differ_in_form(wanted, found):
        return False
    value = number_in(expected) if "!" not in wanted + found else None
    if value is not None and value == number_in(given):
        return True
    return _is_judgeable(expected) and _is_judgeable(given) and _process().judge(_in_maths(expected), _in_maths(given))


def _differ_in_form(wanted: str, found: str) -> bool:
    """Whether two name different unknowns, or write a number in different bases, which algebra would not see."""
    names = [name[1] for side in (wanted, found) if (name := _UNKNOWN.match(side))]
    bases = [base[1] for side in (wanted, found) if (base := _BASE.search(side))]
    return len({*names}) > 1 or len({*bases}) > 1 or len(bases) == 1


def last_maths(text: str) -> str | None:
    """The last formula between dollar signs or their like, else the last line."""
    found = [formula[0] for formula in _FORMULA.finditer(text)]
    return found[-1] if found else text.strip().rsplit("\n", 1)[-1].rstrip(".") or None


def _bare(text: str) -> str:
    """A text in one spelling, or its formula where it has just one."""
    formulas = {next(filter(None, found)) for found in _FORMULA.findall(text)}
    return normal(_SPELT.sub("", peel(formulas.pop() if len(formulas) == 1 else text)))


def _all_of_it(text: str) -> str | None:
    return text.strip() or None


def _is_judgeable(text: str) -> bool:
    powers = [int(power) for power in _POWER.findall(text[:2_000]) if len(power) < 10]
    few = text.count("^") <= _MOST_POWERS and len(powers) == len(_POWER.findall(text))
    return (
        bool(text.strip())
        and few
        and prod(map(abs, filter(None, powers))) <= _LARGEST_POWER
        and not _TOO_LARGE.search(text)
    )


def _in_maths(text: str) -> str:
    return text if _MATHS.search(text) else f"${text.strip().rstrip('.')}$"


class _Process:
    """The process that judges, started when it is first asked and again when it is gone."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def judge(self, expected: str, given: str) -> bool:
        with self._lock:
            running = self._running if self._running and self._running.poll() is None else self._start()
            assert running.stdin and running.stdout  # noqa: S101  (both are pipes)
            try:
                running.stdin.write(json.dumps([expected, given]) + "\n")
                running.stdin.flush()
                return running.stdout.readline() == "right\n"
            except BrokenPipeError:
                # It died of this answer, which is no answer then.
                return False

    def _start(self) -> subprocess.Popen[str]:
        pipe, path = subprocess.PIPE, os.pathsep.join(filter(None, sys.path))
        self._running = subprocess.Popen(
            [sys.executable, "-m", "orca2.recipe.graders.latex_process"],
            env=os.environ | {"PYTHONPATH": path},
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._running.stdout  # noqa: S101  (it is a pipe)
        if self._running.stdout.readline() != "ready\n":
            raise Orca2Error("cannot start", "grader latex", "install `math-verify`, which it asks")
        return self._running


@cache
def _process() -> _Process:
    return _Process()


GRADER = Grader(judge=latex, find=last_maths, read=_all_of_it)
