"""Records of a local json, jsonl, csv or parquet file, as they are written there.

Text stays text: nothing here guesses that `2020-01-05` is a time or `007` a number, shifts ragged rows, or serves a
cached copy of a file that has changed. Every broken row of a file is reported at once.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from orca2.core.errors import Orca2Error, raise_all

_ABSENT = "\0absent"
"""Stands in a CSV row for a field that the line lacks."""


def read_records(file: Path, **settings: str) -> list[tuple[str, dict[str, Any]]]:
    """Place (`line 3` or `row 3`) and record of every row.

    Args:
        file: its suffix says what it holds; see `SUFFIXES`.
        settings: `field`, the name of the list of rows inside a `.json` file that holds more.

    Raises:
        InputErrors: the file is missing or unreadable, or every broken row in it.
    """
    import pyarrow as pa

    if not file.is_file():
        raise Orca2Error("no such file", str(file), "mend its name in params.yaml: tasks.sources")
    try:
        records = list(_READERS[file.suffix](file, **settings))
    except (pa.ArrowException, csv.Error, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Orca2Error(f"cannot be read: {error}", str(file), "mend the file, or write it again") from error
    raise_all(
        Orca2Error(fault, f"{file}: {place}", "mend or remove the row")
        for place, record in records
        if (fault := _fault(record))
    )
    return records


def _fault(record: Any) -> str:
    if isinstance(record, json.JSONDecodeError):
        return f"not valid JSON: {record}"
    if not isinstance(record, dict):
        return f"is {type(record).__name__}, not an object with columns"
    return "has another number of fields than the header" if None in record or _ABSENT in record.values() else ""


def _read_jsonl(file: Path) -> Iterator[tuple[str, Any]]:
    # Not `splitlines`: JSON text may hold U+2028 and its like.
    for number, line in enumerate(file.read_text("utf-8-sig").split("\n"), start=1):
        if line.strip():
            yield f"line {number}", _parse(line)


def _parse(line: str) -> Any:
    """The JSON value of one line, or the error in its place."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        return error


def _read_json(file: Path, field: str = "") -> Iterator[tuple[str, Any]]:
    document = json.loads(file.read_text("utf-8-sig"))
    rows = document.get(field) if field and isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise Orca2Error("holds no list of rows", str(file), "name the field that does, as `config: {field: NAME}`")
    return ((f"row {number}", row) for number, row in enumerate(rows, start=1))


def _read_csv(file: Path) -> Iterator[tuple[str, Any]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, restval=_ABSENT, strict=True)
        for row in reader:
            yield f"line {reader.line_num}", row


def _read_parquet(file: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow.parquet as pq

    rows = pq.read_table(file, partitioning=None).to_pylist()
    return ((f"row {number}", row) for number, row in enumerate(rows, start=1))


_READERS: dict[str, Callable[..., Iterable[tuple[str, Any]]]] = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
SUFFIXES = tuple(_READERS)
