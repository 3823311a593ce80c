"""Whatever is edited, what was paid for is found again: every stage runs here, and neither an engine nor a training."""

import json
import re
import shutil
from contextlib import chdir

import pytest

from orca2.core.hashing import file_digest
from orca2.training import finished
from tests.closure import stage_modules
from tests.workspace import children_s


@pytest.fixture(scope="module")
def built(whole, tmp_path_factory):
    return whole.copy(tmp_path_factory.mktemp("project"))


@pytest.fixture(autouse=True)
def restored(built):
    """Every test leaves the workspace as it was built."""
    yield
    built.run("git", "checkout", "-q", "--", ".")
    built.run("dvc", "checkout", "-q")


def ran(output):
    """The stages that a `dvc repro` ran."""
    return re.findall(r"Running stage '(\w+)'", output)


def test_a_second_repro_runs_nothing_but_the_look_at_the_code(built):
    assert ran(built.repro()) == ["code"]
    assert built.run("git", "status", "--porcelain").stdout == ""


def test_a_comment_in_every_module_that_a_stage_imports_costs_nothing(built):
    before, student = built.lock(), file_digest(built.root / "trained" / "model.safetensors")
    for path in {path for stage in built.stages() for path in stage_modules(stage).values()}:
        text = (built.root / path).read_text("utf-8")
        (built.root / path).write_text(f"# A comment.\n{text}", "utf-8")
    before_s = children_s()
    assert ran(built.repro()) == ["code"]
    assert children_s() - before_s < 20
    assert built.lock() == before
    assert file_digest(built.root / "trained" / "model.safetensors") == student


def test_a_change_of_logic_under_every_stage_costs_no_token_and_no_optimiser_step(built):
    before = built.lock()
    errors = built.root / "orca2" / "core" / "errors.py"
    errors.write_text(errors.read_text("utf-8") + "\n_CHANGED = True\n", "utf-8")
    output = built.repro()
    assert ran(output) == built.stages()
    assert "this student was finished before" in output
    for stage in ("probe", "generate", "evaluate_base_teacher", "evaluate_student"):
        assert built.speed(stage)["num_generated"] == 0
    assert built.lock() | {"steps.yaml": ""} == before | {"steps.yaml": ""}


def test_a_logic_change_of_one_step_runs_that_step_and_nothing_behind_what_stays_the_same(built):
    packing = built.root / "orca2" / "recipe" / "packing.py"
    packing.write_text(packing.read_text("utf-8") + "\n_CHANGED = True\n", "utf-8")
    assert ran(built.repro()) == ["code", "pack"]


def test_a_rebuild_from_nothing_but_answers_and_students_leaves_git_clean(built):
    for path in ("trained", "report", "plots", "metrics", "models", "data", ".dvc/cache", ".dvc/tmp", ".orca2/speed"):
        shutil.rmtree(built.root / path)
    assert ran(built.repro()) == built.stages()
    assert built.run("git", "status", "--porcelain").stdout == ""


def test_a_speed_parameter_of_training_finds_the_same_student(built):
    built.set_params({"train": {"checkpoint_every_steps": 3}})
    output = built.repro("train")
    assert ran(output) == ["code", "train"]
    assert "this student was finished before" in output


def test_a_student_that_was_damaged_is_not_served(built):
    [kept] = (built.root / ".orca2" / "students").iterdir()
    shutil.copytree(kept, built.root / ".orca2" / "aside")
    (kept / "results.json").unlink()
    with chdir(built.root):
        assert finished.find(finished.default_root(), kept.name) is None
    (built.root / ".orca2" / "aside").rename(kept)


def test_a_model_folder_that_changes_is_prepared_anew_and_nothing_is_copied(built):
    config_file = built.root / "tiny" / "generation_config.json"
    before = config_file.read_text()
    config_file.write_text(json.dumps(json.loads(before) | {"temperature": 0.5}))
    assert ran(built.repro("prepare_models")) == ["code", "prepare_models"]
    assert {path.name for path in (built.root / "models").iterdir()} == {"compared.json", "models.json"}
    config_file.write_text(before)
    assert ran(built.repro("prepare_models")) == ["code", "prepare_models"]
    assert built.run("git", "status", "--porcelain").stdout == ""
