"""Near copies: held-out questions that equal a training question in all words but names, or names and numbers.

Their order does not count, so that `4 + 5` and `5 + 4` are near copies. A name is any word that begins with a capital.
A set that is made from a template may consist of nothing else. They stay unless it is asked otherwise, and their share
is told wherever a result is: what a student does on them says little of what it does on others.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypedDict

from orca2.core.rows import Example, Rejected
from orca2.recipe.likeness.wording import masked
from orca2.recipe.tasks.columns import Rejection

Mask = Literal["names", "names_and_numbers"]


class Shares(TypedDict):
    """Of the held-out questions, how many have a near copy in training."""

    evaluation: int
    but_names: int
    but_names_and_numbers: int


class NearCopy(NamedTuple):
    """A held-out question and a training question that equals it but for what is masked."""

    held_out: Example
    trained: Example
    mask: Mask
    """The one that masks the least."""


def near_copies(examples: Sequence[Example]) -> list[NearCopy]:
    """For each held-out question the first training question that is a near copy of it, by row id."""
    trained: dict[tuple[Mask, str], Example] = {}
    for example in sorted((e for e in examples if e.split == "train"), key=lambda e: e.row_id):
        for key in _keys(example):
            trained.setdefault(key, example)
    pairs = []
    for example in sorted((e for e in examples if e.split == "evaluation"), key=lambda e: e.row_id):
        found = next((key for key in _keys(example) if key in trained), None)
        if found:
            pairs.append(NearCopy(example, trained[found], found[0]))
    return pairs


def shares(examples: Iterable[Example], pairs: Iterable[NearCopy]) -> dict[str, Shares]:
    """By task of the held-out question."""
    found: dict[str, Shares] = {}
    for task in sorted(example.task for example in examples if example.split == "evaluation"):
        found.setdefault(task, Shares(evaluation=0, but_names=0, but_names_and_numbers=0))["evaluation"] += 1
    for pair in pairs:
        found[pair.held_out.task]["but_names_and_numbers"] += 1
        found[pair.held_out.task]["but_names"] += pair.mask == "names"
    return found


def rows_of(pairs: Iterable[NearCopy]) -> list[Rejected]:
    """Every pair, as a row of its held-out question that names the other; neither of them is left out."""
    return [
        Rejected(
            row_id=pair.held_out.row_id,
            sample_index=0,
            task=pair.held_out.task,
            stage="prepare_tasks",
            reason="near copy, kept",
            detail=f"same but for {pair.mask.replace('_', ' ')} as {pair.trained.row_id}",
        )
        for pair in pairs
    ]


def near_copies_to_drop(examples: Sequence[Example], mask: Mask) -> list[Rejection]:
    """The training questions that are near copies of a held-out one."""
    held_out = {getattr(masked(e.question), mask): e for e in examples if e.split == "evaluation"}
    return [
        Rejection(row, "near copy of evaluation", f"same but for {mask.replace('_', ' ')} as {found.row_id}")
        for row, example in enumerate(examples)
        if example.split == "train" and (found := held_out.get(getattr(masked(example.question), mask)))
    ]


def _keys(example: Example) -> list[tuple[Mask, str]]:
    """What it is without each of the masks, the one that masks the least first."""
    found = masked(example.question)
    return [("names", found.names), ("names_and_numbers", found.names_and_numbers)]
