"""What is told of one question: the shape of what `why` finds out and `why_output` prints."""

from typing import Any, TypeAlias, TypedDict

Row: TypeAlias = dict[str, Any]
"""A row of an artifact as plain data, by the names of its columns."""


class Choice(TypedDict):
    """The strategy of a task, as the probe found it; None for what it did not tell."""

    task: str
    chosen: str | None
    verdict: str | None
    score: Row | None
    runner_up: str | None
    runner_up_score: Row | None


class Answered(TypedDict):
    """A request and what became of it."""

    request: Row
    answer: Row | None
    """What was said, with its verdict where there is one."""
    kept: bool
    """Whether it became training data."""


class Erasure(TypedDict):
    """The turns that the student does not see, and those that it sees in their place."""

    sample_index: int
    erased_template: str
    student_template: str
    erased: list[Row]
    student: list[Row]


class Story(TypedDict):
    """Of a question that became an example."""

    revision: str
    question: Row
    strategy: Choice
    templates: list[dict[str, str]]
    """`file` and `sha256`."""
    model: list[dict[str, str]]
    """`digest` and `reference`."""
    answers: list[Answered]
    provenance: dict[str, dict[str, object]]
    """By key, how the stored answer came to be: engine, versions, hardware."""
    erasure: list[Erasure]
    rejected: list[Row]
    packed: list[Row]
    """Segments, each with the `sequence_index` of its sequence."""
    absent: list[str]
    """The artifacts that the revision does not hold."""


class LeftOut(TypedDict):
    """Of a question that became none."""

    revision: str
    row_id: str
    question: None
    sources: list[dict[str, str]]
    """`source` and `licence`."""
    rejected: list[Row]
    same_as: list[Row]
    """The examples that it is a duplicate of."""
    absent: list[str]
