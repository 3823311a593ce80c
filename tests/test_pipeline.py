"""The whole recipe through `dvc repro`, on real parts and the embedded model, at a very small size."""

import json
import re
import shutil

import pytest
import yaml

from orca2.core.rows import Request
from orca2.project.shards import read_rows
from orca2.store.segments import read_table, segment_files
from tests.answered import answer_for
from tests.workspace import SMALL, Workspace

REPRODUCIBLE = ["data/examples", "data/probe", "data/strategies.yaml", "data/requests", "data/generations"]
REPRODUCIBLE += ["data/graded", "data/chats", "data/packed"]
REPRODUCIBLE += [f"data/rejected/{stage}" for stage in ("prepare_tasks", "probe", "generate", "grade", "erase", "pack")]

WORKED_TURN = "{% call user() %}What is 1 + 1?{% endcall %}{% call assistant() %}Answer: 2{% endcall %}"


ENGINES = {"probe": False, "generate": True, "evaluate_base_teacher": False, "evaluate_student": True}
"""Whether an engine answered when the workspace was built."""


@pytest.fixture(scope="module")
def built(packaged, tmp_path_factory):
    """A workspace in which everything was built once from nothing, with the embedded model.

    Engines answer what is trained on, and for the student. What the probe asks, and of the models that the student is
    compared with, is answered by the store: that spares the start of two more.
    """
    model = dict.fromkeys(("teacher", "student"), f"path:{packaged[1]}")
    workspace = Workspace(tmp_path_factory.mktemp("project"), SMALL | {"models": model, "train": {"epochs": 1}})
    generation = workspace.params()["cluster"]["generation"] | {"cpus_per_engine": 1}
    workspace.set_params({"cluster": {"generation": generation}})
    workspace.add_dep("prepare_models", str(packaged[1]))
    for last, stage in (("prepare_tasks", "probe"), ("render_prompts", "evaluate")):
        workspace.repro("prepare_models", last)
        answer_for(workspace, stage)
    before, planned = stored_keys(workspace), wanted(workspace, "generate")
    workspace.repro("generate")
    assert planned == stored_keys(workspace) - before
    workspace.repro()
    assert {stage: workspace.speed(stage)["num_generated"] > 0 for stage in ENGINES} == ENGINES
    workspace.commit("built")
    return workspace


def wanted(workspace, stage):
    """The keys that a plan says an engine must answer."""
    plan = json.loads(workspace.run("orca2", "plan", "--json", check=False).stdout)
    return {row["key"] for row in plan["asking"][stage]["to_generate"]}


def stored_keys(workspace):
    store = workspace.root / ".orca2" / "store"
    return {key for file in segment_files(store) for key in read_table(file, ["key"])["key"].to_pylist()}


@pytest.fixture(autouse=True)
def restored(built):
    """Every test leaves the workspace as it was built."""
    yield
    built.run("git", "checkout", "-q", "--", ".")
    built.run("dvc", "checkout", "-q")


def test_everything_is_there_and_a_second_repro_runs_nothing(built):
    assert (built.root / "report" / "index.html").is_file()
    assert (built.root / "trained" / "model.safetensors").is_file()
    again = built.repro()
    assert ran(again) == ["code"]
    assert again.count("didn't change, skipping") == len(built.stages()) - 1


def ran(output):
    """The stages that a `dvc repro` ran."""
    return re.findall(r"Running stage '(\w+)'", output)


def test_metrics_and_plots_are_known_to_dvc(built):
    shown = built.run("dvc", "metrics", "show", "--md").stdout
    assert "metrics/evaluate.json" in shown
    built.run("dvc", "plots", "show", "-o", "shown")
    assert "accuracy" in (built.root / "shown" / "index.html").read_text("utf-8")
    shutil.rmtree(built.root / "shown")


def test_a_comment_in_a_template_and_a_docstring_in_a_module_cost_no_teacher_token(built):
    before = built.lock()
    built.edit("templates/strategies/direct_answer.j2", "{#-", "{#- An edited comment.")
    built.edit("orca2/engines/generation.py", '"""Answer', '"""An edited docstring. Answer')
    assert ran(built.repro("pack")) == ["code", "probe", "render_prompts", "erase"]
    assert built.speed("probe")["num_generated"] == 0
    after = built.lock()
    assert {path: after[path] for path in REPRODUCIBLE} == {path: before[path] for path in REPRODUCIBLE}


def test_a_rebuild_from_stored_answers_and_finished_students_leaves_git_clean(built):
    for path in ("trained", "report", "plots", "metrics", "models", "data", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(built.root / path)
    assert ran(built.repro()) == built.stages()
    assert built.run("git", "status", "--porcelain").stdout == ""


def test_an_edited_strategy_asks_exactly_the_rows_under_it_as_planned(built):
    splits, strategies = SMALL["tasks"]["splits"], len(built.params()["probe"]["strategies"])
    chosen = yaml.safe_load((built.root / "data" / "strategies.yaml").read_text("utf-8"))["strategies"]
    edited = f"tasks/reversal/{chosen['reversal']}.j2"
    built.edit(f"templates/{edited}", "{% block examples %}", "{% block examples %}" + WORKED_TURN)
    # What the plan names is answered here, stage by stage; if it named too little, an engine would start.
    assert answer_for(built, "probe") == splits["probe_limit"]
    built.repro("probe")
    probed = built.speed("probe")
    assert (probed["num_generated"], probed["num_cached"]) == (0, splits["probe_limit"] * strategies * len(chosen))
    # Were the choice to change, so would the rows; a person may pin it.
    built.repro("select_strategies")
    (built.root / "data" / "strategies.yaml").write_text(yaml.safe_dump({"strategies": chosen}), "utf-8")
    built.run("dvc", "commit", "-f", "select_strategies")
    planned = wanted(built, "generate")
    assert answer_for(built, "generate") == len(planned)
    built.repro("generate")
    requests = read_rows(built.root / "data" / "requests", Request)
    assert {request.key for request in requests if request.template == edited} == planned
    generated = built.speed("generate")
    assert (generated["num_generated"], generated["num_cached"]) == (0, splits["train_limit"] * len(chosen))
    assert len(planned) == splits["train_limit"]


def test_artifacts_are_byte_identical_when_rebuilt_from_nothing_but_the_store_with_two_engines(built):
    before = built.lock()
    built.set_params({"cluster": {"generation": built.params()["cluster"]["generation"] | {"engines": 2}}})
    stages = [stage for stage in built.stages() if stage not in ("prepare_models", "train", "evaluate", "report")]
    built.repro("--force", "--no-run-cache", "--single-item", *stages)
    assert built.speed("generate")["num_generated"] == 0
    after = built.lock()
    assert {path: after[path] for path in REPRODUCIBLE} == {path: before[path] for path in REPRODUCIBLE}


def test_an_experiment_in_a_temporary_workspace_hits_the_same_answers(built):
    change = ("-S", "tasks.splits.probe_limit=1")
    done = built.run("dvc", "exp", "run", "--temp", "--name", "fewer", *change, "probe")
    assert re.search(r"probe: [1-9]\d* from the store, 0 generated", done.stdout)


def test_a_clone_with_the_artifacts_has_nothing_to_run(built, tmp_path):
    clone = tmp_path / "clone"
    built.run("git", "clone", "-q", str(built.root), str(clone))
    shutil.copytree(built.root / ".dvc" / "cache", clone / ".dvc" / "cache")
    built.run("dvc", "--cd", str(clone), "checkout", "-q")
    assert ran(built.run("dvc", "--cd", str(clone), "repro", "--dry").stdout) == ["code"]
