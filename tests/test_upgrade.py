"""`orca2 upgrade`: nothing of the user's is touched, no key is lost."""

import io
import json
import shutil
import subprocess
import tarfile
from contextlib import chdir

import pytest
import yaml

from orca2.cli.command import DECLINED
from orca2.core.errors import Orca2Error
from orca2.core.rows import PackedSequence, Segment
from orca2.project import git, scaffold
from orca2.project.shards import write_rows
from orca2.project.upgrade import upgrade
from orca2.training.adopted import adopt
from tests.closure import ROOT
from tests.project import commit, run, use_tiny_model

BEFORE_INIT = "aa226d4"
_OLD_COMMAND = ("python", "-c", "from orca2.cli import main; main()")
GRADE = "stages/grade.py"


@pytest.fixture
def mine(tmp_path):
    """A new project, committed."""
    scaffold.init(tmp_path, "quiz")
    commit(tmp_path, "as init wrote it")
    return tmp_path


def test_a_project_from_before_a_model_could_judge_gets_the_template_that_stages_depend_on(mine):
    file = mine / "templates" / "judge" / "acceptable.j2"
    assert upgrade(mine).changes == ()
    file.write_text("my own\n", "utf-8")
    assert upgrade(mine).changes == ()
    shutil.rmtree(file.parent)
    upgrade(mine).apply(mine)
    assert file.read_bytes() == (ROOT / "templates" / "judge" / "acceptable.j2").read_bytes()
    deps = {dep for stage in yaml.safe_load((mine / "dvc.yaml").read_text("utf-8"))["stages"].values()
            for dep in stage.get("deps", []) if dep.startswith("templates/")}  # fmt: skip
    assert all((mine / dep).is_dir() for dep in deps - {"templates/tasks"})


def as_an_older_tool_wrote(project, files):
    """Put other content in the place of files, as if an older tool had written it; None: it wrote none."""
    record = yaml.safe_load((project / scaffold.RECORD).read_text("utf-8"))["files"]
    for name, text in files.items():
        if text is None:
            (project / name).unlink()
            del record[name]
        else:
            (project / name).write_text(text, "utf-8")
            record[name] = git.blob_id(text.encode())
    (project / scaffold.RECORD).write_bytes(scaffold.record_of("quiz", record))
    commit(project, "as an older tool wrote it")


def changes(project):
    return {change.path: change.kind for change in upgrade(project).changes}


def snapshot(project):
    inside = {path.relative_to(project): path for path in project.rglob("*") if path.is_file()}
    volatile = {".git", ".orca2", "tmp"}
    return {str(name): path.read_bytes() for name, path in inside.items() if not volatile.intersection(name.parts)}


def test_a_new_project_is_up_to_date(mine):
    assert changes(mine) == {}


def test_what_was_not_edited_is_renewed_and_what_was_is_merged_or_left(mine):
    now = (mine / GRADE).read_text("utf-8")
    old = {name: (mine / name).read_text("utf-8") + "# old\n" for name in ("stages/erase.py", "stages/pack.py")}
    as_an_older_tool_wrote(mine, old | {
        GRADE: f"{now}# old\n", "stages/train.py": None, "stages/gone.py": "1\n", "stages/kept.py": "1\n",
        "stages/report.py": "1\n",
    })  # fmt: skip
    (mine / GRADE).write_text(f"# mine\n{now}# old\n", "utf-8")  # far from what the tool changed
    (mine / "stages/pack.py").write_text(old["stages/pack.py"].replace("# old", "# mine"), "utf-8")
    (mine / "stages/kept.py").write_text("2\n", "utf-8")
    (mine / "stages/report.py").unlink()
    (mine / "params.yaml").write_text("seed: 7\n", "utf-8")
    (mine / "stages/own.py").write_text("1\n", "utf-8")
    before = snapshot(mine)
    found = upgrade(mine)
    assert snapshot(mine) == before
    assert {change.path: change.kind for change in found.changes} == {
        "stages/erase.py": "replace", GRADE: "merge", "stages/pack.py": "yours", "stages/train.py": "add",
        "stages/gone.py": "remove", "stages/kept.py": "yours",
    }  # fmt: skip
    found.apply(mine)
    after = snapshot(mine)
    assert after[GRADE].decode() == f"# mine\n{now}"
    assert after["stages/erase.py"] == scaffold.project_files("quiz")["stages/erase.py"]
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"stages/erase.py", GRADE, "stages/train.py", "stages/gone.py", scaffold.RECORD}
    assert changes(mine) == {}


