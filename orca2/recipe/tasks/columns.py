"""Questions as columns of one length, from which row after row is left out, each with a reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orca2.core.rows import Example, Rejected
from orca2.recipe.graders.known import known
from orca2.recipe.likeness.wording import wording


class Rejection(NamedTuple):
    """A question that goes, by its row, and why."""

    row: int
    reason: str
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Questions:
    """What is still in, and what is not."""

    examples: list[Example] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    """Their names in params.yaml."""
    wordings: list[str] = field(default_factory=list)
    """What each says, whatever its spelling."""
    positions: list[float] = field(default_factory=list)
    """Where each stands in the order in which they are taken."""
    groups: list[str] = field(default_factory=list)
    """Empty where a question stands alone."""
    ranks: list[int] = field(default_factory=list)
    """How early each is kept where there are several."""
    left_out: list[tuple[Example, str, str]] = field(default_factory=list)
    """Question, reason and detail."""

    def leave_out(self, rejections: Iterable[Rejection]) -> None:
        """Take these rows out of every column."""
        gone = {rejection.row: rejection for rejection in rejections}
        if not gone:
            return
        self.left_out += [(self.examples[row], why.reason, why.detail) for row, why in gone.items()]
        kept = [row for row in range(len(self.examples)) if row not in gone]
        for name in ("examples", "sources", "wordings", "positions", "groups", "ranks"):
            column = getattr(self, name)
            setattr(self, name, [column[row] for row in kept])


def wording_of(example: Example) -> str:
    """What a question asks; with its options, where its text does not show them."""
    options = [option.text for option in known(example.metadata).choices]
    unseen = [text for text in options if text not in example.question]
    return wording(example.question) + "".join(f"\n{wording(text)}" for text in options if unseen)


def rejected(left_out: Iterable[tuple[Example, str, str]], earlier: Sequence[Rejected] = ()) -> list[Rejected]:
    """One rejection a question, after those that there are, numbered where a question goes more than once."""
    numbers: dict[str, int] = {}
    for row in earlier:
        numbers[row.row_id] = max(numbers.get(row.row_id, 0), row.sample_index + 1)
    rows = list(earlier)
    for example, reason, detail in left_out:
        number = numbers.get(example.row_id, 0)
        numbers[example.row_id] = number + 1
        rows.append(
            Rejected(
                row_id=example.row_id,
                sample_index=number,
                task=example.task,
                stage="prepare_tasks",
                reason=reason,
                detail=detail,
            )
        )
    return rows
