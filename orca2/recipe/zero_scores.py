"""A task that the probe never saw answered right is asked no further: nothing of it could be taught.

All techniques at zero is no result about techniques. Where only right answers are kept, the run stops before the
training questions are paid for, and says what the answers look like.
"""

from collections.abc import Iterable, Iterator, Sequence

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Graded
from orca2.recipe.filtering import GradeConfig


def refuse_zero_scores(probed: Iterable[Graded], config: GradeConfig) -> None:
    """Raise for every task of which no probe answer is right, unless wrong answers are kept too.

    Raises:
        InputErrors: each such task, with the likely reasons.
    """
    if config.keep == "all":
        return
    by_task: dict[str, list[Graded]] = {}
    for row in probed:
        by_task.setdefault(row.task, []).append(row)
    raise_all(
        Orca2Error(_problem(task, rows), "data/probe", "; ".join(_hints(rows)))
        for task, rows in sorted(by_task.items())
        if not any(row.strict_correct for row in rows)
    )


def _problem(task: str, rows: Sequence[Graded]) -> str:
    techniques = len({row.strategy for row in rows})
    return f"no answer to task `{task}` is right, of {len(rows):,} under {techniques} technique(s):{_example(rows)}"


def _example(rows: Sequence[Graded]) -> str:
    """One answer that looks most like one."""
    row = max(rows, key=lambda row: (row.strict_answer is not None, row.lenient_answer is not None))
    given = row.strict_answer or row.lenient_answer or row.text.strip()
    return f" known {row.expected[:60]!r}, given {given[:60]!r}"


def _hints(rows: Sequence[Graded]) -> Iterator[str]:
    number = len(rows)
    without = sum(row.strict_answer is None for row in rows)
    cut = sum(row.finish_reason == "length" for row in rows)
    lenient = sum(row.lenient_correct for row in rows)
    if lenient:
        yield (
            f"{lenient:,} would be right but for their form: let the templates ask for an answer line, or name the one"
            " that is used in the source's `answer_lines`"
        )
    if 2 * without > number:
        yield f"{without:,} have no answer line: let the templates ask for one and show it in a worked turn"
    if 2 * cut > number:
        yield f"{cut:,} were cut: raise probe.sampling.max_tokens"
    if 2 * without <= number and not lenient:
        yield "compare known and given answers: the grader may not fit them, or the teacher cannot do this task"
    yield "to go on all the same, set `grade.keep: all`, or remove the task"