def test_deps_and_stages_of_ones_own_survive_a_dvc_yaml_that_changed_everywhere(mine):
    new = (mine / "dvc.yaml").read_text("utf-8")
    old = new.replace("    cmd: python", "    cmd: python3").replace(
        "      - data/", "      - orca2/x.py\n      - data/"
    )
    as_an_older_tool_wrote(mine, {"dvc.yaml": old})
    own = "\n  own:\n    cmd: python -m stages.own\n    deps:\n      - data/chats\n"
    (mine / "dvc.yaml").write_text(scaffold.watching(old, "grade", "my.csv") + own, "utf-8")
    assert changes(mine) == {"dvc.yaml": "merge"}
    upgrade(mine).apply(mine)
    merged = yaml.safe_load((mine / "dvc.yaml").read_text("utf-8"))["stages"]
    expected = yaml.safe_load(new)["stages"]
    expected["grade"]["deps"].insert(0, "my.csv")
    assert merged == expected | {"own": yaml.safe_load(own)["own"]}


def test_what_no_stage_writes_any_longer_goes_only_with_the_pipeline_that_wrote_it(mine):
    new = (mine / "dvc.yaml").read_text("utf-8")
    old = new.replace(
        "    outs:\n      - data/requests", "    outs:\n      - data/old\n      - ../other\n      - data/requests"
    )
    as_an_older_tool_wrote(mine, {"dvc.yaml": old})
    (mine / "data" / "old").mkdir(parents=True)
    (mine.parent / "other").mkdir()
    assert upgrade(mine).leftovers(mine) == ["data/old"]
    (mine / "dvc.yaml").write_text(old.replace("data/old", "data/mine"), "utf-8")
    assert (changes(mine), upgrade(mine).leftovers(mine)) == ({"dvc.yaml": "yours"}, [])


def test_a_torn_pipeline_is_an_error(mine):
    (mine / "dvc.yaml").write_text("stages: [", "utf-8")
    with pytest.raises(Orca2Error, match=r"dvc\.yaml"):
        upgrade(mine)


def test_it_asks_and_without_an_answer_touches_nothing(mine):
    as_an_older_tool_wrote(mine, {GRADE: "1\n"})
    before = snapshot(mine)
    asked = run(mine, "orca2", "upgrade", check=False)
    assert (asked.returncode, asked.stdout.splitlines()[-1]) == (DECLINED, "nothing changed")
    assert f"{GRADE}: not edited here, to be replaced" in asked.stdout
    assert snapshot(mine) == before
    done = run(mine, "orca2", "upgrade", "--yes")
    assert "stages run or may run" in done.stdout
    assert (mine / GRADE).read_bytes() == (ROOT / GRADE).read_bytes()


def test_an_edit_in_the_same_lines_is_shown_beside_what_the_tool_writes(mine):
    as_an_older_tool_wrote(mine, {"stages/__init__.py": "old = 1\n"})
    (mine / "stages/__init__.py").write_text("mine = 1\n", "utf-8")
    shown = run(mine, "orca2", "upgrade", "--yes").stdout
    assert "stages/__init__.py: edited here in the same lines: left as it is" in shown
    assert "    -mine = 1" in shown
    assert (mine / "stages/__init__.py").read_text("utf-8") == "mine = 1\n"


def test_a_torn_record_and_the_tools_own_repository_are_errors(mine):
    (mine / scaffold.RECORD).write_text("example: nonsense\nfiles: 3\n", "utf-8")
    with pytest.raises(Orca2Error, match="is torn"):
        upgrade(mine)
    with pytest.raises(Orca2Error, match="the repository that the tool runs from"):
        upgrade(ROOT)


