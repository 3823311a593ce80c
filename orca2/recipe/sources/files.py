"""Questions of a local json, jsonl, csv or parquet file, as they are written there.

Text stays text: nothing here guesses that `2020-01-05` is a time or `007` a number, shifts ragged rows, or serves a
cached copy of a file that has changed. Every broken row of a file is reported at once.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from orca2.core.errors import Orca2Error, raise_all
from orca2.recipe.sources.base import Kind, Record, Source

_ABSENT = "\0absent"
"""Stands in a CSV row for a field that the line lacks."""
_LARGEST_FIELD = 2**31 - 1
_SETTINGS = {".json": {"field"}}


class _Row(NamedTuple):
    """A row as its file holds it: any value, or what is wrong with its text."""

    position: str
    value: object
    fault: str = ""


def _rules(source: Source) -> dict[str, bool]:
    suffix = Path(source.name).suffix
    extra = sorted(set(source.config) - _SETTINGS.get(suffix, set()))
    return {
        f"name: {source.name!r} must end in one of {', '.join(SUFFIXES)}": suffix in SUFFIXES,
        "size: is for reasoning_gym; limit other sources with splits.*_limit": not source.size,
        f"config: a local file has no setting {', '.join(extra)}": not extra,
        "config: `field` must be a name": all(isinstance(value, str) for value in source.config.values()),
    }


def _read(name: str, source: Source, seed: int) -> Iterator[Record]:  # noqa: ARG001  (every reader takes the three)
    import pyarrow as pa

    file = Path(source.name)
    if not file.is_file():
        raise Orca2Error("no such file", str(file), f"mend params.yaml: tasks.sources.{name}.name")
    try:
        rows = list(_READERS[file.suffix](file, str(source.config.get("field", ""))))
    except (pa.ArrowException, csv.Error, OSError, ValueError) as error:
        raise Orca2Error(f"cannot be read: {error}", str(file), "mend the file, or write it again") from error
    except RecursionError as error:
        raise Orca2Error("is nested too deeply", str(file), "write its rows as one flat list") from error
    raise_all(
        Orca2Error(fault, f"{file}: {row.position}", "mend or remove the row") for row in rows if (fault := _fault(row))
    )
    for row in rows:
        if isinstance(row.value, dict):
            yield Record(row.value, position=row.position)


def _fault(row: _Row) -> str:
    if row.fault:
        return row.fault
    if not isinstance(row.value, dict):
        return f"is {type(row.value).__name__}, not an object with columns"
    ragged = None in row.value or _ABSENT in row.value.values()
    return "has another number of fields than the header" if ragged else ""


def _read_jsonl(file: Path, field: str) -> Iterator[_Row]:  # noqa: ARG001  (every kind of file takes it)
    # Not `splitlines`: JSON text may hold U+2028 and its like.
    for number, line in enumerate(file.read_text("utf-8-sig").split("\n"), start=1):
        if line.strip():
            yield _parsed(f"line {number}", line)


def _parsed(position: str, line: str) -> _Row:
    try:
        return _Row(position, json.loads(line))
    except ValueError as error:
        return _Row(position, None, f"not valid JSON: {error}")
    except RecursionError:
        return _Row(position, None, "is nested too deeply")


def _read_json(file: Path, field: str) -> Iterator[_Row]:
    document = json.loads(file.read_text("utf-8-sig"))
    rows = document.get(field) if field and isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise Orca2Error("holds no list of rows", str(file), "name the field that does, as `config: {field: NAME}`")
    return _numbered(rows)


def _read_csv(file: Path, field: str) -> Iterator[_Row]:  # noqa: ARG001  (every kind of file takes it)
    # 128 kB by default, which is less than a long document.
    csv.field_size_limit(_LARGEST_FIELD)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, restval=_ABSENT, strict=True)
        for row in reader:
            yield _Row(f"line {reader.line_num}", row)


def _read_parquet(file: Path, field: str) -> Iterator[_Row]:  # noqa: ARG001  (every kind of file takes it)
    import pyarrow.parquet as pq

    return _numbered(pq.read_table(file, partitioning=None).to_pylist())


def _numbered(rows: Iterable[object]) -> Iterator[_Row]:
    return (_Row(f"row {number}", row) for number, row in enumerate(rows, start=1))


_READERS: dict[str, Callable[[Path, str], Iterable[_Row]]] = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
SUFFIXES = tuple(_READERS)
KIND = Kind(read=_read, rules=_rules, is_file=True)
