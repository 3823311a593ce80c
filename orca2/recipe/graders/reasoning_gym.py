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
    try:
        score = _judge(entry["source_dataset"])(given, {"answer": expected, "metadata": entry})
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return False  # Some of its judges trip over text that is not even shaped like an answer.
    return score >= 1.0


@cache
def _judge(name: str) -> Callable[[str, Mapping[str, object]], float]:
    import reasoning_gym

    score: Callable[[str, Mapping[str, object]], float]
    score = reasoning_gym.create_dataset(name, size=1, seed=0).score_answer
    return score


GRADER = Grader(judge=reasoning_gym)
