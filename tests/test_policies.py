"""The rules of the house that a machine can check: layers, rebuild edges, sizes, inert imports."""

import ast
import importlib
import os
import shutil
import subprocess
import sys
import tokenize
from collections import Counter

import pytest
import yaml

from orca2.audit.check import SECTIONS
from tests.closure import ROOT, description, loaded_sections, section_types
from tests.workspace import children_s

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
SCRIPTS = {name: ROOT / "stages" / f"{name}.py" for name in STAGES}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "orca2").rglob("*.py"))
    if path.stem != "__init__"
}
"""Every module of the package by its dotted name."""
ROOMS = sorted(path.parent for path in (ROOT / "orca2").glob("*/__init__.py"))


def test_layers_point_downwards_and_siblings_never_import_each_other():
    found = subprocess.run(["lint-imports", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_a_room_that_belongs_to_no_layer_fails_the_check(tmp_path):
    shutil.copytree(ROOT / "orca2", tmp_path / "orca2", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / "orca2" / "stray.py").write_text('"""A module that nobody gave a room."""\n', "utf-8")
    found = subprocess.run(
        ["lint-imports", "--no-logo", "--no-cache"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode != 0
    assert "stray" in found.stdout


def test_every_room_says_what_lives_there_and_stays_small():
    assert [
        room.name for room in ROOMS if not ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8")))
    ] == []
    assert {room.name: n for room in ROOMS if (n := len(list(room.glob("*.py"))) - 1) > 13} == {}
    assert [path for path in (ROOT / "orca2").glob("*.py") if path.stem != "__init__"] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_names_no_module_and_watches_what_its_code_means(stage):
    assert [path for path in STAGES[stage].get("deps", []) if path.endswith(".py")] == []
    watched = [entry for entry in STAGES[stage].get("params", []) if isinstance(entry, dict)]
    assert watched == ([{"steps.yaml": [stage]}] if stage != "code" else [])


def test_the_pipeline_fits_on_three_pages():
    assert len((ROOT / "dvc.yaml").read_text("utf-8").splitlines()) <= 200


def test_no_output_of_a_stage_is_volatile():
    written = [next(iter(entry)) for stage in STAGES.values() for entry in stage.get("metrics", [])]
    assert [path for path in written if "speed" in path] == []


def test_every_output_that_is_not_in_the_cache_is_in_git_and_every_other_is_ignored():
    outs = [out for stage in STAGES.values() for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    kept = {next(iter(out)) for out in outs if isinstance(out, dict) and next(iter(out.values())) == {"cache": False}}
    cached = {out if isinstance(out, str) else next(iter(out)) for out in outs} - kept
    listed = subprocess.run(
        ["git", "check-ignore", "--no-index", *kept, *(f"{path}/x" for path in cached)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert {*listed.stdout.split()} == {f"{path}/x" for path in cached}


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_of_a_stage_are_the_sections_it_loads(stage):
    sections = [entry for entry in STAGES[stage].get("params", []) if isinstance(entry, str)]
    assert sorted(sections) == loaded_sections(SCRIPTS[stage])


@pytest.mark.parametrize("stage", STAGES)
def test_the_desc_of_a_stage_is_the_first_line_of_its_docstring(stage):
    assert STAGES[stage]["desc"] == description(SCRIPTS[stage])


def test_every_stage_script_is_a_stage():
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_each_section_as_the_dataclass_that_owns_it(stage):
    for section, owner in section_types(SCRIPTS[stage]).items():
        if section != "cluster":
            assert owner == SECTIONS[section].__name__


def test_no_stage_depends_on_the_speed_only_section():
    assert [name for name, stage in STAGES.items() if "cluster" in stage.get("params", [])] == []


def test_modules_stay_small():
    long = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


def test_few_types_are_left_open():
    """Where `Any` stands, mypy looks away; imports of the word count, prose does not."""
    found = Counter()
    for file in (file for room in ("orca2", "stages") for file in (ROOT / room).rglob("*.py")):
        with file.open("rb") as source:
            tokens = [token for token in tokenize.tokenize(source.readline) if token.type == tokenize.NAME]
        found[str(file.relative_to(ROOT))] += [token.string for token in tokens].count("Any")
    assert 0 < found.total() <= 150, found.most_common(10)


def test_importing_changes_nothing_on_disk(tmp_path):
    names = [*MODULES, *(f"stages.{stage}" for stage in SCRIPTS)]
    code = f"import os, {', '.join(names)}; print(os.listdir('.'))"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_importing_any_module_leaves_the_heavy_libraries_alone():
    heavy = {"torch", "transformers", "ray", "vllm", "deepspeed", "datasets", "matplotlib", "pyarrow", "dvc"}
    code = f"import sys, {', '.join(MODULES)}; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_help_is_instant():
    """Half a second of processor at most; what else the machine does meanwhile is not counted."""
    spent = []
    for _ in range(3):
        before = children_s()
        subprocess.run(["orca2", "--help"], capture_output=True, check=True)
        spent.append(children_s() - before)
    assert min(spent) < 0.5


def test_every_module_says_what_it_is_for():
    bare = [name for name in MODULES if not importlib.import_module(name).__doc__]
    assert bare == []
