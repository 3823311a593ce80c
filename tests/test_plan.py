"""`orca2 plan`: what a run would do, row for row, and why; without an engine, and without a trace."""

import json
import shutil

import pytest
import yaml

from orca2.core.errors import Orca2Error
from orca2.plan.output import as_json
from tests.answered import PROBE, TRAIN, answer_for, plan_of
from tests.tiny import make_tiny_model

TASKS, STRATEGIES = 2, 2
EXAMPLES = "{% block examples %}"
WORKED_TURN = "{% call user() %}1 + 1?{% endcall %}{% call assistant() %}Answer: 2{% endcall %}"


def planned(project, max_new_tokens=None):
    return json.loads(json.dumps(as_json(plan_of(project, max_new_tokens))))


def state(plan, name):
    return next(stage for stage in plan["stages"] if stage["name"] == name)


def counts(asking):
    return asking["cached"], len(asking["to_generate"])


def test_what_is_built_is_fresh_and_wholly_cached_and_what_never_ran_says_so(project):
    plan = planned(project)
    for name in ("prepare_models", "prepare_tasks", "probe", "select_strategies", "generate", "pack"):
        assert state(plan, name) == {"name": name, "state": "fresh", "why": []}
    assert state(plan, "train")["why"] == ["never run here"]
    assert counts(plan["asking"]["probe"]) == (TASKS * STRATEGIES * PROBE, 0)
    assert counts(plan["asking"]["generate"]) == (TASKS * TRAIN, 0)
    assert plan["asking"]["evaluate"]["causes"] == {"first build: never built here": 3 * TASKS * 2}


def test_a_stage_that_does_not_run_is_no_work_and_breaks_no_budget(project):
    shutil.rmtree(project.root / ".orca2" / "store")
    (project.root / ".orca2" / "store").mkdir()
    done = project.run("orca2", "plan", "--max-new-tokens", "1000", check=False)
    assert done.returncode == 3, done.stderr
    assert f"{3 * TASKS * 2} requests to generate" in done.stdout.splitlines()[-1]


def test_a_section_that_a_stage_newly_reads_makes_it_stale(project):
    project.edit("dvc.yaml", "params: [grade, ", "params: [grade, seed, ")
    assert state(planned(project), "grade") == {"name": "grade", "state": "stale", "why": ["seed new"]}


def test_a_student_that_would_learn_the_same_is_not_asked_anew(project):
    """`trained` is only there to be digested; DVC is told that all of it was built."""
    shutil.copytree(project.root / "tiny", project.root / "trained")
    (project.root / "plots/train").mkdir(parents=True)
    (project.root / "metrics/train.json").write_text("{}")
    project.run("dvc", "commit", "-f", "train")
    assert answer_for(project, "evaluate") == 3 * TASKS * 2 - TASKS * 2  # base and student are one model here
    project.edit("templates/strategies/step_by_step.j2", "{#- Purpose", "{#- A comment. Purpose")
    plan = planned(project)
    assert state(plan, "train")["state"] == "waiting"
    assert counts(plan["asking"]["evaluate"]) == (2 * TASKS * 2, 0)
    project.edit("templates/strategies/step_by_step.j2", "short ordered steps", "short, ordered steps")
    assumed = planned(project)["asking"]["evaluate"]["assumed"]
    assert "the student is trained anew, so none of its answers is stored" in assumed
    shutil.rmtree(project.root / "trained")


def test_turns_that_change_hands_are_a_change_of_the_template(project):
    text = "{% block instruction %}{% endblock %}\n"
    project.edit("templates/tasks/reversal/step_by_step.j2", EXAMPLES, text + EXAMPLES)
    causes = planned(project)["asking"]["probe"]["causes"]
    assert causes == {
        f"template: templates/tasks/reversal/step_by_step.j2 line {line_of(project, text.strip())}": PROBE
    }


