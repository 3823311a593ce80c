"""Code of the user's own, named in params.yaml by its import path: `MODULE:ATTRIBUTE`.

The module is a file in the project's root (or anything else that Python can import there). It is imported when it is
used, and not before. What may be named, and what the attribute must be:

    tasks.sources.NAME.kind     a `recipe.sources.base.Reader`
    tasks.sources.NAME.grader   a `recipe.graders.base.Judge`, or a `Grader`
    grade.filters               a `recipe.filtering.RowFilter`
"""

import importlib
import re
import sys
from pathlib import Path

from orca2.core.errors import Orca2Error

_IMPORT_PATH = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)")


def is_import_path(name: str) -> bool:
    """Whether a name is one of code rather than of something built in."""
    return _IMPORT_PATH.fullmatch(name) is not None


def load(path: str, where: str) -> object:
    """What an import path names; `where` is the parameter that names it.

    Raises:
        Orca2Error: there is no such module or attribute, or the module raises when it is imported.
    """
    found = _IMPORT_PATH.fullmatch(path)
    if not found:
        raise Orca2Error(f"{path!r} is no import path", where, "write MODULE:NAME, for MODULE.py in the project's root")
    name, attribute = found.groups()
    try:
        module = _import(name)
    except ModuleNotFoundError as error:
        hint = f"put {name.replace('.', '/')}.py in the project's root, or install what it needs"
        raise Orca2Error(f"{path!r} cannot be imported: {error}", where, hint) from error
    except Exception as error:
        # The user's own code may raise anything.
        problem = f"{path!r} cannot be imported: {type(error).__name__}: {error}"
        raise Orca2Error(problem, where, f"mend the module {name}") from error
    if not hasattr(module, attribute):
        named = ", ".join(n for n in vars(module) if not n.startswith("_")) or "nothing"
        raise Orca2Error(f"module {name} has no {attribute!r}", where, f"it has: {named}")
    found_there: object = getattr(module, attribute)
    return found_there


def _import(name: str) -> object:
    root = str(Path.cwd())
    # A command such as `orca2` starts without the project's root among the folders that Python looks in.
    if root not in sys.path:
        sys.path.insert(0, root)
    importlib.invalidate_caches()
    return importlib.import_module(name)
