"""The rows of one file, as they are written there: json, jsonl, csv, tsv or parquet, plain or compressed.

Text stays text: nothing here guesses that `2020-01-05` is a time or `007` a number, or shifts ragged rows. What is
wrong with one row is that row's fault, and the others are read.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from orca2.core.errors import Orca2Error

_LARGEST_FIELD = 2**31 - 1
_COMPRESSIONS = (".gz", ".zst")
_BATCH = 1024
_DEEP = "is nested too deeply"


class Row(NamedTuple):
    """A row as its file holds it, or what is wrong with it."""

    position: str
    columns: dict[str, object]
    fault: str = ""


def format_of(name: str) -> str:
    """The suffix that says how a file is read, as `.jsonl` of `x.JSONL.gz`; empty where it is none of `FORMATS`."""
    file = Path(name.lower())
    packed = file.suffix in _COMPRESSIONS
    suffix = Path(file.stem).suffix if packed else file.suffix
    return suffix if suffix in _READERS and not (packed and suffix == ".parquet") else ""


def rows_of(file: Path, field: str = "") -> Iterator[Row]:
    """The rows of a file; `field` is that of a JSON object which holds them.

    Raises:
        Orca2Error: it cannot be read.
    """
    import pyarrow as pa

    try:
        yield from _READERS[format_of(file.name)](file, field)
    except (pa.ArrowException, csv.Error, zlib.error, EOFError, OSError, ValueError) as error:
        raise Orca2Error(f"cannot be read: {error}", str(file), "mend the file, or write it again") from error
    except RecursionError as error:
        raise Orca2Error(_DEEP, str(file), "write its rows as one flat list") from error


def _open(file: Path) -> BinaryIO:
    """The bytes of a file, decompressed."""
    import pyarrow as pa

    suffix = file.suffix.lower()
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(file))
    if suffix == ".zst":
        return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(file), compression="zstd")))
    return file.open("rb")


def _read_jsonl(file: Path, field: str) -> Iterator[Row]:  # noqa: ARG001  (every format takes it)
    # Lines of bytes end at a line feed alone: JSON text may hold U+2028 and its like.
    with _open(file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _parsed(f"line {number}", line)


def _parsed(position: str, line: bytes) -> Row:
    try:
        return _row(position, _JSON.decode(line.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        return Row(position, {}, f"cannot be read: {error}")
    except ValueError as error:
        return Row(position, {}, f"not valid JSON: {error}")
    except RecursionError:
        return Row(position, {}, _DEEP)


def _read_json(file: Path, field: str) -> Iterator[Row]:
    with _open(file) as stream:
        text = stream.read().decode("utf-8-sig")
    try:
        document = _JSON.decode(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data" or not text.lstrip().startswith("{"):
            raise
        # Rows of a line each, under the other name.
        yield from _read_jsonl(file, field)
        return
    rows = document.get(field) if field and isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise Orca2Error("holds no list of rows", str(file), "name the field that does, as `config: {field: NAME}`")
    yield from _numbered(rows)


def _read_csv(file: Path, field: str) -> Iterator[Row]:  # noqa: ARG001  (every format takes it)
    # 128 kB by default, which is less than a long document.
    csv.field_size_limit(_LARGEST_FIELD)
    dialect = "excel-tab" if format_of(file.name) == ".tsv" else "excel"
    with io.TextIOWrapper(_open(file), "utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, dialect, strict=True)
        header = next(reader, [])
        _require_distinct(header, file)
        for cells in reader:
            whole = len(cells) == len(header)
            fault = "" if whole else "has another number of fields than the header"
            # A line with nothing on it is no row.
            if cells:
                yield Row(f"line {reader.line_num}", dict(zip(header, cells, strict=True)) if whole else {}, fault)


def _read_parquet(file: Path, field: str) -> Iterator[Row]:  # noqa: ARG001  (every format takes it)
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file)
    _require_distinct(table.schema_arrow.names, file)
    yield from _numbered(row for batch in table.iter_batches(_BATCH) for row in batch.to_pylist())


def _numbered(rows: Iterable[object]) -> Iterator[Row]:
    return (_row(f"row {number}", row) for number, row in enumerate(rows, start=1))


def _row(position: str, value: object) -> Row:
    if not isinstance(value, dict):
        return Row(position, {}, f"is {type(value).__name__}, not an object with columns")
    twice = _written_twice(value)
    return Row(position, {} if twice else value, f"`{twice}` is written twice" if twice else "")


class _Doubled(dict[str, object]):
    """An object of a JSON text in which a key is written twice."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    names = [name for name, _ in pairs]
    return _Doubled({next(name for name in names if names.count(name) > 1): None})


def _written_twice(row: dict[str, object]) -> str:
    """The key that an object, or one inside it, has twice; empty where there is none."""
    waiting: list[object] = [row]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _Doubled):
            return next(iter(value))
        if isinstance(value, dict):
            waiting += [item for item in value.values() if isinstance(item, dict | list)]
        elif isinstance(value, list):
            waiting += [item for item in value if isinstance(item, dict | list)]
    return ""


_JSON = json.JSONDecoder(object_pairs_hook=_object)


def _require_distinct(names: list[str], file: Path) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Orca2Error(f"has two columns `{'`, `'.join(twice)}`", str(file), "give each a name of its own")


_READERS: dict[str, Callable[[Path, str], Iterable[Row]]] = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}
FORMATS = tuple(_READERS)
