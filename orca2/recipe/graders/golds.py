"""A known answer that its own grader does not take is never asked for: no answer to its question could be right.

Each is given as an answer, on the line that an answer stands on, and judged as an answer is. What fails is rejected by
name; a source with too many of them is refused, because then its grader, its answer column or its pattern is wrong.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from orca2.core.errors import Orca2Error
from orca2.core.rows import Example, Rejected
from orca2.recipe.graders import grader_of
from orca2.recipe.graders.judged import is_judged
from orca2.recipe.graders.known import known
from orca2.recipe.graders.verdict import judge

_REASON = "gold fails its own grader"
_SHOWN = 5
_HINT = (
    "no answer to these could be right: choose another `grader`, cut the answer out by `answer_pattern`, name another"
    " `answer_column`, mend the rows, or raise `max_bad_share` to leave them out"
)


def sound_golds(name: str, examples: Sequence[Example], max_bad_share: float) -> tuple[list[Example], list[Example]]:
    """The questions of a source whose known answer is right, and the others.

    Args:
        name: of the source.
        examples: its questions.
        max_bad_share: the largest share of others that it may have.

    Raises:
        Orca2Error: it has more, or its grader does not exist.
    """
    where = f"params.yaml: tasks.sources.{name}"
    for grader in {example.grader for example in examples}:
        grader_of(grader, f"{where}.grader")
    bad = [example for example in examples if not _is_right(example.grader, example.answer, example.metadata)]
    if len(bad) > max_bad_share * len(examples):
        raise Orca2Error(_refusal(bad, len(examples)), where, _HINT)
    ids = {id(example) for example in bad}
    return [example for example in examples if id(example) not in ids], bad


def rejected_golds(bad: Iterable[Example]) -> list[Rejected]:
    """One rejection a question, numbered where a question comes more than once."""
    seen: Counter[str] = Counter()
    rejected = []
    for example in bad:
        rejected.append(
            Rejected(
                row_id=example.row_id,
                sample_index=seen[example.row_id],
                task=example.task,
                stage="prepare_tasks",
                reason=_REASON,
                detail=f"{example.grader} does not take {_shown(example.answer)} as an answer to itself",
            )
        )
        seen[example.row_id] += 1
    return rejected


@lru_cache(maxsize=100_000)
def _is_right(grader: str, answer: str, metadata: str) -> bool:
    """Whether each known answer of a question, stated as an answer, is right; a model that judges may have none."""
    if is_judged(grader):
        return True
    golds = (answer, *known(metadata).answers)
    return all(accepts(grader, gold, metadata, gold) for gold in golds)


def accepts(grader: str, answer: str, metadata: str, given: str) -> bool:
    """Whether `given`, stated as an answer, is right for a question with this known answer and metadata."""
    line = known(metadata).answer_lines[0]
    return judge(grader_of(grader, ""), grader, answer, f"{line}{_gap(given)}{given}", metadata).strict_correct


def _gap(gold: str) -> str:
    return "\n" if "\n" in gold else " "


def _refusal(bad: Sequence[Example], number: int) -> str:
    first = "".join(f"\n    {_shown(e.question)}: {_shown(e.answer)}" for e in bad[:_SHOWN])
    more = f"\n    and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    grader = bad[0].grader
    return f"its grader `{grader}` does not take {len(bad):,} of {number:,} known answers as right:{first}{more}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
