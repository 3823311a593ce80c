"""Few-shot questions that show, with its answer, a question that is held out.

A question that stands before many others looks like an instruction to `overlap`, and a short one has no run of words.
"""

from collections.abc import Sequence

from orca2.core.rows import Example
from orca2.recipe.sources.origin import name_of_shot, origin_of
from orca2.recipe.tasks.columns import Rejection


def showing_held_out(examples: Sequence[Example]) -> list[Rejection]:
    """The training questions before which one of evaluation stands, by its exact text."""
    taught = [row for row, e in enumerate(examples) if e.split == "train" and '"shots"' in e.metadata]
    held_out = {name_of_shot(e.question): e.row_id for e in examples if e.split == "evaluation"} if taught else {}
    gone = []
    for row in taught:
        leaks = [held_out[shot] for shot in origin_of(examples[row].metadata).shots if shot in held_out]
        if leaks:
            gone.append(Rejection(row, "shows a held-out question", f"before it stands {leaks[0]}"))
    return gone
