"""The pipeline is open: stages of every kind that DVC knows are read as DVC reads them, and broken files are errors."""

import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest

from orca2.core.errors import Orca2Error
from orca2.project.dvc_files import read_lock, require_declared, stage_that_makes, stages, watched_sections
from orca2.project.pipeline import stage_states, state_of

PARAMS = "mine: {a: 1, b: 2}\nkeys: [x, y]\n"
PIPELINE = """\
stages:
  last:
    cmd: cat made_x
    deps: [made_x, twice_1]
  each:
    foreach: ${keys}
    do:
      cmd: touch made_${item}
      params: [mine.a]
      outs: ["made_${item}"]
  code:
    cmd: cp source.yaml steps.yaml
    always_changed: true
    outs: [{steps.yaml: {cache: false}}]
  twice:
    matrix: {q: [1, 2]}
    cmd: touch twice_${item.q}
    params: [{steps.yaml: [grade]}]
    outs: ["twice_${item.q}"]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "source.yaml").write_text("grade: one\n")
    for command in ("git init -q", "dvc init -q", "dvc repro -q"):
        subprocess.run(command.split(), cwd=folder, check=True)
    return folder


@pytest.fixture
def folder(built, tmp_path):
    """A DVC project of such stages, built."""
    shutil.copytree(built, tmp_path / "project", symlinks=True)
    with chdir(tmp_path / "project"):
        yield tmp_path / "project"


def stale(folder, **will_say):
    return {s.name: s.why for s in stage_states(folder, will_say) if s.state == "stale"}


def waiting(folder):
    return {s.name: s.why for s in stage_states(folder) if s.state == "waiting"}


def test_foreach_and_matrix_are_the_stages_that_dvc_makes_of_them(folder):
    assert [stage.name for stage in stages()] == ["last", "each@x", "each@y", "code", "twice@1", "twice@2"]
    made = stage_that_makes("made_y", stages())
    assert (made.name, made.cmd, made.params) == ("each@y", ("touch made_y",), {"params.yaml": ("mine.a",)})
    assert watched_sections(stages()) == ("mine",)
    assert stage_that_makes("trained", stages()) is None
    assert state_of("trained", stage_states()) is None


def test_a_stage_that_always_runs_is_no_work_by_itself(folder):
    assert stale(folder) == waiting(folder) == {}


def test_what_a_stage_that_always_runs_will_write_makes_others_stale(folder):
    assert stale(folder, **{"steps.yaml": {"grade": "one"}}) == {}
    reasons = dict.fromkeys(("twice@1", "twice@2"), ("code: grade",))
    assert stale(folder, **{"steps.yaml": {"grade": "two"}}) == reasons
    (folder / "steps.yaml").write_text("grade: two\n")
    assert stale(folder, **{"steps.yaml": {"grade": "one"}}) == {"code": ("output steps.yaml modified",)}


def test_a_changed_parameter_is_told_with_both_values_and_what_follows_waits_in_any_order_of_the_file(folder):
    (folder / "params.yaml").write_text(PARAMS.replace("a: 1", "a: 3"))
    assert stale(folder) == dict.fromkeys(("each@x", "each@y"), ("mine.a 1 → 3",))
    assert waiting(folder) == {"last": ("after each@x",)}


def test_a_stage_that_is_new_was_never_run(folder):
    (folder / "dvc.yaml").write_text(PIPELINE + "  new:\n    cmd: echo\n    deps: [made_x]\n")
    assert stale(folder) == {"new": ("never run here",)}


def test_a_stage_that_is_gone_is_missed_by_nobody(folder):
    (folder / "dvc.yaml").write_text("stages:\n  each:\n    cmd: touch made_x\n    outs: [made_x]\n")
    assert [state.name for state in stage_states()] == ["each"]


def test_a_project_in_a_folder_waits_for_a_stage_of_another_folder(folder):
    (folder / "below").mkdir()
    (folder / "below" / "dvc.yaml").write_text("stages:\n  own:\n    cmd: echo\n    deps: [../made_x]\n")
    subprocess.run(["dvc", "repro", "-q", "below/dvc.yaml"], cwd=folder, check=True)
    (folder / "params.yaml").write_text(PARAMS.replace("a: 1", "a: 3"))
    with chdir(folder / "below"):
        assert {s.name: (s.state, s.stage.deps) for s in stage_states()}["own"] == ("waiting", ("../made_x",))
        assert stale(Path()) == {"../dvc.yaml:each@x": ("../params.yaml: mine.a 1 → 3",)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "dvc.yaml: has no stages"),
        (b"[]", "dvc.yaml: has no stages"),
        (b"stages: {}\n", "dvc.yaml: has no stages"),
        (b"stages: [", "YAML file structure is corrupted.* line 1"),
        (b"<<<<<<< HEAD\nstages: {}\n=======\n", "YAML file structure is corrupted"),
        (b"stages:\n  a: {}\n", "validation failed.*stages.*a"),
        (b"other: 1\n", "validation failed.*other"),
        (b"\xff\xfe", "is not valid utf-8"),
        (b"stages:\n  a:\n    cmd: ${gone}\n", "Could not find 'gone'"),
    ],
)
def test_a_broken_dvc_yaml_is_an_error_that_says_what_is_wrong(folder, text, told):
    (folder / "dvc.yaml").write_bytes(text)
    for read in (stages, stage_states):
        with pytest.raises(Orca2Error, match=f"(?s){told}"):
            read(folder)


def test_a_folder_that_is_no_dvc_project_is_told_so(tmp_path):
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    with pytest.raises(Orca2Error, match="not inside of a DVC repository"):
        stages(tmp_path)
    with pytest.raises(Orca2Error, match="no such file"):
        stage_states(tmp_path / "below")
    assert stages(tmp_path / "below") == ()


@pytest.mark.parametrize(
    "text",
    [
        "stages: [",
        "<<<<<<< HEAD\nstages:\n",
        "[]",
        "stages: [a]",
        "stages: {a: 1}",
        "stages: {a: {outs: [1]}}",
        "x" * 3,
    ],
)
def test_a_broken_lock_is_an_error_and_never_an_empty_one(text):
    with pytest.raises(Orca2Error, match=r"dvc\.lock of HEAD: is torn"):
        read_lock(text, "dvc.lock of HEAD")


def test_a_lock_says_what_each_stage_ran_with_and_what_came_of_it(folder):
    built = read_lock((folder / "dvc.lock").read_text())["each@x"]
    assert built.params == {"params.yaml": {"mine.a": 1}}
    assert list(built.outs) == ["made_x"]
    assert read_lock(None) == read_lock("") == {}


def test_a_file_must_be_watched_by_the_stage_that_takes_the_step_whatever_its_name(folder):
    text = "stages:\n  collect:\n    cmd: echo\n    deps: [rows]\n    outs: [data/examples]\n"
    (folder / "dvc.yaml").write_text(text)
    require_declared("rows/a.jsonl", "prepare_tasks")
    with pytest.raises(Orca2Error, match=r"add `- other` to the deps of stages\.collect"):
        require_declared("other", "prepare_tasks")
    with pytest.raises(Orca2Error, match="add `- other` to the deps of the stage that writes models"):
        require_declared("other", "prepare_models")
