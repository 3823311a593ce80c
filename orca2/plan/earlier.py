"""What was asked last time: the requests of an artifact as it lies in the workspace, one partition at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from orca2.core.errors import Orca2Error
from orca2.core.rows import Sampling
from orca2.project.shards import shard_names

if TYPE_CHECKING:
    import pyarrow as pa

Asked: TypeAlias = dict[str, Any]
"""A request by the names of its columns, without its messages."""
Identity = tuple[str, int, str]
"""Row, sample and, where a question is asked under several side by side, strategy (else an empty one)."""
_COLUMNS = ("row_id", "sample_index", "strategy", "template", "model", "key", "sampling", "seed", "task")


def shards(folder: Path) -> list[Path]:
    """The files of an artifact in order; none where it was never built.

    Raises:
        Orca2Error: some of them are missing.
    """
    found = sorted(folder.glob("rows-*-of-*.parquet"), key=lambda file: (len(file.name), file.name))
    if found and {file.name for file in found} != set(shard_names(len(found))):
        raise Orca2Error("its shards are not one complete set", str(folder), "run `dvc checkout` or `dvc repro`")
    return found


def read(files: Sequence[Path], columns: Sequence[str], split: str = "") -> Iterator[dict[str, pa.ChunkedArray]]:
    """Some columns of each file, by name; of a split alone where one is named.

    Raises:
        Orca2Error: a file is torn.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    filters = [("split", "=", split)] if split else None
    for file in files:
        try:
            table = pq.read_table(file, columns=list(columns), filters=filters, partitioning=None)
        except (pa.ArrowException, OSError) as error:
            raise Orca2Error(f"cannot be read: {error}", str(file), "run `dvc checkout` or `dvc repro`") from error
        yield {name: table[name] for name in columns}


@cache
def _sampling(**values: Any) -> Sampling:
    return Sampling(**values)


class Earlier:
    """One partition of what was asked.

    Args:
        files: the shards that can hold its rows, and no other rows.
        by_strategy: whether a question is asked under several strategies (or roles) side by side.
    """

    def __init__(self, files: Sequence[Path], *, by_strategy: bool) -> None:
        self._files, self._by_strategy = files, by_strategy

    @cached_property
    def at(self) -> dict[Identity, int]:
        """Where each request stands."""
        rows: list[str] = self._lists["row_id"]
        strategies = self._lists["strategy"] if self._by_strategy else [""] * len(rows)
        identities = zip(rows, self._lists["sample_index"], strategies, strict=True)
        return {identity: row for row, identity in enumerate(identities)}

    def identity(self, row_id: str, sample_index: int, strategy: str) -> Identity:
        """What stays the same when anything else about a request changes."""
        return row_id, sample_index, strategy if self._by_strategy else ""

    @cached_property
    def keys(self) -> list[str]:
        """The key of each request."""
        return [key for part in read(self._files, ["key"]) for key in part["key"].to_pylist()]

    @cached_property
    def questions(self) -> frozenset[str]:
        """The ids of all questions that anything was asked about."""
        return frozenset(self._lists["row_id"])

    def records(self, rows: Sequence[int]) -> list[Asked]:
        """Some of the requests without their messages; the sampling parameters as this version knows them."""
        import pyarrow as pa

        if not rows:
            return []
        parts = [pa.table(part) for part in read(self._files, _COLUMNS)]
        records: list[Asked] = pa.concat_tables(parts).take(pa.array(rows, pa.int64())).to_pylist()
        for record in records:
            record["sampling"] = _sampling(**record["sampling"] | {"stop": tuple(record["sampling"]["stop"])})
        return records

    @cached_property
    def _lists(self) -> dict[str, list[Any]]:
        names = ["row_id", "sample_index", *(["strategy"] if self._by_strategy else [])]
        parts = list(read(self._files, names))
        return {name: [value for part in parts for value in part[name].to_pylist()] for name in names}