def line_of(project, text, file="tasks/reversal/step_by_step.j2"):
    lines = (project.root / "templates" / file).read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("params.yaml", "student_template: generic", "student_template: plane", "unknown student template 'plane'"),
        ("params.yaml", "grader: exact", "grader: exakt", "exakt"),
        ("models/models.json", "{", "{{", "models/models.json: is torn"),
    ],
)
def test_bad_input_is_the_clear_error_of_the_stage_that_would_meet_it(project, file, old, new, told):
    project.edit(file, old, new)
    done = project.run("orca2", "plan", check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_deleted_strategy_that_was_chosen_before_is_no_obstacle(project):
    project.set_params({"probe": project.params()["probe"] | {"strategies": ["step_by_step", "guess_and_check"]}})
    for file in project.root.glob("templates/**/direct_answer.j2"):
        file.unlink()
    assumed = planned(project)["asking"]["generate"]["assumed"]
    assert any(note.startswith("step_by_step for ") for note in assumed)


def test_an_edited_template_is_named_with_its_line_and_asks_for_its_rows_only(project):
    source = (project.root / "templates/tasks/reversal/step_by_step.j2").read_text("utf-8")
    line = next(n for n, text in enumerate(source.splitlines(), 1) if "From the last to the first" in text)
    project.edit("templates/tasks/reversal/step_by_step.j2", "1. lantern. 2. quickly.", "One lantern, two quickly.")
    plan = planned(project)
    cause = f"template: templates/tasks/reversal/step_by_step.j2 line {line}"
    assert plan["asking"]["probe"]["causes"] == {cause: PROBE}
    assert {r["task"] for r in plan["asking"]["probe"]["to_generate"]} == {"reversal"}
    assert state(plan, "probe")["why"] == ["templates/tasks modified (templates/tasks/reversal/step_by_step.j2)"]
    assert state(plan, "generate")["state"] == "waiting"
    assert "the probe chooses as data/strategies.yaml says now" in plan["asking"]["generate"]["assumed"]


def test_a_line_of_the_general_file_is_named_for_all_tasks_that_extend_it(project):
    project.edit("templates/strategies/step_by_step.j2", "short ordered steps", "short, ordered steps")
    plan = planned(project)
    (cause,) = plan["asking"]["probe"]["causes"]
    assert cause.startswith("template: templates/strategies/step_by_step.j2 line ")
    assert plan["asking"]["probe"]["causes"][cause] == TASKS * PROBE


def test_a_comment_makes_stages_stale_and_costs_nothing(project):
    project.edit("templates/strategies/step_by_step.j2", "{#- Purpose", "{#- A comment. Purpose")
    plan = planned(project)
    assert state(plan, "probe")["state"] == "stale"
    assert counts(plan["asking"]["probe"]) == (TASKS * STRATEGIES * PROBE, 0)
    assert counts(plan["asking"]["generate"]) == (TASKS * TRAIN, 0)
    assert plan["asking"]["generate"]["assumed"] == []


def test_more_questions_a_new_strategy_and_a_dropped_one_are_told_apart(project):
    tasks, probe = project.params()["tasks"], project.params()["probe"]
    tasks["splits"]["train_limit"] += 1
    project.set_params({"tasks": tasks, "probe": probe | {"strategies": ["step_by_step", "guess_and_check"]}})
    plan = planned(project)
    assert plan["asking"]["probe"]["causes"] == {"strategy: new strategy": TASKS * PROBE}
    assert plan["asking"]["probe"]["to_drop"] == {"strategy: strategy gone": TASKS * PROBE}
    new = plan["asking"]["generate"]["causes"]
    assert new["split: beyond train_limit → train"] == TASKS
    assert "tasks.splits.train_limit 5 → 6" in state(plan, "prepare_tasks")["why"]


def test_fewer_questions_are_rows_to_drop(project):
    tasks = project.params()["tasks"]
    tasks["splits"]["train_limit"] -= 2
    project.set_params({"tasks": tasks})
    asking = planned(project)["asking"]["generate"]
    assert asking["to_drop"] == {"split: train → beyond train_limit": 2 * TASKS}
    assert counts(asking) == (TASKS * (TRAIN - 2), 0)


def test_a_larger_limit_asks_again_only_where_the_answer_was_cut(project):
    tasks, generate = project.params()["tasks"], project.params()["generate"]
    tasks["splits"]["train_limit"] += 2
    project.set_params({"tasks": tasks})
    assert answer_for(project, "generate", finish_reason="length", completion_tokens=32) == 2 * TASKS
    project.repro("render_prompts")
    generate["sampling"]["max_tokens"] = 64
    project.set_params({"generate": generate})
    asking = planned(project)["asking"]["generate"]
    assert asking["causes"] == {"sampling: max_tokens 32 → 64": 2 * TASKS}
    assert asking["cached"] == TASKS * TRAIN
    assert asking["most_new_tokens"] == 64 * 2 * TASKS


def test_other_sampling_and_more_samples_say_so(project):
    generate = project.params()["generate"]
    generate = {"samples": 2, "sampling": generate["sampling"] | {"temperature": 0.5}}
    project.set_params({"generate": generate})
    causes = planned(project)["asking"]["generate"]["causes"]
    assert causes == {"sampling: temperature 0.0 → 0.5": TASKS * TRAIN, "sampling: new sample": TASKS * TRAIN}


def test_another_strategy_chosen_by_hand_is_the_cause(project):
    chosen = yaml.safe_load((project.root / "data/strategies.yaml").read_text("utf-8"))["strategies"]
    other = "step_by_step" if chosen["reversal"] == "direct_answer" else "direct_answer"
    (project.root / "data/strategies.yaml").write_text(
        yaml.safe_dump({"strategies": chosen | {"reversal": other}}), "utf-8"
    )
    project.run("dvc", "commit", "-f", "select_strategies")
    asking = planned(project)["asking"]["generate"]
    assert asking["causes"] == {f"strategy: {chosen['reversal']} → {other}": TRAIN}
    project.run("git", "checkout", "-q", "dvc.lock")


def test_an_emptied_store_is_told_from_a_change(project):
    shutil.rmtree(project.root / ".orca2" / "store")
    (project.root / ".orca2" / "store").mkdir()
    asking = planned(project)["asking"]["generate"]
    assert asking["causes"] == {
        "answer: asked before, but the answer is not in this store (`orca2 store pull`?)": TASKS * TRAIN
    }


def test_another_model_has_no_answers_until_it_is_asked_and_the_first_one_keeps_its_own(project):
    make_tiny_model(project.root / "other", seed=1)
    project.set_params({"models": {"teacher": "path:other", "student": "path:tiny"}})
    asking = planned(project)["asking"]["probe"]
    assert counts(asking) == (0, TASKS * STRATEGIES * PROBE)
    assert asking["assumed"] == []
    (cause,) = asking["causes"]
    assert cause.startswith("model: ")
    answer_for(project, "probe")
    assert counts(planned(project)["asking"]["probe"]) == (TASKS * STRATEGIES * PROBE, 0)
    shutil.rmtree(project.root / "other")


def test_a_model_that_must_be_fetched_first_has_no_answers_and_the_plan_says_that_it_assumed_so(project):
    reference = f"hub:owner/name@{'a' * 40}"
    project.set_params({"models": {"teacher": reference, "student": "path:tiny"}})
    asking = planned(project)["asking"]["probe"]
    assert counts(asking) == (0, TASKS * STRATEGIES * PROBE)
    assert asking["assumed"] == [f"{reference} is not prepared yet, so none of its answers is stored"]
    (cause,) = asking["causes"]
    assert cause.endswith(f"→ not known yet: {reference}")


def test_a_plan_writes_nothing(project):
    def state_of_disk():
        files = (
            f for f in project.root.rglob("*") if f.is_file() and ".dvc/tmp" not in str(f) and ".git" not in f.parts
        )
        return {file: file.stat().st_mtime_ns for file in files if "__pycache__" not in file.parts}

    before = state_of_disk()
    planned(project)
    assert state_of_disk() == before


def test_the_run_generates_exactly_the_rows_of_the_plan(project):
    """Row for row: what the plan wants is answered, and the stages then run on the store alone."""
    project.edit("templates/tasks/sum_of_two/step_by_step.j2", EXAMPLES, EXAMPLES + WORKED_TURN)
    project.set_params({"cluster": {"generation": project.params()["cluster"]["generation"] | {"max_new_tokens": 0}}})
    for stage, last in (("probe", "select_strategies"), ("generate", "pack")):
        wanted = len(planned(project, 100_000)["asking"][stage]["to_generate"])
        refused = project.run("dvc", "repro", last, check=False)
        if wanted:
            assert f"{wanted} requests could generate {wanted * 32} tokens, above max_new_tokens 0" in refused.stderr
        assert answer_for(project, stage) == wanted
        project.repro(last)
        assert project.speed(stage)["num_generated"] == 0
    assert counts(planned(project, 100_000)["asking"]["generate"])[1] == 0


def test_a_budget_is_refused_by_the_plan_and_by_the_stage_before_an_engine_starts(project):
    project.edit("templates/strategies/step_by_step.j2", "short ordered steps", "short, ordered steps")
    done = project.run("orca2", "plan", "--max-new-tokens", "10", check=False)
    assert done.returncode == 1
    assert f"could generate {32 * TASKS * PROBE} tokens, above the budget of 10" in done.stderr
    assert "rows: 6 cached, 6 to generate, 0 to drop" in done.stdout


def test_the_text_reads_like_a_plan(project):
    project.edit("templates/strategies/step_by_step.j2", "short ordered steps", "short, ordered steps")
    text = project.run("orca2", "plan", check=False).stdout
    assert "probe              stale    templates/strategies modified (templates/strategies/step_by_step.j2)" in text
    assert "6  template: templates/strategies/step_by_step.j2 line " in text
    assert "cost: about 54 new tokens (at most 192)" in text
    assert "time unknown: no earlier run of this model here" in text
    assert text.splitlines()[-1].endswith("new tokens")


def without(project, *stages):
    pipeline = yaml.safe_load((project.root / "dvc.yaml").read_text("utf-8"))
    for stage in stages:
        del pipeline["stages"][stage]
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False), "utf-8")


