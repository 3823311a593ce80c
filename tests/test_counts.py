"""Counts balance, or the stage fails; what differs from run to run stays out of them."""

import dataclasses
import json

import pytest

from orca2.core.errors import Orca2Error
from orca2.engines.runs import GenerationRun
from orca2.project import metrics
from tests.examples import rejected


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(**figures):
    return GenerationRun(
        **{field.name: 0 for field in dataclasses.fields(GenerationRun)} | {"generations": [], "failures": []} | figures
    )


def written(name):
    return json.loads((metrics.METRICS / f"{name}.json").read_text("utf-8"))


def test_a_balanced_stage_writes_and_prints_its_counts(capsys):
    metrics.write_counts("grade", 3, 1, {"wrong answer": 1, "empty answer": 1}, format_ok=0.5)
    reasons = {"empty answer": 1, "wrong answer": 1}
    assert written("grade") == {"rows_in": 3, "rows_out": 1, "rejected": reasons, "format_ok": 0.5}
    assert capsys.readouterr().out == "grade: 3 in, 1 out, 1 empty answer, 1 wrong answer\n"


@pytest.mark.parametrize("rows_in", [0, 1, 3])
def test_a_stage_that_loses_or_invents_a_row_fails_and_writes_nothing(rows_in):
    with pytest.raises(Orca2Error, match=f"stage grade: {rows_in} rows in, but 1 out and 1 rejected"):
        metrics.write_counts("grade", rows_in, 1, {"wrong answer": 1})
    assert not metrics.METRICS.exists()


def test_the_same_counts_are_the_same_bytes_whatever_order_the_reasons_came_in():
    rows = [rejected(reason=reason) for reason in "cab"]
    for name, order in (("one", rows), ("two", rows[::-1])):
        metrics.write_counts(name, 3, 0, metrics.reasons_of(order))
    assert (metrics.METRICS / "one.json").read_bytes() == (metrics.METRICS / "two.json").read_bytes()


def test_speed_goes_to_a_file_of_its_own(capsys):
    metrics.write_speed("generate", run(num_cached=3, num_generated=2, generated_tokens=40, generate_s=8.0))
    assert json.loads((metrics.SPEED / "generate.json").read_text("utf-8"))["tokens_per_s"] == 5.0
    assert not metrics.METRICS.exists()
    assert capsys.readouterr().out == "generate: 3 from the store, 2 generated, 5.0 tokens/s\n"


def test_a_run_that_generated_nothing_claims_no_speed():
    metrics.write_speed("generate", run(num_cached=3))
    assert "tokens_per_s" not in (metrics.SPEED / "generate.json").read_text("utf-8")
