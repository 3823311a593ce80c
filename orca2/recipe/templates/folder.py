"""The files of a template folder: which there are, what they are made of, and all that is wrong with them."""

import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from orca2.core.errors import Orca2Error
from orca2.recipe.turns import ROLES

VARIABLES = ("question", "task", "category")
BLOCKS = ("instruction", "examples", "question")
RENDER_ERRORS = (
    jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError
)  # fmt: skip
"""What a template's own expressions can raise."""


class Folder:
    """A folder of templates, `strategies/`, `tasks/` and `student/` among them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._trees: dict[str, nodes.Template] = {}

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Every template, relative to the root."""
        return tuple(sorted(file.relative_to(self.root).as_posix() for file in self.root.rglob("*.j2")))

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """The names of all strategies: one file each."""
        return tuple(Path(file).stem for file in self.files if re.fullmatch(r"strategies/[^/]+", file))

    def reach(self, template: str) -> set[str]:
        """The files that a template is made of: itself, and all it extends or includes."""
        seen: set[str] = set()
        waiting = [template]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += [r for r in meta.find_referenced_templates(self.parse(name)) if r]
        return seen

    def parse(self, template: str) -> nodes.Template:
        """The tree of a file that has no error."""
        if template not in self._trees:
            self._trees[template], _ = _understood((self.root / template).read_text("utf-8"))
        return self._trees[template]

    def errors(self) -> Iterator[Orca2Error]:
        """What is wrong with each file by itself."""
        for file in self.files:
            yield from self._errors_in(file)

    def unreachable(self) -> Iterator[Orca2Error]:
        """Files that no render could ever use: a task's version of a strategy that does not exist, or a stray one."""
        used = {name for file in self.files if self._is_entry(file) for name in self.reach(file)}
        for file in sorted(set(self.files) - used):
            hint = f"name it after a strategy ({', '.join(self.strategies)}) as tasks/<task or category>/<strategy>.j2"
            yield Orca2Error("no strategy can reach this file", str(self.root / file), hint)

    def _errors_in(self, template: str) -> Iterator[Orca2Error]:
        file = self.root / template
        try:
            tree, undeclared = _understood(file.read_text("utf-8"))
        except jinja2.TemplateSyntaxError as error:
            yield Orca2Error(f"template syntax: {error.message}", f"{file}:{error.lineno}", "mend the line")
            return
        except UnicodeDecodeError as error:
            yield Orca2Error(f"is not UTF-8: {error.reason}", str(file), "save it as UTF-8")
            return
        known = {*VARIABLES, *ROLES}
        for name in sorted(undeclared - known):
            line = next((n.lineno for n in tree.find_all(nodes.Name) if n.name == name), 1)
            yield Orca2Error(f"undefined variable `{name}`", f"{file}:{line}", f"known: {', '.join(VARIABLES)}")
        for block in tree.find_all(nodes.Block):
            if block.name not in BLOCKS:
                yield Orca2Error(
                    f"unknown block `{block.name}`", f"{file}:{block.lineno}", f"known: {', '.join(BLOCKS)}"
                )
        for other in meta.find_referenced_templates(tree):
            if other is None or other not in self.files:
                problem = f"extends, includes or imports {other!r}, which is not there"
                yield Orca2Error(problem, str(file), "names are literal")
        imports: list[nodes.Import | nodes.FromImport] = list(tree.find_all(nodes.Import))
        imports += tree.find_all(nodes.FromImport)
        for node in imports:
            yield from self._errors_in_import(node, f"{file}:{node.lineno}")

    def _errors_in_import(self, node: nodes.Import | nodes.FromImport, where: str) -> Iterator[Orca2Error]:
        """An import takes macros and drops all else, so all else is an error; without context a macro makes no turn."""
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if name not in self.files:
            return
        if not node.with_context:
            yield Orca2Error("imports without context", where, "end it in `with context`, or no turn can be written")
        try:
            body = self.parse(name).body
        except (jinja2.TemplateSyntaxError, UnicodeDecodeError):
            return  # Told with that file.
        macros = [found.name for found in body if isinstance(found, nodes.Macro)]
        for other in body:
            if not isinstance(other, nodes.Macro) and not _is_blank(other):
                hint = "an import takes macros only: move it into one, or include the file"
                yield Orca2Error(f"line {other.lineno} of {name} is lost by this import", where, hint)
        wanted = [n if isinstance(n, str) else n[0] for n in node.names] if isinstance(node, nodes.FromImport) else []
        for absent in sorted(set(wanted) - set(macros)):
            yield Orca2Error(f"{name} has no macro `{absent}`", where, f"it has: {', '.join(macros) or 'none'}")

    def _is_entry(self, file: str) -> bool:
        """Whether a strategy, a student template or a judge's may begin with this file."""
        folder, *rest = file.split("/")
        if folder == "tasks":
            return len(rest) == 2 and Path(file).stem in self.strategies
        return folder in ("strategies", "student", "judge") and len(rest) == 1


def environment(
    loader: jinja2.BaseLoader | None = None, finalize: Callable[[object], object] | None = None
) -> SandboxedEnvironment:
    """What templates are read and rendered with; `finalize` says what may be printed, by default all that has text."""
    made = SandboxedEnvironment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        auto_reload=False,
        finalize=finalize or _printable,
    )
    # The same question gives the same prompt on any day: nothing random is at hand, and no memory address.
    del made.globals["lipsum"], made.filters["random"]
    return made


@lru_cache(maxsize=1024)
def _understood(text: str) -> tuple[nodes.Template, frozenset[str]]:
    """The tree of a template and the variables that it does not set; kept, since most are the same in two versions."""
    tree = environment().parse(text)
    return tree, frozenset(meta.find_undeclared_variables(tree))


def _is_blank(node: nodes.Node) -> bool:
    """Whether a node prints only whitespace."""
    return isinstance(node, nodes.Output) and all(
        isinstance(shown, nodes.TemplateData) and not shown.data.strip() for shown in node.nodes
    )


def _printable(value: object) -> object:
    """What a template prints, unless it is a thing without a text of its own, such as a forgotten `()` leaves."""
    if isinstance(value, str | int | float | list | tuple | dict | jinja2.Undefined) or value is None:
        return value
    raise TypeError(f"a {type(value).__name__} cannot be printed; is a pair of brackets missing?")
