"""Further models and further lines of the student: found, locked, asked once, compared, shown; and no engine starts."""

import json
from contextlib import chdir

import pytest

from orca2.core.errors import Orca2Error
from orca2.core.folders import student_folder
from orca2.core.rows import Graded
from orca2.project.artifacts import EVALUATED, FURTHER
from orca2.project.shards import read_rows
from orca2.recipe.models import ModelsConfig
from orca2.training import earlier
from orca2.training.finished import default_root
from tests.answered import answer_for, plan_of
from tests.tiny import make_tiny_model

QUESTIONS = 2 * 2
"""Of two tasks."""
TEMPLATES = ["generic", "empty", "cautious"]


@pytest.fixture(scope="module")
def before(whole, tmp_path_factory):
    """A project that examines base, student and teacher; its commit is the student of last week."""
    return whole.copy(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def compared(before):
    """The same with two models more, one of them the student of last week, and two lines more; not asked yet."""
    week = before.run("git", "rev-parse", "HEAD").stdout.strip()
    make_tiny_model(before.root / "larger", seed=2)
    before.add_dep("prepare_models", "larger")
    before.set_params(
        {
            "models": {"compared": {"larger": "path:larger", "last_week": f"student:{week}"}},
            "evaluate": {"student_templates": TEMPLATES},
        }
    )
    return before


@pytest.fixture(scope="module")
def examined(compared):
    """All of them examined, with an answer in the store to whatever a plan said is to ask."""
    models = (compared.root / "models/models.json").read_bytes()
    compared.repro("prepare_models")
    assert (compared.root / "models/models.json").read_bytes() == models
    states = {state.name: state.state for state in plan_of(compared).states}
    assert {name for name, state in states.items() if state != "fresh"} == {"evaluate", "report"}
    # Base and teacher are known, and the student of last week is this one: a line each, and the larger model.
    assert answer_for(compared, "evaluate", text="Answer: 7") == 3 * QUESTIONS
    compared.repro()
    return compared


def metrics(project):
    return json.loads((project.root / "metrics/evaluate.json").read_text())


def test_a_project_without_them_has_neither_more_figures_nor_more_rows(before):
    assert set(metrics(before)) == {"base", "student", "teacher", "student_against", "techniques"}
    assert json.loads((before.root / "models/compared.json").read_text()) == {}
    assert not (before.root / FURTHER.folder).exists()


def test_a_student_that_was_never_there_is_told_before_anything_is_fetched(before):
    with chdir(before.root):
        first = before.run("git", "rev-list", "--max-parents=0", "HEAD").stdout.strip()
        for name, told in ((first, "has no trained"), ("0" * 40, "no such revision"), ("1" * 64, "no such finished")):
            for look in (earlier.check_student, earlier.bring_student):
                with pytest.raises(Orca2Error, match=told):
                    look(f"student:{name}")


def test_a_finished_student_is_found_by_its_identity_too(before):
    with chdir(before.root):
        (name,) = (folder.name for folder in default_root().iterdir() if len(folder.name) == 64)
        earlier.bring_student(f"student:{name}")
        kept = default_root() / name / earlier.MODEL
        assert {f.name: f.read_bytes() for f in student_folder(name).iterdir()} == {
            f.name: f.read_bytes() for f in kept.iterdir()
        }


def test_every_model_and_line_is_examined_and_nothing_is_asked_twice(examined):
    found = metrics(examined)
    roles = ["base", "larger", "last_week", "student", "student_cautious", "student_empty", "teacher"]
    assert sorted(found["roles"]) == roles
    assert {role: told["template"] for role, told in found["roles"].items()} == dict.fromkeys(roles, "generic") | {
        "student_cautious": "cautious", "student_empty": "empty", "teacher": ""
    }  # fmt: skip
    with chdir(examined.root):
        asked = {role: read_rows(artifact.path, Graded) for role, artifact in EVALUATED.items()}
        for row in read_rows(FURTHER.path, Graded):
            asked.setdefault(row.strategy, []).append(row)
    assert {role: len(rows) for role, rows in asked.items()} == dict.fromkeys(roles, QUESTIONS)
    assert {r.key for r in asked["last_week"]} == {r.key for r in asked["student"]}
    started = {file.stem for file in (examined.root / ".orca2/speed").glob("evaluate_*.json")}
    assert {"evaluate_larger", "evaluate_last_week_student_student_cautious_student_empty"} <= started


def test_the_student_is_compared_with_each_and_under_each_line(examined):
    found = metrics(examined)
    models = {"base", "larger", "last_week", "teacher"}
    assert set(found["student_against"]) == models | {"student_cautious", "student_empty"}
    assert set(found["student_cautious_against"]) == set(found["student_empty_against"]) == models
    assert found["student_against"]["last_week"]["macro"]["strict"]["ahead"] == 0


def test_a_second_repro_examines_nobody_again(examined):
    assert "Running stage 'evaluate'" not in examined.repro()


def test_rows_of_further_roles_are_followed_and_diffed_like_any_other(examined):
    with chdir(examined.root):
        row = read_rows(FURTHER.path, Graded)[0]
    told = examined.run("orca2", "why", row.row_id[:20]).stdout
    assert all(role in told for role in ("larger", "student_cautious"))
    told = examined.run("orca2", "diff", "HEAD", "--stage", "evaluate", check=False).stdout
    assert f"{3 * QUESTIONS} → {7 * QUESTIONS} rows, {4 * QUESTIONS} added" in told


@pytest.mark.parametrize("name", ["base", "student", "student_empty", "roles", "Larger", "a-b", ""])
def test_a_name_that_a_result_has_already_is_refused(name):
    with pytest.raises(ValueError, match="is a role of its own"):
        ModelsConfig(teacher="path:t", student="path:s", compared={name: "path:x"})


def test_a_student_is_named_in_full(name="student:abc123"):
    with pytest.raises(ValueError, match=r"compared.x: 'student:abc123' is not"):
        ModelsConfig(teacher="path:t", student="path:s", compared={"x": name})
