"""Strict loading of `params.yaml` into the frozen dataclasses that own each section.

Every key must be known, every value of the right type; all errors of the file are raised together, each with its dotted
path and, for a misspelt key, the nearest known name. The dataclasses live beside the code they configure.
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import yaml

from orca2.core.errors import Orca2Error, raise_all

PARAMS_FILE = Path("params.yaml")
_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
"""Numbers that YAML 1.1 reads as text, though DVC writes them: `5e-05`."""
_MOST_VALUES = 100_000
"""No parameters are as many; a chain of anchors can be."""
_SHOWN = 200
"""Characters of a wrong value that an error repeats."""
_T = TypeVar("_T")


class Sections:
    """Base of a dataclass that reads some sections of params.yaml, or some parts of one, and leaves others to others.

    @dataclass(frozen=True, kw_only=True)
    class Params(Sections):
        seed: int
        grade: GradeConfig
    """

    __slots__ = ()


class _Path(NamedTuple):
    """Where a value stands in the file, and where its errors go."""

    file: Path
    path: str
    errors: list[Orca2Error]

    def child(self, key: Any) -> "_Path":
        return self._replace(path=f"{self.path}.{key}" if self.path else str(key))

    def error(self, message: str, hint: str = "") -> None:
        self.errors.append(Orca2Error(message, f"{self.file}: {self.path}" if self.path else str(self.file), hint))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key that is written twice is an error; plain YAML would quietly take the second."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_VALUES:
            raise yaml.MarkedYAMLError(problem="its merges stand for too many values", problem_mark=node.start_mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        written: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a name must be a word", problem_mark=key.start_mark)
            if key.value in written:
                raise yaml.MarkedYAMLError(problem=f"`{key.value}` is written twice", problem_mark=key.start_mark)
            written.add(str(key.value))
        return super().construct_mapping(node, deep)


def load(kind: type[_T], file: Path = PARAMS_FILE) -> _T:
    """Read the sections that a dataclass derived from `Sections` names.

    Raises:
        Orca2Error: the file is missing or is not YAML.
        InputErrors: everything wrong with these sections at once.
    """
    at = _Path(file, "", [])
    loaded: _T = _convert(kind, _read_mapping(file), at)
    raise_all(at.errors)
    return loaded


def load_section(name: str, kind: type[_T], file: Path = PARAMS_FILE) -> _T:
    """Read one section. Errors as of `load`."""
    at, params = _Path(file, "", []), _read_mapping(file)
    loaded: _T | None = None
    if name in params:
        loaded = _convert(kind, params[name], at.child(name))
    else:
        at.error(f"section `{name}` is missing", _nearest(name, params))
    raise_all(at.errors)
    return typing.cast(_T, loaded)


def unknown_sections(known: Mapping[str, type], also: Iterable[str] = (), file: Path = PARAMS_FILE) -> list[Orca2Error]:
    """One error for each section, or part of a divided section, that nothing of the pipeline reads.

    Args:
        known: each section's type; one derived from `Sections` names all its parts.
        also: further sections, which a stage of the user's own reads.
        file: the parameters.
    """
    at = _Path(file, "", [])
    params = _read_mapping(file)
    _report_unknown(params, [*known, *also], at)
    for name, kind in known.items():
        if issubclass(kind, Sections) and isinstance(params.get(name), dict):
            _report_unknown(params[name], typing.get_type_hints(kind), at.child(name))
    return at.errors


def _report_unknown(written: dict[Any, Any], known: Iterable[str], at: _Path) -> None:
    for name in written:
        if name not in known:
            at.error(f"unknown section `{name}`", _nearest(name, known))


def _read_mapping(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise Orca2Error("no such file", str(file), "run this from the root of the project")
    try:
        params = yaml.load(file.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506  (a SafeLoader)
        _require_bounded(params, {}, file)
    except (yaml.YAMLError, ValueError) as error:
        raise Orca2Error(f"not valid YAML: {error}", str(file), "mend the line it names") from error
    except RecursionError as error:
        raise Orca2Error("is nested too deeply", str(file), "no parameter needs so many levels") from error
    if not isinstance(params, dict):
        raise Orca2Error("must be a mapping of sections", str(file), "see the shipped params.yaml")
    return params


def _require_bounded(value: object, sizes: dict[int, int | None], file: Path) -> int:
    """How many values are written here, each anchor counted wherever it is used; a few lines can stand for billions.

    Args:
        value: what was read.
        sizes: of the lists and mappings that were met, by `id`; None while one is being counted.
        file: where it was read.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) in sizes:
        known = sizes[id(value)]
        if known is None:
            raise Orca2Error("holds an anchor inside itself", str(file), "write its values out")
        return known
    sizes[id(value)] = None
    inner = value.values() if isinstance(value, dict) else value
    size = 1 + sum(_require_bounded(item, sizes, file) for item in inner)
    if size > _MOST_VALUES:
        raise Orca2Error(f"its anchors stand for more than {_MOST_VALUES} values", str(file), "write less of them")
    sizes[id(value)] = size
    return size


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(sorted(map(str, known)))}"


