"""The two statistics that this project states, each in its exact or its usual form."""

import math

_Z_95 = 1.959963984540054


def wilson(correct: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion; (0, 1) when there is no observation."""
    if total == 0:
        return 0.0, 1.0
    share, z2 = correct / total, _Z_95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z_95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test: of the questions only one of two got right, is the split a fair coin's?"""
    total, least = only_first + only_second, min(only_first, only_second)
    as_lopsided = sum(math.comb(total, k) for k in range(least + 1))
    return min(1.0, 2 * as_lopsided / (1 << total))
