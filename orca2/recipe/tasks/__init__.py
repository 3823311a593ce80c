"""The questions of every source, each in its split, without duplicates. Nothing disappears.

`wording` says what a question says, `splits` where it belongs, `duplicates` which copy stays, `sampling` how many are
taken. Adding questions or raising a limit moves no other question between splits.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from orca2.core.errors import Orca2Error, raise_all, require
from orca2.core.rows import Example, Rejected, Split
from orca2.recipe.graders.golds import rejected_golds
from orca2.recipe.graders.reasoning_gym import UNSOUND_VERDICTS
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.sources.origin import group_of
from orca2.recipe.tasks.columns import Questions, rejected
from orca2.recipe.tasks.duplicates import beside_their_group, copies
from orca2.recipe.tasks.near import near_duplicates
from orca2.recipe.tasks.sampling import beyond_limits
from orca2.recipe.tasks.splits import SplitConfig, ranks, split_of
from orca2.recipe.tasks.wording import wording_of

__all__ = ["SplitConfig", "TasksConfig", "collect"]

_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksConfig:
    """Where the questions of the dataset come from, by source name."""

    sources: dict[str, SourceConfig]
    splits: SplitConfig = field(default_factory=SplitConfig)

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
    examples, fixed, unfit, num_read = _read(config, seed)
    questions = _placed(examples, fixed, config.splits, seed)
    questions.leave_out(beside_their_group(questions.groups, questions.examples, questions.ranks))
    questions.leave_out(copies(questions.wordings, questions.examples, questions.ranks))
    questions.leave_out(near_duplicates(questions.wordings, questions.groups, questions.examples, questions.ranks))
    questions.leave_out(beyond_limits(questions.examples, questions.wordings, config.splits, seed))
    return questions.examples, rejected(questions.left_out, unfit), num_read


def _read(config: TasksConfig, seed: int) -> tuple[list[Example], list[Split | Literal[""]], list[Rejected], int]:
    """The questions of all sources, the split that their source names, the rows that hold none, and how many were read.

    A row of which no answer could be right holds none.
    """
    examples: list[Example] = []
    fixed: list[Split | Literal[""]] = []
    unfit: list[Rejected] = []
    num_read = 0
    errors: list[Orca2Error] = []
    for name, source in config.sources.items():
        try:
            reading = read_source(name, source, seed)
            examples, num_read = examples + reading.examples, num_read + reading.num_read
            fixed += [source.split] * len(reading.examples)
            unfit += reading.rejected + rejected_golds(reading.unsound)
        except Orca2Error as error:
            errors.append(error)
    raise_all(errors)
    return examples, fixed, unfit, num_read


def _placed(
    examples: Sequence[Example], fixed: Sequence[Split | Literal[""]], splits: SplitConfig, seed: int
) -> Questions:
    """Every question in its split."""
    wordings, groups = [wording_of(e) for e in examples], [group_of(e.metadata) for e in examples]
    placed = [
        replace(example, split=named or split_of(wording, group, splits, seed))
        for example, wording, group, named in zip(examples, wordings, groups, fixed, strict=True)
    ]
    return Questions(
        examples=placed,
        wordings=wordings,
        groups=groups,
        ranks=ranks([e.split for e in placed], [bool(named) for named in fixed]),
    )


def _suits(source: SourceConfig) -> bool:
    """Whether the grader can judge these questions; that of reasoning-gym knows what it made, and not all of it."""
    return source.grader != "reasoning_gym" or (source.kind == "reasoning_gym" and source.name not in UNSOUND_VERDICTS)
