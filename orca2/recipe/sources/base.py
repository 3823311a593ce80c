"""What a kind of source is: how it reads the records of one, and what it asks of its parameters.

A kind of your own is a `Reader` in a module of your own, named as `kind: my_sources:read`:

    from orca2.recipe.sources.base import Record, Source

    def read(name: str, source: Source, seed: int):
        for number in range(source.size):
            yield Record({"question": f"{number} + 1?", "answer": number + 1})
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from orca2.core.errors import require
from orca2.core.plugins import is_import_path
from orca2.recipe.sources.columns import expression, template
from orca2.recipe.sources.few_shot import FewShot
from orca2.recipe.sources.options import AnswerIs


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source of questions, of one task or of those that a column names; several may share a task."""

    kind: str
    """`reasoning_gym`; `file`, `hub`, or `datasets` for either of the two; or `MODULE:READER` of your own."""
    name: str
    """The reasoning-gym dataset; or files: one, a folder (`set/`) or a pattern (`set/*.jsonl`); or a hub id."""
    task: str = ""
    """The task its questions belong to; empty: the source's own name."""
    category: str
    """Groups tasks that may share templates."""
    grader: str = "exact"
    """One of `orca2.recipe.graders.GRADERS`, such as `exact` or `numeric`; or `MODULE:JUDGE` of your own."""
    licence: str
    size: int = 0
    """Questions to draw from what makes them, such as reasoning-gym."""
    config: dict[str, object] = field(default_factory=dict)
    """Settings of the reasoning-gym dataset; the hub configuration as `name:`; the `field:` of a JSON file's rows."""
    where: str = ""
    """Expression over the columns of a row (see `columns`), as `level > 2`; rows that are not so are left out."""
    question_column: str = "question"
    question: str = ""
    """Template over the columns of a row, and its `choices`; empty: the question column as it is."""
    choices: str | tuple[str, ...] = ""
    """The options of a question: an expression, as `options`; or a list of columns. See `options` for their shapes.

    They are listed below the question, each as `(A) text`, unless the question shows `choices`, or what they are read
    from, itself.
    """
    answer_column: str = "answer"
    answer: str = ""
    """Expression over the columns of a row, as `answers.text`; empty: the answer column. Any of a list is right."""
    answer_is: AnswerIs = ""
    """What an answer says of the options; empty: the label or the text of one, where it cannot mean two of them."""
    answer_pattern: str = ""
    """Regular expression whose first group is the answer inside what is read as one; empty takes the whole."""
    task_column: str = ""
    """Holds the task of each row, in place of `task`; what is neither letter, digit, `_` nor `-` in it becomes `_`."""
    category_column: str = ""
    """Holds the category of each row; `category` is that of a row without one."""
    id_column: str = ""
    """Holds each row's own id, which is kept in its metadata."""
    group_column: str = ""
    """Holds what rows share that belong together, such as a passage or its id; kept in their metadata."""
    revision: str = ""
    """Commit of a hub dataset."""
    hub_split: str = "train"
    answer_lines: tuple[str, ...] = ()
    """How a line begins on which an answer stands; empty: `Answer:`, `Final answer:`, and the two with `The`."""
    max_bad_share: float = 0.01
    """Largest share of rows that may be left out because they hold no question, or no answer to it could be right."""
    limit: int = 0
    """Most questions of this source, chosen by a hash of seed and question; 0 means all."""
    few_shot: FewShot | None = None
    """Others of the source, with their answers, stand before each question; it needs a `split` of its own."""
    split: Literal["", "probe", "train", "evaluation"] = ""
    """Puts every question in this split instead of dividing them."""

    def __post_init__(self) -> None:
        problem, groups = "", 0
        try:
            groups = re.compile(self.answer_pattern).groups
        except re.error as error:
            problem = str(error)
        require(
            dict.fromkeys(self._broken(), False)
            | {
                "question_column: `question` says what is asked": not (
                    self.question and self.question_column != "question"
                ),
                "answer_column: `answer` says what is right": not (self.answer and self.answer_column != "answer"),
                "answer_is: is for a source with `choices`": bool(self.choices or not self.answer_is),
                f"choices: a label is no answer to grader {self.grader!r}; say `grader: choice`": self._suits_choices(),
                "task_column: leave `task` empty beside it": not (self.task and self.task_column),
                "limit must be 0 (all) or more": self.limit >= 0,
                "few_shot: needs a `split`, or a question that is held out could stand before one that is taught": bool(
                    self.split or not self.few_shot
                ),
                "size must be 0 or more": self.size >= 0,
                "max_bad_share must be at least 0 and below 1": 0 <= self.max_bad_share < 1,
                "answer_lines: a beginning of a line must not be empty": all(map(str.strip, self.answer_lines)),
                f"answer_pattern: {problem}": not problem,
                "answer_pattern: needs one group, the answer": bool(problem or groups or not self.answer_pattern),
            }
        )

    def _suits_choices(self) -> bool:
        return not self.choices or self.grader == "choice" or is_import_path(self.grader.removeprefix("python:"))

    def _broken(self) -> Iterator[str]:
        """What is no template, or no expression."""
        choices = self.choices if isinstance(self.choices, str) else ""
        written = {"where": self.where, "choices": choices, "answer": self.answer}
        for name, text in written.items():
            try:
                expression(text or "true")
            except ValueError as error:
                yield f"{name}: {error}"
        try:
            template(self.question)
        except ValueError as error:
            yield f"question: {error}"


class Record(NamedTuple):
    """One row of a source."""

    columns: Mapping[str, object]
    metadata: Mapping[str, object] = {}
    """What else a grader may want to know; plain data."""
    position: str = ""
    """Where it stands in the source, as `line 3`; by default its number, as `row 3`."""
    fault: str = ""
    """Why it could not be read; then it has no columns."""


Reader = Callable[[str, Source, int], Iterable[Record]]
"""The records of a source, in its own order: called with its name in params.yaml, what is written there, and a seed.

The seed is the source's own: it follows from that of params.yaml and the name. Raises `Orca2Error` for what cannot be
read.
"""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of source."""

    read: Reader
    rules: Callable[[Source], Mapping[str, bool]] = lambda source: {}  # noqa: ARG005
    """What it asks of the parameters, as sentences, and whether each is kept."""
    may_be_empty: bool = False
    """Whether an empty answer is one of its own, and not one that is missing."""
    is_file: bool = False
    """Whether `name` is a local file, which DVC must watch."""
