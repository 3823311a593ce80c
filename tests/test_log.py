"""`orca2 log` shows an accuracy only beside the dataset that its student learnt from."""

import hashlib
import json
import subprocess

import pytest
import yaml

from orca2.audit.log import history
from orca2.audit.rejects import stale
from orca2.project.dvc_files import is_of_one_build, read_lock

CHAIN = {
    "grade": ((), ("data/graded", "data/rejected/grade")),
    "erase": (("data/graded",), ("data/chats", "data/rejected/erase")),
    "pack": (("data/chats", "models"), ("data/packed",)),
    "train": (("data/packed", "models"), ("trained",)),
    "evaluate": (("trained", "models", "templates"), ("data/evaluation", "metrics/evaluate.json")),
    "prepare_models": ((), ("models",)),
}
"""Stage to what it reads and what it makes."""
ACCURACY = json.dumps({role: {"macro": {"strict": {"accuracy": 0.5}}} for role in ("student", "teacher")})
MD5 = hashlib.md5(ACCURACY.encode(), usedforsecurity=False).hexdigest()


class Builder:
    """Runs the stages of the chain, and commits what a lock then says."""

    def __init__(self, root):
        self.root, self.made, self.lock = root, {}, {}

    def run(self, version, *stages):
        for name in stages:
            deps, outs = CHAIN[name]
            self.made |= {out: MD5 if out.endswith(".json") else f"{out} {version}" for out in outs}
            self.lock[name] = {
                "cmd": "echo",
                "deps": [{"path": dep, "md5": self.made.get(dep, "")} for dep in deps],
                "outs": [{"path": out, "md5": self.made[out]} for out in outs],
            }
        (self.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": self.lock}))

    def commit(self, subject):
        for command in (
            ["add", "-A"],
            ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", subject],
        ):
            subprocess.run(["git", *command], cwd=self.root, check=True)


@pytest.fixture
def builder(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "evaluate.json").write_text(ACCURACY)
    builder = Builder(tmp_path)
    builder.run(1, "prepare_models", "grade", "erase", "pack", "train", "evaluate")
    builder.commit("all of it")
    return builder


def shown(builder):
    return {version.subject: (version.student, version.teacher) for version in history(root=builder.root)}


@pytest.mark.parametrize("again", [["erase"], ["pack"], ["train"], ["prepare_models"], ["erase", "pack", "train"]])
def test_an_accuracy_is_gone_as_soon_as_anything_between_dataset_and_evaluation_is_built_anew(builder, again):
    assert shown(builder) == {"all of it": (0.5, 0.5)}
    builder.run(2, *again)
    builder.commit("again")
    assert shown(builder) == {"again": (None, None), "all of it": (0.5, 0.5)}
    builder.run(2, "pack", "train", "evaluate")
    builder.commit("and the rest")
    assert shown(builder)["and the rest"] == (0.5, 0.5)


def test_the_same_dataset_built_again_keeps_its_accuracy(builder):
    builder.run(2, "grade")
    builder.run(1, "erase")
    builder.commit("the same chats of other answers")
    assert shown(builder)["the same chats of other answers"] == (0.5, 0.5)


def test_a_metrics_file_that_the_lock_does_not_name_is_no_figure_of_that_commit(builder):
    (builder.root / "metrics" / "evaluate.json").write_text(ACCURACY.replace("0.5", "0.9"))
    (builder.root / "dvc.lock").write_text((builder.root / "dvc.lock").read_text() + "# touched\n")
    assert shown(builder) == {"not committed": (None, None), "all of it": (0.5, 0.5)}


def test_rejected_rows_of_another_build_are_stale(builder):
    for stage in ("grade", "erase"):
        (builder.root / "data" / "rejected" / stage).mkdir(parents=True)
        (builder.root / "data" / "rejected" / stage / "rows-00-of-01.parquet").touch()
    assert stale(builder.root) == []
    builder.run(2, "grade")
    assert stale(builder.root) == ["erase"]
    builder.run(2, "erase")
    assert stale(builder.root) == []


def test_what_no_stage_made_is_of_no_build(builder):
    assert not is_of_one_build("data/else", read_lock((builder.root / "dvc.lock").read_text()))
