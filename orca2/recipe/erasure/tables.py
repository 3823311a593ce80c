"""The training conversations of a partition, made as a table: without an object a turn; every answer is audited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from orca2.core.rows import Chat, Message, Rejected, Role
from orca2.core.tables import arrow_schema, to_table
from orca2.recipe.erasure import EraseConfig
from orca2.recipe.erasure.residue import Told, residue, told
from orca2.recipe.request_tables import Rendered
from orca2.recipe.templates import Templates
from orca2.recipe.turns import ROLES, Conversations

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLE_COLUMNS = ("row_id", "task", "category", "question")
REQUEST_COLUMNS = ("row_id", "sample_index", "template", "messages")
GRADED_COLUMNS = ("row_id", "sample_index", "task", "strategy", "key", "text")
_IDENTITY = ("row_id", "sample_index")


def erase_table(
    examples: pa.Table, requests: pa.Table, graded: pa.Table, templates: Templates, config: EraseConfig
) -> tuple[pa.Table, pa.Table]:
    """The training conversations of a partition's kept answers, and the answers with a residue of what is erased.

    What only the teacher was told is erased: its turns that are none of the student's for the same question. They are
    tables of `Chat` and of `Rejected`, made without an object a turn.

    Args:
        examples: the columns `EXAMPLE_COLUMNS` of all questions.
        requests: the columns `REQUEST_COLUMNS` of all requests.
        graded: the columns `GRADED_COLUMNS`.
        templates: of which some show the question to the student.
        config: which.
    """
    import pyarrow as pa

    asked, shown = _Asked(requests), _Shown(templates, config)
    question_of = {row_id: about for row_id, *about in _rows(examples, EXAMPLE_COLUMNS)}
    chats, rejected = Conversations(arrow_schema(Chat).field("messages").type), list[Rejected]()
    kept, at, shown_by = list[int](), list[int](), list[str]()
    for number, (row_id, sample_index, task, strategy, _, text) in enumerate(_rows(graded, GRADED_COLUMNS)):
        request = asked.at[row_id, sample_index]
        rendered = shown.turns(row_id, *question_of[row_id])
        template, roles, contents = rendered or ("", *asked.kept(request))
        names = templates.strategies if rendered else None
        left = residue(text, asked.erased(request, roles, contents), contents, names)
        if left:
            rejected.append(
                Rejected(
                    row_id=row_id,
                    sample_index=sample_index,
                    task=task,
                    stage="erase",
                    reason=left.kind,
                    detail=left.words,
                    strategy=strategy,
                )
            )
        else:
            chats.add([*roles, "assistant"], [*contents, text])
            kept.append(number)
            at.append(request)
            shown_by.append(template)
    schema = arrow_schema(Chat)
    columns: dict[str, Any] = {name: graded[name].take(pa.array(kept, pa.int64())) for name in GRADED_COLUMNS[:-1]}
    columns["erased_template"] = requests["template"].take(pa.array(at, pa.int64()))
    teachers = columns["erased_template"].to_pylist()
    columns["student_template"] = pa.array([a or b for a, b in zip(shown_by, teachers, strict=True)], pa.string())
    columns["messages"] = chats.column()
    return pa.table([columns[name] for name in schema.names], schema=schema), to_table(rejected, Rejected)


class _Shown:
    """What the student is shown of each question."""

    def __init__(self, templates: Templates, config: EraseConfig) -> None:
        self._templates, self._config = templates, config
        self._rendered, self._of_all = cache(self._render), cache(self._template_of_all)

    def turns(
        self, row_id: str, task: str, category: str, question: str
    ) -> tuple[str, Sequence[str], Sequence[str]] | None:
        """Template, roles and contents; None where the teacher's own instruction is kept."""
        template = self._of_all(task, category)
        if template is None:
            return None
        template = template or f"student/{self._config.taught(task, category, row_id)}.j2"
        return template, *self._rendered(template, task, category).turns(row_id, question)

    def _template_of_all(self, task: str, category: str) -> str | None:
        """That of all rows of a task; empty where each row has its own, None where none has any."""
        instruction = self._config.instruction_for(task, category)
        if instruction in ("keep", "one_of"):
            return None if instruction == "keep" else ""
        return f"student/{self._config.asked(task, category)}.j2"

    def _render(self, template: str, task: str, category: str) -> Rendered:
        return Rendered(self._templates, template, task, category)


class _Asked:
    """The requests of a partition by number, each turn known by a number too: most stand in many requests."""

    def __init__(self, requests: pa.Table) -> None:
        self.at = {(row_id, sample_index): n for n, (row_id, sample_index) in enumerate(_rows(requests, _IDENTITY))}
        """By row id and sample index."""
        self._ends, self._turns, self._contents, self._number = [0], list[int](), list[str](), dict[str, int]()
        for chunk in requests["messages"].chunks:
            roles, contents = (chunk.flatten().field(name).dictionary_encode() for name in ("role", "content"))
            role = np.array([ROLES.index(name) for name in roles.dictionary.to_pylist()], np.int64)
            content = np.array([self._numbered(text) for text in contents.dictionary.to_pylist()], np.int64)
            self._turns += (content[contents.indices] * len(ROLES) + role[roles.indices]).tolist()
            self._ends += (self._ends[-1] + np.cumsum(chunk.value_lengths())).tolist()
        self._told = lru_cache(maxsize=512)(self._read)

    def erased(self, request: int, roles: Sequence[str], contents: Sequence[str]) -> Told:
        """The turns of a request without those that are shown to the student."""
        numbers = [self._number.get(content, -1) for content in contents]
        shown = {n * len(ROLES) + ROLES.index(cast(Role, role)) for n, role in zip(numbers, roles, strict=True)}
        own = self._turns[self._ends[request] : self._ends[request + 1]]
        return self._told(tuple([turn for turn in own if turn not in shown]))

    def kept(self, request: int) -> tuple[Sequence[str], Sequence[str]]:
        """Roles and contents of its instruction and its question: a worked turn is no instruction."""
        own = self._turns[self._ends[request] : self._ends[request + 1]]
        said = [divmod(turn, len(ROLES)) for turn in own]
        told = [(ROLES[role], self._contents[number]) for number, role in said if ROLES[role] == "system"]
        number, role = said[-1]
        roles, contents = zip(*told, (ROLES[role], self._contents[number]), strict=True)
        return roles, contents

    def _read(self, turns: tuple[int, ...]) -> Told:
        pairs = (divmod(turn, len(ROLES)) for turn in turns)
        return told(tuple(Message(role=ROLES[role], content=self._contents[number]) for number, role in pairs))

    def _numbered(self, content: str) -> int:
        if content not in self._number:
            self._number[content] = len(self._contents)
            self._contents.append(content)
        return self._number[content]


def _rows(table: pa.Table, names: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)
