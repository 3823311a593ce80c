"""What one module of Python means and imports, read from its syntax tree; nothing is run."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orca2.core.errors import Orca2Error
from orca2.core.hashing import digest

SCHEME = f"1 on Python {sys.version_info.major}.{sys.version_info.minor}"
"""Names the rules below: under others, nothing that was remembered holds."""
_IMPORT_PATH = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*)(?::[^\W\d]\w*)?")


class Module(NamedTuple):
    """One module: what it means, and what it imports."""

    digest: str
    """Empty where nothing is left without comments and docstrings."""
    imports: list[str]
    """As written: relative ones begin with dots, and a star ends in `.*`."""


def understand(file: Path) -> Module:
    """Read one module.

    Raises:
        Orca2Error: it is not Python.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{file}:{line}" if line else str(file)
        raise Orca2Error(f"is not Python: {getattr(error, 'msg', error)}", where, "mend it, then run again") from error
    imports = sorted(set(_imports(tree)))
    _forget_words(tree)
    return Module(digest("module", ast.dump(tree)) if tree.body else "", imports)


def _imports(tree: ast.Module) -> Iterator[str]:
    """All that is imported anywhere in a module, and every text that reads like the name of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            yield from (f"{base}{'' if base.endswith('.') else '.'}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from named_module(node.value)


def named_module(text: str) -> Iterator[str]:
    """The module that a text names, if it reads like `PACKAGE.MODULE`, `MODULE:NAME` or `python:MODULE:NAME`."""
    text = text.removeprefix("python:")
    if not {".", ":"}.isdisjoint(text) and (match := _IMPORT_PATH.fullmatch(text)):
        yield match[1]


def _forget_words(tree: ast.Module) -> None:
    """Take out what only people read: docstrings, other bare constants and `pass`.

    A module that asks for a `__doc__` keeps its texts.
    """
    nodes = list(ast.walk(tree))
    if any("__doc__" in (getattr(node, "id", ""), getattr(node, "attr", "")) for node in nodes):
        return
    for node in nodes:
        for field in ("body", "orelse", "finalbody"):
            if isinstance(block := getattr(node, field, None), list):
                block[:] = [statement for statement in block if not _is_idle(statement)]
        if isinstance(node, ast.Constant):
            node.kind = None


def _is_idle(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)
