"""How many of the kept answers of each task are taught: what is easy must not drown what is hard.

Selection by the right answer alone is selection by ease. `grade.quotas` and `grade.weights` set how many answers of
each task remain. Which ones follows from the answers alone: the first kept answer of every question before any second
one, and among these an order by hash, so that raising a quota only adds.
"""

from collections.abc import Iterable, Mapping, Sequence

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.hashing import digest
from orca2.core.rows import Graded, Rejected
from orca2.recipe.filtering import GradeConfig, reject

_UNEVEN = 2
"""Rates of keeping that differ by more than this factor are worth a word."""
Position = tuple[int, str]
"""Which of the kept answers to its question an answer is, and a hash of it."""


def limits(kept: Mapping[str, int], config: GradeConfig) -> dict[str, int]:
    """How many answers of each task remain, of so many that are kept so far.

    Raises:
        InputErrors: a quota or a weight names a task that has no answer.
    """
    raise_all(
        Orca2Error(f"there is no task `{name}`", f"params.yaml: grade.{part}", f"known: {', '.join(sorted(kept))}")
        for part, named in (("quotas", config.quotas), ("weights", config.weights))
        for name in named
        if name not in kept
    )
    if config.quotas:
        return {task: min(number, config.quotas.get(task, number)) for task, number in kept.items()}
    weights = {task: config.weights.get(task, 1.0) for task in kept}
    unit = min((number / weights[task] for task, number in kept.items() if number), default=0.0)
    return {task: min(number, round(unit * weights[task])) for task, number in kept.items()}


def last_kept(answers: Iterable[tuple[str, int, str]], limits: Mapping[str, int]) -> dict[str, Position]:
    """Of each task that loses any, the position of the last answer that remains.

    Args:
        answers: row id, sample index and task of all that are kept so far.
        limits: how many of each task remain.
    """
    by_task: dict[str, list[Position]] = {}
    tasks = {(row_id, sample): task for row_id, sample, task in answers}
    for (row_id, sample), position in _positions(tasks).items():
        by_task.setdefault(tasks[row_id, sample], []).append(position)
    found = {}
    for task, positions in by_task.items():
        if limits[task] < len(positions):
            found[task] = sorted(positions)[limits[task] - 1] if limits[task] else (-1, "")
    return found


def balance(kept: Sequence[Graded], last: Mapping[str, Position]) -> tuple[list[Graded], list[Rejected]]:
    """Those of the kept answers that remain, and the others; all answers to each of the questions must be there."""
    positions = _positions([(row.row_id, row.sample_index) for row in kept])
    stays = [row.task not in last or positions[row.row_id, row.sample_index] <= last[row.task] for row in kept]
    remaining = [row for row, stay in zip(kept, stays, strict=True) if stay]
    return remaining, [reject(r, "beyond its task's share") for r, stay in zip(kept, stays, strict=True) if not stay]


def uneven(kept: Mapping[str, int], answers: Mapping[str, int]) -> str:
    """What to say where the share of answers that is kept differs much between tasks; empty where it does not."""
    shares = {task: kept.get(task, 0) / number for task, number in answers.items() if number}
    if len(shares) < 2 or max(shares.values()) <= _UNEVEN * min(shares.values()):
        return ""
    most, least = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
    return (
        f"{shares[most]:.0%} of the answers of `{most}` are kept and {shares[least]:.0%} of `{least}`:"
        " what is easy outweighs what is hard; see grade.quotas and grade.weights"
    )


def _positions(answers: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Position]:
    """The position of each answer among all, from question and sample."""
    found: dict[tuple[str, int], Position] = {}
    before, rank = "", 0
    for row_id, sample in sorted(answers):
        rank = rank + 1 if row_id == before else 0
        found[row_id, sample] = (rank, digest("balance", [row_id, sample]))
        before = row_id
    return found
