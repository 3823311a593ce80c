"""The whole recipe through `dvc repro`, on real parts and the embedded model, at a very small size."""

import shutil

import pytest

from tests.workspace import SMALL, Workspace

REPRODUCIBLE = ["data/examples", "data/probe", "data/strategies.yaml", "data/requests", "data/generations"]
REPRODUCIBLE += ["data/graded", "data/chats", "data/packed", "data/rejected/grade", "data/rejected/pack"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A workspace in which everything was built once from nothing."""
    workspace = Workspace(tmp_path_factory.mktemp("project"))
    workspace.repro()
    workspace.commit("built")
    return workspace


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
    assert "Running stage" not in again
    assert again.count("didn't change, skipping") == len(built.run("dvc", "stage", "list").stdout.splitlines())


def test_metrics_and_plots_are_known_to_dvc(built):
    shown = built.run("dvc", "metrics", "show", "--md").stdout
    assert "metrics/evaluate.json" in shown
    built.run("dvc", "plots", "show", "-o", "shown")
    assert "accuracy" in (built.root / "shown" / "index.html").read_text("utf-8")
    shutil.rmtree(built.root / "shown")


def test_a_comment_in_a_template_and_a_docstring_in_a_module_cost_no_teacher_token(built):
    before = built.lock()
    built.edit("templates/strategies/direct_answer.j2", "{#-", "{#- An edited comment.")
    built.edit("orca2/generation.py", '"""Answer a list', '"""An edited docstring. Answer a list')
    output = built.repro("pack")
    assert "Running stage 'generate'" in output
    assert built.speed("probe")["num_generated"] == 0
    assert built.speed("generate")["num_generated"] == 0
    after = built.lock()
    assert {path: after[path] for path in REPRODUCIBLE} == {path: before[path] for path in REPRODUCIBLE}


def test_an_edited_strategy_generates_exactly_the_rows_under_it(built):
    splits, strategies = SMALL["tasks"]["splits"], len(built.params()["probe"]["strategies"])
    tasks = len(SMALL["tasks"]["sources"])
    built.edit("templates/strategies/step_by_step.j2", "{% call system() %}", "{% call system() %}Take care. ")
    built.repro("probe")
    probed = built.speed("probe")
    # Both tasks of the small project use the general files, so each probe question is asked anew under one strategy.
    assert probed["num_generated"] == tasks * splits["probe_limit"]
    assert probed["num_cached"] == tasks * splits["probe_limit"] * (strategies - 1)


def test_artifacts_are_byte_identical_when_rebuilt_from_nothing_but_the_store_with_two_engines(built):
    before = built.lock()
    built.set_params({"cluster": {"generation": built.params()["cluster"]["generation"] | {"engines": 2}}})
    built.repro("--force", "--no-run-cache", "pack")
    assert built.speed("generate")["num_generated"] == 0
    after = built.lock()
    assert {path: after[path] for path in REPRODUCIBLE} == {path: before[path] for path in REPRODUCIBLE}
    assert after["models"] == before["models"]


def test_an_experiment_in_a_temporary_workspace_hits_the_same_answers(built):
    store = built.root / ".orca2" / "store"
    before = set(store.iterdir())
    changes = ("-S", "seed=7", "-S", "tasks.splits.probe_limit=1")
    built.run("dvc", "exp", "run", "--temp", *changes, "probe")
    assert set(store.iterdir()) > before
    assert not list(built.root.glob(".dvc/tmp/exps/**/store"))
