"""How many questions are taken, and which: drawn by what each says and the seed, so that a draw can be made again.

A draw over several sources is that of Orca 1 (its Algorithm 1): a task uniformly, then one of its remaining questions,
until there are so many. It is made as one stream of arrivals a task, at times that follow from the seed and the name of
the task: of such streams every next arrival is equally likely to be of any task that has questions left. So a source
that grows by some questions pushes at most as many others out.
"""

import heapq
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orca2.core.errors import Orca2Error, require
from orca2.core.hashing import derive_seed, unit_interval
from orca2.core.rows import Example, Split
from orca2.recipe.tasks.columns import Rejection
from orca2.recipe.tasks.splits import SplitConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawConfig:
    """A draw of training questions from some sources."""

    sources: tuple[str, ...]
    """Their names."""
    per_task: int = 0
    """Most training questions of a task, from these sources; 0 means all."""
    size: int = 0
    """Exactly so many training questions, a task drawn uniformly for each; 0 means all."""

    def __post_init__(self) -> None:
        require(
            {
                "sources: name at least one, each once": len(set(self.sources)) == len(self.sources) > 0,
                "per_task must be 0 (all) or more": self.per_task >= 0,
                "size must be 0 (all) or more": self.size >= 0,
                "per_task or size must be above 0": self.per_task > 0 or self.size > 0,
            }
        )


def beyond_limits(
    examples: Sequence[Example], positions: Sequence[float], wordings: Sequence[str], splits: SplitConfig
) -> list[Rejection]:
    """The questions above the limit of their task and split, which the first by position fill."""
    taken: Counter[tuple[str, Split]] = Counter()
    surplus = []
    limited = splits.probe_limit or splits.evaluation_limit or splits.train_limit
    for row in _in_order(positions, wordings) if limited else ():
        example = examples[row]
        limit = splits.limit(example.split)
        taken[example.task, example.split] += 1
        if limit and taken[example.task, example.split] > limit:
            surplus.append(Rejection(row, f"beyond {example.split}_limit"))
    return surplus


def not_drawn(
    examples: Sequence[Example],
    sources: Sequence[str],
    positions: Sequence[float],
    wordings: Sequence[str],
    draws: Mapping[str, DrawConfig],
    seed: int,
) -> list[Rejection]:
    """The training questions that a draw over their source does not take.

    Raises:
        Orca2Error: a draw asks for more questions than there are.
    """
    draw_of = {source: name for name, draw in draws.items() for source in draw.sources}
    by_task: dict[str, dict[str, list[int]]] = {name: {} for name in draws}
    for row in _in_order(positions, wordings) if draws else ():
        if examples[row].split == "train" and (name := draw_of.get(sources[row])):
            by_task[name].setdefault(examples[row].task, []).append(row)
    return [
        Rejection(row, "not drawn", f"by tasks.draws.{name}")
        for name, draw in draws.items()
        for task, taken in _taken(name, draw, {t: len(rows) for t, rows in by_task[name].items()}, seed).items()
        for row in by_task[name][task][taken:]
    ]


def _taken(name: str, draw: DrawConfig, counts: Mapping[str, int], seed: int) -> dict[str, int]:
    """How many questions of each task a draw takes."""
    capped = {task: min(count, draw.per_task or count) for task, count in counts.items()}
    there = sum(capped.values())
    if there < draw.size:
        each = f", with at most {draw.per_task:,} of a task" if draw.per_task else ""
        problem = f"asks for {draw.size:,} training questions, and its sources have {there:,}{each}"
        raise Orca2Error(problem, f"params.yaml: tasks.draws.{name}", "lower `size`, or add sources")
    return two_level(capped, draw.size, seed) if draw.size else capped


def two_level(counts: Mapping[str, int], size: int, seed: int) -> dict[str, int]:
    """How many of `counts` questions of each task are drawn when a task is drawn uniformly `size` times.

    A task of which all are taken is drawn no more.
    """
    clocks = {task: random.Random(derive_seed(seed, "draw", task)) for task in counts}  # noqa: S311
    arrivals = [(clocks[task].expovariate(1.0), task) for task, count in counts.items() if count]
    heapq.heapify(arrivals)
    taken = dict.fromkeys(counts, 0)
    for _ in range(size):
        time, task = arrivals[0]
        taken[task] += 1
        if taken[task] < counts[task]:
            heapq.heapreplace(arrivals, (time + clocks[task].expovariate(1.0), task))
        else:
            heapq.heappop(arrivals)
    return taken


def position_of(wording: str, seed: int) -> float:
    """Where a question stands in the order in which they are taken, in [0, 1)."""
    return unit_interval(seed, "limit", wording)


def _in_order(positions: Sequence[float], wordings: Sequence[str]) -> list[int]:
    return sorted(range(len(positions)), key=lambda row: (positions[row], wordings[row]))
