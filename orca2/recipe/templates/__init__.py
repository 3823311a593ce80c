"""Conversations rendered from Jinja templates. Values are data: a question is never evaluated (docs/design.md, 8).

A template writes a conversation with call blocks, `{% call system() %}...{% endcall %}`, likewise `user` and
`assistant`; only whitespace may stand outside them. Its blocks are `instruction`, `examples` (worked turns) and
`question`. `templates/strategies/<name>.j2` adds a strategy; `templates/tasks/<task or category>/<name>.j2` is the more
specific version of one; `templates/student/<name>.j2` is what the student sees; `templates/judge/<name>.j2` asks who
judges.

What several files share stands once: a file to extend or to include, or macros to import `with context`. So the worked
questions of a task stand in one file, and each technique's file gives its answers to them.
"""

import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from jinja2 import nodes

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example, Message
from orca2.recipe.templates.folder import RENDER_ERRORS, VARIABLES, Folder, environment
from orca2.recipe.templates.proofs import About, student_faults, teacher_faults
from orca2.recipe.turns import conversation_fault, recorders

_SHOWN_TASKS = 30
QUESTION = "\0question\0"
"""Stands for the question while everything around it is rendered."""
_TRANSPARENT = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Block, nodes.Extends,
    nodes.Include, nodes.CallBlock, nodes.Call, nodes.If, nodes.Compare, nodes.Operand, nodes.FromImport, nodes.Macro,
)  # fmt: skip
"""Syntax that passes what it prints on as it is: no filter, no assignment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A rendered template: the turns, and which file made them."""

    template: str
    messages: tuple[Message, ...]


