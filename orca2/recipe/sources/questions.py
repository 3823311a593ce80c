"""Records of any source become questions: what is asked, its options, what is right, and names by content.

What the parameters say is in `base.Source`; one row is made into a question by a `Maker`, or refused by a `Fault`.
"""

import re

from orca2.core.hashing import canonical, digest
from orca2.core.rows import Example
from orca2.recipe.graders.judged import is_judged
from orca2.recipe.graders.known import Option, grading_facts
from orca2.recipe.sources.answers import Golds, golds_of
from orca2.recipe.sources.base import Record, Source
from orca2.recipe.sources.columns import Expression, Names, Template, UnreadableError, expression, template
from orca2.recipe.sources.few_shot import Alike
from orca2.recipe.sources.options import options_of
from orca2.recipe.sources.origin import origin_facts
from orca2.recipe.sources.values import Fault, is_blank, is_halved, kind_of, spelt

_NO_NAME = re.compile(r"[^\w-]+")


class Maker:
    """Makes questions of the rows of one source.

    Args:
        task: the one they belong to, where no column says it.
        source: what its parameters are.
        may_be_empty: whether an answer may be.
    """

    def __init__(self, task: str, source: Source, *, may_be_empty: bool = False) -> None:
        self._task, self._source, self._may_be_empty = task, source, may_be_empty
        self._judged = is_judged(source.grader)
        self._template: Template | None = template(source.question) if source.question else None
        self._where = expression(source.where) if source.where else None
        self._choices = source.choices if isinstance(source.choices, tuple) else _read(source.choices)
        self._answer = expression(source.answer) if source.answer else None
        asked = self._template.paths if self._template else frozenset({(source.question_column,)})
        self._lists_options = bool(source.choices) and not self._shows_options(asked)
        self.shows_others = source.few_shot is not None
        self.tasks: dict[str, str] = {}
        """The names of the tasks that a column names, and how it spells each."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns that every row must have."""
        source = self._source
        asked = self._template.columns if self._template else {source.question_column}
        right = self._answer.columns if self._answer else set() if self._judged else {source.answer_column}
        named = {source.task_column, source.category_column, source.id_column, source.group_column}
        where = self._where.columns if self._where else ()
        own = {"choices"} if source.choices else set()
        alike = source.few_shot.same if source.few_shot else ()
        return frozenset({*alike, *(asked - own), *right, *named, *where, *self._columns_of_choices()} - {""})

    def concerns(self, row: Record) -> bool:
        """Whether `where` is so.

        Raises:
            Fault: it cannot be told.
        """
        return not self._where or bool(_value(self._where, row, "unreadable row", "where"))

    def alike(self, row: Record) -> Alike:
        """What it must share with those that may stand before it."""
        few_shot = self._source.few_shot
        return tuple(_told(row, column) for column in few_shot.same) if few_shot else ()

    def question(self, row: Record) -> Example:
        """The question of a row; `split` is still to be decided.

        Raises:
            Fault: it holds none, or no answer.
        """
        source = self._source
        options = self._options(row)
        question, given = self._question(row, options), self._given(row)
        unknown = self._judged and is_blank(given)
        answer, others = Golds("") if unknown else golds_of(given, source, options, may_be_empty=self._may_be_empty)
        task, category = self._named(row)
        facts = grading_facts(choices=options, answers=others, answer_lines=source.answer_lines)
        metadata = canonical({**row.metadata, **facts, **self._origin(row)})
        answered = source.answer or source.answer_column
        for name, text in (("its question", question), (f"`{answered}`", answer), ("what is known of it", metadata)):
            if is_halved(text):
                raise Fault("unreadable row", f"{name} holds half a character (a lone surrogate)")
        return Example(
            row_id=row_id(task, question, answer),
            task=task,
            category=category,
            split="train",
            question=question,
            answer=answer,
            grader=source.grader,
            metadata=metadata,
            source=f"{source.kind}:{source.name}",
            licence=source.licence,
        )

    def _question(self, row: Record, options: tuple[Option, ...]) -> str:
        text = (_rendered(self._template, row, options) if self._template else self._asked(row)).strip()
        if not text:
            raise Fault("no question", "its question is empty")
        if not self._lists_options:
            return text
        return "\n".join([text, *(f"({option.label}) {option.text}" for option in options)])

    def _asked(self, row: Record) -> str:
        name = self._source.question_column
        value = row.columns.get(name)
        if is_blank(value):
            raise Fault("no question", f"`{name}` is empty")
        if not isinstance(value, str):
            raise Fault("no question", f"`{name}` is {kind_of(value)}, not text")
        return value

    def _options(self, row: Record) -> tuple[Option, ...]:
        if isinstance(self._choices, tuple):
            return options_of([row.columns.get(column) for column in self._choices])
        return options_of(_value(self._choices, row, "no options", "choices")) if self._choices else ()

    def _given(self, row: Record) -> object:
        if self._answer:
            return _value(self._answer, row, "no answer", "answer")
        return row.columns.get(self._source.answer_column)

    def _named(self, row: Record) -> tuple[str, str]:
        """Task and category."""
        category = _told(row, self._source.category_column) or self._source.category
        if not self._source.task_column:
            return self._task, category
        spelling = _told(row, self._source.task_column)
        task = _NO_NAME.sub("_", spelling).strip("_")
        if not task:
            raise Fault("no task", f"`{self._source.task_column}` names no task")
        if self.tasks.setdefault(task, spelling) != spelling:
            both = f"{self.tasks[task]!r} and {spelling!r} are both called {task}"
            raise Fault("no task", both, "write one of the two otherwise")
        return task, category

    def _origin(self, row: Record) -> dict[str, object]:
        own_id, group = _told(row, self._source.id_column), _told(row, self._source.group_column)
        return origin_facts(own_id=own_id, group=group)

    def _shows_options(self, asked: frozenset[Names]) -> bool:
        """Whether a question that reads these shows the options, or what they are read from."""
        if any(path[0] == "choices" for path in asked):
            return True
        if isinstance(self._choices, Expression):
            return self._choices.overlaps(asked)
        return not self._columns_of_choices().isdisjoint(path[0] for path in asked)

    def _columns_of_choices(self) -> frozenset[str]:
        if isinstance(self._choices, Expression):
            return self._choices.columns
        return frozenset(self._choices or ())


def row_id(task: str, question: str, answer: str) -> str:
    """The name of a question by its content."""
    return digest("example", [task, question, answer])


def _read(text: str) -> Expression | None:
    return expression(text) if text else None


def _rendered(asks: Template, row: Record, options: tuple[Option, ...]) -> str:
    try:
        return asks.render(row.columns, **({"choices": options} if options else {}))
    except UnreadableError as error:
        hint = "mend the row, or say in `question` what is asked of a row without it: {% if ... %}"
        raise Fault("no question", f"its question cannot be rendered: {error}", hint) from error


def _value(reads: Expression, row: Record, reason: str, name: str) -> object:
    try:
        return reads.value(row.columns)
    except UnreadableError as error:
        raise Fault(reason, f"`{name}` has no value here: {error}") from error


def _told(row: Record, column: str) -> str:
    """What a column says, as text; empty where nothing, or no column, is named."""
    value = row.columns.get(column) if column else None
    text = "" if value is None else spelt(value)
    if text is None:
        raise Fault("unreadable row", f"`{column}` is {kind_of(value)}, not text or a number")
    return text.strip()
