"""Records of any source become questions: columns taken by name, answers spelt, ids by content.

No value is turned into text by guess. An answer is text, or a number in Python's spelling of it: `5` of a whole number,
`5.0` of a floating one, which is what the file says. Anything else is refused with its row.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.hashing import canonical, digest
from orca2.core.rows import Example
from orca2.recipe.graders.known import grading_facts
from orca2.recipe.sources.base import Record, Source
from orca2.recipe.sources.origin import origin_facts

_KINDS = {dict: "an object", list: "a list", bool: "true or false", bytes: "bytes"}
_AS_TEXT = "write what an answer is compared with as text or a number, in a column of its own; or remove the row"


def questions(
    task: str, source: Source, records: Iterable[Record], where: str, *, may_be_empty: bool = False
) -> Iterator[Example]:
    """The questions of one source; `split` is still to be decided.

    Args:
        task: the one they belong to.
        source: what its parameters are.
        records: its rows.
        where: it, to an error.
        may_be_empty: whether an answer may be.

    Raises:
        InputErrors: there is no row, a column is missing, or every row that holds no question or no answer.
    """
    rows = [r if r.position else r._replace(position=f"row {n}") for n, r in enumerate(_checked(records, where), 1)]
    if not rows:
        raise Orca2Error("has no rows", where, "an empty source makes no task: fill or remove it")
    columns = list(dict.fromkeys(name for row in rows for name in row.columns))
    raise_all(
        Orca2Error(f"has no column `{column}`", where, f"its columns: {', '.join(columns)}")
        for column in (source.question_column, source.answer_column, source.id_column, source.group_column)
        if column and column not in columns
    )
    raise_all(
        Orca2Error(problem, f"{where}: {row.position}", hint)
        for row in rows
        for problem, hint in _problems(row, source, may_be_empty)
    )
    for row in rows:
        yield _example(task, source, row)


def _checked(records: Iterable[Record], where: str) -> Iterator[Record]:
    for record in records:
        if not isinstance(record, Record) or not isinstance(record.columns, Mapping):
            hint = "yield `orca2.recipe.sources.base.Record({column: value})`"
            raise Orca2Error(f"its reader gave {type(record).__name__}, not a Record of columns", where, hint)
        yield record


def _problems(row: Record, source: Source, may_be_empty: bool) -> Iterator[tuple[str, str]]:
    """The first thing wrong with a row, and what to do."""
    question, answer = row.columns.get(source.question_column), row.columns.get(source.answer_column)
    mend = "mend or remove the row"
    for name, value in ((source.question_column, question), (source.answer_column, answer)):
        if value is None or (isinstance(value, str) and not value.strip() and not (may_be_empty and value is answer)):
            yield f"`{name}` is empty", mend
            return
        if isinstance(value, str) and _is_halved(value):
            yield f"`{name}` holds half a character (a lone surrogate)", mend
            return
    if not isinstance(question, str):
        yield f"`{source.question_column}` is {type(question).__name__}, not text", mend
    elif _spelt(answer) is None:
        yield f"`{source.answer_column}` is {_kind(answer)}, not text or a number", _AS_TEXT
    elif source.answer_pattern and not _answer_in(answer, source):
        yield f"`{source.answer_column}` holds no answer_pattern", mend


def _spelt(answer: object) -> str | None:
    """An answer as text; None of what has no spelling of its own."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return None
    return repr(answer) if isinstance(answer, int) or math.isfinite(answer) else None


def _kind(value: object) -> str:
    return repr(value) if isinstance(value, float) else _KINDS.get(type(value), f"a {type(value).__name__}")


def _is_halved(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _answer_in(answer: object, source: Source) -> str:
    """The answer inside the answer column; empty when the pattern does not find one."""
    text = _spelt(answer) or ""
    if not source.answer_pattern:
        return text.strip()
    found = re.search(source.answer_pattern, text)
    return (found.group(1) or "").strip() if found else ""


def _example(task: str, source: Source, row: Record) -> Example:
    question, answer = (
        str(row.columns[source.question_column]).strip(),
        _answer_in(row.columns[source.answer_column], source),
    )
    return Example(
        row_id=digest("example", [task, question, answer]),
        task=task,
        category=source.category,
        split="train",
        question=question,
        answer=answer,
        grader=source.grader,
        metadata=canonical({**row.metadata, **grading_facts(answer_lines=source.answer_lines), **_origin(row, source)}),
        source=f"{source.kind}:{source.name}",
        licence=source.licence,
    )


def _origin(row: Record, source: Source) -> dict[str, object]:
    own_id, group = (_spelt(row.columns.get(column)) or "" for column in (source.id_column, source.group_column))
    return origin_facts(own_id=own_id.strip(), group=group.strip())
