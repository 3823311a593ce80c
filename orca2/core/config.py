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
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from orca2.core.errors import Orca2Error, raise_all

PARAMS_FILE = Path("params.yaml")
_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
"""Numbers that YAML 1.1 reads as text, though DVC writes them: `5e-05`."""


class _Place(NamedTuple):
    """A value's position in the file, and where its errors go."""

    file: Path
    path: str
    errors: list[Orca2Error]

    def child(self, key: Any) -> "_Place":
        return self._replace(path=f"{self.path}.{key}" if self.path else str(key))

    def error(self, message: str, hint: str = "") -> None:
        self.errors.append(Orca2Error(message, f"{self.file}: {self.path}" if self.path else str(self.file), hint))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key that is written twice is an error; plain YAML would quietly take the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        written: set[str] = set()
        for key, _ in node.value:
            if key.value in written and isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem=f"`{key.value}` is written twice", problem_mark=key.start_mark)
            written.add(str(key.value))
        return super().construct_mapping(node, deep)


def load(file: Path = PARAMS_FILE, **sections: Any) -> types.SimpleNamespace:
    """Read the named sections: `load(generate=GenerateConfig)` returns a namespace with `.generate`.

    Args:
        file: the parameters.
        sections: section name to its dataclass, to a plain type for a bare value such as `seed=int`, or to a dict
            of subsections when the rest of the section belongs to others: `cluster={"training": ...}`.

    Raises:
        Orca2Error: the file is missing or is not YAML.
        InputErrors: everything wrong with the named sections at once.
    """
    place = _Place(file, "", [])
    params = _read_mapping(file)
    loaded = {}
    for name, kind in sections.items():
        if name not in params:
            place.error(f"section `{name}` is missing", _nearest(name, params))
        elif isinstance(kind, dict):
            loaded[name] = _subsections(kind, params[name], place.child(name))
        else:
            loaded[name] = _convert(kind, params[name], place.child(name))
    raise_all(place.errors)
    return types.SimpleNamespace(**loaded)


def unknown_sections(known: dict[str, Any], file: Path = PARAMS_FILE) -> list[Orca2Error]:
    """One error for each section, or part of a divided section, that nothing of the pipeline reads."""
    place = _Place(file, "", [])
    params = _read_mapping(file)
    _report_unknown(params, known, place)
    for name, parts in known.items():
        if isinstance(parts, dict) and isinstance(params.get(name), dict):
            _report_unknown(params[name], parts, place.child(name))
    return place.errors


def _report_unknown(written: dict[str, Any], known: dict[str, Any], place: _Place) -> None:
    for name in written:
        if name not in known:
            place.error(f"unknown section `{name}`", _nearest(name, known))


def _subsections(kinds: dict[str, Any], value: Any, place: _Place) -> Any:
    if not isinstance(value, dict):
        return place.error(f"must be a mapping, not {value!r}")
    missing = [name for name in kinds if name not in value]
    for name in missing:
        place.child(name).error("missing", _nearest(name, value))
    return types.SimpleNamespace(**{n: _convert(k, value[n], place.child(n)) for n, k in kinds.items() if n in value})


def _read_mapping(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise Orca2Error("no such file", str(file), "run this from the root of the project")
    try:
        params = yaml.load(file.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506  (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Orca2Error(f"not valid YAML: {error}", str(file), "mend the line it names") from error
    if not isinstance(params, dict):
        raise Orca2Error("must be a mapping of sections", str(file), "see the shipped params.yaml")
    return params


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(sorted(map(str, known)))}"


def _convert(kind: Any, value: Any, place: _Place) -> Any:
    """`value` as an instance of `kind`; records an error and returns None where it is not one."""
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(kind, value, place)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value not in args:
            place.error(f"{value!r} is not one of {', '.join(map(repr, args))}", _nearest(value, args))
        return value
    if origin in (types.UnionType, typing.Union):
        return _convert_union(args, value, place)
    if origin is tuple:
        return _convert_tuple(args[0], value, place)
    if origin is dict:
        return _convert_dict(args[1], value, place)
    return _convert_scalar(kind, value, place)


def _convert_dataclass(kind: Any, value: Any, place: _Place) -> Any:
    if not isinstance(value, dict):
        return place.error(f"must be a mapping, not {value!r}")
    errors_before = len(place.errors)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in value:
        if key not in fields:
            place.child(key).error("unknown parameter", _nearest(key, fields))
    arguments = {k: _convert(hints[k], v, place.child(k)) for k, v in value.items() if k in fields}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in value:
            place.child(name).error("missing", f"add `{name}:` to `{place.path}`")
    if len(place.errors) > errors_before:
        return None
    try:
        return kind(**arguments)
    except ValueError as error:
        return place.error(str(error))


def _convert_union(kinds: tuple[Any, ...], value: Any, place: _Place) -> Any:
    if value is None and type(None) in kinds:
        return None
    attempts: list[list[Orca2Error]] = []
    for kind in (k for k in kinds if k is not type(None)):
        attempt = place._replace(errors=[])
        converted = _convert(kind, value, attempt)
        if not attempt.errors:
            return converted
        attempts.append(attempt.errors)
    fewest: list[Orca2Error] = min(attempts, key=len)
    place.errors.extend(fewest)
    return None


def _convert_tuple(kind: Any, value: Any, place: _Place) -> Any:
    if not isinstance(value, list):
        return place.error(f"must be a list, not {value!r}")
    return tuple(_convert(kind, item, place._replace(path=f"{place.path}[{i}]")) for i, item in enumerate(value))


def _convert_dict(kind: Any, value: Any, place: _Place) -> Any:
    if not isinstance(value, dict):
        return place.error(f"must be a mapping, not {value!r}")
    return {str(key): _convert(kind, item, place.child(key)) for key, item in value.items()}


def _convert_scalar(kind: Any, value: Any, place: _Place) -> Any:
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str) and _SCIENTIFIC.fullmatch(value):
        return float(value)
    if type(value) is not kind:
        return place.error(f"must be {kind.__name__}, not {value!r}")
    if kind is float and not math.isfinite(value):
        return place.error(f"must be a finite number, not {value!r}")
    return value
