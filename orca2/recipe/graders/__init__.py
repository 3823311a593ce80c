"""How an answer is judged: one module a grader, which know nothing of each other, and the registry of them.

A further grader is a module with a `GRADER` in it and its line in `GRADERS`; one of the user's own is named by import
path, with `python:` before it or without. What is common to all lives beside them: which part of a text is the answer
(`extraction`, `wrappers`), what its numbers are (`spelling`, `numbers`), what is known of a question (`known`), and one
answer judged (`verdict`).
"""

from orca2.core.errors import Orca2Error
from orca2.core.plugins import is_import_path, load
from orca2.recipe.graders import boolean, choice, dates, exact, judged, latex, lists, numeric, reasoning_gym, sets
from orca2.recipe.graders.base import Grader

GRADERS: dict[str, Grader] = {
    "exact": exact.GRADER,
    "numeric": numeric.GRADER,
    "choice": choice.GRADER,
    "boolean": boolean.GRADER,
    "set": sets.GRADER,
    "list": lists.GRADER,
    "date": dates.GRADER,
    "latex": latex.GRADER,
    "reasoning_gym": reasoning_gym.GRADER,
}


def grader_of(name: str, where: str) -> Grader:
    """The grader of a name or an import path; `where` is the parameter that names it.

    Raises:
        Orca2Error: there is none, or one of the user's own cannot be imported or called.
    """
    if name in GRADERS:
        return GRADERS[name]
    if judged.is_judged(name):
        return judged.GRADER
    path = name.removeprefix("python:")
    if not is_import_path(path):
        hint = f"known: {', '.join(sorted(GRADERS))}, judge:TEMPLATE; one of your own is MODULE:JUDGE"
        raise Orca2Error(f"unknown grader {name!r}", where, hint)
    found = load(path, where)
    if isinstance(found, Grader):
        return found
    if not callable(found):
        raise Orca2Error(f"{name!r} cannot be called", where, "name a function (expected, given, metadata) -> bool")
    return Grader(judge=found)
