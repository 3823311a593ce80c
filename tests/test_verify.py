"""A rebuild from the stored answers gives every artifact to the byte; and answers are found from anywhere."""

import shutil

import yaml

REPLAYED = [
    "prepare_models",
    "prepare_tasks",
    "probe",
    "select_strategies",
    "render_prompts",
    "generate",
    "grade",
    "erase",
]


def replayed(project, status):
    done = project.run("orca2", "verify", "--replay", check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout.splitlines(), done.stderr


def test_a_replay_from_the_store_alone_gives_every_artifact_to_the_byte(project):
    lines, _ = replayed(project, 0)
    assert lines == [f"{stage:18} as dvc.lock says" for stage in [*REPLAYED, "pack"]] + [
        "orca2 verify --replay: every artifact is identical"
    ]


def test_a_stage_that_gives_something_else_is_named_and_the_next_ones_are_judged_by_themselves(project):
    chosen = yaml.safe_load((project.root / "data/strategies.yaml").read_text("utf-8"))
    (project.root / "data/strategies.yaml").write_text(yaml.safe_dump(chosen | {"note": "by hand"}), "utf-8")
    project.run("dvc", "commit", "-f", "select_strategies")
    project.repro("pack")
    lines, _ = replayed(project, 1)
    differing = [line for line in lines if "differs" in line]
    assert differing == [
        "select_strategies  differs: data/strategies.yaml",
    ]
    assert lines[-1] == "orca2 verify --replay: 1 stages differ"


def test_a_stage_whose_input_changed_since_it_ran_is_stale_and_not_different(project):
    project.set_params({"grade": {"keep": "correct"}})
    lines, _ = replayed(project, 1)
    assert [line for line in lines if "as dvc.lock says" not in line] == [
        "select_strategies  stale: grade.keep all → correct",
        "grade              stale: grade.keep all → correct",
        "orca2 verify --replay: 2 are stale, see `orca2 plan`",
    ]


def test_the_stages_that_are_there_are_replayed_whatever_they_are_called(project):
    text = (project.root / "dvc.yaml").read_text("utf-8")
    pipeline = yaml.safe_load(text)
    stages = {name: stage for name, stage in pipeline["stages"].items() if name not in ("train", "evaluate", "report")}
    stages["judge"] = stages.pop("grade") | {"params": ["grade", {"steps.yaml": ["judge"]}]}
    aside = {"cmd": 'python -c \'open("aside.txt", "w")\'', "deps": ["data/chats"], "params": ["mine"]}
    stages["aside"] = aside | {"outs": ["aside.txt"]}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False), "utf-8")
    project.set_params({"mine": {"a": 1}})
    project.run("dvc", "repro", "-q", "judge", "aside")
    try:
        lines, _ = replayed(project, 0)
        assert sorted(line.split()[0] for line in lines[:-1]) == sorted([*REPLAYED[:6], "judge", "erase", "pack"])
        assert "aside" not in "".join(lines)
        assert "the same rows" in project.run("orca2", "diff", "HEAD", "workspace", "--stat").stdout
        assert "unknown section" not in project.run("orca2", "check", check=False).stderr
    finally:
        (project.root / "aside.txt").unlink()


def test_a_missing_answer_is_an_error_with_the_next_step_and_no_engine_starts(project):
    shutil.rmtree(project.root / ".orca2" / "store")
    (project.root / ".orca2" / "store").mkdir()
    _, told = replayed(project, 2)
    assert "stage probe: cannot be replayed" in told
    assert "orca2 store pull" in told


def test_a_clone_that_pulls_answers_rebuilds_everything_without_an_engine(project, tmp_path):
    project.run("orca2", "store", "push", str(tmp_path / "shared"))
    project.run("git", "clone", "-q", str(project.root), str(tmp_path / "clone"))
    shutil.copytree(project.root / "tiny", tmp_path / "clone" / "tiny", dirs_exist_ok=True)
    before, project_root = project.lock(), project.root
    project.root = tmp_path / "clone"
    try:
        project.set_params(
            {"cluster": {"generation": project.params()["cluster"]["generation"] | {"max_new_tokens": 0}}}
        )
        project.run("orca2", "store", "pull", str(tmp_path / "shared"), PYTHONPATH=str(project.root))
        project.run("dvc", "repro", "--force", "pack", PYTHONPATH=str(project.root))
        after = project.lock()
    finally:
        project.root = project_root
    assert {path: md5 for path, md5 in after.items() if "speed" not in path} == {
        path: md5 for path, md5 in before.items() if "speed" not in path
    }
