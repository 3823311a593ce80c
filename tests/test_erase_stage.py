"""The stage `erase`: residues are counted for each technique and rejected by name, and too many of them stop it."""

import json
import shutil
from pathlib import Path

import pytest

from orca2.core.errors import Orca2Error
from orca2.core.rows import Chat, Example, Graded, Rejected, Request
from orca2.project import shards
from orca2.project.artifacts import CHATS, EXAMPLES, GRADED, REQUESTS, rejected
from orca2.project.partitions import partitions_of
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.erasure.residue import KINDS, META, NAMED, QUOTED
from stages.erase import main
from tests.examples import ROOT, example, graded, request, turns, write_yaml

LEFT = rejected("erase")
INSTRUCTION = "First break the question into small parts, then solve each part in turn, one after the other."
SAID = {3: "As instructed, 5", 4: f"{INSTRUCTION} 5", 5: "Strategy: step_by_step. 5"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Eighty answers under two techniques, three with a residue; what it gives runs the stage under some parameters."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "templates", "templates")
    ids = [f"{number:064x}" for number in range(80)]
    strategies = ["guess_and_check" if number % 2 else "step_by_step" for number in range(80)]
    write_rows(EXAMPLES.path, Example, [example(row_id=row, question=f"{row}?") for row in ids])
    asked = [
        request(row_id=row, strategy=s, messages=turns(f"{row}?", system=INSTRUCTION))
        for row, s in zip(ids, strategies, strict=True)
    ]
    write_rows(REQUESTS.path, Request, asked)
    answers = [
        graded(row_id=row, strategy=strategies[n], text=SAID.get(n, f"It is {n}.\nAnswer: {n}"))
        for n, row in enumerate(ids)
    ]
    write_rows(GRADED.path, Graded, answers)

    def erase(**parameters):
        write_yaml(tmp_path / "params.yaml", {"erase": {"student_template": "generic"} | parameters})
        main()
        return json.loads((tmp_path / "metrics/erase.json").read_text("utf-8"))

    return erase


def test_residues_are_counted_by_technique_and_kind_and_rejected_by_name(project):
    counts = project()
    assert counts["rejected"] == {META: 1, QUOTED: 1, NAMED: 1}
    none = dict.fromkeys(KINDS, 0)
    assert counts["residue"] == {
        "guess_and_check": none | {"answers": 40, META: 1, NAMED: 1},
        "step_by_step": none | {"answers": 40, QUOTED: 1},
    }
    left = {int(row.row_id, 16): row.detail for row in read_rows(LEFT.path, Rejected)}
    assert left == {
        3: "as instructed",
        4: "first break the question into small parts then",
        5: "strategy: step_by_step",
    }
    assert len(read_rows(CHATS.path, Chat)) == 77


def test_too_many_residues_stop_the_stage_and_its_rows_are_named_and_kept(project):
    with pytest.raises(Orca2Error) as caught:
        project(max_residue_share=0.03)
    report = str(caught.value)
    assert report.startswith("data/rejected/erase: 3 of 80 answers hold a residue of what is erased, above 3.0%")
    assert "000000000000 of sums, guess_and_check: answer speaks of an instruction: 'as instructed'" in report
    assert "raise erase.max_residue_share" in report
    assert len(read_rows(LEFT.path, Rejected)) == 3
    assert project(max_residue_share=0.0375)["rows_out"] == 77


def test_any_number_of_partitions_gives_the_same_counts_and_rows(project, monkeypatch):
    counts, chats = project(), read_rows(CHATS.path, Chat)
    monkeypatch.setattr(shards, "SHARD_BYTES", 10_000)
    for artifact in (EXAMPLES, REQUESTS, GRADED):
        write_rows(artifact.path, artifact.row_type, read_rows(artifact.path, artifact.row_type))
    assert partitions_of(EXAMPLES, REQUESTS, GRADED) == (2, True)
    assert (project(), read_rows(CHATS.path, Chat)) == (counts, chats)


def test_a_student_template_that_tells_tasks_apart_or_a_task_that_is_not_there_stops_it(project):
    with pytest.raises(Orca2Error, match="no task or category 'sum'"):
        project(tasks={"sum": "keep"})
    line = "{% if task == 'sums' %}{% call system() %}Go.{% endcall %}{% endif %}"
    Path("templates/student/generic.j2").write_text(line + "{% call user() %}{{ question }}{% endcall %}", "utf-8")
    with pytest.raises(Orca2Error, match=r"generic.j2:1: shows task"):
        project()


def test_a_kept_instruction_is_no_residue_and_may_be_spoken_of(project):
    counts = project(instruction="keep")
    assert counts["rejected"] == {}
    assert {chat.messages[0].content for chat in read_rows(CHATS.path, Chat)} == {INSTRUCTION}
