"""Artifacts and files of any revision, read without touching the workspace: from git, the DVC cache, or the remote."""

import shutil
import subprocess

import pyarrow.parquet as pq
import pytest

from orca2.core.errors import Orca2Error
from orca2.core.rows import Rejected
from orca2.project.artifacts import Artifact
from orca2.project.revisions import WORKSPACE, Revision
from orca2.project.shards import write_rows
from tests.examples import rejected

STAGE = """stages:
  erase:
    cmd: cp -r source data/chats
    deps:
      - source
    outs:
      - data/chats
"""


class Project:
    """A git and DVC repository with one stage, which copies rows."""

    def __init__(self, root, *, is_new=True):
        self.root = root
        if not is_new:
            return
        self.run("git", "init", "-q", "-b", "main")
        self.run("dvc", "init", "-q")
        (root / "dvc.yaml").write_text(STAGE)
        (root / ".gitignore").write_text("/source/\n/data/chats\n")
        (root / "templates").mkdir()
        (root / "data").mkdir()
        self.build("one", "first")

    def run(self, *command, check=True):
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def build(self, *row_ids):
        """Build and commit; the last argument is the commit's message."""
        *rows, message = row_ids
        write_rows(self.root / "source", Rejected, [rejected(row_id=row_id) for row_id in rows])
        (self.root / "templates" / "a.j2").write_text(message)
        self.run("dvc", "repro", "-q")
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-qm", message)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("built")).root