@pytest.mark.parametrize(
    ("stages", "asking"),
    [
        (("train", "evaluate", "report"), ["probe", "generate"]),
        (("evaluate", "report"), ["probe", "generate"]),
        (("probe", "select_strategies"), ["generate", "evaluate"]),
        (("prepare_models", "prepare_tasks"), ["probe", "generate", "evaluate"]),
        (("generate", "grade", "erase", "pack", "train", "evaluate", "report"), ["probe"]),
    ],
)  # fmt: skip
def test_a_pipeline_may_lack_any_stage_and_the_sections_that_only_it_reads(project, stages, asking):
    without(project, *stages)
    params = project.params()
    for section in {"train": "train", "probe": "probe", "evaluate": "evaluate", "prepare_tasks": "tasks"}.items():
        if section[0] in stages:
            del params[section[1]]
    (project.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    plan = planned(project)
    assert list(plan["asking"]) == asking
    if "generate" in asking:
        assert counts(plan["asking"]["generate"]) == (TASKS * TRAIN, 0)


def test_a_renamed_stage_is_known_by_what_it_writes(project):
    pipeline = yaml.safe_load((project.root / "dvc.yaml").read_text("utf-8"))
    names = {"generate": "ask_teacher", "prepare_tasks": "questions"}
    pipeline["stages"] = {names.get(name, name): stage for name, stage in pipeline["stages"].items()}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False), "utf-8")
    assert counts(planned(project)["asking"]["ask_teacher"]) == (TASKS * TRAIN, 0)


