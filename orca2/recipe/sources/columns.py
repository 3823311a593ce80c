"""Templates and expressions over the columns of a row, in the sandbox that all templates are rendered in.

A template gives text: `{{ passage }}` and what else Jinja knows; it prints text and numbers, and refuses a list, an
object, true, false, NaN and null, which would become Python's spelling of them without a word. An expression gives a
value: `answers.text`, `score > 3 and language == "en"`. Both know each column by its name, all of them as `row`, for
names that are no words (`row["Option A"]`), and the filter `boxed`: what stands in the last box of a LaTeX text.
"""

from collections.abc import Iterator, Mapping
from functools import cache

import jinja2
from jinja2 import meta, nodes
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

from orca2.recipe.graders.wrappers import boxes
from orca2.recipe.sources.values import kind_of, spelt
from orca2.recipe.templates.folder import RENDER_ERRORS, environment

Names = tuple[str, ...]
"""A column, and what is named inside its value: `question.stem` is `("question", "stem")`."""


class UnreadableError(ValueError):
    """What a row does not let a template or an expression say."""


class _Reads:
    """What is common to both: which columns are read."""

    def __init__(self, tree: nodes.Template) -> None:
        # What a template sets or loops over is no column, nor is what Jinja knows.
        names = meta.find_undeclared_variables(tree) - _environment().globals.keys()
        read = [path for path in _paths(tree) if path[0] in names]
        self.paths = frozenset(path[1:] if path[0] == "row" and len(path) > 1 else path for path in read)
        """What is read of a row."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are read."""
        return frozenset(path[0] for path in self.paths) - {"row"}

    def overlaps(self, paths: frozenset[Names]) -> bool:
        """Whether anything is read that these hold, or are part of."""
        return any(one[: len(other)] == other[: len(one)] for one in self.paths for other in paths)


class Template(_Reads):
    """Text over a row.

    Raises:
        ValueError: it is no template, or needs more than a row.
    """

    def __init__(self, text: str) -> None:
        try:
            tree = _environment().parse(text)
            self._template = _environment().from_string(text)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"{error.message} (line {error.lineno})") from error
        if any(meta.find_referenced_templates(tree)):
            raise ValueError("takes no other file: write it out here")
        if tree.find(nodes.Concat):
            raise ValueError("`~` would spell null as `None`: write `{{ a }}{{ b }}`")
        super().__init__(tree)

    def render(self, columns: Mapping[str, object], **more: object) -> str:
        """The text for a row; `more` is what it knows beside its columns.

        Raises:
            UnreadableError: it fails on this row.
        """
        try:
            return self._template.render({**columns, "row": columns, **more})
        except RENDER_ERRORS as error:
            nulls = sorted(name for name in self.columns if columns.get(name, "") is None)
            here = f" (null here: {', '.join(nulls)})" if nulls else ""
            raise UnreadableError(f"{error}{here}") from error


class Expression(_Reads):
    """A value over a row.

    Raises:
        ValueError: it is no expression.
    """

    def __init__(self, text: str) -> None:
        try:
            parsed = Parser(_environment(), text, state="variable").parse_expression()
            self._value = _environment().compile_expression(text, undefined_to_none=False)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"{error.message}") from error
        self._column = parsed.name if isinstance(parsed, nodes.Name) and parsed.name != "row" else ""
        tree = nodes.Template([nodes.Output([parsed], lineno=1)], lineno=1)
        tree.set_environment(_environment())
        super().__init__(tree)

    def value(self, columns: Mapping[str, object]) -> object:
        """Its value for a row.

        Raises:
            UnreadableError: it has none.
        """
        if self._column in columns:
            # Most are the name of a column, which needs no engine.
            return columns[self._column]
        try:
            value: object = self._value({**columns, "row": columns})
            if isinstance(value, jinja2.Undefined):
                str(value)  # A strict one says what is missing.
        except RENDER_ERRORS as error:
            raise UnreadableError(str(error)) from error
        return value


@cache
def template(text: str) -> Template:
    """The template of a text, made once."""
    return Template(text)


@cache
def expression(text: str) -> Expression:
    """The expression of a text, made once."""
    return Expression(text)


@cache
def _environment() -> SandboxedEnvironment:
    made = environment(finalize=_printed)
    made.filters["boxed"] = _boxed
    return made


def _printed(value: object) -> object:
    if isinstance(value, jinja2.Undefined) or spelt(value) is not None:
        return value
    raise TypeError(f"{kind_of(value)} is not text; take a part of it, join it, or ask for it with `if`")


def _boxed(text: object) -> str:
    found = boxes(text) if isinstance(text, str) else []
    if not found:
        raise ValueError("there is no box in it")
    return found[-1].strip()


def _paths(node: nodes.Node) -> Iterator[Names]:
    """Every name that is read, each with the longest chain of attributes or constant items behind it."""
    if path := _chain(node):
        yield path
        return
    for child in node.iter_child_nodes():
        yield from _paths(child)


def _chain(node: nodes.Node) -> Names:
    if isinstance(node, nodes.Name):
        return (node.name,) if node.ctx == "load" else ()
    if isinstance(node, nodes.Getattr) and (before := _chain(node.node)):
        return (*before, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and (before := _chain(node.node)):
        return (*before, str(node.arg.value))
    return ()
