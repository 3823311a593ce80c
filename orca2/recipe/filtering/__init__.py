"""Which graded answers become training data, and why the others do not.

A filter of your own is a `RowFilter` in a module of your own, named as `grade.filters: [my_filters:short_enough]`:

    def short_enough(row: Graded) -> bool:
        return len(row.text) < 500
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from orca2.core.errors import Orca2Error, raise_all, require
from orca2.core.plugins import is_import_path, load
from orca2.core.rows import Graded, Rejected

_SHOWN = 200
"""Characters of an answer that a rejection repeats, its last ones."""
RowFilter = Callable[[Graded], bool]
"""Whether an answer may be taught; asked of those that nothing else speaks against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeConfig:
    """What `grade` keeps."""

    keep: Literal["all", "correct"]
    """`correct` asks for the right answer on an `Answer:` line; `all` drops only what cannot be taught from."""
    filters: tuple[str, ...] = ()
    """Filters of your own, `MODULE:FILTER`, in this order."""
    distinct: bool = False
    """Whether of answers to one question that differ in case and blanks alone only the first is kept."""
    per_question: int = 0
    """Most answers to one question; 0 keeps all."""
    prefer: Literal["first", "shortest"] = "first"
    """Which these are; `shortest` in tokens, so that `keep: correct` with 1 a question keeps the shortest right one."""
    quotas: dict[str, int] = field(default_factory=dict)
    """Most answers of a task, by its name; a task that is not named keeps all."""
    weights: dict[str, float] = field(default_factory=dict)
    """In place of quotas, how many answers of each task there are for one of another; 1 where it is not named. As many
    are kept as the scarcest allows."""

    def __post_init__(self) -> None:
        require(
            {f"filters: {name!r} is not MODULE:FILTER": is_import_path(name) for name in self.filters}
            | {
                "per_question must be 0 (all) or more": self.per_question >= 0,
                "prefer says which of several are kept: set per_question too": self.per_question > 0
                or self.prefer == "first",
                "quotas and weights: set one of them": not (self.quotas and self.weights),
            }
            | {f"quotas.{task} must be 0 or more": quota >= 0 for task, quota in self.quotas.items()}
            | {f"weights.{task} must be above 0": weight > 0 for task, weight in self.weights.items()}
        )


def load_filters(config: GradeConfig, where: str = "params.yaml: grade.filters") -> dict[str, RowFilter]:
    """The filters by name, in their order.

    Raises:
        InputErrors: every one that cannot be imported or called.
    """
    filters: dict[str, RowFilter] = {}
    errors: list[Orca2Error] = []
    for name in config.filters:
        try:
            filters[name] = _load_filter(name, where)
        except Orca2Error as error:
            errors.append(error)
    raise_all(errors)
    return filters


def keep(graded: Iterable[Graded], config: GradeConfig) -> tuple[list[Graded], list[Rejected]]:
    """The answers to teach from, and the others with their reason; the two lengths add up to the input's.

    Args:
        graded: all answers to each of the questions.
        config: what is kept.
    """
    filters = load_filters(config)
    kept: list[Graded] = []
    rejected: list[Rejected] = []
    for row in graded:
        reason = _fault(row, config) or _refused(row, filters)
        if reason:
            rejected.append(reject(row, reason))
        else:
            kept.append(row)
    if not (config.distinct or config.per_question):
        return kept, rejected
    chosen, surplus = _choose(kept, config)
    return chosen, rejected + surplus


def _choose(kept: Iterable[Graded], config: GradeConfig) -> tuple[list[Graded], list[Rejected]]:
    """Of the answers to each question those that differ, and of these as many as are wanted."""
    chosen, surplus = [], []
    said: set[tuple[str, str]] = set()
    taken: Counter[str] = Counter()
    shortest = config.prefer == "shortest"
    for row in sorted(kept, key=lambda r: (r.row_id, r.completion_tokens if shortest else 0, r.sample_index)):
        words = (row.row_id, " ".join(row.text.split()).casefold())
        if config.distinct and words in said:
            surplus.append(reject(row, "same as another answer"))
        elif config.per_question and taken[row.row_id] == config.per_question:
            surplus.append(reject(row, "beyond per_question"))
        else:
            said.add(words)
            taken[row.row_id] += 1
            chosen.append(row)
    return chosen, surplus


def _fault(row: Graded, config: GradeConfig) -> str:
    if not row.text.strip():
        return "empty answer"
    if row.finish_reason == "length":
        return "cut by max_tokens"
    if config.keep == "all" or row.strict_correct:
        return ""
    return "wrong answer" if row.strict_answer is not None else "no `Answer:` line"


def _refused(row: Graded, filters: Mapping[str, RowFilter]) -> str:
    """The reason of the first filter that does not let the row through; empty where all do."""
    for name, lets_through in filters.items():
        verdict: object = lets_through(row)
        if not isinstance(verdict, bool):
            message = f"gave {verdict!r} for row {row.row_id[:12]}, which is neither True nor False"
            raise Orca2Error(message, f"filter {name}", "let it return a bool; `None` is a forgotten `return`")
        if not verdict:
            return f"left out by {name}"
    return ""


def _load_filter(name: str, where: str) -> RowFilter:
    found = load(name, where)
    if not callable(found):
        raise Orca2Error(f"{name!r} cannot be called", where, "name a function (row) -> bool")
    return found


def reject(row: Graded, reason: str) -> Rejected:
    """An answer that is not kept, with what was expected and what came."""
    given = (row.strict_answer if row.strict_answer is not None else row.text)[-_SHOWN:]
    return Rejected(
        row_id=row.row_id,
        sample_index=row.sample_index,
        task=row.task,
        stage="grade",
        reason=reason,
        detail=f"expected {row.expected!r}, got {given!r}",
        strategy=row.strategy,
    )
