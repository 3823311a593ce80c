"""How often the intervals and tests of this project hold the truth, in simulation, beside what they replaced.

    python benchmarks/intervals.py [--rounds 10000]

Prints four tables, each with what is claimed and the worst that was seen: the macro interval, the average over
benchmarks, the paired difference of two models, and the choice of a technique. All draws are seeded. No engine starts.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orca2.recipe.statistics import exact_share, macro_difference, macro_share, mcnemar, wilson
from tests.simulated import pairs, probe, rights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10_000)
    number = parser.parse_args().rounds
    macro(number)
    benchmarks(number // 5)
    paired(number)
    choosing(number // 5)


def macro(number: int) -> None:
    print("95 % interval of the macro average, 50 questions a task: rounds of 100 in which it holds the truth\n")
    print("| tasks | level | new | MOVER of Wilson's, as before |\n|---|---|---|---|")
    seen = []
    for tasks in (4, 23, 100):
        spread = np.linspace(0.01, 0.95, tasks)
        for level in (0.02, 0.05, 0.1, 0.35, 0.5, 0.65, 0.9, 0.98, "0.01 to 0.95"):
            accuracy = spread if isinstance(level, str) else np.full(tasks, level)
            drawn = rights(accuracy, 50, number, seed=tasks)
            held = [_held(accuracy.mean(), [interval(row) for row in drawn]) for interval in (macro_share, _mover)]
            print(f"| {tasks} | {level} | {held[0]:.1f} | {held[1]:.1f} |")
            seen.append(held[0])
    print(f"\nclaim: 94 to 97; seen: {min(seen):.1f} to {max(seen):.1f}")


def benchmarks(number: int) -> None:
    print("\nThe same of an average in which each benchmark counts once, and of the difference of two equal models\n")
    print("| tasks of each benchmark | level | average | difference |\n|---|---|---|---|")
    seen = []
    for groups in ((1, 23), (1, 1, 1, 1, 4, 57), (1,) * 15):
        weights = [1 / tasks for tasks in groups for _ in range(tasks)]
        for level in (0.02, 0.1, 0.35, 0.65, 0.9, 0.98):
            one = rights([level] * len(weights), 50, number, seed=1)
            two = pairs([level] * len(weights), [level] * len(weights), 50, number)
            held = (
                _held(level, [macro_share(row, weights) for row in one]),
                _held(0, [macro_difference(row, weights) for row in two]),
            )
            print(f"| {', '.join(map(str, groups))} | {level} | {held[0]:.1f} | {held[1]:.1f} |")
            seen += held
    print(f"\nclaim: at least 94; seen: {min(seen):.1f} to {max(seen):.1f}")


def paired(number: int) -> None:
    print("\nTwo models, 4 tasks of 50 questions, correlation 0.6: rounds of 100 in which one is called ahead\n")
    print("| level of the second | true lead | paired | intervals that do not overlap, as before |\n|---|---|---|---|")
    seen: dict[float, list[float]] = {}
    for lead in (0.0, 0.05, 0.1, 0.15):
        for level in (0.02, 0.1, 0.3, 0.5, 0.65, 0.8):
            drawn = pairs([level + lead] * 4, [level] * 4, 50, number)
            claimed = 100 - _held(0, [macro_difference(row) for row in drawn])
            print(f"| {level} | {lead} | {claimed:.1f} | {_apart(level, lead, number):.1f} |")
            seen.setdefault(lead, []).append(claimed)
    print(f"\nclaim: false in at most 6; seen: at most {max(seen[0.0]):.1f}")
    print(f"claim: a lead of ten points found in at least 70; seen: at least {min(seen[0.1]):.1f}")


def choosing(number: int) -> None:
    print(
        "\nEqual techniques: rounds of 100 in which the cheapest is chosen, and in which an interval holds the truth\n"
    )
    print("| techniques | questions | level | cheapest chosen | its interval | the best one's | plain Wilson's |")
    print("|---|---|---|---|---|---|---|")
    for techniques in (4, 7):
        for questions in (16, 64):
            for level in (0.03, 0.1, 0.3, 0.5, 0.7, 0.9):
                outcomes = probe([level] * techniques, questions, number, seed=techniques * questions)
                right = outcomes.sum(axis=2)
                chosen = [_cheapest(task) for task in outcomes]
                one, best = right[np.arange(number), chosen].tolist(), right.max(axis=1).tolist()
                together = 1 - 0.05 / techniques
                intervals = (
                    [exact_share(n, questions, together) for n in one],
                    [exact_share(n, questions, together) for n in best],
                    [wilson(n, questions) for n in best],
                )
                held = " | ".join(f"{_held(level, found):.1f}" for found in intervals)
                print(f"| {techniques} | {questions} | {level} | {100 * np.mean(np.equal(chosen, 0)):.1f} | {held} |")


def _held(truth: float, intervals: Sequence[tuple[float, float]]) -> float:
    return 100 * float(np.mean([low <= truth <= high for low, high in intervals]))


def _mover(tasks: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Zou and Donner's combination of the tasks' own intervals."""
    ends = [(right / asked, *wilson(right, asked)) for right, asked in tasks]
    mean = sum(share for share, _, _ in ends) / len(ends)
    below, above = (math.sqrt(sum((end[0] - end[side]) ** 2 for end in ends)) / len(ends) for side in (1, 2))
    return mean - below, mean + above


def _apart(level: float, lead: float, number: int) -> float:
    """Both models drawn anew from the same cells, judged by overlap."""
    first, second = level + lead, level
    both = first * second + 0.6 * math.sqrt(first * (1 - first) * second * (1 - second))
    both = min(both, first, second)
    cells = [both, first - both, second - both, 1 - first - second + both]
    drawn = np.random.default_rng(1).multinomial(50, cells, (number, 4))
    found = 0
    for row in drawn.tolist():
        ones, twos = ([(cell[0] + cell[side], 50) for cell in row] for side in (1, 2))
        one, two = _mover(ones), _mover(twos)
        found += one[0] > two[1] or two[0] > one[1]
    return 100 * found / number


def _cheapest(task: np.ndarray) -> int:
    """The rule of `strategies.select` where technique 0 is the cheapest, 1 the next, and so on."""
    best = int(task.sum(axis=1).argmax())
    kept = (
        i
        for i, one in enumerate(task)
        if mcnemar(*map(int, ((task[best] & ~one).sum(), (one & ~task[best]).sum()))) >= 0.05
    )
    return next(kept)


if __name__ == "__main__":
    main()
