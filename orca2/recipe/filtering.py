"""Which graded answers become training data, and why the others do not."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from orca2.core.rows import Graded, Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeConfig:
    """What `grade` keeps."""

    keep: Literal["all", "correct"]
    """`correct` asks for the right answer on an `Answer:` line; `all` drops only what cannot be taught from."""


def keep(graded: Iterable[Graded], config: GradeConfig) -> tuple[list[Graded], list[Rejected]]:
    """The answers to teach from, and the others with their reason; the two lengths add up to the input's."""
    kept: list[Graded] = []
    rejected: list[Rejected] = []
    for row in graded:
        reason = _fault(row, config)
        if reason:
            rejected.append(_reject(row, reason))
        else:
            kept.append(row)
    return kept, rejected


def _fault(row: Graded, config: GradeConfig) -> str:
    if not row.text.strip():
        return "empty answer"
    if row.finish_reason == "length":
        return "cut by max_tokens"
    if config.keep == "all" or row.strict_correct:
        return ""
    return "wrong answer" if row.strict_answer is not None else "no `Answer:` line"


def _reject(row: Graded, reason: str) -> Rejected:
    given = row.strict_answer if row.strict_answer is not None else row.text[-200:]
    return Rejected(
        row_id=row.row_id,
        sample_index=row.sample_index,
        task=row.task,
        stage="grade",
        reason=reason,
        detail=f"expected {row.expected!r}, got {given!r}",
        strategy=row.strategy,
    )
