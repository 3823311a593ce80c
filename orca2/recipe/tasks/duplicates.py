"""One copy of every question, and every group on one side.

Of copies, that of evaluation stays, whatever its source, then that of the probe; in one split, that of a source which
names the split, then the one listed first. A copy that goes is rejected by name: as a duplicate, or, where its known
answer is another, as a conflict, which is evidence of a broken source. So is one that is nearly another, or holds much
of a held-out one (`recipe.likeness`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from orca2.core.rows import Example
from orca2.recipe.graders.golds import accepts
from orca2.recipe.likeness.near import near_pairs
from orca2.recipe.likeness.overlap import RUN_WORDS, overlaps
from orca2.recipe.tasks.columns import Rejection


def beside_their_group(groups: Sequence[str], examples: Sequence[Example], ranks: Sequence[int]) -> list[Rejection]:
    """The questions whose group stands in a split that comes before their own; only sources that name one bring that.

    Args:
        groups: of each question, empty where it stands alone.
        examples: the questions.
        ranks: how early each is kept.
    """
    first: dict[str, int] = {}
    for row, group in enumerate(groups):
        if group and (group not in first or ranks[row] < ranks[first[group]]):
            first[group] = row
    holders = ((row, first[group]) for row, group in enumerate(groups) if group)
    return [
        Rejection(row, f"group is held by {examples[by].split}", f"group of {examples[by].row_id}")
        for row, by in holders
        if examples[row].split != examples[by].split
    ]


def copies(wordings: Sequence[str], examples: Sequence[Example], ranks: Sequence[int]) -> list[Rejection]:
    """All but one of the questions that say the same.

    Args:
        wordings: what each question says.
        examples: the questions, of one length with these.
        ranks: how early each is kept.
    """
    return [_copy(row, kept, examples) for kept, row in _behind_their_first(_codes(wordings), np.asarray(ranks))]


def near_duplicates(
    wordings: Sequence[str], groups: Sequence[str], examples: Sequence[Example], ranks: Sequence[int]
) -> list[Rejection]:
    """The questions that are near duplicates of one that stays.

    In one split the known answers must agree too; and rows of one group, which share their passage, are never taken for
    one another.

    Args:
        wordings: what each question says, all different.
        groups: of each, empty where it stands alone.
        examples: the questions.
        ranks: how early each is kept; one of rank 0 always is, for a benchmark is what it is.
    """

    def may_go(first: int, row: int) -> bool:
        if groups[row] and groups[row] == groups[first]:
            return False
        # What evaluation holds goes from all other splits.
        held_out = examples[first].split == "evaluation" != examples[row].split
        return held_out or agree(examples[first], examples[row])

    return [
        Rejection(pair.row, "near duplicate", f"{pair.share:.0%} like {examples[pair.first].row_id}")
        for pair in near_pairs(wordings, [example.task for example in examples], ranks, may_go)
    ]


def overlapping(wordings: Sequence[str], examples: Sequence[Example]) -> list[Rejection]:
    """The training questions that overlap one of evaluation, by what each says."""
    trained, held_out = (
        [row for row, example in enumerate(examples) if example.split == split] for split in ("train", "evaluation")
    )
    found = overlaps([wordings[row] for row in trained], [wordings[row] for row in held_out])
    return [
        Rejection(
            trained[overlap.text],
            "overlaps evaluation",
            f"holds {overlap.share:.0%} of the {RUN_WORDS}-word runs of {examples[held_out[overlap.question]].row_id}",
        )
        for overlap in found
    ]


def _behind_their_first(codes: NDArray[np.int64], ranks: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The first row of each code by rank and position, with each other row of it."""
    order = np.lexsort((ranks, codes))
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    firsts = np.repeat(order[starts], np.diff(starts, append=len(order)))
    behind = firsts != order
    yield from zip(firsts[behind].tolist(), order[behind].tolist(), strict=True)


def _codes(texts: Sequence[str]) -> NDArray[np.int64]:
    """A number for each text, equal where the texts are: int64[n]."""
    numbers: dict[str, int] = {}
    return np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), np.int64, len(texts))


def _copy(row: int, kept: int, examples: Sequence[Example]) -> Rejection:
    other, first = examples[row], examples[kept]
    if agree(first, other):
        return Rejection(row, "duplicate question", f"same as {first.row_id}")
    return Rejection(
        row,
        "conflicting answer",
        f"same question as {first.row_id}, whose answer is {first.answer!r}, not {other.answer!r}",
    )


def agree(first: Example, other: Example) -> bool:
    """Whether the known answer of one question is right as an answer to the other."""
    return first.answer == other.answer or accepts(first.grader, first.answer, first.metadata, other.answer)
