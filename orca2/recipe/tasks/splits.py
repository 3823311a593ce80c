"""Which split a question belongs to: by what it says, or by the group it belongs to, and the seed; by nothing else.

Its answer, its task and the order of sources have no say, and neither have other questions. So no mended label, no new
name and no further source moves a question out of evaluation into training, and rows of one passage stay together.
"""

from dataclasses import dataclass

from orca2.core.errors import require
from orca2.core.hashing import digest, unit_interval
from orca2.core.rows import Split

PRIORITY: tuple[Split, ...] = ("evaluation", "probe", "train")
"""Whose copy stays where two splits hold the same: what is examined must not be learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """How the questions of every task are divided."""

    probe_fraction: float = 0.2
    """Share of the questions that strategies are scored on."""
    evaluation_fraction: float = 0.2
    """Share that is held out; the rest is for training."""
    probe_limit: int = 0
    """Most probe questions a task; 0 means all."""
    train_limit: int = 0
    evaluation_limit: int = 0

    def __post_init__(self) -> None:
        taken = min(self.probe_fraction, self.evaluation_fraction)
        require(
            {
                "the fractions must be above 0 and leave something to train on": taken > 0 and self.train_fraction > 0,
                "probe_limit must be 0 (all) or more": self.probe_limit >= 0,
                "train_limit must be 0 (all) or more": self.train_limit >= 0,
                "evaluation_limit must be 0 (all) or more": self.evaluation_limit >= 0,
            }
        )

    @property
    def train_fraction(self) -> float:
        """What probe and evaluation leave."""
        return 1 - self.probe_fraction - self.evaluation_fraction

    def limit(self, split: Split) -> int:
        """Most questions of a task in a split; 0 means all."""
        return {"probe": self.probe_limit, "evaluation": self.evaluation_limit, "train": self.train_limit}[split]


def split_of(wording: str, group: str, splits: SplitConfig, seed: int) -> Split:
    """The split of a question that says this, or of all questions of this group."""
    position = unit_interval(seed, "split", digest("group", group) if group else wording)
    if position < splits.probe_fraction:
        return "probe"
    return "evaluation" if position < splits.probe_fraction + splits.evaluation_fraction else "train"


def rank(split: Split, *, named: bool) -> int:
    """How early a question is kept where there are several: by split, and there first if its source names the split."""
    return 2 * PRIORITY.index(split) + (not named)
