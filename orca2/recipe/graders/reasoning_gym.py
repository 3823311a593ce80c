"""The verdict of the reasoning-gym dataset that made a question."""

import json
from collections.abc import Callable, Mapping
from functools import cache

from orca2.recipe.graders.base import Grader

UNSOUND_VERDICTS = frozenset({
    "binary_matrix", "countdown", "game_of_life_halting", "intermediate_integration", "n_queens",
    "polynomial_multiplication", "puzzle24", "simple_integration", "spiral_matrix", "string_insertion",
})  # fmt: skip
"""reasoning-gym datasets that run the answer as Python code to judge it, or (game of life) accept any text at all."""


def reasoning_gym(expected: str, given: str, metadata: str) -> bool:
    """Full score only."""
    entry = json.loads(metadata)
    # JSON has one kind of sequence, and some datasets compare with the other.
    return any(_scores(expected, given, told) for told in (entry, _in_tuples(entry)))


def _scores(expected: str, given: str, entry: dict[str, object]) -> bool:
    try:
        score = _judge(str(entry["source_dataset"]))(given, {"answer": expected, "metadata": entry})
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return False  # Some of its judges trip over text that is not even shaped like an answer.
    return score >= 1.0


def _in_tuples(entry: dict[str, object]) -> dict[str, object]:
    return {name: _as_tuple(value) if isinstance(value, list) else value for name, value in entry.items()}


def _as_tuple(value: object) -> object:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


@cache
def _judge(name: str) -> Callable[[str, Mapping[str, object]], float]:
    import reasoning_gym

    score: Callable[[str, Mapping[str, object]], float]
    score = reasoning_gym.create_dataset(name, size=1, seed=0).score_answer
    return score


GRADER = Grader(judge=reasoning_gym)
