"""`orca2 init`: a project of one's own, away from any clone."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from orca2.cli.main import _parser
from orca2.core.errors import InputErrors, Orca2Error
from orca2.core.folders import make_folder
from orca2.project import scaffold
from orca2.store.store import Store
from tests.closure import ROOT
from tests.project import answer, commit, run, use_tiny_model


@pytest.mark.parametrize("example", scaffold.EXAMPLES)
def test_a_new_project_is_sound_and_dvc_knows_all_that_it_reads(tmp_path, example):
    run(tmp_path, "orca2", "init", "mine", "--example", example)
    mine = tmp_path / "mine"
    assert "nothing wrong" in run(mine, "orca2", "check").stderr
    stages = yaml.safe_load((mine / "dvc.yaml").read_text("utf-8"))["stages"]
    made = {path for stage in stages.values() for path in _outs(stage)}
    read = {dep for stage in stages.values() for dep in stage.get("deps", [])}
    assert {dep for dep in read - made if not (mine / dep).exists()} - {"models", *_under(made, read)} == set()
    assert run(mine, "dvc", "stage", "list", "--name-only").stdout.split() == list(stages)


def _outs(stage):
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def _under(made, read):
    return {dep for dep in read if any(dep.startswith(f"{path}/") for path in made)}


def test_the_embedded_example_is_this_repository_without_the_tool():
    files = scaffold.project_files("embedded")
    assert {name for name in files if (ROOT / name).read_bytes() != files[name]} <= {"dvc.yaml"}
    assert "- orca2/" not in files["dvc.yaml"].decode()
    shipped = {path for path in ("stages", "templates") for path in (ROOT / path).rglob("*.*") if path.suffix != ".pyc"}
    assert {str(path.relative_to(ROOT)) for path in shipped} <= set(files)


def test_init_overwrites_nothing_and_names_every_file_in_its_way(tmp_path):
    for name in ("params.yaml", "stages/grade.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine", "utf-8")
    with pytest.raises(InputErrors) as caught:
        scaffold.init(tmp_path, "quiz")
    assert [Path(error.where).name for error in caught.value.errors] == ["grade.py", "params.yaml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml", "stages"]


def test_an_interrupted_init_is_finished_by_the_next_one(tmp_path):
    written = scaffold.init(tmp_path, "quiz")
    for name in written[::2]:
        (tmp_path / name).unlink()
    (tmp_path / ".dvc" / "config").unlink()
    assert set(written[::2]) <= set(scaffold.init(tmp_path, "quiz"))
    assert all((tmp_path / name).is_file() for name in written)
    assert scaffold.init(tmp_path, "quiz") == []


def test_the_choices_of_the_command_are_the_examples_that_there_are(tmp_path):
    for example in scaffold.EXAMPLES:
        assert _parser().parse_args(["init", str(tmp_path), "--example", example]).example == example
    assert set(scaffold.EXAMPLES) == {
        "embedded",
        *(path.name for path in (ROOT / "examples").iterdir() if path.is_dir()),
    }


def test_sections_are_replaced_with_their_comments_and_the_others_stay():
    params = "# top\nseed: 1\n\ntasks:\n  # old\n  a: 1\n\n  b: 2\n\n# of grade\ngrade:\n  keep: all\n"
    assert scaffold.with_sections(params, "# new\ntasks:\n  c: 3\n") == (
        "# top\nseed: 1\n\ntasks:\n  c: 3\n\n# of grade\ngrade:\n  keep: all\n"
    )


def test_a_dep_goes_to_its_own_stage_whether_it_has_deps_or_not():
    text = "stages:\n  one:\n    cmd: a\n    params: [x]\n  two:\n    cmd: b\n    deps:\n      - old\n"
    one, two = (yaml.safe_load(scaffold.watching(text, stage, "new.csv"))["stages"] for stage in ("one", "two"))
    assert (one["one"]["deps"], one["two"]["deps"]) == (["new.csv"], ["old"])
    assert ("deps" in two["one"], two["two"]["deps"]) == (False, ["new.csv", "old"])
    for other in ("three", "four"):
        with pytest.raises(Orca2Error, match=f"has no deps of {other} to add to"):
            scaffold.watching(text + "  four:\n    cmd: c\n    deps: [a]\n", other, "new.csv")


def test_the_tools_own_folder_is_ignored_in_a_repository_that_knows_nothing_of_it(tmp_path):
    run(tmp_path, "git", "init", "-q")
    make_folder(tmp_path / ".orca2" / "store")
    (tmp_path / ".orca2" / "store" / "x.parquet").write_bytes(b"x")
    assert run(tmp_path, "git", "status", "--porcelain", "--untracked-files=all").stdout == ""


@pytest.fixture(scope="module")
def monorepo(tmp_path_factory):
    """A repository with two recipes, each in a folder of its own; the teacher has answered all that the first asks."""
    root = tmp_path_factory.mktemp("monorepo")
    run(root, "git", "init", "-q")
    (root / "own.csv").write_text(
        "question,answer\n" + "".join(f"What is {n} plus {n + 1}?,{2 * n + 1}\n" for n in range(50)), "utf-8"
    )
    _empty_to_questions(root, "first")
    for stage, before in (("probe", "prepare_tasks"), ("generate", "render_prompts")):
        run(root / "first", "dvc", "repro", "prepare_models", before)
        answer(root / "first", root / ".orca2" / "store", stage)
    return root


def _empty_to_questions(root, name):
    run(root, "orca2", "init", name, "--example", "quiz")
    run(root, "cp", "own.csv", f"{name}/questions.csv")
    # What a user need not do: the embedded model takes minutes.
    use_tiny_model(root / name, root / "tiny")


def test_from_an_empty_folder_to_a_dataset_of_50_own_questions_in_three_commands(monorepo):
    stored = len(Store(monorepo / ".orca2" / "store"))
    _empty_to_questions(monorepo, "second")
    built = run(monorepo / "second", "dvc", "repro", "pack").stdout
    assert "prepare_tasks: 50 in, 50 out" in built
    assert list((monorepo / "second" / "data" / "packed").glob("*.parquet"))
    # Two recipes, one store: what the first was answered, the second is not asked again.
    assert re.search(r"generate: \d+ from the store, 0 generated", built)
    assert len(Store(monorepo / ".orca2" / "store")) == stored > 0
    assert not (monorepo / "second" / ".orca2" / "store").exists()


def test_two_recipes_in_one_repository_are_committed_together_and_their_store_is_not(monorepo):
    commit(monorepo, "two recipes")
    tracked = run(monorepo, "git", "ls-files").stdout.splitlines()
    assert [name for name in tracked if ".orca2/" in name] == []
    assert "first/dvc.yaml" in tracked
    assert [name for name in tracked if "/data/" in name and not name.endswith("strategies.yaml")] == []


def test_a_git_that_refuses_is_an_error_and_no_second_repository(tmp_path):
    run(tmp_path, "git", "init", "-q")
    (tmp_path / ".git" / "config").write_text("[core", "utf-8")
    with pytest.raises(Orca2Error, match="git says"):
        scaffold.init(tmp_path, "quiz")


def test_the_version_is_that_of_the_package():
    shown = subprocess.run(["orca2", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("orca2 ")