class Templates(Folder):
    """A template folder, checked as a whole when it is opened.

    Raises:
        InputErrors: syntax errors, undefined variables, unknown blocks, unreachable files, unknown strategies: every
            one in the folder, with file and line.
    """

    def __init__(self, root: Path = Path("templates")) -> None:
        super().__init__(root)
        self._environment = environment(jinja2.FileSystemLoader(root))
        self._printing: dict[str, bool] = {}
        self._skeletons: dict[tuple[str, str, str], tuple[Message, ...] | None] = {}
        raise_all(self.errors())
        raise_all(self.unreachable())

    def check_strategies(self, names: Iterable[str], where: str, about: Iterable[About] = ()) -> None:
        """Raise for every name that is not a strategy, and for each that does not show the question.

        Args:
            names: those that are to be used.
            where: where they are named.
            about: tasks with their categories to prove it for.
        """
        wanted = list(names)
        hint = f"known: {', '.join(self.strategies)}; add templates/strategies/<name>.j2 for a new one"
        unknown = [Orca2Error(f"unknown strategy {n!r}", where, hint) for n in wanted if n not in self.strategies]
        raise_all([*unknown, *teacher_faults(self, [n for n in wanted if n in self.strategies], about)])

    def check_student(self, name: str, where: str, about: Iterable[About] = ()) -> None:
        """Raise when there is no such student template, or it hides the question or tells tasks apart."""
        if f"student/{name}.j2" not in self.files:
            known = ", ".join(Path(f).stem for f in self.files if f.startswith("student/"))
            raise Orca2Error(f"unknown student template {name!r}", where, f"known: {known}")
        raise_all(student_faults(self, f"student/{name}.j2", about))

    def check_tasks(self, tasks: Iterable[str], categories: Iterable[str], where: str) -> None:
        """Raise for every folder of `templates/tasks/` that belongs to no task and no category."""
        known = sorted({*tasks, *categories})
        folders = {file.split("/")[1] for file in self.files if re.fullmatch(r"tasks/[^/]+/[^/]+", file)}
        more = f" and {len(known) - _SHOWN_TASKS:,} more" * (len(known) > _SHOWN_TASKS)
        named = f"{', '.join(known[:_SHOWN_TASKS])}{more}"
        hint = f"name the folder after a task or category of {where} ({named}), or remove it"
        raise_all(
            Orca2Error("no task uses these templates", str(self.root / "tasks" / folder), hint)
            for folder in sorted(folders - set(known))
        )

    def for_strategy(self, strategy: str, task: str, category: str) -> str:
        """The most specific file of a strategy: for the task, else its category, else the general one."""
        candidates = (f"tasks/{task}/{strategy}.j2", f"tasks/{category}/{strategy}.j2", f"strategies/{strategy}.j2")
        return next(name for name in candidates if name in self.files)

    def files_for(self, strategies: Iterable[str], examples: Iterable[Example]) -> list[tuple[str, str, str]]:
        """The files that these strategies come from on these questions, each with a task and a category it is for."""
        tasks = sorted({(example.task, example.category) for example in examples})
        found = {
            self.for_strategy(name, *of): (self.for_strategy(name, *of), *of) for name in strategies for of in tasks
        }
        return sorted(found.values())

    def teacher(self, example: Example, strategy: str) -> Conversation:
        """What the teacher is asked: the instruction of `strategy`, its worked turns, the question."""
        return self.render(self.for_strategy(strategy, example.task, example.category), example)

    def student(self, example: Example, name: str) -> Conversation:
        """What the student sees: the generic instruction and the question."""
        return self.render(f"student/{name}.j2", example)

    def render(self, template: str, example: Example) -> Conversation:
        """Render one file for one question.

        Raises:
            Orca2Error: the template fails on this question, or its turns do not make a conversation.
        """
        return (self._fill if example.question.strip() else self._run)(template, example)

    def _run(self, template: str, example: Example) -> Conversation:
        turns: list[Message] = []
        values = {name: getattr(example, name) for name in VARIABLES}
        try:
            outside = self._environment.get_template(template).render(values | recorders(turns))
        except RENDER_ERRORS as error:
            hint = f"it fails on row {example.row_id[:12]}"
            raise Orca2Error(f"cannot be rendered: {error}", self._line_of(error, template), hint) from error
        problem = conversation_fault(turns, outside)
        if problem:
            raise Orca2Error(problem, str(self.root / template), "see another template of the folder")
        return Conversation(template=template, messages=tuple(turns))

    def skeleton(self, template: str, task: str, category: str) -> tuple[Message, ...] | None:
        """The conversation around any question of a task, with `QUESTION` in its stead, rendered once.

        None where the template does more with the question than print it, or fails.
        """
        at = (template, task, category)
        if at not in self._skeletons:
            self._skeletons[at] = self._made(template, task, category) if self._only_prints_question(template) else None
        return self._skeletons[at]

    def _made(self, template: str, task: str, category: str) -> tuple[Message, ...] | None:
        nobody = dict.fromkeys(("row_id", "answer", "grader", "metadata", "source", "licence"), "")
        example = Example(**nobody, task=task, category=category, split="train", question=QUESTION)
        try:
            return self._run(template, example).messages
        except Orca2Error:
            return None  # the error of a real question names its row

    def _fill(self, template: str, example: Example) -> Conversation:
        """The same as `_run`, a hundred times faster: everything but the question is rendered once for each task."""
        skeleton = self.skeleton(template, example.task, example.category)
        if skeleton is None:
            return self._run(template, example)
        messages = (
            Message(role=m.role, content=m.content.replace(QUESTION, example.question).strip())
            if QUESTION in m.content
            else m
            for m in skeleton
        )
        return Conversation(template=template, messages=tuple(messages))

    def _only_prints_question(self, template: str) -> bool:
        """Whether every file behind this one does no more with the question than print it, so it can be filled in."""
        if template not in self._printing:
            trees = [self.parse(name) for name in self.reach(template)]
            every = [node for tree in trees for node in (tree, *tree.find_all(nodes.Node))]
            uses = sum(isinstance(node, nodes.Name) and node.name == "question" for node in every)
            printed = sum(
                isinstance(shown, nodes.Name) and shown.name == "question"
                for node in every
                if isinstance(node, nodes.Output)
                for shown in node.nodes
            )
            plain = all(isinstance(node, _TRANSPARENT) for node in every)
            # What `super()` gives holds the question; a condition on it is one on the question.
            asked = any(node.test.find(nodes.Call) for node in every if isinstance(node, nodes.If))
            self._printing[template] = uses == printed and plain and not asked
        return self._printing[template]

    def _line_of(self, error: BaseException, template: str) -> str:
        """File and line of the innermost template line that an error came through."""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename.endswith(".j2")]
        return lines[-1] if lines else str(self.root / template)


@cache
def opened(root: Path) -> Templates:
    """The templates of a folder, opened once a process; name it absolutely."""
    return Templates(root)
