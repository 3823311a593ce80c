"""How many answers of each technique hold a residue of what is erased, and how many are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from orca2.core.errors import Orca2Error
from orca2.core.rows import Rejected
from orca2.recipe.erasure.residue import KINDS

if TYPE_CHECKING:
    import pyarrow as pa

ANSWERS = "answers"
"""In the table of a technique, beside the kinds of residue."""
_NAMED_ROWS = 5
_BETWEEN = "\t"


def counted(graded: pa.Table, rejected: pa.Table) -> dict[str, int]:
    """Of a partition: the answers of each technique, and those with a residue by kind; sums go to `by_technique`."""
    counts = Counter(f"{strategy}{_BETWEEN}{ANSWERS}" for strategy in graded["strategy"].to_pylist())
    pairs = zip(rejected["strategy"].to_pylist(), rejected["reason"].to_pylist(), strict=True)
    counts.update(f"{strategy}{_BETWEEN}{reason}" for strategy, reason in pairs)
    return dict(counts)


def by_technique(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Technique to its answers, and how many hold a residue of each kind, zeros included."""
    strategies = sorted({name.split(_BETWEEN)[0] for name in counts})
    return {s: {kind: counts.get(f"{s}{_BETWEEN}{kind}", 0) for kind in (ANSWERS, *KINDS)} for s in strategies}


def require_little(flagged: int, answers: int, most: float, read: Callable[[], Sequence[Rejected]], where: str) -> None:
    """Raise when more than a share `most` of all answers hold a residue, with the first of their rows.

    Args:
        flagged: how many do.
        answers: how many there are.
        most: the largest share that may.
        read: gives the rows of those that do.
        where: where these rows are kept.
    """
    if flagged <= most * answers:
        return
    rows = "".join(
        f"\n    {row.row_id[:12]} of {row.task}, {row.strategy}: {row.reason}: {row.detail!r}"
        for row in read()[:_NAMED_ROWS]
    )
    others = f"\n    and {flagged - _NAMED_ROWS} more" if flagged > _NAMED_ROWS else ""
    share = f"{flagged} of {answers} answers hold a residue of what is erased, above {most:.1%}"
    hint = "mend what the templates of these techniques tell the teacher to say, or raise erase.max_residue_share"
    raise Orca2Error(f"{share}:{rows}{others}", where, hint)
