"""What the intervals and tests promise, held against simulated truth; the long runs are in benchmarks/intervals.py."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.recipe.statistics import Paired, holm, macro_difference, macro_share, wilson
from tests.simulated import pairs, rights

ROUNDS = 4000
NOISE = 0.008
"""Of a coverage in so many rounds: 2.3 standard errors."""
PAIRED = st.integers(1, 60).flatmap(
    lambda n: st.integers(0, n).flatmap(lambda b: st.tuples(st.just(b), st.integers(0, n - b), st.just(n)))
)


def share_held(truth, intervals):
    return np.mean([low <= truth <= high for low, high in intervals])


@pytest.mark.parametrize("tasks", [4, 23, 100])
@pytest.mark.parametrize("level", [0.02, 0.05, 0.35, 0.65, 0.9, 0.98])
def test_the_macro_interval_holds_the_truth_in_94_to_97_rounds_of_a_hundred(tasks, level):
    drawn = rights([level] * tasks, 50, ROUNDS, seed=tasks)
    assert 0.94 - NOISE <= share_held(level, map(macro_share, drawn)) <= 0.97 + NOISE


@pytest.mark.parametrize("tasks", [4, 23, 100])
def test_the_macro_interval_is_as_honest_where_tasks_are_of_any_level(tasks):
    levels = np.linspace(0.01, 0.95, tasks)
    drawn = rights(levels, 50, ROUNDS, seed=tasks)
    assert 0.94 - NOISE <= share_held(levels.mean(), map(macro_share, drawn)) <= 0.97 + NOISE


def weighted(groups):
    """How much each task counts where each group of so many counts once."""
    return [1 / tasks for tasks in groups for _ in range(tasks)]


@pytest.mark.parametrize("level", [0.02, 0.1, 0.35, 0.9])
@pytest.mark.parametrize("groups", [(1, 23), (1, 1, 1, 1, 4, 57)])
def test_an_average_over_groups_of_tasks_is_never_too_sure(groups, level):
    weights, number = weighted(groups), ROUNDS // 4
    drawn = rights([level] * len(weights), 50, number, seed=1)
    assert share_held(level, (macro_share(row, weights) for row in drawn)) >= 0.94 - 2 * NOISE
    drawn = pairs([level] * len(weights), [level] * len(weights), 50, number)
    assert share_held(0, (macro_difference(row, weights) for row in drawn)) >= 0.94 - 2 * NOISE


@given(st.lists(PAIRED, min_size=2, max_size=6), st.floats(0.1, 9))
def test_weights_that_are_all_alike_change_no_difference_and_make_no_interval_narrower(rows, weight):
    tasks, weights = [Paired(*row) for row in rows], [weight] * len(rows)
    assert macro_difference(tasks, weights) == pytest.approx(macro_difference(tasks))
    shares = [(b, n) for b, _, n in rows]
    (low, high), (lower, higher) = macro_share(shares), macro_share(shares, weights)
    assert lower <= low + 1e-9 and high - 1e-9 <= higher


def test_a_task_of_few_questions_does_not_make_a_macro_interval_too_sure():
    drawn = rights([0.9] * 4, [10, 100, 100, 100], ROUNDS)
    assert share_held(0.9, map(macro_share, drawn)) >= 0.92


@pytest.mark.parametrize("level", [0.02, 0.1, 0.5, 0.9])
def test_two_models_of_equal_accuracy_are_called_apart_in_at_most_six_rounds_of_a_hundred(level):
    drawn = pairs([level] * 4, [level] * 4, 50, ROUNDS)
    assert share_held(0, map(macro_difference, drawn)) >= 0.94


def test_two_models_that_are_equal_only_on_the_whole_are_not_called_apart_either():
    drawn = pairs([0.3, 0.8, 0.4, 0.9], [0.4, 0.9, 0.3, 0.8], 50, ROUNDS)
    assert share_held(0, map(macro_difference, drawn)) >= 0.94


@pytest.mark.parametrize("level", [0.1, 0.45, 0.65, 0.85])
def test_a_true_lead_of_ten_points_is_found_in_at_least_seventy_rounds_of_a_hundred(level):
    """With 4 tasks of 50 questions and a correlation of 0.6."""
    found = [macro_difference(row)[0] > 0 for row in pairs([level + 0.1] * 4, [level] * 4, 50, ROUNDS)]
    assert np.mean(found) >= 0.70
    apart = [unpaired_apart(row, level) for row in pairs([level + 0.1] * 4, [level] * 4, 50, 200)]
    assert np.mean(apart) < np.mean(found)


def unpaired_apart(row, level):
    """What the report said before: two intervals of the same questions that do not overlap."""
    ends = [macro_share([(round(50 * level) + task[side], 50) for task in row]) for side in (0, 1)]
    return ends[0][0] > ends[1][1]


@pytest.mark.parametrize("tasks", [1, 4, 23])
def test_the_interval_of_a_difference_holds_the_truth(tasks):
    first, second = np.linspace(0.3, 0.95, tasks), np.linspace(0.2, 0.9, tasks)
    drawn = pairs(first, second, 50, ROUNDS)
    assert share_held((first - second).mean(), map(macro_difference, drawn)) >= 0.94


def test_the_interval_of_a_difference_is_that_of_a_stratified_bootstrap():
    tasks = [Paired(9, 3, 50), Paired(14, 6, 40), Paired(2, 8, 60), Paired(11, 1, 50)]
    rng = np.random.default_rng(1)
    drawn = [rng.multinomial(n, [b / n, c / n, (n - b - c) / n], 100_000) for b, c, n in tasks]
    means = np.mean([(d[:, 0] - d[:, 1]) / t.questions for d, t in zip(drawn, tasks, strict=True)], axis=0)
    assert macro_difference(tasks) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.006)


@given(st.lists(PAIRED, min_size=1, max_size=6))
def test_a_difference_turns_its_sign_with_the_models_and_stays_in_range(rows):
    low, high = macro_difference([Paired(*row) for row in rows])
    back = macro_difference([Paired(c, b, n) for b, c, n in rows])
    assert -1 <= low < high <= 1
    assert back == pytest.approx((-high, -low))


@given(st.lists(PAIRED, min_size=1, max_size=6))
def test_a_macro_interval_is_mirrored_where_right_and_wrong_change_places(rows):
    low, high = macro_share([(b, n) for b, _, n in rows])
    assert 0 <= low < high <= 1
    assert macro_share([(n - b, n) for b, _, n in rows]) == pytest.approx((1 - high, 1 - low))


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_macro_interval_of_one_task_is_that_task_s_interval(task):
    assert macro_share([task]) == wilson(*task)


def test_no_question_that_tells_two_models_apart_still_leaves_room_for_doubt():
    low, high = macro_difference([Paired(0, 0, 50)] * 4)
    assert low == -high and 0.01 < high < 0.03


def test_tasks_that_are_all_right_and_all_wrong_still_leave_room_for_doubt():
    low, high = macro_share([(50, 50), (0, 50)] * 2)
    assert low < 0.495 and high > 0.505


@given(st.lists(st.floats(0, 1), max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_agrees_with_stepping_down_by_hand(p_values, alpha):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    passes = itertools.takewhile(lambda s: p_values[s[1]] * (len(p_values) - s[0]) < alpha, enumerate(order))
    assert {i for _, i in passes} == {i for i, p in enumerate(holm(p_values)) if p < alpha}
