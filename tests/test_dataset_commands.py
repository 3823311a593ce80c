"""`orca2 diff`, `why`, `blame`, `rejects` and `log` on a project that is built up to `pack`."""

import dataclasses
import json
from collections import Counter
from contextlib import chdir
from pathlib import Path

import pytest

from orca2.cli import main
from orca2.core.rows import Chat, Example, Generation, Graded, PackedSequence, Rejected, Request
from orca2.project.shards import read_rows, write_rows
from tests.answered import PROBE, TRAIN, answer_for

STEPS = "templates/strategies/step_by_step.j2"


@pytest.fixture
def orca2(answered, capsys, monkeypatch):
    """Run a command inside the project; its exit status, output and errors. Who writes there asks for `project`."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["orca2", *arguments])
        with chdir(answered.root), pytest.raises(SystemExit) as done:
            main.main()
        said = capsys.readouterr()
        return done.value.code, said.out, said.err

    return run


def rows(project, folder, kind):
    return read_rows(project.root / "data" / folder, kind)


@pytest.fixture
def edited(project):
    """The template that the rows of one task come from edited, answered anew, and built; its file."""
    template = next(r.template for r in rows(project, "requests", Request) if r.task == "reversal")
    project.edit(f"templates/{template}", "Answer: quickly, lantern", "Answer: slowly, lantern")
    for stage, last in (("probe", "select_strategies"), ("generate", "pack")):
        answer_for(project, stage, text="Answer: another one")
        project.repro(last)
    return template


def test_a_diff_says_nothing_changed_something_changed_or_what_is_wrong_by_its_exit_status(orca2, edited):
    status, out, _ = orca2("diff", "HEAD", "HEAD")
    assert (status, out.splitlines()[0].split(", ")[-1]) == (0, "the same rows")
    assert orca2("diff")[0] == 1
    for wrong in (["HEAD~99"], ["--stage", "train"], ["--where", "tsk = 1"]):
        status, out, err = orca2("diff", *wrong)
        assert (status, out) == (2, "")
        assert err.startswith(("error: ", "usage: orca2 diff"))


def test_a_diff_of_an_edited_template_names_it_in_every_format(orca2, project, edited):
    changed = {r.row_id for r in rows(project, "requests", Request) if r.task == "reversal"}
    _, text, _ = orca2("diff", "--stage", "generate")
    assert f"template: templates/{edited} line" in text
    assert "slowly, lantern" in text
    status, found, _ = orca2("diff", "--stage", "generate", "--format", "json", "--rows", "100")
    found = json.loads(found)
    assert status == 1
    assert {(c["status"], c["task"], c["cause"]) for c in found["counts"]} == {("changed", "reversal", "template")}
    assert {row["row_id"] for row in found["rows"]} == changed
    assert all(row["after"]["text"] == "Answer: another one" for row in found["rows"])
    _, markdown, _ = orca2("diff", "--stage", "generate", "--format", "markdown")
    assert markdown.count("<details>") == markdown.count("</details>") == min(10, len(changed))
    with chdir(project.root):
        _, out, err = orca2("diff", "--stage", "generate", "--format", "html", "-o", "page.html")
        assert (out, err) == ("", "wrote page.html\n")
        assert all(row_id in Path("page.html").read_text("utf-8") for row_id in changed)
        Path("page.html").unlink()
    _, stat, _ = orca2("diff", "--stage", "generate", "--stat")
    assert text.startswith(stat.rstrip("\n"))
    assert len(stat) < len(text)


def test_a_row_tells_its_whole_story(orca2, answered):
    chat = rows(answered, "chats", Chat)[0]
    request = next(r for r in rows(answered, "requests", Request) if r.key == chat.key)
    status, out, _ = orca2("why", chat.row_id[:10], "--json")
    story = json.loads(out)
    assert status == 0
    assert (story["question"]["row_id"], story["question"]["split"]) == (chat.row_id, "train")
    assert story["question"]["licence"] == "Apache-2.0"
    assert story["strategy"]["chosen"] == chat.strategy
    assert story["strategy"]["score"]["questions"] == PROBE
    assert f"templates/{request.template}" in [file["file"] for file in story["templates"]]
    (answer,) = story["answers"]
    assert [turn["content"] for turn in answer["request"]["messages"]] == [m.content for m in request.messages]
    assert answer["kept"]
    assert answer["answer"]["text"] == chat.messages[-1].content
    assert story["provenance"][chat.key] == {"engine": "test"}
    (erasure,) = story["erasure"]
    assert erasure["erased"][0]["content"] == request.messages[0].content
    assert erasure["student"][0]["content"] == chat.messages[0].content
    (segment,) = story["packed"]
    sequence = next(
        s for s in rows(answered, "packed", PackedSequence) if s.sequence_index == segment["sequence_index"]
    )
    assert segment["row_id"] == chat.row_id
    assert any(s.row_id == chat.row_id and s.start == segment["start"] for s in sequence.segments)


def test_the_story_as_text_says_the_same(orca2, answered):
    chat = rows(answered, "chats", Chat)[0]
    status, out, _ = orca2("why", chat.row_id)
    assert status == 0
    for part in (
        chat.row_id,
        chat.key[:12],
        chat.strategy,
        "licence Apache-2.0",
        "kept for training",
        "packed     sequence",
    ):
        assert part in out


def test_what_a_model_wrote_sends_no_control_character_to_the_terminal(orca2, project):
    for folder, kind in (("generations", Generation), ("graded", Graded)):
        evil = [dataclasses.replace(row, text="\x1b]0;taken\x07\x9b2J") for row in rows(project, folder, kind)]
        write_rows(project.root / "data" / folder, kind, evil)
    for arguments in (
        ("why", evil[0].row_id),
        ("diff", "--stage", "generate"),
        ("diff", "--stage", "generate", "--format", "markdown"),
    ):
        _, out, _ = orca2(*arguments)
        assert "taken" in out
        assert not set(out) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.parametrize("split", ["probe", "evaluation"])
def test_a_question_of_another_split_tells_what_is_known_of_it(orca2, answered, split):
    example = next(e for e in rows(answered, "examples", Example) if e.split == split)
    story = json.loads(orca2("why", example.row_id, "--json")[1])
    assert len(story["answers"]) == (2 if split == "probe" else 0)
    assert story["packed"] == story["erasure"] == []


@pytest.mark.parametrize(
    ("prefix", "told"), [("", "is no row id"), ("xyz", "is no row id"), ("f" * 64, "no questions begin so")]
)
def test_what_names_no_row_is_an_error(orca2, prefix, told):
    status, _, err = orca2("why", prefix)
    assert status == 1
    assert told in err


def test_a_prefix_of_several_rows_names_some_of_them(orca2, answered):
    firsts = Counter(e.row_id[0] for e in rows(answered, "examples", Example))
    digit = next(digit for digit, count in firsts.items() if count > 1)
    status, _, err = orca2("why", digit)
    assert status == 1
    assert f"{firsts[digit]} questions begin so" in err
    assert "several do: " in err


@pytest.mark.parametrize("template", [STEPS, "strategies/step_by_step.j2", "templates/tasks/reversal/step_by_step.j2"])
def test_blame_counts_the_rows_behind_which_a_template_stands(orca2, answered, template):
    found = json.loads(orca2("blame", template, "--json")[1])
    own = "tasks/reversal" in template
    asked = [
        r
        for r in rows(answered, "requests", Request)
        if r.strategy == "step_by_step" and (not own or r.task == "reversal")
    ]
    right = {(r.row_id, r.sample_index) for r in rows(answered, "graded", Graded) if r.strict_correct}
    kept = {(c.row_id, c.sample_index) for c in rows(answered, "chats", Chat)}
    train = [row for row in found if row["split"] == "train"]
    assert sum(row["requests"] for row in train) == len(asked)
    assert sum(row["right"] for row in train) == sum((r.row_id, r.sample_index) in right for r in asked)
    assert sum(row["in_dataset"] for row in train) == sum((r.row_id, r.sample_index) in kept for r in asked)
    assert all(row["tokens"] == 9 for row in train)
    probe = [row for row in found if row["split"] == "probe"]
    assert sum(row["requests"] for row in probe) == PROBE * (1 if own else 2)


def test_blame_of_a_template_that_nothing_was_rendered_from_says_so(orca2):
    assert orca2("blame", "strategies/guess_and_check.j2")[1] == "no request came from it\n"


def test_blame_of_no_template_names_those_that_are(orca2):
    status, _, err = orca2("blame", "strategies/none.j2")
    assert status == 1
    assert "strategies/step_by_step.j2" in err


def test_rejects_are_counted_by_stage_reason_and_task(orca2, answered):
    expected = Counter(
        (row.stage, row.reason, row.task)
        for stage in ("prepare_tasks", "probe", "generate", "grade", "erase", "pack")
        for row in rows(answered, f"rejected/{stage}", Rejected)
    )
    found = json.loads(orca2("rejects", "--json")[1])
    assert {(r["stage"], r["reason"], r["task"]): r["rows"] for r in found} == expected
    assert all(1 <= len(r["examples"]) <= 2 for r in found)
    only = json.loads(orca2("rejects", "--stage", "prepare_tasks", "--json")[1])
    assert only == [r for r in found if r["stage"] == "prepare_tasks"]
    assert orca2("rejects")[1].splitlines()[-1] == f"{expected.total():,} rows rejected"


def test_the_log_has_a_line_for_each_version_and_one_for_the_workspace(orca2, project):
    built = project.lock()["data/chats"]
    project.edit("dvc.lock", built, "0" * 32 + ".dir")
    (here, last) = json.loads(orca2("log", "--json")[1])
    assert (here["commit"], here["subject"]) == ("workspace", "not committed")
    assert last["subject"] == "built up to pack"
    assert last["rows"] == 2 * TRAIN
    assert last["tasks"] == 2
    assert here["digest"] != last["digest"]
    text = orca2("log")[1].splitlines()
    assert len(text) == 3
    assert text[2].split()[0] == last["commit"]
    assert len(orca2("log", "HEAD")[1].splitlines()) == len(text)


def test_a_torn_commit_hides_no_other_in_the_log(orca2, project):
    kept = (project.root / "metrics" / "erase.json").read_text("utf-8")
    for text, message in (("{", "torn"), (kept, "mended")):
        (project.root / "metrics" / "erase.json").write_text(text, "utf-8")
        project.edit("dvc.lock", "schema: '2.0'\n", "schema: '2.0'\n# edited\n")
        project.commit(message)
    mended, torn, built = json.loads(orca2("log", "--json")[1])
    assert (mended["rows"], torn["rows"], built["rows"]) == (2 * TRAIN, None, 2 * TRAIN)
    assert torn["problem"].startswith("metrics/erase.json of ")
    assert torn["problem"] in orca2("log")[1]


@pytest.mark.parametrize("command", [["diff"], ["why", "ab"], ["blame", "x.j2"], ["rejects"], ["log"]])
def test_outside_a_project_every_command_says_so(orca2, answered, command, tmp_path):
    done = answered.run("orca2", *command, check=False, cwd=tmp_path)
    assert done.returncode == (2 if command == ["diff"] else 1)
    assert "is no orca2 project: it has no dvc.yaml" in done.stderr


def test_a_file_that_cannot_be_written_is_named(orca2, tmp_path):
    status, _, err = orca2("diff", "--format", "html", "-o", str(tmp_path / "none" / "page.html"))
    assert status == 2
    assert "page.html: cannot be written: No such file or directory" in err


def test_a_reader_that_has_seen_enough_and_a_poor_terminal_are_no_error(answered):
    done = answered.run("bash", "-c", "set -o pipefail; orca2 rejects | head -n 1", check=False)
    assert "Traceback" not in done.stderr
    done = answered.run("orca2", "diff", "HEAD", "HEAD", PYTHONIOENCODING="ascii")
    assert "\\u2192" in done.stdout


def test_the_log_of_the_workspace_is_that_of_its_commit(orca2):
    assert orca2("log", "workspace") == orca2("log", "HEAD")


def test_an_unknown_stage_of_rejects_names_those_there_are(orca2):
    status, _, err = orca2("rejects", "--stage", "nope")
    assert status == 1
    assert "prepare_tasks" in err


def test_help_is_there_at_once(answered):
    for command in ([], ["diff"], ["why"], ["store"]):
        assert "usage: orca2" in answered.run("orca2", *command, "--help").stdout