@pytest.fixture
def project(built, tmp_path):
    shutil.copytree(built, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project", is_new=False)


def ids(revision):
    return [i for s in revision.shards("data/chats") for i in pq.read_table(s.rows)["row_id"].to_pylist()]


def state(root):
    return {
        f: f.read_bytes() for f in root.rglob("*") if f.is_file() and ".git" not in f.parts and ".dvc" not in f.parts
    }


def test_every_revision_is_read_as_it_was_and_the_workspace_stays(project):
    project.build("one", "two", "second")
    project.run("git", "tag", "v2")
    shutil.rmtree(project.root / "data" / "chats")
    write_rows(project.root / "data" / "chats", Rejected, [rejected(row_id="mine")])
    (project.root / "templates" / "a.j2").write_text("mine")
    before = state(project.root)
    read = {name: ids(Revision(name, project.root)) for name in ("HEAD~1", "main", "v2", "HEAD", WORKSPACE)}
    assert read == {
        "HEAD~1": ["one"], "main": ["one", "two"], "v2": ["one", "two"], "HEAD": ["one", "two"], WORKSPACE: ["mine"]
    }  # fmt: skip
    texts = [Revision(name, project.root).text("templates/a.j2") for name in ("HEAD~1", "HEAD", WORKSPACE)]
    assert texts == ["first", "second", "mine"]
    assert state(project.root) == before


def test_shards_come_with_the_digests_of_their_cells(project):
    for name in ("HEAD", WORKSPACE):
        (shard,) = Revision(name, project.root).shards("data/chats")
        assert shard.name == "rows-00-of-01.parquet"
        assert pq.read_table(shard.digests).num_rows == 1


ROWS = Artifact(stage="erase", folder="data/chats", row_type=Rejected, identity=("row_id",))
ABSENT = Artifact(stage="pack", folder="data/packed", row_type=Rejected, identity=("row_id",))


@pytest.mark.parametrize("name", ["HEAD", WORKSPACE])
def test_a_table_has_all_rows_or_those_of_one_id_and_none_of_what_is_not_held(project, name):
    project.build("one", "two", "three", "second")
    revision = Revision(name, project.root)
    assert sorted(revision.table(ROWS)["row_id"].to_pylist()) == ["one", "three", "two"]
    assert revision.table(ROWS, ["task", "row_id"], "two").to_pylist() == [{"task": "sums", "row_id": "two"}]
    assert revision.table(ROWS, ["row_id"], "four").num_rows == 0
    assert (revision.holds(ROWS), revision.holds(ABSENT)) == (True, False)
    assert revision.table(ABSENT, ["row_id"]).to_pydict() == {"row_id": []}
    assert revision.table(ABSENT).schema == revision.table(ROWS).schema


def test_a_file_of_an_artifact_is_there_or_none(project):
    for name in ("HEAD", WORKSPACE):
        revision = Revision(name, project.root)
        assert revision.file("data/chats/rows-00-of-01.parquet").is_file()
        assert revision.file("data/chats/rows-00-of-02.parquet") is None
        assert revision.file("data/packed/rows-00-of-01.parquet") is None
    shutil.rmtree(project.root / "data" / "chats")
    assert Revision(WORKSPACE, project.root).file("data/chats/rows-00-of-01.parquet") is None


def test_more_than_a_hundred_shards_come_in_the_order_of_their_numbers(tmp_path):
    names = [f"rows-{index:02d}-of-128.parquet" for index in range(128)]
    (tmp_path / "data" / "chats").mkdir(parents=True)
    for name in names:
        (tmp_path / "data" / "chats" / name).touch()
    assert [shard.name for shard in Revision(WORKSPACE, tmp_path).shards("data/chats")] == names


def test_a_folder_of_templates_is_exported_as_it_was(project, tmp_path):
    project.build("one", "second")
    exported = [Revision(name, project.root).export("templates", tmp_path / name) for name in ("HEAD~1", "HEAD")]
    assert [(folder / "a.j2").read_text() for folder in exported] == ["first", "second"]


def test_an_experiment_is_known_by_its_name(project):
    head = project.run("git", "rev-parse", "HEAD").stdout.strip()
    project.run("git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/tidy-newt", head)
    assert ids(Revision("tidy-newt", project.root)) == ["one"]


@pytest.mark.parametrize("name", ["nowhere", "HEAD~7", "--all", ""])
def test_an_unknown_revision_says_what_can_be_named(project, name):
    with pytest.raises(Orca2Error, match="no such revision") as caught:
        Revision(name, project.root)
    assert "commit, branch, tag, DVC experiment or `workspace`" in str(caught.value)


def test_a_shallow_clone_says_that_it_is_one(project, tmp_path):
    project.build("one", "two", "second")
    project.run("git", "clone", "-q", "--depth", "1", f"file://{project.root}", str(tmp_path / "clone"))
    with pytest.raises(Orca2Error, match="git fetch --unshallow"):
        Revision("HEAD~1", tmp_path / "clone")


def test_what_is_in_no_cache_and_no_remote_is_named_with_the_command_that_fetches_it(project):
    shutil.rmtree(project.root / ".dvc" / "cache")
    with pytest.raises(Orca2Error, match="is neither in the DVC cache nor in the remote") as caught:
        Revision("HEAD", project.root).shards("data/chats")
    assert "data/chats of HEAD" in str(caught.value)
    assert "dvc fetch --all-commits" in str(caught.value)


def test_a_shard_that_is_gone_from_the_cache_is_named_by_its_path(project):
    (shard,) = Revision("HEAD", project.root).shards("data/chats")
    shard.rows.chmod(0o644)
    shard.rows.unlink()
    with pytest.raises(Orca2Error, match=r"data/chats/rows-00-of-01\.parquet of HEAD"):
        Revision("HEAD", project.root).shards("data/chats")


def test_what_the_cache_lacks_is_fetched_from_the_remote(project, tmp_path):
    project.run("dvc", "remote", "add", "-q", "-d", "shared", str(tmp_path / "remote"))
    project.run("dvc", "push", "-q")
    shutil.rmtree(project.root / ".dvc" / "cache")
    assert ids(Revision("HEAD", project.root)) == ["one"]


def test_a_revision_from_before_an_artifact_existed_has_no_shards_of_it(project):
    assert Revision("HEAD", project.root).shards("data/packed") == ()
    assert Revision(WORKSPACE, project.root).shards("data/packed") == ()
    assert Revision("HEAD", project.root).text("params.yaml") is None


def test_an_artifact_that_is_only_not_checked_out_is_an_error_with_the_next_step(project):
    shutil.rmtree(project.root / "data" / "chats")
    with pytest.raises(Orca2Error, match="dvc checkout data/chats"):
        Revision(WORKSPACE, project.root).shards("data/chats")


def test_an_artifact_that_lost_a_shard_is_no_version_of_the_dataset(project):
    folder = project.root / "data" / "chats"
    (shard,) = folder.glob("*.parquet")
    shard.rename(shard.with_name("rows-00-of-02.parquet"))
    with pytest.raises(Orca2Error, match="not one complete set"):
        Revision(WORKSPACE, project.root).shards("data/chats")
    (folder / "rows-00-of-02.parquet").unlink()
    with pytest.raises(Orca2Error, match="not one complete set"):
        Revision(WORKSPACE, project.root).shards("data/chats")


def test_a_torn_listing_in_the_cache_is_named_with_the_next_step(project):
    md5 = Revision("HEAD", project.root).outs["data/chats"]
    listing = project.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    listing.chmod(0o644)
    for torn in ("", "[{}]", "["):
        listing.write_text(torn)
        with pytest.raises(Orca2Error, match="its listing in the DVC cache is torn"):
            Revision("HEAD", project.root).shards("data/chats")


def test_text_that_is_not_utf_8_is_named(project):
    (project.root / "dvc.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(Orca2Error, match=r"dvc\.lock of workspace: is not UTF-8"):
        Revision(WORKSPACE, project.root).shards("data/chats")


def test_a_torn_lock_names_its_revision(project):
    (project.root / "dvc.lock").write_text("stages: [")
    with pytest.raises(Orca2Error, match=r"dvc\.lock of workspace: is torn"):
        Revision(WORKSPACE, project.root).shards("data/chats")


def test_a_project_below_the_top_of_its_repository_is_read_from_its_own_folder(tmp_path):
    (tmp_path / "repository" / "project").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=tmp_path / "repository", check=True)

    class Below(Project):
        def run(self, *command, check=True):
            command = (*command[:2], "--subdir", *command[2:]) if command[:2] == ("dvc", "init") else command
            return super().run(*command, check=check) if command[:2] != ("git", "init") else None

    project = Below(tmp_path / "repository" / "project")
    revision = Revision("HEAD", project.root)
    assert ids(revision) == ["one"]
    assert (revision.export("templates", tmp_path / "copy") / "a.j2").read_text() == "first"
