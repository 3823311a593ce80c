"""Outcomes of models and techniques whose true accuracy is known, drawn by seed. Not a test module."""

from functools import cache

import numpy as np

from orca2.recipe.statistics import Paired
from orca2.recipe.strategies import select
from orca2.recipe.strategies.asking import Probe
from tests.examples import graded, request


def rights(accuracy, questions, rounds, seed=0):
    """Right answers of each round and task; `accuracy` is one number a task, `questions` one for all or one a task."""
    drawn = np.random.default_rng(seed).binomial(questions, accuracy, (rounds, len(accuracy)))
    asked = np.broadcast_to(questions, len(accuracy)).tolist()
    return [list(zip(row, asked, strict=True)) for row in drawn.tolist()]


def pairs(first, second, questions, rounds, correlation=0.6, seed=0):
    """For each round, two models on the same questions of each task, with this correlation of right and right."""
    first, second = np.asarray(first, float), np.asarray(second, float)
    both = first * second + correlation * np.sqrt(first * (1 - first) * second * (1 - second))
    both = np.clip(both, np.maximum(0, first + second - 1), np.minimum(first, second))
    cells = np.stack([first - both, second - both, 1 - first - second + 2 * both], axis=1)
    drawn = np.random.default_rng(seed).multinomial(questions, cells, (rounds, len(first)))
    return [[Paired(b, c, questions) for b, c, _ in row] for row in drawn.tolist()]


def probe(accuracy, questions, rounds, correlation=0.6, seed=0):
    """Outcomes of techniques on the same questions: rounds, techniques, questions; each pair correlated alike.

    Right or wrong is a normal draw, shared in part between techniques, on one side of a technique's threshold. The
    correlation is that of these draws, so that of right and right is a little less.
    """
    from statistics import NormalDist

    rng = np.random.default_rng(seed)
    accuracy = np.broadcast_to(accuracy, (rounds, np.shape(accuracy)[-1]))
    difficulty = rng.standard_normal((rounds, 1, questions))
    own = rng.standard_normal((rounds, accuracy.shape[1], questions))
    limits = np.vectorize(NormalDist().inv_cdf)(np.clip(accuracy, 1e-9, 1 - 1e-9))
    return np.sqrt(correlation) * difficulty + np.sqrt(1 - correlation) * own < limits[:, :, None]


def raced(outcomes, seed=1):
    """The choice of the grid and that of a race on the same outcomes, and how many answers the race asked for.

    Techniques cost more and more tokens, so that accuracy and cost pull apart.
    """
    requests = _grid(*np.shape(outcomes))
    verdicts = [(i, right) for i, rights in enumerate(outcomes) for right in rights.tolist()]
    cells = {
        (r.strategy, r.row_id): graded(
            strategy=r.strategy, row_id=r.row_id, strict_correct=right, completion_tokens=10 + i
        )
        for r, (i, right) in zip(requests, verdicts, strict=True)
    }
    probe = Probe({"teacher": requests}, {}, race=True, seed=seed)
    while wanted := probe.wanted():
        probe.add("teacher", [cells[r.strategy, r.row_id] for r in wanted["teacher"]])
    ((grid,), (race,)) = select(cells.values()), select(probe.graded()["teacher"], None, probe.requests()["teacher"])
    return grid, race, len(probe.asked)


@cache
def _grid(techniques, questions):
    return asked_of([(f"s{i}", f"q{j:03d}") for i in range(techniques) for j in range(questions)])


def asked_of(cells, task="sums"):
    """A request for each strategy and question."""
    return [request(strategy=strategy, row_id=row_id, task=task) for strategy, row_id in cells]