def _convert(kind: Any, value: Any, at: _Path) -> Any:
    """`value` as an instance of `kind`; records an error and returns None where it is not one."""
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(kind, value, at)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        # By type too: 1, 1.0 and true are equal, and are not the same word.
        if not any(type(value) is type(arg) and value == arg for arg in args):
            at.error(f"{_shown(value)} is not one of {', '.join(map(repr, args))}", _nearest(value, args))
        return value
    if origin in (types.UnionType, typing.Union):
        return _convert_union(args, value, at)
    if origin is tuple:
        return _convert_tuple(args[0], value, at)
    if origin is dict:
        return _convert_dict(args[1], value, at)
    return _convert_scalar(kind, value, at)


def _convert_dataclass(kind: Any, value: Any, at: _Path) -> Any:
    if not isinstance(value, dict):
        return at.error(f"must be a mapping, not {_shown(value)}")
    errors_before = len(at.errors)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in value:
        if key not in fields and not issubclass(kind, Sections):
            at.child(key).error("unknown parameter", _nearest(key, fields))
    arguments = {k: _convert(hints[k], v, at.child(k)) for k, v in value.items() if k in fields}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in value:
            _report_missing(name, kind, value, at)
    if len(at.errors) > errors_before:
        return None
    try:
        return kind(**arguments)
    except ValueError as error:
        return at.error(str(error))


def _report_missing(name: str, kind: type, written: dict[Any, Any], at: _Path) -> None:
    if not issubclass(kind, Sections):
        at.child(name).error("missing", f"add `{name}:` to `{at.path}`")
    elif at.path:
        at.child(name).error("missing", _nearest(name, written))
    else:
        at.error(f"section `{name}` is missing", _nearest(name, written))


def _convert_union(kinds: tuple[Any, ...], value: Any, at: _Path) -> Any:
    if value is None and type(None) in kinds:
        return None
    attempts: list[list[Orca2Error]] = []
    for kind in (k for k in kinds if k is not type(None)):
        attempt = at._replace(errors=[])
        converted = _convert(kind, value, attempt)
        if not attempt.errors:
            return converted
        attempts.append(attempt.errors)
    fewest: list[Orca2Error] = min(attempts, key=len)
    at.errors.extend(fewest)
    return None


def _convert_tuple(kind: Any, value: Any, at: _Path) -> Any:
    if not isinstance(value, list):
        return at.error(f"must be a list, not {_shown(value)}")
    return tuple(_convert(kind, item, at._replace(path=f"{at.path}[{i}]")) for i, item in enumerate(value))


def _convert_dict(kind: Any, value: Any, at: _Path) -> Any:
    if not isinstance(value, dict):
        return at.error(f"must be a mapping, not {_shown(value)}")
    return {str(key): _convert(kind, item, at.child(key)) for key, item in value.items()}


def _convert_scalar(kind: Any, value: Any, at: _Path) -> Any:
    if kind in (Any, object):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str) and _SCIENTIFIC.fullmatch(value):
        return float(value)
    if type(value) is not kind:
        return at.error(f"must be {kind.__name__}, not {_shown(value)}")
    if kind is float and not math.isfinite(value):
        return at.error(f"must be a finite number, not {_shown(value)}")
    return value
