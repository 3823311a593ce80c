"""A race of techniques beside the full grid: how often it ends within the interval of the grid's choice, at what cost.

    python benchmarks/racing.py [--rounds 20] [--probe data/probe/graded]

Simulated: 126 tasks, 7 techniques, 64 questions, each technique dearer than the one before. Replayed: the answers of a
full grid as a build left them, raced in the orders of 126 seeds. All draws are seeded. No engine starts.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orca2.core.rows import Graded
from orca2.project.shards import read_rows
from orca2.recipe.statistics import wilson
from orca2.recipe.strategies import Choice, select
from orca2.recipe.strategies.asking import Probe
from tests.examples import request
from tests.simulated import probe, raced

TASKS, TECHNIQUES, QUESTIONS = 126, 7, 64
HEAD = "| {} | within Wilson's interval of the grid's choice, % | within the printed one, % | ahead of it, points | "
HEAD += "dearer, tokens | its own interval holds the truth, % | asked, % |\n|---|---|---|---|---|---|---|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--probe", type=Path, help="data/probe/graded of a build with a full grid")
    arguments = parser.parse_args()
    simulated(arguments.rounds)
    if arguments.probe:
        replayed(read_rows(arguments.probe, Graded))


def simulated(number: int) -> None:
    print(f"{TASKS} tasks, {TECHNIQUES} techniques, {QUESTIONS} questions: a race beside the full grid, simulated\n")
    print(HEAD.format("spread of techniques (log odds)"))
    for spread in (0.0, 0.3, 0.6, 1.0, 2.0):
        draw, races = np.random.default_rng(3), []
        for seed in range(number):
            level = draw.normal(0, 1, (TASKS, 1)) + spread * draw.standard_normal((TASKS, TECHNIQUES))
            truth = 1 / (1 + np.exp(-level))
            for task, outcomes in enumerate(probe(truth, QUESTIONS, TASKS, seed=seed)):
                grid, race, asked = raced(outcomes)
                races.append((grid, race, float(truth[task][int(race.strategy[1:])]), asked / outcomes.size))
        print(f"| {spread} | {_told(races)} |")


def replayed(rows: Sequence[Graded]) -> None:
    print("\nThe answers of a build, raced in 126 orders\n")
    print(HEAD.format("task"))
    for task in sorted({row.task for row in rows}):
        mine = [row for row in rows if row.task == task]
        cells = {(row.strategy, row.row_id): row for row in mine}
        requests = [request(strategy=strategy, row_id=row_id, task=task) for strategy, row_id in cells]
        (grid,) = select(mine)
        whole = {score.strategy: score.accuracy for score in grid.scores}
        races = []
        for seed in range(TASKS):
            race = Probe({"teacher": requests}, {}, race=True, seed=seed)
            while wanted := race.wanted():
                race.add("teacher", [cells[r.strategy, r.row_id] for r in wanted["teacher"]])
            (choice,) = select(race.graded()["teacher"], {}, race.requests()["teacher"])
            races.append((grid, choice, whole[choice.strategy], len(race.asked) / len(cells)))
        print(f"| {task} | {_told(races)} |")


def _told(races: Iterable[tuple[Choice, Choice, float, float]]) -> str:
    """Of pairs of the grid's choice and a race's, with the true accuracy of the latter and the share that was asked."""
    found = []
    for grid, race, truth, asked in races:
        best, mine = grid.scores[0], next(score for score in grid.scores if score.strategy == race.strategy)
        plain = mine.accuracy >= wilson(best.correct, best.questions)[0]
        held = race.scores[0].low <= truth <= race.scores[0].high
        ahead, dearer = mine.accuracy - best.accuracy, mine.cost - best.cost
        found.append((100 * plain, 100 * (mine.accuracy >= best.low), 100 * ahead, dearer, 100 * held, 100 * asked))
    within, printed, ahead, dearer, held, asked = np.mean(found, axis=0)
    return f"{within:.1f} | {printed:.1f} | {ahead:+.1f} | {dearer:+.1f} | {held:.1f} | {asked:.1f}"


if __name__ == "__main__":
    main()