@pytest.fixture(scope="module")
def before_init(tmp_path_factory):
    """A copy of the tool's repository from before `orca2 init`, with questions, params and a wording of its own."""
    root = tmp_path_factory.mktemp("before")
    packed = subprocess.run(["git", "archive", BEFORE_INIT], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(root, filter="data")
    run(root, "git", "init", "-q")
    commit(root, "as it was cloned")
    (root / "own.csv").write_text("question,answer\n" + "".join(f"Is {n} > 9?,no\n" for n in range(9)), "utf-8")
    params = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    params["tasks"]["splits"] |= {"probe_limit": 0, "train_limit": 3, "evaluation_limit": 1}
    params["tasks"]["sources"]["own"] = {
        "kind": "datasets", "name": "own.csv", "category": "logic", "licence": "mine", "split": "train",
        "task": "siblings",
    }  # fmt: skip
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    (root / "dvc.yaml").write_text(
        scaffold.watching((root / "dvc.yaml").read_text("utf-8"), "prepare_tasks", "own.csv"), "utf-8"
    )
    template = root / "templates" / "strategies" / "step_by_step.j2"
    template.write_text(template.read_text("utf-8").replace("Work through", "Go through"), "utf-8")
    use_tiny_model(root, root / "tiny")
    run(root, "dvc", "repro", "prepare_models", "prepare_tasks", code=root)
    finish_training(root)
    commit(root, "a recipe of one's own")
    return root


def finish_training(project):
    """What a training leaves, without the training: data, a model, results and a curve, as dvc.lock says."""
    segment = Segment(row_id="a" * 64, sample_index=0, start=0, length=3, supervised_start=1, supervised_end=3)
    packed = PackedSequence(sequence_index=0, input_ids=(5, 6, 7), labels=(-100, 6, 7), segments=(segment,))
    write_rows(project / "data" / "packed", PackedSequence, [packed])
    shutil.copytree(project / "tiny", project / "trained")
    (project / "plots" / "train").mkdir(parents=True)
    (project / "plots" / "train" / "loss.tsv").write_text("step\tloss\n1\t0.5\n", "utf-8")
    for file in ("train.json", "speed/train.json"):
        (project / "metrics" / file).write_text("{}\n", "utf-8")
    run(project, "dvc", "commit", "--force", "train", code=project)


def asked(project, code):
    command = ("orca2",) if code == ROOT else _OLD_COMMAND
    plan = json.loads(run(project, *command, "plan", "--json", code=code, check=False).stdout)
    return {(row["row_id"], row["strategy"]): row["key"] for row in plan["asking"]["probe"]["to_generate"]}


@pytest.mark.slow
def test_a_project_from_before_init_loses_no_edit_and_no_key(before_init):
    keys = asked(before_init, before_init)
    before = snapshot(before_init)
    run(before_init, "orca2", "upgrade", "--yes")
    after = snapshot(before_init)
    assert len(keys) > 0
    assert not (before_init / "metrics" / "speed").exists()
    assert not (before_init / "orca2").exists()
    # What the dataset is, is untouched.
    for name in before:
        if name.startswith(("templates/", "params.yaml", "own.csv", "data/", "trained/")):
            assert after[name] == before[name], name
    written = [name for name, content in after.items() if content != before.get(name)]
    assert [name for name in written if b"<<<<<<<" in after[name]] == []
    assert "own.csv" in yaml.safe_load(after["dvc.yaml"])["stages"]["prepare_tasks"]["deps"]
    run(before_init, "orca2", "check")
    run(before_init, "dvc", "repro", "prepare_models", "prepare_tasks")
    # Splits were drawn anew since (decision 17): other questions are asked, and those that stay under their keys.
    now = asked(before_init, ROOT)
    assert len(keys.keys() & now.keys()) > 1
    assert {asked: now[asked] for asked in keys.keys() & now.keys()}.items() <= keys.items()
    # Nor does it train again: the student is known by what it was made from.
    trained = yaml.safe_load((before_init / "dvc.lock").read_text("utf-8"))["stages"]["train"]["outs"]
    run(before_init, "dvc", "repro", "code")
    assert "was finished before" in run(before_init, "dvc", "repro", "--single-item", "train").stdout
    again = yaml.safe_load((before_init / "dvc.lock").read_text("utf-8"))["stages"]["train"]["outs"]
    assert _digest(again, "trained") == _digest(trained, "trained")


def _digest(outs, path):
    return next(out["md5"] for out in outs if out["path"] == path)


def test_a_student_is_kept_only_if_it_its_data_and_its_model_are_what_the_lock_says(before_init, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(before_init, copy, symlinks=True)
    run(copy, "git", "checkout", "-q", "--force", "HEAD")
    shutil.rmtree(copy / ".orca2" / "students", ignore_errors=True)
    run(copy, "dvc", "checkout", "-q", "--force", "prepare_models", "train")
    packed = next((copy / "data" / "packed").glob("*.parquet"))
    with chdir(copy):
        for file in (copy / "trained" / "config.json", packed, next((copy / "models").rglob("config.json"))):
            kept = file.read_bytes()
            file.unlink()
            assert adopt() is None, file
            file.write_bytes(kept)
        assert adopt() is not None
        assert adopt() is None
