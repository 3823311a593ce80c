"""Whatever of a project is missing or torn, a command ends in an error or says what it leaves out, and invents no 0."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca2.cli import main
from orca2.core.hashing import digest
from orca2.core.rows import PackedSequence, Rejected
from orca2.project.artifacts import (
    CHATS,
    CHOICES,
    EXAMPLES,
    GENERATIONS,
    GRADED,
    LEFT_OUT,
    PACKED,
    REQUESTS,
    rejected,
)
from orca2.project.shards import read_rows, write_rows
from tests.closure import ROOT
from tests.dataset import Recipe, build, questions

EXPECTED = ("prepare_tasks", "probe", "generate", "grade", "erase", "pack", "evaluate")
"""The stages of the shipped dvc.yaml that leave out rows."""
REMOVABLE = [
    *(artifact.folder for artifact in (EXAMPLES, REQUESTS, GENERATIONS, GRADED, CHATS, PACKED)),
    *(rejected(stage).folder for stage in EXPECTED if stage not in ("probe", "evaluate")),
    str(CHOICES),
    "metrics/erase.json",
    "dvc.lock",
]
TEMPLATE = "templates/strategies/step_by_step.j2"
EXAMPLE_ROWS = [replace(e, row_id=digest("example", e.row_id)) for e in questions(3)]
SURPLUS = replace(EXAMPLE_ROWS[0], row_id=digest("example", "surplus"))
ASKED = EXAMPLE_ROWS[0].row_id


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A dataset with all of this, in git; its dvc.lock names every out of dvc.yaml."""
    root = tmp_path_factory.mktemp("whole")
    build(root, Recipe(examples=EXAMPLE_ROWS, left_out=[SURPLUS], says=lambda request: "Answer: 0"))
    for stage in ("generate", "erase", "pack"):
        write_rows(root / rejected(stage).folder, Rejected, [])
    write_rows(root / PACKED.folder, PackedSequence, [])
    shutil.copyfile(ROOT / "dvc.yaml", root / "dvc.yaml")
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    (root / "metrics").mkdir()
    (root / "metrics" / "erase.json").write_text('{"rows_out": 3}')
    stages = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))["stages"]
    locked = {
        name: {"cmd": stage["cmd"], "outs": [{"path": out, "md5": "0" * 32 + ".dir"} for out in stage.get("outs", [])
                                             if isinstance(out, str)]}
        for name, stage in stages.items()
    }  # fmt: skip
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": locked}))
    for command in ("git init -q", "dvc init -q", "git add -A", "git commit -qm whole"):
        name, *rest = command.split()
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"] if name == "git" else []
        subprocess.run([name, *identity, *rest], cwd=root, check=True)
    return root


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    return tmp_path_factory.mktemp("copies")


