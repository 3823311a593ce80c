"""How the strategies of one task, or of one category, did by the answers of one model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orca2.core.rows import Graded, Request
from orca2.recipe.statistics import exact_share, mcnemar, smallest_lead

SIGNIFICANCE = 0.05
Answer = tuple[str, str, int]
"""Task, question and sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one strategy did on the probe questions of one task, or of one category."""

    strategy: str
    correct: int
    questions: int
    """Questions asked, answered or not."""
    accuracy: float
    low: float
    """Ends of its interval: those of all candidates hold together in 95 % of probes, whichever is chosen."""
    high: float
    p_value: float | None
    """Exact two-sided McNemar test against the most accurate candidate, on what both were asked; None for that one."""
    format_ok: float
    """Share of answers with an `Answer:` line."""
    answer_tokens: float
    """Mean tokens of an answer; with those of its prompt, the cost that decides between the best."""
    prompt_tokens: float

    @property
    def cost(self) -> float:
        """Mean tokens of a request and its answer."""
        return self.answer_tokens + self.prompt_tokens


class Judged:
    """The answers of one model.

    Args:
        rows: by strategy; at least one each.
        asked: by strategy, what it was asked; what one lacks was asked of another alone.
    """

    def __init__(self, rows: Mapping[str, Sequence[Graded]], asked: Mapping[str, set[Answer]]) -> None:
        self._rows, self._asked = rows, asked
        self._right = {name: {answer_of(row) for row in of if row.strict_correct} for name, of in rows.items()}
        most = max(len(asked[name]) for name in rows)
        self.last = [name for name in rows if len(asked[name]) == most]
        """The strategies that were asked everything."""
        self.best = min(self.last, key=lambda name: (-self.right(name), self.cost(name), name))

    def right(self, name: str) -> int:
        """How many answers are."""
        return len(self._right[name])

    def cost(self, name: str) -> float:
        """Mean tokens of a request and its answer."""
        return sum(row.completion_tokens + row.prompt_tokens for row in self._rows[name]) / len(self._rows[name])

    def p_value(self, one: str, other: str) -> float:
        """Of the exact two-sided McNemar test, on what both were asked."""
        return mcnemar(*self._told_apart(one, other))

    def smallest_lead(self, one: str, other: str) -> float:
        """The smallest difference of accuracy that the test could have shown between the two."""
        return smallest_lead(sum(self._told_apart(one, other)), len(self._asked[one] & self._asked[other]))

    def not_behind(self, significance: float) -> set[str]:
        """Those that are not shown to be worse than the best."""
        return {n for n in self._rows if n == self.best or self.p_value(self.best, n) >= significance}

    def scores(self, first: str) -> tuple[Score, ...]:
        """Of all: one of them first, then those that were asked most, and by accuracy."""
        found = [self._score(name) for name in self._rows]
        return tuple(sorted(found, key=lambda s: (s.strategy != first, -s.questions, -s.accuracy, s.cost, s.strategy)))

    def _score(self, name: str) -> Score:
        rows, right, asked = self._rows[name], self.right(name), len(self._asked[name])
        low, high = exact_share(right, asked, 1 - SIGNIFICANCE / len(self._rows))
        return Score(
            strategy=name,
            correct=right,
            questions=asked,
            accuracy=right / asked,
            low=low,
            high=high,
            p_value=None if name == self.best else self.p_value(self.best, name),
            format_ok=sum(row.strict_answer is not None for row in rows) / len(rows),
            answer_tokens=sum(row.completion_tokens for row in rows) / len(rows),
            prompt_tokens=sum(row.prompt_tokens for row in rows) / len(rows),
        )

    def _told_apart(self, one: str, other: str) -> tuple[int, int]:
        """Of what both were asked: what only the one got right, and what only the other did."""
        both = self._asked[one] & self._asked[other]
        first, second = self._right[one] & both, self._right[other] & both
        return len(first - second), len(second - first)


def answer_of(row: Graded | Request) -> Answer:
    """Which answer it is, whatever the strategy."""
    return row.task, row.row_id, row.sample_index
