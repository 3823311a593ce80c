"""What is proven of templates by rendering them: the question is shown, and no student template tells tasks apart.

One technique is chosen for a task, so a student template that shows the name of a task, or branches on it, shows which
technique was used. That is told by comparing what is rendered, not by reading the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from jinja2 import nodes

from orca2.core.errors import Orca2Error
from orca2.core.rows import Example, Message

if TYPE_CHECKING:
    from orca2.recipe.templates import Templates

About = tuple[str, str]
"""A task and its category."""
_QUESTIONS = ("Which of these words is the longest?", "What is 12 + 30, in words?")
_NOBODY = (("a task", "a category"), ("another task", "another category"))


def teacher_faults(
    templates: Templates, strategies: Iterable[str], about: Iterable[About] = ()
) -> Iterator[Orca2Error]:
    """Files of techniques that do not show the question, as far as they are rendered for these tasks.

    Args:
        templates: the folder.
        strategies: names of known techniques; the versions of each for a task or a category are looked at as well.
        about: the tasks; a version of another one is rendered for a task of its folder's name.
    """
    known = list(about)
    for strategy in strategies:
        for file in templates.files:
            folder, *between, name = file.split("/")
            if name == f"{strategy}.j2" and (folder, len(between)) in (("strategies", 0), ("tasks", 1)):
                here = [pair for pair in known if templates.for_strategy(strategy, *pair) == file]
                for task, category in here or [(between[0], between[0]) if between else _NOBODY[0]]:
                    if fault := _question_fault(templates, file, task, category):
                        yield fault
                        break


def student_faults(templates: Templates, template: str, about: Iterable[About] = ()) -> Iterator[Orca2Error]:
    """Why a student template may not be used: it hides the question, or is another one for another task."""
    first, *others = dict.fromkeys((*_NOBODY, *about, *((word, word) for word in _words(templates, template))))
    if fault := _question_fault(templates, template, *first):
        yield fault
        return
    shown = _rendered(templates, template, *first, _QUESTIONS[0])
    for task, category in others:
        if _rendered(templates, template, task, category, _QUESTIONS[0]) != shown:
            problem = f"shows task {task!r} of category {category!r} otherwise than task {first[0]!r} of {first[1]!r}"
            hint = "a task has one technique, so this would name it: write one line for all of them"
            yield Orca2Error(problem, _where(templates, template, {"task", "category"}), hint)
            return


def _question_fault(templates: Templates, template: str, task: str, category: str) -> Orca2Error | None:
    for question in _QUESTIONS:
        turns = _rendered(templates, template, task, category, question)
        if not any(question in turn.content for turn in turns):
            hint = "print it in a user turn: {{ question }}"
            return Orca2Error("does not show the question", _where(templates, template, {"user"}), hint)
    return None


def _rendered(templates: Templates, template: str, task: str, category: str, question: str) -> tuple[Message, ...]:
    nothing = dict.fromkeys(("row_id", "answer", "grader", "metadata", "source", "licence"), "")
    example = Example(**nothing, task=task, category=category, split="train", question=question)
    return templates.render(template, example).messages


def _words(templates: Templates, template: str) -> set[str]:
    """The words that its expressions compare with, such as the name of a task."""
    trees = [templates.parse(file) for file in templates.reach(template)]
    constants = (node.value for tree in trees for node in tree.find_all(nodes.Const))
    return {value for value in constants if isinstance(value, str)}


def _where(templates: Templates, template: str, names: set[str]) -> str:
    """File and line of the last use of one of these names, in the file itself or in those it is made of."""
    for file in (template, *sorted(templates.reach(template) - {template})):
        lines = [node.lineno for node in templates.parse(file).find_all(nodes.Name) if node.name in names]
        if lines:
            return f"{templates.root / file}:{max(lines)}"
    return str(templates.root / template)
