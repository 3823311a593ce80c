"""Known answers: what their own grader cannot take is rejected by name, before a teacher is asked for it."""

import json

import pytest
from reasoning_gym.factory import DATASETS

from orca2.core.errors import InputErrors, Orca2Error
from orca2.recipe.filtering import GradeConfig
from orca2.recipe.graders import GRADERS
from orca2.recipe.graders.golds import rejected_golds, sound_golds
from orca2.recipe.graders.known import Known, grading_facts, known
from orca2.recipe.graders.reasoning_gym import UNSOUND_VERDICTS
from orca2.recipe.graders.verdict import judge
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.sources.reasoning_gym import WITHOUT_ANSWER
from orca2.recipe.tasks import TasksConfig, collect
from orca2.recipe.zero_scores import refuse_zero_scores
from tests.examples import example, graded

SOUND = {
    "exact": ["Paris", "5.0", "a: b", "Zürich", "two\nlines", "True", "{{ x }}", "1\n\n2", "***bold***", "`x`"],
    "numeric": ["5", "1,000", "$5", "1 1/2", "five", "12:30", "-3.5", "5 apples", r"\frac12", "1e3", "60%"],
    "choice": ["(B)", "B", "0", "ABD", "Yes", "left turn", "(C) 12/25/1937", "Paris", "A. a cat"],
    "boolean": ["Yes", "false", "TRUE", "no"],
    "set": ["a, b", '["x", "y"]', "a", "1\n2"],
    "list": ["3, 1, 2", "a\nb", "[[1, 2], [3, 4]]"],
    "date": ["2020-03-05", "12/25/1937", "March 5, 2020"],
    "latex": [
        r"\frac{3}{4}",
        r"\text{Evelyn}",
        "x^2 + 1",
        r"\begin{cases} 1 \\ 2 \end{cases}",
        r"\binom{5}{2}",
        "no maths",
    ],
}
HOPELESS = {
    "exact": ["**", "``"],
    "numeric": ["(B)", "x + 1", "5 or 6", "none", r"\sqrt{2}", "48 clips in April and 24 in May"],
    "boolean": ["maybe", "yes or no", "5"],
    "date": ["2020-02-30", "tomorrow", "March 2020"],
}


def config(path, **fields):
    source = {"kind": "file", "name": str(path), "category": "c", "licence": "MIT"} | fields
    return TasksConfig(sources={"own": SourceConfig(**source)})


def jsonl(path, answers):
    path.write_text("".join(json.dumps({"question": f"q{i}?", "answer": a}) + "\n" for i, a in enumerate(answers)))
    return path


@pytest.mark.parametrize(("grader", "gold"), [(name, gold) for name, golds in SOUND.items() for gold in golds])
def test_a_known_answer_that_its_grader_takes_is_kept(grader, gold):
    row = example(grader=grader, answer=gold)
    assert sound_golds("own", [row], 0) == ([row], [])


@pytest.mark.parametrize(("grader", "gold"), [(name, gold) for name, golds in HOPELESS.items() for gold in golds])
def test_a_known_answer_that_no_answer_can_match_refuses_its_source(grader, gold):
    with pytest.raises(Orca2Error) as caught:
        sound_golds("own", [example(grader=grader, answer=gold)], 0)
    assert caught.value.where == "params.yaml: tasks.sources.own"
    assert f"its grader `{grader}` does not take 1 of 1 known answers" in str(caught.value)
    assert repr(gold) in str(caught.value)


def test_few_bad_ones_are_rejected_by_name_and_the_counts_balance(tmp_path):
    path = jsonl(tmp_path / "rows.jsonl", [*map(str, range(99)), "(B)"])
    kept, rejected, num_read = collect(config(path, grader="numeric"), 42)
    assert (len(kept), len(rejected), num_read) == (99, 1, 100)
    assert (rejected[0].reason, rejected[0].task, rejected[0].stage) == (
        "gold fails its own grader",
        "own",
        "prepare_tasks",
    )
    assert rejected[0].detail == "numeric does not take '(B)' as an answer to itself"


def test_how_many_may_be_bad_is_a_setting_and_one_more_refuses_the_source(tmp_path):
    path = jsonl(tmp_path / "rows.jsonl", ["1", "2", "(B)", "(C)"])
    assert len(collect(config(path, grader="numeric", max_bad_share=0.5), 42)[0]) == 2
    for share in (0.01, 0.49):
        with pytest.raises(Orca2Error, match="does not take 2 of 4 known answers as right") as caught:
            collect(config(path, grader="numeric", max_bad_share=share), 42)
        assert "'q2?': '(B)'" in str(caught.value)
        assert "max_bad_share" in caught.value.hint


def test_all_sources_with_bad_golds_are_told_at_once(tmp_path):
    path = jsonl(tmp_path / "rows.jsonl", ["(B)"])
    fields = {"kind": "file", "name": str(path), "category": "c", "licence": "MIT", "grader": "numeric"}
    with pytest.raises(InputErrors) as caught:
        collect(TasksConfig(sources={name: SourceConfig(**fields) for name in ("one", "two")}), 42)
    assert {error.where for error in caught.value.errors} == {
        "params.yaml: tasks.sources.one",
        "params.yaml: tasks.sources.two",
    }


