"""The race of techniques: it asks about a third of the grid and ends where the grid would have chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.recipe.statistics import wilson
from orca2.recipe.strategies.racing import Ask, Outcome, generations, resume, rounds
from tests.simulated import probe, races

SHARE = 0.35


def run(strategies, row_ids, truth, share=SHARE, seed=1):
    """A race to its end, and what was asked in each round."""
    known, asked = {}, []
    while (standing := resume(strategies, row_ids, share, seed, known)).wanted:
        known |= {ask: truth[ask] for ask in standing.wanted}
        asked.append(standing)
    return standing.running, asked, known


def truth_of(accuracies, row_ids, tokens=10):
    """Each strategy is right on the first of the questions, as many as its accuracy says."""
    return {
        Ask(name, row): Outcome(i < share * len(row_ids), tokens)
        for name, share in accuracies.items()
        for i, row in enumerate(row_ids)
    }


ROWS = [f"q{i:02d}" for i in range(64)]
SEVEN = {f"s{i}": share for i, share in enumerate([0.1, 0.9, 0.2, 0.3, 0.0, 0.4, 0.5])}


def test_the_best_wins_and_one_is_out_each_round():
    (winner,), asked, known = run(list(SEVEN), ROWS, truth_of(SEVEN, ROWS))
    assert winner == "s1"
    assert [len(standing.running) for standing in asked] == [7, 6, 5, 4, 3, 2]
    assert len(known) == generations(7, 64, SHARE) <= SHARE * 7 * 64


def test_those_who_run_are_asked_the_same_questions():
    _, asked, known = run(list(SEVEN), ROWS, truth_of(SEVEN, ROWS))
    for standing in asked:
        questions = [{row for name, row in standing.wanted if name == strategy} for strategy in standing.running]
        assert all(each == questions[0] for each in questions)
    assert (
        len({ask for standing in asked for ask in standing.wanted}) == sum(len(s.wanted) for s in asked) == len(known)
    )


def test_where_two_are_level_the_dearer_is_out():
    truth = truth_of({"a": 0.5}, ROWS, tokens=30) | truth_of({"b": 0.5}, ROWS, tokens=20)
    assert run(["a", "b"], ROWS, truth)[0] == ("b",)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(1, 80), st.floats(0.05, 1), st.integers(0, 9))
def test_a_race_ends_with_one_and_never_asks_more_than_there_is(shares, questions, share, seed):
    accuracies, row_ids = {f"s{i}": a for i, a in enumerate(shares)}, [f"q{i}" for i in range(questions)]
    running, _, known = run(list(accuracies), row_ids, truth_of(accuracies, row_ids), share, seed)
    assert len(running) == 1
    assert len(known) == generations(len(shares), questions, share) <= len(shares) * questions
    assert rounds(len(shares), questions, share) == sorted(rounds(len(shares), questions, share))


def test_the_seed_orders_the_questions_and_nothing_else_does():
    first = resume(["a", "b"], ROWS, SHARE, 1, {}).wanted
    assert first == resume(["b", "a"], ROWS[::-1], SHARE, 1, {}).wanted
    assert first != resume(["a", "b"], ROWS, SHARE, 2, {}).wanted


def test_a_race_that_was_cut_off_goes_on_where_it_was():
    truth = truth_of(SEVEN, ROWS)
    _, _, known = run(list(SEVEN), ROWS, truth)
    half = dict(list(known.items())[: len(known) // 2])
    while (standing := resume(list(SEVEN), ROWS, SHARE, 1, half)).wanted:
        half |= {ask: truth[ask] for ask in standing.wanted[:1]}
    assert half == known


@pytest.mark.parametrize("spread", [0.0, 0.6, 2.0])
def test_on_126_tasks_of_7_techniques_the_race_ends_within_the_interval_of_the_grid_s_choice(spread):
    """In at least 98 % of tasks, for at most 35 % of the generations; the long run is in benchmarks/intervals.py."""
    draw = np.random.default_rng(3)
    level = draw.normal(0, 1, (126, 1)) + spread * draw.standard_normal((126, 7))
    found = races(probe(1 / (1 + np.exp(-level)), 64, 126, seed=4), SHARE)
    within = [share >= wilson(grid, 64)[0] for grid, share, _ in found]
    assert np.mean(within) >= 0.98
    assert sum(asked for _, _, asked in found) <= 0.35 * 126 * 7 * 64
