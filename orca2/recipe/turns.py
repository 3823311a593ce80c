"""The turns that a template writes: recorded as it calls for them, and judged as a conversation."""

import re
from collections.abc import Callable
from typing import Protocol

from orca2.core.rows import Message, Role

ROLES: tuple[Role, ...] = ("system", "user", "assistant")


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
