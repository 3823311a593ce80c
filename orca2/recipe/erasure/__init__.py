"""Prompt erasing: the teacher's instruction out, the student's generic line in (Orca 2, sections 3 and 4.1).

`tables` makes the conversations: the question and the answer stay as they are. `residue` audits each answer for what is
left of the instruction, and `gate` says when that is too much.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from orca2.core.errors import Orca2Error, raise_all, require
from orca2.core.hashing import digest
from orca2.recipe.templates import Templates
from orca2.recipe.templates.proofs import About

Instruction = Literal["generic", "empty", "keep", "one_of"]
EMPTY = "empty"
"""The student template of `empty`: the question alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseConfig:
    """What stands in the place of the teacher's instruction."""

    student_template: str
    """Name of a file in `templates/student/`: the generic line, and what held-out questions are asked with."""
    instruction: Instruction = "generic"
    """`generic`: the line of `student_template`; `empty`: no system turn (`student/empty.j2`); `keep`: the teacher's
    own instruction stays; `one_of`: one of several lines, by the hash of the row id."""
    one_of: tuple[str, ...] = ()
    """The student templates of `one_of`, `student_template` among them."""
    tasks: dict[str, Instruction] = field(default_factory=dict)
    """What differs from `instruction`, by task or category (a task before its category). A source that names no task is
    a task of its own name."""
    max_residue_share: float = 0.05
    """Largest share of answers that may be rejected for a residue of what is erased; above it the stage stops."""

    def __post_init__(self) -> None:
        drawn = "one_of" in (self.instruction, *self.tasks.values())
        require(
            {
                "max_residue_share must be from 0 to 1": 0 <= self.max_residue_share <= 1,
                "one_of: names a template twice": len(set(self.one_of)) == len(self.one_of),
                "one_of: needs two student templates or more": len(self.one_of) > 1 or not drawn,
                f"one_of: must hold {self.student_template}: held-out questions are asked under student_template": (
                    self.student_template in self.one_of or not drawn
                ),
            }
        )

    @property
    def student_templates(self) -> tuple[str, ...]:
        """The names of all that are in use."""
        used = {self.instruction, *self.tasks.values()}
        others = (EMPTY,) * (EMPTY in used) + self.one_of * ("one_of" in used)
        return tuple(dict.fromkeys((self.student_template, *others)))

    def instruction_for(self, task: str, category: str) -> Instruction:
        """What stands in the place of the instruction of a task."""
        return self.tasks.get(task) or self.tasks.get(category) or self.instruction

    def taught(self, task: str, category: str, row_id: str) -> str:
        """Name of the student template that a training row is shown under.

        With `one_of`, each line that is added takes its share of the rows and moves no other row.
        """
        if self.instruction_for(task, category) == "one_of":
            return max(self.one_of, key=lambda name: digest("student line", [name, row_id]))
        return self.asked(task, category)

    def asked(self, task: str, category: str) -> str:
        """Name of the student template that held-out questions of a task are asked under.

        As they were taught; but the generic line where the teacher's instruction was kept, for in use nobody names the
        technique to the student.
        """
        return EMPTY if self.instruction_for(task, category) == EMPTY else self.student_template


def check_lines(config: EraseConfig, templates: Templates, where: str, about: Iterable[About] = ()) -> None:
    """Raise when a student template is not there, hides the question or tells tasks apart, or `empty` shows a line.

    Args:
        config: what is in use.
        templates: the folder.
        where: the section of the parameters.
        about: tasks with their categories to prove it for.
    """
    raise_all(_faults(config, templates, where, tuple(about)))


def check_erased_names(config: EraseConfig, names: Iterable[str], where: str) -> None:
    """Raise for each name under `tasks` that is neither a task nor a category; `names` are those that are."""
    known = sorted(set(names))
    raise_all(
        Orca2Error(f"no task or category {name!r}", f"{where}.tasks", f"known: {', '.join(known)}")
        for name in sorted(set(config.tasks) - set(known))
    )


def _faults(config: EraseConfig, templates: Templates, where: str, about: tuple[About, ...]) -> Iterable[Orca2Error]:
    for name in config.student_templates:
        parameter = {config.student_template: "student_template", EMPTY: "instruction"}.get(name, "one_of")
        try:
            templates.check_student(name, f"{where}.{parameter}", about)
        except Orca2Error as error:
            yield error
            continue
        skeleton = templates.skeleton(f"student/{name}.j2", "", "") or ()
        if name == EMPTY and any(turn.role == "system" for turn in skeleton):
            file = templates.root / f"student/{EMPTY}.j2"
            yield Orca2Error("has a system turn, though it is to show the question alone", str(file), "take it out")
