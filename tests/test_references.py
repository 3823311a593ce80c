"""What gc must keep: the keys of every workspace, branch, tag, stash and experiment of a real DVC repository."""

import shutil
import subprocess
import sys
import time

import pytest

from orca2.core.errors import Orca2Error
from orca2.core.rows import Request
from orca2.project.shards import write_rows
from orca2.store import segments as segment_module
from orca2.store.needed import needed_keys
from orca2.store.store import Store
from tests.examples import ROOT
from tests.test_store import answer, asked, texts

DVC_YAML = "stages:\n  render_prompts:\n    cmd: 'true'\n    outs:\n      - data/requests\n"


def run(folder, *command):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"] if command[0] == "git" else []
    return subprocess.run(
        [command[0], *identity, *command[1:]], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def ask(folder, *numbers, at="data/requests"):
    """The workspace asks these questions, and no others."""
    write_rows(folder / at, Request, [asked(n) for n in numbers])


def build(folder, *numbers):
    """They are committed to DVC and to git."""
    ask(folder, *numbers)
    run(folder, "dvc", "commit", "-q", "-f")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "--allow-empty", "-m", f"asks {numbers}")


def needed(folder):
    keys, _ = needed_keys(folder)
    return [n for n in range(100) if asked(n).key in keys]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The branch `main` asks question 1."""
    folder = tmp_path_factory.mktemp("template")
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "dvc", "init", "-q")
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / ".gitignore").write_text("/.orca2\n")
    build(folder, 1)
    return folder


@pytest.fixture
def repository(template, tmp_path):
    shutil.copytree(template, tmp_path / "repository", symlinks=True)
    return tmp_path / "repository"


@pytest.fixture
def gc(repository, monkeypatch):
    """`orca2 store gc` in the repository, with answers to questions 0 to 9 of a month ago and to 10 of today."""
    monkeypatch.delenv("ORCA2_STORE", raising=False)
    root = repository / ".orca2" / "store"
    month_ago = time.time_ns() - 30 * 86_400 * 10**9
    for numbers, stored in (([0, 1, 2, 3, 4], month_ago), ([5, 6, 7, 8, 9], month_ago), ([10], time.time_ns())):
        table = segment_module.stored_table([answer(asked(n), str(n)) for n in numbers], ["{}"] * len(numbers))
        times = [stored + i for i in range(len(numbers))]
        column = table.schema.get_field_index("stored_ns")
        segment_module.publish(root, table.set_column(column, table.schema.field(column), [times]))

    def gc(*options, folder=repository):
        command = [sys.executable, "-m", "orca2.cli.main", "store", "gc", *options]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        done.left = [n for n, text in enumerate(texts(root, *map(asked, range(11)))) if text == str(n)]
        return done

    return gc


@pytest.mark.slow
def test_what_any_branch_tag_stash_worktree_or_workspace_asks_is_kept_and_only_the_rest_goes(repository, gc):
    run(repository, "git", "checkout", "-q", "-b", "other")
    build(repository, 2)
    build(repository, 3)
    run(repository, "git", "tag", "-a", "v1", "-m", "annotated")
    build(repository, 4)
    for number in (5, 9):
        ask(repository, number)
        run(repository, "dvc", "commit", "-q", "-f")
        run(repository, "git", "stash", "-q")
    run(repository, "git", "checkout", "-q", "main")
    run(repository, "git", "worktree", "add", "-q", "--detach", "../tree", "main")
    build(repository.parent / "tree", 6)
    ask(repository.parent / "tree", 7)
    ask(repository, 8)
    ask(repository, 8, at="data/probe/requests")
    run(repository, "git", "tag", "blob", run(repository, "git", "hash-object", "-w", "dvc.yaml"))
    assert needed(repository) == [1, 3, 4, 5, 6, 7, 8, 9]
    asked_first = gc()
    assert (asked_first.returncode, asked_first.left) == (4, list(range(11)))
    said = "to keep: 9 answers, 1 of them only because they are young\nto remove: 2 answers, 8 generated tokens\n"
    assert said in asked_first.stdout
    assert asked_first.stdout.endswith("nothing removed\n")
    for name in ("main", "other", "v1", "stash@{0}", "stash@{1}"):
        assert name in asked_first.stdout.splitlines()[0]
    done = gc("--yes")
    assert (done.returncode, done.left) == (0, [1, 3, 4, 5, 6, 7, 8, 9, 10])
    assert said in done.stdout
    assert done.stdout.endswith("removed 2 answers\n")
    assert len(Store(repository / ".orca2" / "store")) == 9
    assert "to remove: 0 answers" in gc("--yes").stdout


def test_gc_in_a_linked_worktree_is_gc_of_the_one_store(repository, gc):
    run(repository, "git", "worktree", "add", "-q", "../tree")
    done = gc("--yes", folder=repository.parent / "tree")
    assert (done.returncode, done.left) == (0, [1, 10])


def test_an_experiment_keeps_what_it_asks(repository):
    run(repository, "git", "checkout", "-q", "-b", "trial")
    build(repository, 2)
    commit = run(repository, "git", "rev-parse", "HEAD")
    run(repository, "git", "checkout", "-q", "main")
    run(repository, "git", "branch", "-qD", "trial")
    ask(repository, 1)
    assert needed(repository) == [1]
    run(repository, "git", "update-ref", f"refs/exps/ab/{'c' * 38}/wavy-lamb", commit)
    assert needed(repository) == [1, 2]


@pytest.mark.parametrize("missing", ["everything", "one file"])
def test_an_artifact_in_neither_cache_nor_remote_is_named_and_nothing_is_removed(repository, gc, missing):
    run(repository, "git", "checkout", "-q", "-b", "other")
    before = set((repository / ".dvc" / "cache").rglob("*"))
    build(repository, 2)
    run(repository, "git", "checkout", "-q", "main")
    ask(repository, 1)
    for file in set((repository / ".dvc" / "cache").rglob("*")) - before:
        if file.is_file() and (missing == "everything" or file.suffix != ".dir"):
            file.unlink()
    done = gc("--yes", "--keep-days", "0")
    assert (done.returncode, done.left) == (1, list(range(11)))
    assert "data/requests of other: is neither in the DVC cache nor in the remote" in done.stderr
    assert "run `dvc push` where other was built" in done.stderr


@pytest.mark.slow
def test_an_artifact_that_only_the_remote_has_is_read_from_there(repository):
    run(repository, "git", "checkout", "-q", "-b", "other")
    run(repository, "dvc", "remote", "add", "-q", "-d", "far", "../far")
    build(repository, 2)
    run(repository, "dvc", "push", "-q")
    run(repository, "git", "checkout", "-q", "main")
    run(repository, "dvc", "remote", "add", "-q", "-d", "far", "../far")
    ask(repository, 1)
    shutil.rmtree(repository / ".dvc" / "cache")
    with pytest.raises(Orca2Error, match="data/requests of main: is neither"):
        needed(repository)
    run(repository, "dvc", "commit", "-q", "-f")
    assert needed(repository) == [1, 2]


def test_what_the_lock_of_the_workspace_names_is_kept_though_it_is_neither_committed_nor_checked_out(repository):
    ask(repository, 2)
    run(repository, "dvc", "commit", "-q", "-f")
    shutil.rmtree(repository / "data")
    assert needed(repository) == [1, 2]


@pytest.mark.parametrize("its_own", [True, False], ids=["a DVC repository of its own", "in that of the root"])
def test_a_project_in_a_folder_of_the_repository_keeps_what_it_asks(repository, its_own):
    project = repository / "projects" / "one"
    project.mkdir(parents=True)
    if its_own:
        run(project, "dvc", "init", "-q", "--subdir")
    (project / "dvc.yaml").write_text(DVC_YAML)
    build(project, 2)
    assert needed(repository) == [1, 2]
    ask(project, 3)
    assert needed(repository) == [1, 2, 3]
    run(repository, "git", "checkout", "-q", "-b", "without")
    run(repository, "git", "rm", "-qr", "projects")
    run(repository, "git", "commit", "-qm", "without it")
    shutil.rmtree(project / "data", ignore_errors=True)
    assert needed(repository) == [1, 2]


def test_a_lock_that_cannot_be_read_is_named_with_its_revision(repository):
    run(repository, "git", "checkout", "-q", "-b", "broken")
    (repository / "dvc.lock").write_text("<<<<<<< HEAD\nstages: {\n")
    run(repository, "git", "commit", "-qam", "broken")
    with pytest.raises(Orca2Error, match=r"dvc.lock of \w{10}: cannot be read, so what it needs is not known"):
        needed(repository)


def test_an_artifact_without_rows_is_not_taken_for_one_that_needs_nothing(repository):
    run(repository, "git", "checkout", "-q", "-b", "odd")
    build(repository, 2)
    (shard,) = (repository / "data" / "requests").glob("*.parquet")
    shard.rename(repository / "data" / "requests" / "rows.txt")
    run(repository, "dvc", "commit", "-q", "-f")
    run(repository, "git", "commit", "-qam", "odd")
    with pytest.raises(Orca2Error, match="data/requests of odd: is neither"):
        needed(repository)


def test_outside_a_repository_gc_removes_nothing(tmp_path):
    with pytest.raises(Orca2Error, match=r"git says: .*not a git repository"):
        needed_keys(tmp_path)


def test_a_store_that_other_repositories_may_share_is_pointed_out(repository, gc, tmp_path, monkeypatch):
    monkeypatch.setenv("ORCA2_STORE", str(tmp_path / "shared"))
    shutil.copytree(repository / ".orca2" / "store", tmp_path / "shared")
    assert f"{tmp_path / 'shared'} lies outside {repository}" in gc().stdout


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "two"])
def test_a_number_of_days_that_makes_no_sense_is_refused(repository, days):
    command = [sys.executable, "-m", "orca2.cli.main", "store", "gc", "--keep-days", days]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--keep-days" in done.stderr
