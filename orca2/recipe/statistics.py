"""The statistics that this project states. All are computed, none is drawn, so equal inputs give equal bytes.

A macro average over tasks is treated as one sample of an *effective number of questions*: as many as would have the
variance that was seen inside the tasks. Then the intervals of one sample apply: Wilson's for a share, Bonett and
Price's (2012) for a paired difference. How often they hold the truth: `benchmarks/intervals.py`.
"""

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist, fmean
from typing import NamedTuple

_SHIFT = 0.25
"""Questions that a macro count is moved away from the middle before Wilson's interval is taken. That is half of the
second-order correction for skewness (Cai, 2005); the whole one makes up for too much where few answers are right."""
_BORROWED = 2
"""Questions' worth of variance that a task takes from all others: a task of ten that is all right is not certain."""


class Paired(NamedTuple):
    """How two models did on the same questions of one task."""

    only_first: int
    """Questions that the first got right and the second did not."""
    only_second: int
    questions: int


def wilson(correct: float, total: float, level: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a proportion; (0, 1) when there is no observation."""
    if total == 0:
        return 0.0, 1.0
    z = _normal(level)
    share, z2 = correct / total, z**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = z / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, centre - half), min(1.0, centre + half)


@cache
def exact_share(right: int, asked: int, level: float) -> tuple[float, float]:
    """The Clopper-Pearson interval of a proportion: it holds the truth at least as often as `level` says."""
    return _least_share(right, asked, (1 - level) / 2), 1 - _least_share(asked - right, asked, (1 - level) / 2)


def _least_share(right: int, asked: int, chance: float) -> float:
    """The share of which so many right answers or more still have this chance; by bisection."""
    low, high = 0.0, 1.0
    ways = [math.lgamma(asked + 1) - math.lgamma(k + 1) - math.lgamma(asked - k + 1) for k in range(right, asked + 1)]
    while right and high - low > 1e-9:
        share = (low + high) / 2
        sure, wrong = math.log(share), math.log1p(-share)
        reached = sum(math.exp(way + k * sure + (asked - k) * wrong) for k, way in enumerate(ways, right))
        low, high = (share, high) if reached < chance else (low, share)
    return low


def macro_share(tasks: Sequence[tuple[int, int]], weights: Sequence[float] = ()) -> tuple[float, float]:
    """The 95 % interval of the mean of task accuracies; each task is (right, asked), asked at least 1.

    Args:
        tasks: each with as many questions as it has.
        weights: how much each counts, beside the others; none: all alike. A task that counts for many may happen to
            show no variance at all, so the interval is then at least as wide as the tasks' own ones make it (MOVER).
    """
    if len(tasks) == 1:
        return wilson(*tasks[0])
    if weights:
        return _wider(_macro_share(tasks, weights), _mover(tasks, weights))
    return _macro_share(tasks, [1.0] * len(tasks))


def _macro_share(tasks: Sequence[tuple[int, int]], weights: Sequence[float]) -> tuple[float, float]:
    mean = fmean((right / asked for right, asked in tasks), weights)
    spread = [(right / asked * (1 - right / asked), asked) for right, asked in tasks]
    effective = _effective_questions(spread, mean * (1 - mean), weights)
    return wilson(min(max(mean * effective - _SHIFT * (1 - 2 * mean), 0.0), effective), effective)


def _mover(tasks: Sequence[tuple[int, int]], weights: Sequence[float]) -> tuple[float, float]:
    """Zou and Donner's (2008) combination of the tasks' own intervals."""
    ends = [(right / asked, *wilson(right, asked)) for right, asked in tasks]
    mean = fmean((share for share, _, _ in ends), weights)
    below, above = (
        math.hypot(*(weight * (end[0] - end[side]) for end, weight in zip(ends, weights, strict=True))) / sum(weights)
        for side in (1, 2)
    )
    return mean - below, mean + above


def _wider(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return max(0.0, min(one[0], other[0])), min(1.0, max(one[1], other[1]))


def macro_difference(tasks: Sequence[Paired], weights: Sequence[float] = ()) -> tuple[float, float]:
    """The 95 % interval of the mean over tasks of the first model's accuracy less the second's; in [-1, 1].

    `weights` as in `macro_share`.
    """
    weights = weights or [1.0] * len(tasks)
    first, second = (fmean((task[side] / task.questions for task in tasks), weights) for side in (0, 1))
    spread = [
        (_spread(task.only_first / task.questions, task.only_second / task.questions), task.questions) for task in tasks
    ]
    effective = _effective_questions(spread, _spread(first, second), weights)
    first, second = ((share * effective + 1) / (effective + 2) for share in (first, second))
    half = _normal(0.95) * math.sqrt(_spread(first, second) / (effective + 2))
    return max(-1.0, first - second - half), min(1.0, first - second + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test: of the questions only one of two got right, is the split a fair coin's?"""
    total, least = only_first + only_second, min(only_first, only_second)
    as_lopsided = sum(math.comb(total, k) for k in range(least + 1))
    return min(1.0, 2 * as_lopsided / (1 << total))


def smallest_lead(apart: int, asked: int, significance: float = 0.05) -> float:
    """The smallest difference of two accuracies that McNemar's test could show on these questions; in [0, 1].

    Args:
        apart: questions that exactly one of the two got right. With too few for any lead, the fewest that can do.
        asked: all questions; a lead above 1 could not have been shown.
        significance: the p value that a lead must be below.
    """
    while mcnemar(apart, 0) >= significance:
        apart += 1
    least = next(least for least in range(apart // 2, -1, -1) if mcnemar(apart - least, least) < significance)
    return (apart - 2 * least) / asked


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values as Holm corrects them for being several: below 0.05, any false claim among all has 5 %."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = highest
    return corrected


def _normal(level: float) -> float:
    """How many standard deviations to either side hold this share."""
    return NormalDist().inv_cdf((1 + level) / 2)


def _spread(first: float, second: float) -> float:
    """Variance of one question's difference, which is 1, -1 or 0, with these shares of 1 and of -1."""
    return first + second - (first - second) ** 2


def _effective_questions(tasks: Sequence[tuple[float, int]], spread: float, weights: Sequence[float]) -> float:
    """How many questions of one sample with variance `spread` each would make the mean over tasks as sure as it is.

    Args:
        tasks: the variance of one question inside each task, as observed, and the number of its questions.
        spread: the variance of one question where tasks are not told apart.
        weights: how much each task counts.
    """
    all_weight = sum(weights)
    alike = all_weight**2 / sum(weight**2 / asked for (_, asked), weight in zip(tasks, weights, strict=True))
    degrees = sum(asked - 1 for _, asked in tasks)
    common = sum(variance * asked for variance, asked in tasks) / degrees if degrees else spread
    inside = 0.0
    for (variance, asked), weight in zip(tasks, weights, strict=True):
        own, trust = variance * asked / max(asked - 1, 1), asked / (asked + _BORROWED)
        inside += (trust * own + (1 - trust) * common) / asked * (weight / all_weight) ** 2
    ratio = inside / (spread / alike + inside / alike) if spread else 1.0
    return alike / max(ratio, _normal(0.95) ** 2 / alike)
