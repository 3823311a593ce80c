"""What the code of each stage means: a digest that no comment, docstring or layout changes (decision 0011).

`steps.yaml` holds one digest for each stage of dvc.yaml that watches it. It covers the stage's script and every module
of the project and of this package that the script imports, at the top or inside a function, each as its syntax tree;
the other files of those packages (pages, scripts of a page) by their bytes; and where extensions are loaded, the
modules that params.yaml names. What is installed beside this package is pinned by the environment and not looked at.

Nothing heavy is imported: DVC runs this at every `dvc repro`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.hashing import digest, file_digest
from orca2.core.memo import Memo
from orca2.project.syntax import SCHEME, Module, named_module, understand

Body: TypeAlias = Mapping[str, Any]
"""A stage as dvc.yaml writes it."""
STEPS_FILE = Path("steps.yaml")
EXTENSIONS = "orca2.core.plugins"
"""The module that imports what params.yaml names: a stage that reaches it depends on all that is named there."""
_PACKAGE_ROOT = Path(__file__).parents[2]
_SCRIPT = re.compile(r"\bpython[\d.]*\s+(?:-[^m\s]\S*\s+)*(?:-m\s+([\w.]+)|([\w./-]+\.py)\b)")
_LEFTOVERS = (".py", ".pyc", "~")


def write_steps(root: Path = Path()) -> dict[str, str]:
    """Write `steps.yaml`, if it says something else; return the digest of each stage. Errors as of `step_digests`."""
    found = step_digests(root)
    text = yaml.safe_dump(found, sort_keys=False)
    file = root / STEPS_FILE
    if not file.is_file() or file.read_text("utf-8") != text:
        file.write_text(text, "utf-8")
    return found


def step_digests(root: Path = Path()) -> dict[str, str]:
    """By stage, in the order of dvc.yaml, what `steps.yaml` should say of the code as it is now.

    Raises:
        InputErrors: dvc.yaml or a module cannot be read, or a stage's script cannot be found.
    """
    with Memo(root / ".orca2" / "code.json", SCHEME) as memo:
        code = Code(root, memo)
        found: dict[str, str] = {}
        errors: dict[str, Orca2Error] = {}
        for name, stage in _watching(_stages(root)).items():
            try:
                found[name] = code.digest(stage, f"{root / 'dvc.yaml'}: stages.{name}")
            except Orca2Error as error:
                # Most modules belong to several stages; what is wrong with one is told once.
                errors |= {str(one): one for one in getattr(error, "errors", [error])}
    raise_all(errors.values())
    return found


class Code:
    """The modules of a project, each read once."""

    def __init__(self, root: Path, memo: Memo) -> None:
        self._root, self._memo = root, memo
        self._modules: dict[Path, Module] = {}
        self._files: dict[tuple[str, tuple[Path, ...]], Path | None] = {}
        self._near: dict[tuple[str, tuple[Path, ...]], list[str]] = {}

    def digest(self, stage: Body, where: str) -> str:
        """What the code of one stage of dvc.yaml means.

        Raises:
            InputErrors: it has no script that can be found, or a module is not Python.
        """
        files = self.closure(_scripts(stage), self._root / stage.get("wdir", ""), where)
        modules = {name: meaning for name, file in files.items() if (meaning := self._modules[file].digest)}
        data = {path: file_digest(file) for path, file in _data_files({name: files[name] for name in modules})}
        return digest("step", {"modules": modules, "data": data})

    def closure(self, scripts: Iterable[str], folder: Path, where: str = "") -> dict[str, Path]:
        """Every module that these scripts reach, by its dotted name.

        Args:
            scripts: dotted names, or paths that end in `.py`.
            folder: where the stage runs.
            where: what an error names.

        Raises:
            InputErrors: there is no such script, or a module is not Python.
        """
        wanted = list(scripts)
        beside = [(folder / script).parent for script in wanted if script.endswith(".py")]
        roots = tuple(dict.fromkeys([*beside, folder, self._root]))
        found: dict[str, Path] = {}
        errors: list[Orca2Error] = []
        if not wanted or not all(self._locate(name, roots) for name in wanted):
            hint = "let its cmd be `python -m stages.NAME`, for stages/NAME.py, or do not let it watch steps.yaml"
            raise Orca2Error(f"has no script {', '.join(wanted) or 'of Python'} here", where, hint)
        while wanted:
            name = wanted.pop()
            file = None if name in found else self._locate(name, roots)
            if not file:
                continue
            found[name] = file
            try:
                wanted += self._imported(name, file, roots)
            except Orca2Error as error:
                errors.append(error)
        raise_all(errors)
        return dict(sorted(found.items()))

    def _imported(self, name: str, file: Path, roots: tuple[Path, ...]) -> list[str]:
        """What a module imports of what is found here; asked once, since most modules belong to several stages."""
        if (name, roots) not in self._near:
            spelt = {near for far in self._read(file).imports for near in _spelt(_absolute(far, name, file), roots)}
            spelt.update(self._extensions if name == EXTENSIONS else ())
            self._near[name, roots] = [near for near in spelt if self._locate(near, roots)]
        return self._near[name, roots]

    def _locate(self, name: str, roots: tuple[Path, ...]) -> Path | None:
        if (name, roots) not in self._files:
            self._files[name, roots] = _locate(name, roots)
        return self._files[name, roots]

    def _read(self, file: Path) -> Module:
        if file not in self._modules:
            self._modules[file] = Module(*self._memo.of(file, lambda: understand(file)))
        return self._modules[file]

    @cached_property
    def _extensions(self) -> list[str]:
        """The modules that params.yaml names, wherever in it."""
        file = self._root / "params.yaml"
        named = _strings(_yaml(file)) if file.is_file() else ()
        return [module for text in named for module in named_module(text)]


def _stages(root: Path) -> dict[str, object]:
    file = root / "dvc.yaml"
    content = _yaml(file)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        raise Orca2Error("has no stages", str(file), "run this at the root of the project")
    return stages


def _watching(stages: Mapping[str, object]) -> dict[str, Body]:
    """The stages that have `steps.yaml` among their params; a `foreach` or `matrix` is one."""
    bodies = {str(name): stage.get("do", stage) for name, stage in stages.items() if isinstance(stage, dict)}
    return {name: body for name, body in bodies.items() if isinstance(body, dict) and _watches(body)}


def _watches(stage: Body) -> bool:
    return any(
        isinstance(entry, dict) and STEPS_FILE.name in map(_file_name, entry) for entry in stage.get("params") or ()
    )


def _file_name(path: object) -> str:
    return Path(str(path)).name


def _yaml(file: Path) -> object:
    try:
        return yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both safe)
    except FileNotFoundError as error:
        raise Orca2Error("no such file", str(file), "run this at the root of the project") from error
    except (yaml.YAMLError, ValueError) as error:
        raise Orca2Error(f"not valid YAML: {error}", str(file), "mend the line it names") from error


def _strings(value: object) -> Iterator[str]:
    """Every text of nested YAML."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _scripts(stage: Body) -> list[str]:
    """The modules and files of Python that a stage's command runs."""
    commands = stage.get("cmd") or ()
    text = commands if isinstance(commands, str) else "\n".join(map(str, commands))
    return [module or file for module, file in _SCRIPT.findall(text)]