def test_a_section_that_a_stage_of_this_pipeline_needs_is_missed(project):
    params = project.params()
    del params["generate"], params["probe"]
    (project.root / "params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    done = project.run("orca2", "plan", check=False)
    assert done.returncode == 1
    assert "section `generate` is missing" in done.stderr and "section `probe` is missing" in done.stderr


def test_a_race_is_planned_round_by_round_and_both_ways_are_priced(project):
    """9 questions of each task and 4 techniques: 2 questions each, then one more for the last two."""
    techniques = ["direct_answer", "extract_then_generate", "recall_then_generate", "step_by_step"]
    params = project.params()
    splits = params["tasks"]["splits"] | {"probe_limit": 9, "evaluation_fraction": 0.2, "probe_fraction": 0.5}
    project.set_params({"tasks": {"splits": splits}, "probe": {"strategies": techniques, "race": True}})
    shutil.rmtree(project.root / ".orca2" / "store")
    (project.root / ".orca2" / "store").mkdir()
    asking = planned(project)["asking"]["probe"]
    limit = params["probe"]["sampling"]["max_tokens"]
    assert (counts(asking), asking["later"]) == ((0, TASKS * 8), TASKS * 2)
    assert asking["most_new_tokens"] == TASKS * 10 * limit
    assert (asking["instead"]["way"], asking["instead"]["requests"]) == ("the full grid", TASKS * 36)
    assert asking["instead"]["most_new_tokens"] == TASKS * 36 * limit
    assert asking["to_drop"] == {}
    said = project.run("orca2", "plan", check=False).stdout
    assert f"{TASKS * 8} to generate (and at most {TASKS * 2} that follow from them)" in said
    assert f"the full grid would ask {TASKS * 36}: about" in said
    assert answer_for(project, "probe") == TASKS * 8
    asking = planned(project)["asking"]["probe"]
    assert (counts(asking), asking["later"]) == ((TASKS * 8, TASKS * 2), 0)
    assert answer_for(project, "probe") == TASKS * 2
    plan = planned(project)["asking"]
    assert (counts(plan["probe"]), plan["probe"]["instead"]) == ((TASKS * 10, 0), None)
    assert plan["generate"]["assumed"] == []
    project.set_params({"probe": {"race": False}})
    asking = planned(project)["asking"]["probe"]
    assert (counts(asking), asking["later"]) == ((TASKS * 10, TASKS * 26), 0)
    assert asking["instead"] == {
        "way": "a race", "requests": TASKS * 10, "new_tokens": round(asking["new_tokens"] * 10 / 26),
        "most_new_tokens": TASKS * 10 * limit,
    }  # fmt: skip


def test_where_both_judge_the_plan_asks_both_models(project):
    make_tiny_model(project.root / "other", seed=7)
    project.set_params({"models": {"student": "path:other"}, "probe": {"judge": "both"}})
    asking = planned(project)["asking"]["probe"]
    assert counts(asking) == (TASKS * STRATEGIES * PROBE, TASKS * STRATEGIES * PROBE)
    project.set_params({"probe": {"judge": "student"}})
    assert counts(planned(project)["asking"]["probe"]) == (0, TASKS * STRATEGIES * PROBE)


def test_what_a_judge_is_asked_is_planned_of_stored_answers_by_name_and_of_others_by_number(project):
    params = project.params()
    sources = params["tasks"]["sources"]
    sources["reversal"]["grader"] = "judge:acceptable"
    project.set_params({"tasks": {"sources": sources}})
    with pytest.raises(Orca2Error, match="no model judges"):
        planned(project)
    project.set_params({"models": {"judge": "path:tiny"}})
    asking = planned(project)["asking"]
    assert (counts(asking["grade"]), asking["grade"]["later"]) == ((0, 2 * TRAIN), 0)
    assert counts(asking["probe"]) == (TASKS * STRATEGIES * PROBE, 2 * STRATEGIES * PROBE)
    assert asking["evaluate"]["later"] == 2 * 3 * 2
    assert asking["grade"]["causes"] == {"answer: not judged yet": 2 * TRAIN}
    assert asking["grade"]["most_new_tokens"] == 2 * TRAIN * 512
    assert answer_for(project, "grade", text="Answer: A") == 2 * TRAIN
    assert answer_for(project, "probe", text="Answer: A") == 2 * STRATEGIES * PROBE
    asking = planned(project)["asking"]
    assert counts(asking["grade"]) == (2 * TRAIN, 0)
    assert counts(asking["probe"]) == (TASKS * STRATEGIES * PROBE + 2 * STRATEGIES * PROBE, 0)
    project.set_params({"generate": {"sampling": {"temperature": 0.0, "stop": ["no such words"]}}})
    assert (counts(planned(project)["asking"]["grade"]), planned(project)["asking"]["grade"]["later"]) == (
        (0, 0), 2 * TRAIN
    )  # fmt: skip