def test_a_question_that_comes_twice_with_a_bad_gold_is_rejected_twice():
    row = example(grader="numeric", answer="(B)")
    assert [one.sample_index for one in rejected_golds([row, row])] == [0, 1]


def test_each_of_several_known_answers_and_the_answer_lines_of_the_source_are_checked():
    facts = json.dumps(grading_facts(answers=["none"], answer_lines=["Result:"]))
    with pytest.raises(Orca2Error, match="does not take 1 of 1"):
        sound_golds("own", [example(metadata=facts)], 0)
    fine = example(metadata=json.dumps(grading_facts(answers=["6"], answer_lines=["Result:"])))
    assert sound_golds("own", [fine], 0) == ([fine], [])


def test_an_index_is_a_known_answer_only_where_the_options_are_known():
    facts = json.dumps(grading_facts(choices=[("A", "Paris"), ("B", "Rome")]))
    assert judge(GRADERS["choice"], "choice", "1", "Answer: B", facts).strict_correct
    assert not judge(GRADERS["choice"], "choice", "1", "Answer: A", facts).lenient_correct


def test_what_is_known_of_a_question_is_read_as_it_was_said_and_other_shapes_are_refused():
    facts = grading_facts(choices=[("A", "x")], answers=["y"], answer_lines=["Z:"])
    assert known(json.dumps(facts)) == Known((("A", "x"),), ("y",), ("Z:",))
    assert known('{"other": 1}') == Known()
    assert grading_facts() == {}
    for wrong in ({"choices": {"A": "x"}}, {"answers": "y"}, {"answer_lines": [1]}, [1]):
        with pytest.raises(Orca2Error, match="in its metadata"):
            known(json.dumps({"grading": wrong}))


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_set_of_reasoning_gym_is_refused_when_it_is_named_or_its_own_answers_are_right(name):
    fields = {"kind": "reasoning_gym", "name": name, "category": "c", "licence": "Apache-2.0", "size": 3}
    if name in WITHOUT_ANSWER | UNSOUND_VERDICTS:
        with pytest.raises(ValueError, match=name):
            TasksConfig(sources={"own": SourceConfig(**fields, grader="reasoning_gym")})
        return
    if name == "composite":
        with pytest.raises(Orca2Error, match="reasoning-gym refuses 'composite'"):
            read_source("own", SourceConfig(**fields), 3)
        return
    examples = read_source("own", SourceConfig(**fields, grader="reasoning_gym"), 3).examples
    assert sound_golds("own", examples, 0) == (examples, [])
    assert not any(
        judge(GRADERS["reasoning_gym"], "reasoning_gym", e.answer, f"Answer: {wrong}", e.metadata).strict_correct
        for e in examples
        for wrong in ("certainly not", "None", "∞", "9" * 1_900, "1 " * 900, "((" * 900, "9**9**9**9**9")
    )


def test_a_set_that_knows_no_answers_is_refused_under_every_grader():
    for name in WITHOUT_ANSWER:
        with pytest.raises(ValueError, match="knows no answer to its own questions"):
            SourceConfig(kind="reasoning_gym", name=name, category="c", licence="x", size=3, grader="exact")


def zeros(task="sums", **fields):
    row = {"task": task, "strict_correct": False, "lenient_correct": False, "strict_answer": "6", "lenient_answer": "6"}
    return [
        graded(**row | {"strategy": strategy} | fields)
        for strategy in ("direct_answer", "step_by_step")
        for _ in range(4)
    ]


def test_a_task_that_no_technique_ever_got_right_stops_the_run_with_the_likely_reason():
    with pytest.raises(Orca2Error) as caught:
        refuse_zero_scores([*zeros(), graded(task="gcd")], GradeConfig(keep="correct"))
    assert "no answer to task `sums` is right, of 8 under 2 technique(s): known '5', given '6'" in str(caught.value)
    assert "the grader may not fit" in caught.value.hint


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"strict_answer": None, "lenient_correct": True, "lenient_answer": "5"},
            "8 would be right but for their form",
        ),
        ({"strict_answer": None, "lenient_answer": None}, "8 have no answer line"),
        ({"strict_answer": None, "finish_reason": "length"}, "8 were cut: raise probe.sampling.max_tokens"),
        ({}, "the grader may not fit them, or the teacher cannot do this task"),
    ],
)
def test_the_reason_is_told_by_what_the_answers_look_like(fields, reason):
    with pytest.raises(Orca2Error) as caught:
        refuse_zero_scores(zeros(**fields), GradeConfig(keep="correct"))
    assert reason in caught.value.hint


def test_all_such_tasks_are_told_at_once_and_one_right_answer_is_enough():
    with pytest.raises(InputErrors) as caught:
        refuse_zero_scores([*zeros("a"), *zeros("b")], GradeConfig(keep="correct"))
    assert [str(error).count(f"`{task}`") for error, task in zip(caught.value.errors, "ab", strict=True)] == [1, 1]
    refuse_zero_scores([*zeros(), graded()], GradeConfig(keep="correct"))
    refuse_zero_scores(zeros(), GradeConfig(keep="all"))
