"""The rules of the house that a machine can check: layers, rebuild edges, sizes, inert imports."""

import ast
import importlib
import os
import subprocess
import sys
import time

import pytest
import yaml

from orca2.check import SECTIONS
from tests.closure import ROOT, description, loaded_sections, stage_deps

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
SCRIPTS = {name: ROOT / "stages" / f"{name}.py" for name in STAGES}
MODULES = sorted(path.stem for path in (ROOT / "orca2").glob("*.py") if path.stem != "__init__")


def test_layers_point_downwards_and_siblings_never_import_each_other():
    found = subprocess.run(["lint-imports", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_every_module_belongs_to_a_layer():
    layers = (ROOT / "pyproject.toml").read_text("utf-8")
    assert [name for name in MODULES if f"orca2.{name}" not in layers] == []


@pytest.mark.parametrize("stage", STAGES)
def test_the_deps_of_a_stage_are_its_import_closure_and_what_it_reads(stage):
    listed = STAGES[stage]["deps"]
    code = [path for path in listed if path.startswith(("orca2/", "stages/"))]
    assert code == stage_deps(SCRIPTS[stage]), f"mend the deps of {stage} in dvc.yaml"


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_of_a_stage_are_the_sections_it_loads(stage):
    assert sorted(STAGES[stage].get("params", [])) == loaded_sections(SCRIPTS[stage])


@pytest.mark.parametrize("stage", STAGES)
def test_the_desc_of_a_stage_is_the_first_line_of_its_docstring(stage):
    assert STAGES[stage]["desc"] == description(SCRIPTS[stage])


def test_every_stage_script_is_a_stage():
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_each_section_as_the_dataclass_that_owns_it(stage):
    tree = ast.parse(SCRIPTS[stage].read_text("utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "config.load"]
    for keyword in (k for call in calls for k in call.keywords if k.arg != "cluster"):
        assert ast.unparse(keyword.value) == SECTIONS[keyword.arg].__name__


def test_no_stage_depends_on_the_speed_only_section():
    assert [name for name, stage in STAGES.items() if "cluster" in stage.get("params", [])] == []


def test_modules_stay_small():
    long = {name: len((ROOT / "orca2" / f"{name}.py").read_text("utf-8").splitlines()) for name in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


def test_importing_changes_nothing_on_disk(tmp_path):
    names = [*(f"orca2.{module}" for module in MODULES), *(f"stages.{stage}" for stage in SCRIPTS)]
    code = f"import os, {', '.join(names)}; print(os.listdir('.'))"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_importing_any_module_leaves_the_heavy_libraries_alone():
    heavy = {"torch", "transformers", "ray", "vllm", "deepspeed", "datasets", "matplotlib", "pyarrow", "dvc"}
    code = f"import sys, {', '.join(f'orca2.{m}' for m in MODULES)}; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_help_is_instant():
    subprocess.run(["orca2", "--help"], capture_output=True, check=True)
    begin = time.perf_counter()
    subprocess.run(["orca2", "--help"], capture_output=True, check=True)
    assert time.perf_counter() - begin < 0.5


def test_every_module_says_what_it_is_for():
    bare = [name for name in MODULES if not importlib.import_module(f"orca2.{name}").__doc__]
    assert bare == []
