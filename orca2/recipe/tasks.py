"""The questions of every source, each in its split, without duplicates. Nothing disappears.

A question's split depends on its own content and the seed alone, so adding questions or raising a limit never moves
another one between splits.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from orca2.core.errors import Orca2Error, raise_all, require
from orca2.core.hashing import unit_interval
from orca2.core.rows import Example, Rejected, Split
from orca2.recipe.graders.golds import rejected_golds
from orca2.recipe.graders.reasoning_gym import UNSOUND_VERDICTS
from orca2.recipe.sources import SourceConfig, read_source

_NAME = re.compile(r"[\w-]+")
_SPLITS: tuple[Split, ...] = ("probe", "evaluation", "train")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksConfig:
    """Where the questions of the dataset come from, by source name."""

    sources: dict[str, SourceConfig]
    splits: SplitConfig = SplitConfig()

    def __post_init__(self) -> None:
        probed = {s.task or name for name, s in self.sources.items() if s.split in ("", "probe")}
        require(
            {"sources: at least one is needed": bool(self.sources)}
            | {
                f"sources: name {name!r} may hold letters, digits, `_` and `-` only": bool(_NAME.fullmatch(name))
                for name in (*self.sources, *self.tasks)
            }
            | {
                f"sources: task {task!r} has no source with probe questions: leave `split` of one empty": task in probed
                for task in sorted(self.tasks)
            }
            | {
                f"sources.{name}.grader: reasoning_gym cannot judge {source.name!r} (see UNSOUND_VERDICTS)": _suits(
                    source
                )
                for name, source in self.sources.items()
            }
        )

    @property
    def tasks(self) -> set[str]:
        """The names of all tasks that are known before a source is read: not those that a `task_column` names."""
        return {source.task or name for name, source in self.sources.items() if not source.task_column}


def collect(config: TasksConfig, seed: int) -> tuple[list[Example], list[Rejected], int]:
    """Every question of every source, split; what is left out, with its reason; the number read.

    Raises:
        InputErrors: every source that cannot be read, every unreadable or empty row, and every source of whose known
            answers too many are wrong to its own grader, together.
    """
    examples: list[Example] = []
    bad: list[Example] = []
    left_out: list[Rejected] = []
    num_read = 0
    errors: list[Orca2Error] = []
    for name, source in config.sources.items():
        try:
            reading = read_source(name, source, seed)
            num_read, bad, left_out = num_read + reading.num_read, bad + reading.unsound, left_out + reading.rejected
            examples += [_with_split(example, source.split, config.splits, seed) for example in reading.examples]
        except Orca2Error as error:
            errors.append(error)
    raise_all(errors)
    unique, duplicates = _drop_duplicates(examples)
    kept, surplus = _limit(unique, config.splits, seed)
    return kept, left_out + rejected_golds(bad) + duplicates + surplus, num_read


def _suits(source: SourceConfig) -> bool:
    """Whether the grader can judge these questions; that of reasoning-gym knows what it made, and not all of it."""
    return source.grader != "reasoning_gym" or (source.kind == "reasoning_gym" and source.name not in UNSOUND_VERDICTS)


def _drop_duplicates(examples: Iterable[Example]) -> tuple[list[Example], list[Rejected]]:
    """Keep the first of equal questions, of whatever task: no question may be taught and examined at once."""
    first: dict[str, str] = {}
    copies: dict[str, int] = {}
    kept, rejected = [], []
    for example in examples:
        original = first.setdefault(example.question, example.row_id)
        copies[original] = copies.get(original, 0) + 1
        if copies[original] == 1:
            kept.append(example)
        else:
            rejected.append(_reject(example, copies[original], "duplicate question", f"same as {original}"))
    return kept, rejected


def _with_split(example: Example, fixed: Split | Literal[""], splits: SplitConfig, seed: int) -> Example:
    split = fixed or _split_of(unit_interval(seed, "split", example.row_id), splits)
    return replace(example, split=split)


def _split_of(position: float, splits: SplitConfig) -> Split:
    if position < splits.probe_fraction:
        return "probe"
    return "evaluation" if position < splits.probe_fraction + splits.evaluation_fraction else "train"


def _limit(examples: list[Example], splits: SplitConfig, seed: int) -> tuple[list[Example], list[Rejected]]:
    """At most the limit of each task's split, chosen by hash; the surplus is rejected by name."""
    limits = dict(zip(_SPLITS, (splits.probe_limit, splits.evaluation_limit, splits.train_limit), strict=True))
    taken: dict[tuple[str, Split], int] = {}
    kept, surplus = [], []
    for example in sorted(examples, key=lambda e: (unit_interval(seed, "limit", e.row_id), e.row_id)):
        group = (example.task, example.split)
        taken[group] = taken.get(group, 0) + 1
        if limits[example.split] and taken[group] > limits[example.split]:
            surplus.append(_reject(example, 0, f"beyond {example.split}_limit", ""))
        else:
            kept.append(example)
    return kept, surplus


def _reject(example: Example, sample_index: int, reason: str, detail: str) -> Rejected:
    return Rejected(
        row_id=example.row_id,
        sample_index=sample_index,
        task=example.task,
        stage="prepare_tasks",
        reason=reason,
        detail=detail,
    )
