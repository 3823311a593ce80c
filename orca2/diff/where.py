"""Which changes a user asked to see: an SQL condition, as SQLite reads it."""

import sqlite3
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from orca2.core.errors import Orca2Error

COLUMNS = ("status", "row_id", "sample_index", "task", "strategy", "cause", "detail", "fields")
"""What a condition may name; `fields` holds the names of the columns that differ, with commas between."""


class Row(Protocol):
    """A change as a condition sees it: the other columns are attributes, by their names."""

    @property
    def fields(self) -> Sequence[str]: ...


class Condition:
    """A condition such as `task = 'gcd' and cause = 'template'`; empty lets everything pass.

    Raises:
        Orca2Error: it is no condition.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._selects = 0
        self._base = sqlite3.connect(":memory:")
        self._base.execute(f"create table changes ({', '.join(COLUMNS)})")
        # A condition looks at these columns, and at nothing else on this machine.
        self._base.set_authorizer(self._allows)
        self([])

    def __enter__(self) -> "Condition":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def __call__(self, changes: Sequence[Row]) -> Sequence[int]:
        """The positions of the changes that the condition is true of."""
        if not self._where.strip():
            return range(len(changes))
        self._base.set_authorizer(None)
        self._base.execute("delete from changes")
        rows = ([getattr(change, name) for name in COLUMNS[:-1]] + [",".join(change.fields)] for change in changes)
        self._base.executemany(f"insert into changes values ({', '.join('?' * len(COLUMNS))})", rows)
        self._selects = 0
        self._base.set_authorizer(self._allows)
        try:
            chosen = self._base.execute(f"select rowid - 1 from changes where ({self._where}\n) order by rowid")
            return [row[0] for row in chosen]
        except (sqlite3.Error, sqlite3.Warning) as error:
            hint = f"write SQL on {', '.join(COLUMNS)}, such as \"task = 'gcd' and cause = 'template'\""
            raise Orca2Error(f"is no condition: {error}", f"--where {self._where!r}", hint) from error

    def _allows(self, action: int, *_: object) -> int:
        """One look at the columns and no other: a query inside the condition would see a part of the changes only."""
        self._selects += action == sqlite3.SQLITE_SELECT
        allowed = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION) and self._selects <= 1
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
