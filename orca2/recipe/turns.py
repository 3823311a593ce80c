"""The turns of conversations: recorded as a template calls for them, judged, and put into an Arrow column."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from orca2.core.rows import Message, Role

if TYPE_CHECKING:
    import pyarrow as pa

ROLES: tuple[Role, ...] = ("system", "user", "assistant")
_CHUNK_TEXT = 1 << 26
"""Characters of one chunk of a column: an Arrow text column holds 2 GiB, a character takes at most four bytes."""


class Recorder(Protocol):
    """What a call block calls, with what stands inside it."""

    def __call__(self, caller: Callable[[], object]) -> str: ...


def recorders(turns: list[Message]) -> dict[str, Recorder]:
    """The callables `system`, `user`, `assistant`: each records one turn instead of printing it."""

    def recorder(role: Role) -> Recorder:
        def record(caller: Callable[[], object]) -> str:
            turns.append(Message(role=role, content=str(caller()).strip()))
            return ""

        return record

    return {role: recorder(role) for role in ROLES}


def conversation_fault(turns: list[Message], outside: str) -> str:
    """Why these turns are not `system? (user assistant)* user`; empty when they are."""
    if outside.strip():
        return f"text outside any turn: {outside.strip()[:60]!r}; wrap it in {{% call user() %}}"
    shape = "".join(turn.role[0] for turn in turns)
    if not re.fullmatch(r"s?(ua)*u", shape):
        order = ", ".join(turn.role for turn in turns) or "none"
        return f"turns must be system, then user and assistant in turn, then user; they are: {order}"
    empty = next((turn.role for turn in turns if not turn.content), "")
    return f"the {empty} turn is empty" if empty else ""


class Conversations:
    """Conversations on their way into an Arrow column, without an object a turn."""

    def __init__(self, kind: "pa.ListType") -> None:
        self._kind = kind
        self._full: list[pa.Array] = []
        self._begin()

    def add(self, roles: Sequence[str], contents: Sequence[str]) -> None:
        """One conversation."""
        self._roles += roles
        self._contents += contents
        self._ends.append(len(self._roles))
        self._size += sum(map(len, contents))
        if self._size >= _CHUNK_TEXT:
            self._end()

    def column(self) -> "pa.ChunkedArray":
        """All of them, a list of turns each."""
        import pyarrow as pa

        self._end()
        return pa.chunked_array(self._full, self._kind)

    def _begin(self) -> None:
        self._roles: list[str] = []
        self._contents: list[str] = []
        self._ends = [0]
        self._size = 0

    def _end(self) -> None:
        import pyarrow as pa

        columns = [pa.array(self._roles, pa.string()), pa.array(self._contents, pa.string())]
        turns = pa.StructArray.from_arrays(columns, fields=list(self._kind.value_type))
        self._full.append(pa.ListArray.from_arrays(pa.array(self._ends, pa.int32()), turns, type=self._kind))
        self._begin()
