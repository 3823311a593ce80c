"""The questions of every source, each in its split, without duplicates. Nothing disappears.

`splits` says where a question belongs, `duplicates` which copy stays, `near_copies` what training holds of evaluation
but for names, `sampling` how many are taken; what two texts have in common is in `recipe.likeness`. Adding questions or
raising a limit moves no other question between splits.
"""

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from orca2.core.errors import Orca2Error, raise_all, require
from orca2.core.rows import Example, Rejected
from orca2.recipe.graders.golds import rejected_golds
from orca2.recipe.graders.reasoning_gym import UNSOUND_VERDICTS
from orca2.recipe.likeness.instructions import without_instructions
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.sources.origin import group_of
from orca2.recipe.tasks.columns import Questions, rejected, wording_of
from orca2.recipe.tasks.duplicates import beside_their_group, copies, near_duplicates, overlapping
from orca2.recipe.tasks.near_copies import near_copies_to_drop
from orca2.recipe.tasks.sampling import DrawConfig, beyond_limits, not_drawn, position_of
from orca2.recipe.tasks.shots import showing_held_out
from orca2.recipe.tasks.splits import SplitConfig, rank, split_of

__all__ = ["SplitConfig", "TasksConfig", "collect"]

_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksConfig:
    """Where the questions of the dataset come from, by source name."""

    sources: dict[str, SourceConfig]
    splits: SplitConfig = field(default_factory=SplitConfig)
    drop_near_copies: Literal["", "names", "names_and_numbers"] = ""
    """Leaves out the training questions that equal a held-out one but for these; empty: they stay and are counted."""
    draws: dict[str, DrawConfig] = field(default_factory=dict)
    """Draws of training questions, each over sources of its own, by a name of yours."""

    def __post_init__(self) -> None:
        probed = {s.task or name for name, s in self.sources.items() if s.split in ("", "probe")}
        drawn = Counter(name for draw in self.draws.values() for name in draw.sources)
        require(
            {
                "sources: at least one that is not `split: evaluation` is needed": any(
                    source.split != "evaluation" for source in self.sources.values()
                )
            }
            | {
                f"sources: name {name!r} may hold letters, digits, `_` and `-` only": bool(_NAME.fullmatch(name))
                for name in (*self.sources, *self.tasks)
            }
            | {
                f"sources: task {task!r} is taught and has no probe questions: leave `split` of one empty": task
                in probed
                for task in sorted(self.taught)
            }
            | {
                f"sources.{name}.grader: reasoning_gym cannot judge {source.name!r} (see UNSOUND_VERDICTS)": _suits(
                    source
                )
                for name, source in self.sources.items()
            }
            | {
                f"draws.{draw}.sources: {name!r} is no source of another draw and one of: {', '.join(self.sources)}": (
                    name in self.sources and drawn[name] == 1
                )
                for draw, config in self.draws.items()
                for name in config.sources
            }
        )

    @property
    def tasks(self) -> set[str]:
        """The names of all tasks that are known before a source is read: not those that a `task_column` names."""
        return {source.task or name for name, source in self.sources.items() if not source.task_column}

    @property
    def names_all(self) -> bool:
        """Whether tasks and categories are known before a source is read, because no column names any."""
        return not any(source.task_column or source.category_column for source in self.sources.values())

    @property
    def taught(self) -> set[str]:
        """Those of them that are taught; the others are benchmarks, which are examined and need no probe."""
        taught = {source.task or name for name, source in self.sources.items() if source.split != "evaluation"}
        return taught & self.tasks


def collect(config: TasksConfig, seed: int) -> tuple[list[Example], list[Rejected], int]:
    """Every question of every source, split; what is left out, with its reason; the number read.

    Raises:
        InputErrors: every source that cannot be read, every unreadable or empty row, and every source of whose known
            answers too many are wrong to its own grader, together.
    """
    questions, left_out, num_read = _read(config, seed)
    questions.leave_out(beside_their_group(questions.groups, questions.examples, questions.ranks))
    questions.leave_out(copies(questions.wordings, questions.examples, questions.ranks))
    questions.leave_out(near_duplicates(_bare(questions), questions.groups, questions.examples, questions.ranks))
    questions.leave_out(overlapping(_bare(questions), questions.examples))
    questions.leave_out(showing_held_out(questions.examples))
    if config.drop_near_copies:
        questions.leave_out(near_copies_to_drop(questions.examples, config.drop_near_copies))
    questions.leave_out(beyond_limits(questions.examples, questions.positions, questions.wordings, config.splits))
    questions.leave_out(
        not_drawn(questions.examples, questions.sources, questions.positions, questions.wordings, config.draws, seed)
    )
    return questions.examples, rejected(questions.left_out, left_out), num_read


def _read(config: TasksConfig, seed: int) -> tuple[Questions, list[Rejected], int]:
    """The questions of all sources, each in its split; the rows that are none, or to which no answer could be right."""
    questions, bad, left_out = Questions(), list[Example](), list[Rejected]()
    num_read = 0
    errors: list[Orca2Error] = []
    for name, source in config.sources.items():
        try:
            reading = read_source(name, source, seed)
        except Orca2Error as error:
            errors.append(error)
            continue
        num_read, bad, left_out = num_read + reading.num_read, bad + reading.unsound, left_out + reading.rejected
        for example in reading.examples:
            wording, group = wording_of(example), group_of(example.metadata)
            split = source.split or split_of(wording, group, config.splits, seed)
            questions.examples.append(example if example.split == split else replace(example, split=split))
            questions.sources.append(name)
            questions.wordings.append(wording)
            questions.positions.append(position_of(wording, seed))
            questions.groups.append(group)
            questions.ranks.append(rank(split, named=bool(source.split)))
    raise_all(errors)
    return questions, left_out + rejected_golds(bad), num_read


def _bare(questions: Questions) -> list[str]:
    return without_instructions([example.task for example in questions.examples], questions.wordings)


def _suits(source: SourceConfig) -> bool:
    """Whether the grader can judge these questions; that of reasoning-gym knows what it made, and not all of it."""
    return source.grader != "reasoning_gym" or (source.kind == "reasoning_gym" and source.name not in UNSOUND_VERDICTS)