def orca2(*arguments):
    """A command here: its status, output and errors; anything but an exit is a failure of the test."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["orca2", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as done,
    ):
        main.main()
    return done.value.code, out.getvalue(), err.getvalue()


def spoil(root, path, how):
    """Take a file or folder away, or leave an empty one, or one whose files are cut."""
    target = root / path
    if how == "cut":
        for file in [target] if target.is_file() else target.glob("*.parquet"):
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        return
    if target.is_file():
        target.unlink()
        return
    shutil.rmtree(target)
    if how == "emptied":
        target.mkdir()


@pytest.mark.slow
@settings(
    max_examples=15,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(spoilt=st.dictionaries(st.sampled_from(REMOVABLE), st.sampled_from(["gone", "gone", "emptied", "cut"])))
def test_no_command_ends_in_a_traceback_or_states_a_figure_for_what_is_absent(whole, copies, spoilt):
    root = copies / digest("copy", sorted(spoilt.items()))[:12]
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(whole, root, symlinks=True)
    for path, how in spoilt.items():
        spoil(root, path, how)
    with chdir(root):
        of_rejects(spoilt)
        of_blame(spoilt)
        of_log(spoilt)
        of_why(spoilt)


def of_rejects(spoilt):
    status, out, err = orca2("rejects", "--json")
    folders = {stage: rejected(stage).folder for stage in EXPECTED if stage not in ("probe", "evaluate")}
    built = [stage for stage, folder in folders.items() if spoilt.get(folder, "cut") == "cut"]
    torn = any(spoilt.get(folders[stage]) == "cut" for stage in built)
    # Half of a YAML file may be YAML.
    if not built or torn or (status and spoilt.get("dvc.lock") == "cut"):
        assert (status, out) == (1, "")
        assert err.startswith("error: ")
        return
    rows = [row for stage in built for row in read_rows(Path(folders[stage]), Rejected)]
    counted = Counter((row.stage, row.reason, row.task) for row in rows)
    assert {(r["stage"], r["reason"], r["task"]): r["rows"] for r in json.loads(out)} == counted
    missing = [stage for stage in EXPECTED if stage not in built]
    assert err == f"not built, and so not counted: {', '.join(missing)}\n"


def of_blame(spoilt):
    status, out, err = orca2("blame", TEMPLATE, "--json")
    if REQUESTS.folder in spoilt or any(
        spoilt.get(a.folder) in ("cut", "emptied") for a in (GENERATIONS, GRADED, CHATS)
    ):
        assert (status, out) == (1, "")
        assert err.startswith("error: ")
        return
    parts = {"answered": GENERATIONS, "right": GRADED, "in_dataset": CHATS}
    for row in json.loads(out):
        assert row["requests"] == 3
        assert {name for name in parts if row[name] is None} == {n for n, a in parts.items() if a.folder in spoilt}
    assert "data/probe/requests, data/evaluation/requests" in err


def of_log(spoilt):
    status, out, err = orca2("log", "--json")
    assert status == 0, err
    here = json.loads(out)[0]
    if "dvc.lock" not in spoilt:
        assert here["commit"] != "workspace"
        return
    assert here["commit"] == "workspace"
    assert here["rows"] is here["student"] is here["teacher"] is None
    assert here["problem"] or (here["tasks"] is None) >= (spoilt.get(str(CHOICES)) in ("gone", "emptied"))


def of_why(spoilt):
    for row_id in (ASKED, SURPLUS.row_id):
        status, out, err = orca2("why", row_id, "--json")
        if status:
            assert (status, out) == (1, "")
            assert err.startswith("error: ")
            assert spoilt
            continue
        story = json.loads(out)
        gone = {path for path, how in spoilt.items() if how == "gone"}
        assert set(story["absent"]) & set(REMOVABLE) <= gone
        if row_id == ASKED and EXAMPLES.folder not in spoilt:
            assert gone & {REQUESTS.folder, GENERATIONS.folder, GRADED.folder, CHATS.folder} <= set(story["absent"])
        in_words = orca2("why", row_id)
        assert in_words[0] == 0
        assert all(f"not here   {folder}" in in_words[1] for folder in story["absent"])


def test_a_whole_project_is_told_in_full(whole):
    with chdir(whole):
        for check in (of_rejects, of_blame, of_log, of_why):
            check({})
        status, out, _ = orca2("why", ASKED)
        assert status == 0
        assert "not here   data/" not in out


def test_the_story_of_a_question_that_was_left_out_says_why_and_where_from(whole):
    with chdir(whole):
        _, out, _ = orca2("why", SURPLUS.row_id[:16])
        assert out.splitlines()[0] == f"{SURPLUS.row_id}  {SURPLUS.task}"
        assert "source     test, licence CC0-1.0" in out
        assert "rejected   by prepare_tasks: beyond train_limit" in out


def test_the_story_of_a_duplicate_shows_the_question_it_repeats(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "project", symlinks=True)
    row = read_rows(whole / LEFT_OUT.folder, Rejected)[0]
    again = replace(row, reason="duplicate question", detail=f"same as {ASKED}")
    write_rows(tmp_path / "project" / LEFT_OUT.folder, Rejected, [again])
    with chdir(tmp_path / "project"):
        _, out, _ = orca2("why", SURPLUS.row_id)
    assert f"rejected   by prepare_tasks: duplicate question  same as {ASKED}" in out
    assert f"same as    {ASKED}  {EXAMPLE_ROWS[0].task}, split train" in out
    assert f"question | {EXAMPLE_ROWS[0].question}" in out
