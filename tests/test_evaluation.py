"""The statistics of an evaluation: honest at the ends, and one task's macro average is that task."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.recipe.evaluation import macro_average, require_questions, summarise
from orca2.recipe.statistics import wilson
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


@pytest.mark.parametrize(("correct", "mean"), [(0, 0.0), (20, 1.0)])
def test_tasks_all_wrong_or_all_right_still_leave_room_for_doubt(correct, mean):
    macro = summarise(results(*[(correct, 20)] * 4))["macro"]["strict"]
    low, high = wilson(correct, 20)
    assert macro["accuracy"] == mean
    assert interval(macro) == pytest.approx((mean - (mean - low) / 2, mean + (high - mean) / 2), abs=ROUNDED)
    assert macro["high"] - macro["low"] > 0.05


def test_the_macro_interval_is_the_mover_combination_written_out():
    pairs = [(3, 10), (9, 12), (0, 7)]
    shares = [c / n for c, n in pairs]
    below = math.sqrt(sum((s - wilson(*p)[0]) ** 2 for s, p in zip(shares, pairs, strict=True))) / 3
    above = math.sqrt(sum((wilson(*p)[1] - s) ** 2 for s, p in zip(shares, pairs, strict=True))) / 3
    mean = sum(shares) / 3
    assert interval(summarise(results(*pairs))["macro"]["strict"]) == pytest.approx(
        (mean - below, mean + above), abs=ROUNDED
    )


def test_a_large_task_weighs_no_more_than_a_small_one():
    assert summarise(results((1, 1), (0, 99)))["macro"]["strict"]["accuracy"] == 0.5


def test_more_tasks_of_the_same_result_narrow_the_macro_interval():
    widths = [
        high - low
        for n in (1, 4, 16)
        for low, high in [interval(summarise(results(*[(5, 20)] * n))["macro"]["strict"])]
    ]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01)
    assert widths[1] == pytest.approx(2 * widths[2], rel=0.01)


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


def test_macro_average_takes_the_ends_as_they_are_given():
    assert macro_average([{"accuracy": 0.5, "low": 0.2, "high": 0.9}]) == {"accuracy": 0.5, "low": 0.2, "high": 0.9}


def test_an_examination_without_questions_is_refused_and_not_divided_by():
    for examine in (lambda: summarise([]), lambda: require_questions([example(split="train")])):
        with pytest.raises(Orca2Error, match="nothing to examine: no question is held out"):
            examine()
    require_questions([example(split="train"), example(split="evaluation")])
