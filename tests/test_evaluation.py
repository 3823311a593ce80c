"""The statistics of an evaluation: honest at the ends, and one task's macro average is that task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.core.rows import Sampling
from orca2.recipe.evaluation import EvaluateConfig, require_questions, student_lines
from orca2.recipe.evaluation.benchmarks import AVERAGE, TAUGHT, figures
from orca2.recipe.evaluation.comparison import compare, compare_student, compare_students
from orca2.recipe.evaluation.summary import summarise
from orca2.recipe.statistics import Paired, macro_difference, macro_share, mcnemar, wilson
from tests.examples import example, graded, rejected

ROUNDED = 1.5e-4
RESULTS = st.lists(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=6
)


def results(*correct_of_total):
    return [
        graded(task=f"t{t}", row_id=f"q{i}", strict_correct=i < correct, lenient_correct=i < correct)
        for t, (correct, total) in enumerate(correct_of_total)
        for i in range(total)
    ]


def interval(summary):
    return summary["low"], summary["high"]


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_macro_interval_of_one_task_is_its_wilson_interval(result):
    assert interval(summarise(results(result))["macro"]["strict"]) == pytest.approx(wilson(*result), abs=ROUNDED)


@given(RESULTS)
def test_the_macro_interval_lies_in_zero_to_one_and_holds_the_mean(pairs):
    macro = summarise(results(*pairs))["macro"]["strict"]
    assert macro["accuracy"] == pytest.approx(sum(c / n for c, n in pairs) / len(pairs), abs=ROUNDED)
    assert -ROUNDED <= macro["low"] <= macro["accuracy"] <= macro["high"] <= 1 + ROUNDED


@given(RESULTS)
def test_the_macro_interval_is_the_one_that_is_held_against_simulated_truth(pairs):
    assert interval(summarise(results(*pairs))["macro"]["strict"]) == pytest.approx(macro_share(pairs), abs=ROUNDED)


def test_a_large_task_weighs_no_more_than_a_small_one():
    assert summarise(results((1, 1), (0, 99)))["macro"]["strict"]["accuracy"] == 0.5


def test_strict_lenient_and_format_are_counted_apart():
    rows = [
        graded(row_id="a"),
        graded(row_id="b", strict_answer=None, strict_correct=False),
        graded(row_id="c", strict_correct=False, lenient_correct=False),
        graded(row_id="d", strict_answer=None, strict_correct=False, lenient_correct=False, completion_tokens=8),
    ]
    task = summarise(rows)["tasks"]["sums"]
    assert (task["strict"]["accuracy"], task["lenient"]["accuracy"]) == (0.25, 0.5)
    assert (task["format_ok"], task["answer_tokens"], task["questions"]) == (0.5, 5.0, 4)


def test_a_question_without_an_answer_counts_as_wrong_and_is_told():
    unanswered = [rejected(task="t0", row_id=f"u{i}") for i in range(5)] + [rejected(task="t1", row_id="v")]
    tasks = summarise(results((3, 5)), unanswered)["tasks"]
    assert (tasks["t0"]["questions"], tasks["t0"]["unanswered"]) == (10, 5)
    assert (tasks["t0"]["strict"]["accuracy"], tasks["t0"]["format_ok"]) == (0.3, 1.0)
    assert (tasks["t1"]["questions"], tasks["t1"]["unanswered"], tasks["t1"]["strict"]["accuracy"]) == (1, 1, 0.0)


def test_the_order_of_rows_leaves_no_trace():
    rows = results((3, 10), (9, 12))
    assert summarise(rows) == summarise(rows[::-1])


def model(*rights, task="t", reading="strict_correct"):
    """One answer a question, right where `rights` says so by the one reading, and wrong by the other."""
    other = {"strict_correct": "lenient_correct", "lenient_correct": "strict_correct"}[reading]
    return [graded(task=task, row_id=f"q{i}", **{reading: bool(right), other: False}) for i, right in enumerate(rights)]


def test_two_models_are_compared_question_by_question():
    student, base = model(1, 1, 1, 0, 0), model(1, 0, 0, 1, 0)
    task = compare(student, base[::-1])["tasks"]["t"]["strict"]
    assert (task["only_first"], task["only_second"], task["ahead"]) == (2, 1, 0.2)
    assert task["p_value"] == mcnemar(2, 1)
    assert interval(compare(student, base)["macro"]["strict"]) == pytest.approx(
        macro_difference([Paired(2, 1, 5)]), abs=ROUNDED
    )


def test_each_reading_is_compared_by_itself():
    student, base = model(*[1] * 20, reading="lenient_correct"), model(*[0] * 20)
    found = compare(student, base)["tasks"]["t"]
    assert (found["strict"]["verdict"], found["lenient"]["verdict"]) == ("not apart", "ahead")


def test_a_task_verdict_allows_for_the_number_of_tasks():
    """Seven questions against none are significant alone (p = 0.016), and no longer among four tasks."""
    student, base = model(*[1] * 7, *[0] * 9), model(*[0] * 16)
    assert compare(student, base)["tasks"]["t"]["strict"]["verdict"] == "ahead"
    assert compare(base, student)["tasks"]["t"]["strict"]["verdict"] == "behind"
    level = [row for task in "abc" for row in model(*[1, 0] * 8, task=task)]
    found = compare(student + level, base + level)["tasks"]["t"]["strict"]
    assert (found["verdict"], found["p_value"]) == ("not apart", round(4 * mcnemar(7, 0), 6))


def test_a_question_that_one_model_left_unanswered_is_wrong_in_the_comparison_too():
    student, base = model(*[1] * 10), model(1, 1)
    without = [rejected(task="t", row_id=f"q{i}", strategy="base") for i in range(2, 10)]
    unknown = rejected(task="t", row_id="q10", strategy="teacher")
    found = compare_student({"student": student, "base": base}, [*without, unknown])
    assert found["base"]["tasks"]["t"]["strict"]["ahead"] == 0.8
    assert set(found) == {"base"}


def test_a_student_under_another_template_is_compared_with_models_and_with_itself_once():
    rows = {role: model(1, 0) for role in ("base", "larger", "student", "student_empty", "student_cautious", "teacher")}
    found = compare_students(rows, [])
    assert {role: sorted(against) for role, against in found.items()} == {
        "student_against": ["base", "larger", "student_cautious", "student_empty", "teacher"],
        "student_cautious_against": ["base", "larger", "teacher"],
        "student_empty_against": ["base", "larger", "teacher"],
    }


def test_every_role_but_the_teacher_has_a_template_and_the_student_each():
    config = EvaluateConfig(sampling=Sampling(), student_templates=("empty", "cautious"))
    lines = student_lines(config, lambda *_: "generic", ["larger"])
    assert {role: line("task", "category") for role, line in lines.items()} == {
        "base": "empty", "student": "empty", "student_cautious": "cautious", "larger": "empty"
    }  # fmt: skip
    taught = student_lines(EvaluateConfig(sampling=Sampling()), lambda task, category: f"{task} {category}", ["larger"])
    assert {role: line("t", "c") for role, line in taught.items()} == dict.fromkeys(
        ("base", "student", "larger"), "t c"
    )


def test_a_template_is_named_once_and_an_evaluation_is_greedy():
    with pytest.raises(ValueError, match="student_templates: name each once"):
        EvaluateConfig(sampling=Sampling(), student_templates=("empty", "empty"))
    with pytest.raises(ValueError, match="greedy"):
        EvaluateConfig(sampling=Sampling(temperature=0.1))


EXAMPLES = [
    example(task="sums", category="arithmetic", split="probe"),
    *(example(task=task, category=category, split="evaluation") for task, category in (
        ("sums", "arithmetic"), ("snarks", "bbh"), ("dates", "bbh"), ("grade_school", "gsm8k")
    )),
]  # fmt: skip


def examined(**right):
    """Ten answers a task, so many of them right."""
    rows = [row for task, n in right.items() for row in model(*[i < n for i in range(10)], task=task)]
    return summarise(rows), rows


def test_a_benchmark_is_the_mean_of_its_tasks_and_their_average_counts_each_benchmark_once():
    student, rows = examined(sums=1, snarks=2, dates=4, grade_school=9)
    base, others = examined(sums=5, snarks=2, dates=2, grade_school=5)
    found = figures(EXAMPLES, {"student": student, "base": base}, {"base": compare(rows, others)})["benchmarks"]
    assert {name: told["tasks"] for name, told in found.items()} == {"bbh": 2, "gsm8k": 1, AVERAGE: 3, TAUGHT: 1}
    accuracies = {name: told["models"]["student"]["strict"]["accuracy"] for name, told in found.items()}
    assert accuracies == {"bbh": 0.3, "gsm8k": 0.9, AVERAGE: 0.6, TAUGHT: 0.1}
    leads = {name: told["student_against"]["base"]["strict"]["ahead"] for name, told in found.items()}
    assert leads == {"bbh": 0.1, "gsm8k": 0.4, AVERAGE: 0.25, TAUGHT: -0.4}


def test_a_benchmark_of_all_tasks_is_the_macro_average():
    student, rows = examined(snarks=2, dates=4)
    base, others = examined(snarks=3, dates=8)
    against = compare(rows, others)
    found = figures(EXAMPLES[2:4], {"student": student, "base": base}, {"base": against})["benchmarks"]["bbh"]
    assert found["models"]["base"] == {how: base["macro"][how] for how in ("strict", "lenient")}
    assert found["student_against"]["base"] == against["macro"]


def test_where_every_task_is_taught_there_is_no_benchmark():
    assert figures(EXAMPLES[:2], {}, {}) == {}


def test_an_examination_without_questions_is_refused_and_not_divided_by():
    for examine in (lambda: summarise([]), lambda: require_questions([example(split="train")])):
        with pytest.raises(Orca2Error, match="nothing to examine: no question is held out"):
            examine()
    require_questions([example(split="train"), example(split="evaluation")])
