"""What a stage's code really depends on, by another way than the tool's: grimp's import graph of `orca2`."""

import ast
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("orca2")


@cache
def stage_modules(stage: str) -> dict[str, str]:
    """By dotted name, the path of a stage's script and of every module of `orca2` that it reaches, lazily or not."""
    script, graph = ROOT / "stages" / f"{stage}.py", import_graph()
    modules, wanted = set[str](), {name for name in _imported_names(script) if name in graph.modules}
    while wanted:
        modules |= wanted | {far for near in wanted for far in graph.find_upstream_modules(near)}
        # To import a module is to run every package that it lies in, and all that those import.
        packages = {name.rsplit(".", depth)[0] for name in modules for depth in range(1, name.count(".") + 1)}
        wanted = packages - modules
    return {f"stages.{stage}": f"stages/{stage}.py"} | {name: str(_file(name).relative_to(ROOT)) for name in modules}


def _file(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported_names(script: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def loaded_sections(script: Path) -> list[str]:
    """The sections of params.yaml that a stage loads, apart from the speed-only `cluster`."""
    return sorted(set(section_types(script)) - {"cluster"})


def section_types(script: Path) -> dict[str, str]:
    """The name of the type of each section that a stage's `Params` names."""
    classes = [node for node in ast.parse(script.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
    fields = (field for found in classes if found.name == "Params" for field in found.body)
    return {ast.unparse(f.target): ast.unparse(f.annotation) for f in fields if isinstance(f, ast.AnnAssign)}


def description(script: Path) -> str:
    """The first line of a stage's docstring, without its full stop: what dvc.yaml shows as `desc`."""
    docstring = ast.get_docstring(ast.parse(script.read_text("utf-8"))) or ""
    return docstring.splitlines()[0].rstrip(".")
