"""`orca2 verify --replay` of any pipeline: the stages that are there, by their own commands. No engine, no recipe."""

import os
import shutil
import subprocess
from contextlib import chdir

import pytest

from orca2.audit.verify import replay
from orca2.core.errors import Orca2Error
from orca2.project.pipeline import stage_states
from orca2.store.store import Store

PIPELINE = """\
stages:
  pack:
    cmd: mkdir -p data/packed && cat data/chats/* data/mine/* > data/packed/x
    deps: [data/chats, data/mine]
    outs: [data/packed]
  collect:
    cmd: mkdir -p data/examples && cp questions/* data/examples/
    deps: [questions]
    outs: [data/examples]
  code:
    cmd: cp code.yaml steps.yaml
    always_changed: true
    outs: [{steps.yaml: {cache: false}}]
  teach:
    cmd:
      - mkdir -p data/chats
      - grep -h . data/examples/* > data/chats/x
      - grep mine params.yaml >> data/chats/x
    deps: [data/examples]
    params: [mine, {steps.yaml: [erase]}]
    outs: [data/chats]
  mine:
    foreach: [a, b]
    do:
      cmd: mkdir -p data/mine && touch data/mine/${item}
      deps: [data/examples]
      outs: ["data/mine/${item}"]
  train:
    cmd: echo never && exit 1
    deps: [data/packed]
    outs: [trained]
  aside:
    cmd: exit 1
    deps: [data/chats]
"""
STAGES = {"collect", "teach", "mine@a", "mine@b", "pack"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("built")
    (root / "questions").mkdir()
    (root / "questions" / "one").write_text("a question\n")
    (root / os.fsdecode(b"notes caf\xe9\n")).write_text("a file that no stage reads\n")
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "params.yaml").write_text("mine: 1\n")
    (root / "code.yaml").write_text("erase: one\n")
    for command in ("git init -q", "dvc init -q", "dvc repro -q pack", "git add -A"):
        subprocess.run(command.split(), cwd=root, check=True)
    return root


@pytest.fixture
def project(built, tmp_path):
    shutil.copytree(built, tmp_path / "project", symlinks=True)
    with chdir(tmp_path / "project"):
        yield tmp_path / "project"


def replayed(project):
    """Stage to what is said of it, in order; nothing of one that is as it was."""
    found = list(replay(Store(project / "store"), project))
    assert {stage.stage for stage in found} == STAGES
    order = [stage.stage for stage in found]
    assert order.index("collect") < order.index("teach") < order.index("pack")
    return {stage.stage: stage.stale or stage.differing for stage in found if stage.stale or stage.differing}


def test_every_stage_before_training_is_rebuilt_by_its_own_command_in_the_order_of_need(project):
    before = sorted(project.rglob("*"))
    assert replayed(project) == {}
    assert sorted(p for p in project.rglob("*") if "tmp" not in p.parts) == [p for p in before if "tmp" not in p.parts]


def test_a_rebuild_needs_nothing_that_dvc_made(project):
    for made in ("data/examples", "data/chats", "data/packed", ".dvc/cache"):
        shutil.rmtree(project / made)
    for made in ("data/mine/a", "data/mine/b", "steps.yaml"):
        (project / made).unlink()
    assert replayed(project) == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("params.yaml", "mine: 1", "mine: 2", {"teach": ("mine 1 → 2",)}),
        ("code.yaml", "one", "two", {"teach": ("code: erase",)}),
        ("dvc.yaml", "cat data/chats/* ", "cat ", {"pack": ("changed command",)}),
    ],
)
def test_a_stage_that_was_not_built_from_what_is_here_is_stale_and_the_others_are_judged(
    project, file, old, new, stale
):
    (project / file).write_text((project / file).read_text().replace(old, new))
    assert replayed(project) == stale


def test_a_question_file_that_changed_makes_its_own_stage_stale_and_no_other(project):
    (project / "questions" / "more").write_text("another\n")
    assert replayed(project) == {"collect": ("questions modified",)}


def test_a_stage_that_gives_something_else_differs_and_the_next_go_on_from_what_lies_in_the_project(project):
    (project / "dvc.yaml").write_text(PIPELINE.replace("grep mine params.yaml", "date +%N"))
    subprocess.run(["dvc", "repro", "-q", "pack"], cwd=project, check=True)
    assert replayed(project) == {"teach": ("data/chats",)}


def test_a_name_that_dvc_cannot_take_is_an_error_with_the_next_step(project):
    (project / "questions" / os.fsdecode(b"caf\xe9")).write_text("a question\n")
    with pytest.raises(Orca2Error, match="a name that is not UTF-8") as caught:
        stage_states(project)
    assert "caf\\xe9" in str(caught.value)


def test_a_failing_stage_is_an_error_with_what_it_said(project):
    (project / "dvc.yaml").write_text(PIPELINE.replace("mkdir -p data/packed &&", "echo oh no >&2; exit 3;"))
    subprocess.run(["dvc", "commit", "-q", "-f", "pack"], cwd=project, check=True)
    with pytest.raises(Orca2Error, match=r"stage pack: cannot be replayed:\noh no"):
        replayed(project)


def test_what_was_never_built_is_no_difference(project):
    (project / "dvc.lock").unlink()
    with pytest.raises(Orca2Error, match="nothing was built"):
        replayed(project)
    (project / "dvc.yaml").write_text("stages:\n  own:\n    cmd: echo\n    deps: [code.yaml]\n")
    with pytest.raises(Orca2Error, match="has no stage whose output could be rebuilt"):
        replayed(project)
    (project / "dvc.yaml").unlink()
    with pytest.raises(Orca2Error, match=r"dvc\.yaml: no such file"):
        replayed(project)
