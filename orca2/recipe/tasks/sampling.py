"""How many questions are taken, and which: drawn by what each says and the seed, so that a draw can be made again."""

from collections import Counter
from collections.abc import Sequence

from orca2.core.hashing import unit_interval
from orca2.core.rows import Example, Split
from orca2.recipe.tasks.columns import Rejection
from orca2.recipe.tasks.splits import SplitConfig


def beyond_limits(
    examples: Sequence[Example], wordings: Sequence[str], splits: SplitConfig, seed: int
) -> list[Rejection]:
    """The questions above the limit of their task and split, which the first by hash fill."""
    taken: Counter[tuple[str, Split]] = Counter()
    surplus = []
    for row in drawn(wordings, seed):
        example = examples[row]
        limit = splits.limit(example.split)
        taken[example.task, example.split] += 1
        if limit and taken[example.task, example.split] > limit:
            surplus.append(Rejection(row, f"beyond {example.split}_limit"))
    return surplus


def drawn(wordings: Sequence[str], seed: int) -> list[int]:
    """The rows in the order in which they are drawn."""
    order = [(unit_interval(seed, "limit", wording), wording, row) for row, wording in enumerate(wordings)]
    return [row for *_, row in sorted(order)]