def _locate(name: str, roots: Iterable[Path]) -> Path | None:
    """The file of a module as Python would find it, a package before a module; or a script by its path."""
    if name.endswith(".py"):
        return next((file for root in roots if (file := root / name).is_file()), None)
    base, own = name.replace(".", "/"), [_PACKAGE_ROOT] if name.split(".")[0] == "orca2" else []
    tried = (root / f"{base}{ending}" for root in [*roots, *own] for ending in ("/__init__.py", ".py"))
    return next((file for file in tried if file.is_file()), None)


def _absolute(imported: str, name: str, file: Path) -> str:
    """The full name of what a module imports."""
    dots = len(imported) - len(imported.lstrip("."))
    if not dots:
        return imported
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    return ".".join([*package[: len(package) - dots + 1], imported[dots:]])


def _spelt(name: str, roots: Iterable[Path]) -> Iterator[str]:
    """The modules that an import of `name` runs: itself, every package it lies in, and all of a package for a star."""
    parts = name.removesuffix(".*").split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    if name.endswith(".*"):
        folders = [root.joinpath(*parts) for root in (*roots, _PACKAGE_ROOT)]
        yield from (f"{name[:-2]}.{file.stem}" for folder in folders for file in sorted(folder.glob("*.py")))


def _data_files(modules: Mapping[str, Path]) -> list[tuple[str, Path]]:
    """The files beside these modules that are not Python, by package and name; folders that are no package included.

    What lies beside the packages, at the top, belongs to none of them.
    """
    folders = {
        name if file.name == "__init__.py" else name.rpartition(".")[0]: file.parent
        for name, file in modules.items()
        if "." in name.removesuffix(".py")
    }
    return sorted(
        (f"{package}/{path}", folder / path) for package, folder in folders.items() for path in _beside(folder)
    )


def _beside(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__pycache__")) or (path.is_dir() and (path / "__init__.py").exists()):
            continue
        if path.is_dir():
            yield from (f"{path.name}/{inner}" for inner in _beside(path))
        elif not path.name.endswith(_LEFTOVERS):
            yield path.name
