"""A stage that is run before the ones it reads from says so, with the next step; none ends in a traceback."""

import shutil
import subprocess
import sys

import pytest
import yaml

from tests.closure import ROOT

STAGES = [path.stem for path in sorted((ROOT / "stages").glob("*.py")) if path.stem != "__init__"]
FIRST = ("prepare_models", "prepare_tasks", "code")
"""They read nothing that a stage makes."""


@pytest.fixture(scope="module")
def unbuilt(tmp_path_factory):
    """The files of the project that a person writes, and nothing that a stage does."""
    folder = tmp_path_factory.mktemp("unbuilt")
    for name in ("stages", "templates", ".dvc/config"):
        source = ROOT / name
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copyfile(source, folder / name)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def test_the_stages_are_those_of_the_pipeline():
    assert set(STAGES) == set(yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"])


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in FIRST])
def test_a_stage_out_of_order_is_an_error_with_the_next_step(unbuilt, stage):
    command = [sys.executable, "-m", f"stages.{stage}"]
    done = subprocess.run(command, cwd=unbuilt, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: "), done.stderr
    assert "\n    -> " in done.stderr
    assert "Traceback" not in done.stderr
