"""One module talks to git: in bytes, and a git that fails is never taken for a folder without a repository."""

import os
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest

from orca2.audit.log import history
from orca2.core.errors import Orca2Error
from orca2.diff.template_changes import TemplateChanges
from orca2.project import git
from orca2.project.revisions import Revision
from orca2.store.needed import needed_keys
from orca2.store.root import default_root
from tests.closure import ROOT

ODD = (b"caf\xe9.j2", "line\u2028sep.j2".encode(), "next\x85line.j2".encode(), b"tab\tand\nnewline.j2", b"plain.j2")
"""Names in Latin-1, and with what `str.splitlines` and git's own quoting would cut."""


def run(folder, *arguments, **more):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "i18n.commitEncoding=ISO-8859-1")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, **more).stdout


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "main"
    folder.mkdir()
    run(folder, "init", "-q", "-b", "main")
    return folder


def write_odd(folder, content=b"caf\xe9\n"):
    (folder / "templates").mkdir(exist_ok=True)
    for name in ODD:
        (folder / "templates" / os.fsdecode(name)).write_bytes(content)


@pytest.fixture
def others(monkeypatch):
    """Every repository is taken for another user's, as in a container."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.delenv("ORCA2_STORE", raising=False)


@pytest.fixture
def no_git(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("ORCA2_STORE", raising=False)


def test_no_other_module_runs_git():
    words = ('"git"', "'git'", '"git ', "'git ")
    modules = [*(ROOT / "orca2").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]
    found = [path for path in modules if any(word in path.read_text("utf-8") for word in words)]
    assert [path.relative_to(ROOT).as_posix() for path in found] == ["orca2/project/git.py"]


@pytest.mark.usefixtures("others")
def test_a_repository_of_another_owner_is_an_error_with_its_remedy_and_moves_no_store(repository):
    experiment = repository / ".dvc" / "tmp" / "exps" / "tmp1"
    experiment.mkdir(parents=True)
    run(experiment, "init", "-q")
    for folder in (repository, experiment):
        with chdir(folder), pytest.raises(Orca2Error, match="another user owns it") as caught:
            default_root()
        assert "git config --global --add safe.directory " in caught.value.hint
    for asks in (lambda folder: Revision("HEAD", folder), needed_keys, git.edited_files):
        with pytest.raises(Orca2Error, match="another user owns it"):
            asks(repository)


@pytest.mark.usefixtures("no_git")
def test_without_git_every_question_is_an_error_with_the_next_step(tmp_path):
    for asks in (git.main_repository, git.head, git.edited_files, needed_keys):
        with pytest.raises(Orca2Error, match="there is no `git` on PATH") as caught:
            asks(tmp_path)
        assert "install git" in caught.value.hint


@pytest.mark.usefixtures("no_git")
def test_a_store_with_a_full_path_needs_no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCA2_STORE", str(tmp_path / "store"))
    assert default_root() == tmp_path / "store"


def test_no_repository_is_told_apart_from_a_broken_one(tmp_path, repository, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "bare").mkdir()
    assert git.common_folder(tmp_path / "bare") is None
    assert git.head(tmp_path / "bare") == ""
    assert git.edited_files(tmp_path / "bare") == []
    assert git.head(repository) == ""
    (tmp_path / "bare" / ".git").write_text("gitdir: nowhere\n")
    for asks in (git.common_folder, git.main_repository, git.head):
        with pytest.raises(Orca2Error, match=r"git says: .*not a git repository: "):
            asks(tmp_path / "bare")


def test_names_in_any_encoding_come_back_as_the_files_they_are(repository):
    write_odd(repository)
    expected = sorted(f"templates/{os.fsdecode(name)}" for name in ODD)
    assert sorted(git.edited_files(repository)) == expected
    assert sorted(git.names(repository, "ls-files", "-co", "--exclude-standard", "-z")) == expected
    run(repository, "add", "-A")
    run(repository, "commit", "-qm", "odd")
    entries = git.files(repository, "HEAD", "templates")
    assert sorted(entry.name for entry in entries) == expected
    assert all((repository / entry.name).is_file() for entry in entries)
    assert git.edited_files(repository) == []


def test_a_revision_gives_its_templates_byte_for_byte_whatever_their_names(repository, tmp_path):
    content = bytes(range(256)) * 9
    write_odd(repository, content)
    (repository / ".gitattributes").write_text("*.j2 export-ignore text eol=crlf\n")
    run(repository, "add", "-A")
    run(repository, "commit", "-qm", "odd")
    kept = {name: run(repository, "show", f"HEAD:templates/{os.fsdecode(name)}") for name in ODD}
    folder = Revision("HEAD", repository).export("templates", tmp_path / "copy")
    assert {os.fsencode(path.name): path.read_bytes() for path in folder.iterdir()} == kept
    assert Revision("HEAD", repository).export("nowhere", tmp_path / "copy") == tmp_path / "copy" / "nowhere"


@pytest.mark.parametrize("kind", ["link", "submodule"])
def test_a_revision_exports_no_link_and_no_submodule(repository, tmp_path, kind):
    write_odd(repository)
    if kind == "link":
        (repository / "templates" / "out").symlink_to("/etc")
        run(repository, "add", "-A")
    else:
        run(repository, "commit", "-qm", "one", "--allow-empty")
        head = git.head(repository)
        run(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},templates/out")
    run(repository, "commit", "-qm", "two")
    with pytest.raises(Orca2Error, match=r"templates/out of HEAD .*: is a link, a submodule"):
        Revision("HEAD", repository).export("templates", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_tree_whose_names_leave_the_folder_is_refused(repository, tmp_path):
    blob = run(repository, "hash-object", "-w", "--stdin", input=b"evil").strip()
    inner = run(repository, "mktree", "-z", input=b"100644 blob " + blob + b"\tx\0").strip()
    for name in (b"..", b"templates"):
        entry = b"040000 tree " + inner + b"\t" + name + b"\0"
        inner = run(repository, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", input=_raw(entry)).strip()
    commit = run(repository, "commit-tree", "-m", "evil", inner.decode()).strip().decode()
    with pytest.raises(Orca2Error, match="no name inside the project"):
        Revision(commit, repository).export("templates", tmp_path / "copy")
    assert not (tmp_path / "x").exists()


def _raw(entry):
    """One line of `git ls-tree -z` as git stores it."""
    about, _, name = entry.removesuffix(b"\0").partition(b"\t")
    return b"40000 " + name + b"\0" + bytes.fromhex(about.split()[2].decode())


def test_a_subject_and_a_template_that_are_not_utf_8_are_shown_as_well_as_can_be(repository, tmp_path):
    (repository / "dvc.lock").write_text("schema: '2.0'\n")
    run(repository, "add", "-A")
    tree = run(repository, "write-tree")
    raw = b"tree " + tree + b"author t <t@example.org> 0 +0000\ncommitter t <t@example.org> 0 +0000\n\n"
    message = raw + b"caf\xe9 \x1f and more\n"
    commit = run(repository, "hash-object", "-t", "commit", "-w", "--stdin", input=message)
    run(repository, "update-ref", "HEAD", commit.decode().strip())
    (version,) = history(root=repository)
    assert version.subject == "caf\N{REPLACEMENT CHARACTER} \x1f and more"
    for side, content in (("a", b"one\ncaf\xe9\n"), ("b", b"one\ncaf\xea\n")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "x.j2").write_bytes(content)
    hunks = TemplateChanges(tmp_path / "a", tmp_path / "b").hunks("x.j2")
    assert hunks.startswith("@@ -2 +2 @@")
    assert hunks.count("caf\N{REPLACEMENT CHARACTER}") == 2


def test_contents_come_in_the_order_they_were_asked_for(repository):
    texts = [b"", b"\n\n", b"x" * 100_000, b"two\nlines"]
    for number, text in enumerate(texts):
        Path(repository, str(number)).write_bytes(text)
    run(repository, "add", "-A")
    run(repository, "commit", "-qm", "some")
    asked = ["HEAD:./3", "HEAD:./9", "HEAD:./1", "HEAD:./0", "HEAD:./2", "HEAD:./"]
    assert git.contents(repository, asked) == [texts[3], None, texts[1], texts[0], texts[2], None]
    assert git.contents(repository, []) == []
