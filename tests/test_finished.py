"""Finished students: found again by all that decides them, and by nothing else; never half, never another one."""

import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest

from orca2.core.rows import PackedSequence, Segment
from orca2.training import finished
from orca2.training.finished import Outputs
from orca2.training.loop import TrainConfig
from tests.closure import ROOT

CONFIG = TrainConfig(learning_rate=1e-3, epochs=2, global_batch_sequences=4)
SEGMENT = Segment(**{f.name: 0 if f.type in (int, "int") else "x" for f in dataclasses.fields(Segment)})
SEQUENCES = [
    PackedSequence(
        sequence_index=index,
        input_ids=(5, 6, 7, 8 + index),
        labels=(-100, 6, -100, 8),
        segments=(replace(SEGMENT, start=0, length=2), replace(SEGMENT, start=2, length=2)),
    )
    for index in range(2)
]


def identity(sequences=SEQUENCES, **changes):
    arguments = {"model": "a" * 64, "config": CONFIG, "seed": 1, "workers": 2}
    return finished.identity(sequences, **(arguments | changes))


OTHER = {
    "learning_rate": 2e-3,
    "epochs": 3,
    "global_batch_sequences": 5,
    "warmup_ratio": 0.5,
    "schedule": "linear",
    "weight_decay": 0.1,
    "max_grad_norm": 2.0,
    "zero_stage": 3,
    "dtype": "bfloat16",
    "checkpoint_every_steps": 7,
}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TrainConfig)])
def test_every_parameter_but_those_of_speed_changes_the_identity(name):
    assert getattr(CONFIG, name) != OTHER[name]
    same = identity(config=replace(CONFIG, **{name: OTHER[name]})) == identity()
    assert same == (name == "checkpoint_every_steps")


def test_all_else_that_decides_the_weights_changes_the_identity():
    first, second = SEQUENCES
    others = [
        identity(model="b" * 64),
        identity(seed=2),
        identity(workers=1),
        identity(step=finished.STEP + 1),
        identity([second, first]),
        identity([first]),
        identity([replace(first, input_ids=(5, 6, 7, 9)), second]),
        identity([replace(first, labels=(-100, 6, 7, 8)), second]),
        identity([replace(first, segments=(replace(SEGMENT, start=0, length=4),)), second]),
        # What moves from one list into the next is not the same.
        identity([replace(first, input_ids=(5, 6, 7), labels=(8, -100, 6, -100, 8)), second]),
    ]
    assert len({identity(), *others}) == len(others) + 1


def test_how_rows_are_named_and_cut_into_files_decides_nothing():
    named = [field.name for field in dataclasses.fields(Segment) if field.name not in ("start", "length")]
    renamed = [
        replace(s, segments=tuple(replace(p, **{n: getattr(p, n) * 2 for n in named}) for p in s.segments))
        for s in SEQUENCES
    ]
    assert identity(renamed) == identity(iter(SEQUENCES)) == identity()


def test_a_zero_stage_counts_only_where_there_is_something_to_spread():
    spread = replace(CONFIG, zero_stage=3)
    assert identity(config=spread, workers=1) == identity(workers=1)
    half = replace(CONFIG, dtype="bfloat16")
    assert identity(config=replace(half, zero_stage=3), workers=1) != identity(config=half, workers=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown(TrainConfig):
    """The parameters of a later version."""

    dropout: float = 0.0


def test_a_parameter_that_comes_later_moves_no_student_until_it_is_used():
    written = {field.name: getattr(CONFIG, field.name) for field in dataclasses.fields(CONFIG)}
    assert identity(config=Grown(**written)) == identity()
    assert identity(config=Grown(**written, dropout=0.1)) != identity()


def test_the_identity_of_today_is_found_tomorrow():
    """Who changes this orphans every student that was ever trained: raise `STEP` if that is what is meant."""
    assert identity() == "8f7c3dd9a705e6b2c21ce360941df0f27863c8104cd57cda06dec6f50a990f7b"


def outputs(root, text="w"):
    made = Outputs(model=root / "trained", results=root / "metrics/train.json", curve=root / "plots/train")
    for file in (made.model / "model.safetensors", made.results, made.curve / "plots/loss.tsv"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)  # as a training leaves a new folder
        file.write_text(text)
    return made


def contents(made):
    files = [made.results, *(f for folder in (made.model, made.curve) for f in folder.rglob("*") if f.is_file())]
    return {str(file): file.read_bytes() for file in files}


def test_a_student_is_brought_back_byte_for_byte_over_whatever_is_there(tmp_path):
    made = outputs(tmp_path)
    before = contents(made)
    kept = finished.keep(tmp_path / "students", "one", made)
    outputs(tmp_path, "other")
    (made.model / "more.json").write_text("more")
    (made.curve / "more.tsv").write_text("more")
    assert finished.find(tmp_path / "students", "one") == kept
    finished.restore(kept, made)
    assert contents(made) == before
    assert [path.name for path in (tmp_path / "students").iterdir()] == ["one"]


def test_what_writes_into_the_small_files_in_place_does_not_reach_the_kept_student(tmp_path):
    made = outputs(tmp_path)
    kept = finished.keep(tmp_path / "students", "one", made)
    finished.restore(kept, made)
    made.results.write_text("other")
    (made.curve / "plots/loss.tsv").write_text("other")
    assert finished.find(tmp_path / "students", "one")


def test_kept_files_are_protected_from_whoever_writes_through_a_link(tmp_path):
    kept = finished.keep(tmp_path / "students", "one", outputs(tmp_path))
    modes = {file.stat().st_mode & 0o777 for file in kept.rglob("*") if file.is_file() and file.name != "student.json"}
    assert modes == {0o444}


def test_an_unknown_student_is_not_found(tmp_path):
    finished.keep(tmp_path / "students", "one", outputs(tmp_path))
    assert finished.find(tmp_path / "students", "two") is None


@pytest.mark.parametrize("spoil", ["cut", "gone", "more", "manifest", "torn"])
def test_a_damaged_student_is_never_served(tmp_path, capsys, spoil):
    kept = finished.keep(tmp_path / "students", "one", outputs(tmp_path))
    weights, manifest = kept / "model" / "model.safetensors", kept / "student.json"
    {
        "cut": lambda: weights.write_text(""),
        "gone": weights.unlink,
        "more": lambda: (kept / "model" / "evil.py").write_text("x"),
        "manifest": manifest.unlink,
        "torn": lambda: manifest.write_text(json.dumps({"files": []})),
    }[spoil]()
    assert finished.find(tmp_path / "students", "one") is None
    assert "is damaged" in capsys.readouterr().out
    assert not kept.exists()


_KEEP = """
import os, signal, sys
from pathlib import Path
from orca2.training import finished
finished.settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
root = Path(sys.argv[1])
made = finished.Outputs(model=root / "trained", results=root / "metrics/train.json", curve=root / "plots/train")
finished.keep(root / "students", "one", made)
"""


def test_a_kill_while_a_student_is_kept_leaves_none_under_its_name(tmp_path):
    made = outputs(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", _KEEP, str(tmp_path)], env=environment, check=False)
    assert killed.returncode < 0
    assert finished.find(tmp_path / "students", "one") is None
    assert finished.find(tmp_path / "students", finished.keep(tmp_path / "students", "one", made).name)


def test_two_that_finish_the_same_student_leave_one(tmp_path):
    first, second = (finished.keep(tmp_path / "students", "one", outputs(tmp_path, text)) for text in "ab")
    assert first == second
    assert (first / "model/model.safetensors").read_text() == "a"
    assert [path.name for path in (tmp_path / "students").iterdir()] == ["one"]
