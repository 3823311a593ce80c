"""What a kind of source is: how it reads the records of one, and what it asks of its parameters.

A kind of your own is a `Reader` in a module of your own, named as `kind: my_sources:read`:

    from orca2.recipe.sources.base import Record, Source

    def read(name: str, source: Source, seed: int):
        for number in range(source.size):
            yield Record({"question": f"{number} + 1?", "answer": number + 1})
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from orca2.core.errors import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source of questions, of one task; several may share a task."""

    kind: str
    """`reasoning_gym`; `file`, `hub`, or `datasets` for either of the two; or `MODULE:READER` of your own."""
    name: str
    """The reasoning-gym dataset; or a file path, or a hub id."""
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
    question_column: str = "question"
    answer_column: str = "answer"
    answer_pattern: str = ""
    """Regular expression whose first group is the answer inside the answer column; empty takes the whole."""
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
    """Largest share of rows that may be left out because no answer to them could be right."""
    split: Literal["", "probe", "train", "evaluation"] = ""
    """Puts every question in this split instead of dividing them."""

    def __post_init__(self) -> None:
        problem, groups = "", 0
        try:
            groups = re.compile(self.answer_pattern).groups
        except re.error as error:
            problem = str(error)
        require(
            {
                "size must be 0 or more": self.size >= 0,
                "max_bad_share must be at least 0 and below 1": 0 <= self.max_bad_share < 1,
                "answer_lines: a beginning of a line must not be empty": all(map(str.strip, self.answer_lines)),
                f"answer_pattern: {problem}": not problem,
                "answer_pattern: needs one group, the answer": bool(problem or groups or not self.answer_pattern),
            }
        )


class Record(NamedTuple):
    """One row of a source."""

    columns: Mapping[str, object]
    metadata: Mapping[str, object] = {}
    """What else a grader may want to know; plain data."""
    position: str = ""
    """Where it stands in the source, as `line 3`; by default its number, as `row 3`."""


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
