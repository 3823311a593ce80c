"""The race of techniques: it asks about a third of the grid, in rounds, and ends where the grid would have chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.recipe.statistics import wilson
from orca2.recipe.strategies import select
from orca2.recipe.strategies.asking import Probe
from orca2.recipe.strategies.racing import SHARE, Ask, Outcome, generations, resume, rounds
from tests.examples import graded, rejected
from tests.simulated import asked_of, probe, raced

ROWS = [f"q{i:02d}" for i in range(64)]
SEVEN = {f"s{i}": share for i, share in enumerate([0.1, 0.9, 0.2, 0.3, 0.0, 0.4, 0.5])}


def run(strategies, row_ids, truth, seed=1):
    """A race to its end, and how it stood in each round."""
    known, stood = {}, []
    while (standing := resume(strategies, row_ids, seed, known)).wanted:
        known |= {ask: truth[ask] for ask in standing.wanted}
        stood.append(standing)
    return standing, stood, known


def truth_of(accuracies, row_ids, tokens=10):
    """Each strategy is right on the first of the questions, as many as its accuracy says."""
    return {
        Ask(name, row): Outcome(i < share * len(row_ids), tokens)
        for name, share in accuracies.items()
        for i, row in enumerate(row_ids)
    }


def test_one_is_out_each_round_and_the_last_two_are_asked_the_same():
    over, stood, known = run(list(SEVEN), ROWS, truth_of(SEVEN, ROWS))
    assert [len(standing.running) for standing in stood] == [7, 6, 5, 4, 3, 2]
    assert "s1" in over.running
    assert len(over.running) == 2
    assert set(over.asked) == set(known)
    assert len(known) == generations(7, 64) <= SHARE * 7 * 64
    assert [s.later + len(s.asked) for s in (*stood, over)] == [generations(7, 64)] * 7


def test_those_who_run_are_asked_the_same_questions():
    _, stood, known = run(list(SEVEN), ROWS, truth_of(SEVEN, ROWS))
    for standing in stood:
        questions = [{row for name, row in standing.wanted if name == strategy} for strategy in standing.running]
        assert all(each == questions[0] for each in questions)
    assert len({ask for s in stood for ask in s.wanted}) == sum(len(s.wanted) for s in stood) == len(known)


def test_where_two_are_level_the_dearer_is_out():
    truth = truth_of({"a": 0.5, "c": 0.5}, ROWS, tokens=30) | truth_of({"b": 0.5}, ROWS, tokens=40)
    assert run(["a", "b", "c"], ROWS, truth)[0].running == ("a", "c")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(1, 80), st.integers(0, 9))
def test_a_race_never_asks_more_than_there_is(shares, questions, seed):
    accuracies, row_ids = {f"s{i}": a for i, a in enumerate(shares)}, [f"q{i}" for i in range(questions)]
    over, _, known = run(list(accuracies), row_ids, truth_of(accuracies, row_ids), seed)
    assert len(over.running) == min(2, len(shares))
    assert len(known) == generations(len(shares), questions) <= max(len(shares), 1) * questions
    assert rounds(len(shares), questions) == sorted(rounds(len(shares), questions))
    assert len(known) <= SHARE * len(shares) * questions + len(shares)


def test_the_seed_orders_the_questions_and_nothing_else_does():
    first = resume(["a", "b"], ROWS, 1, {}).wanted
    assert set(first) == set(resume(["b", "a"], ROWS[::-1], 1, {}).wanted)
    assert set(first) != set(resume(["a", "b"], ROWS, 2, {}).wanted)


@given(seed=st.integers(0, 99))
def test_a_race_that_was_cut_off_anywhere_goes_on_where_it_was(seed):
    truth = truth_of(SEVEN, ROWS)
    known = run(list(SEVEN), ROWS, truth)[2]
    drawn = np.random.default_rng(seed)
    kept = {ask: outcome for ask, outcome in known.items() if drawn.random() < 0.7}
    more = dict(truth)  # answers that the race never asks for, but somebody else had stored
    for start in (kept, more):
        outcomes = dict(start)
        while (standing := resume(list(SEVEN), ROWS, 1, outcomes)).wanted:
            outcomes |= {ask: truth[ask] for ask in standing.wanted[:50]}
        assert set(standing.asked) == set(known)


def cells(verdicts, task="sums"):
    """Graded answers by strategy and question; the verdicts of each strategy as a text of 0 and 1."""
    return {
        (name, f"{task}{i:02d}"): graded(task=task, strategy=name, row_id=f"{task}{i:02d}", strict_correct=v == "1")
        for name, text in verdicts.items()
        for i, v in enumerate(text)
    }


def played(probe_, truth, role="teacher"):
    """How many requests each round had."""
    sizes = []
    while wanted := probe_.wanted():
        sizes.append(len(wanted[role]))
        for name, requests in wanted.items():
            probe_.add(name, [truth[name][r.strategy, r.row_id] for r in requests])
    return sizes


GOOD, POOR, WORST = "1" * 30, "10" * 15, "0" * 30


def test_the_full_grid_is_one_round_of_everything():
    truth = cells({"a": GOOD, "b": POOR})
    grid = Probe({"teacher": asked_of(truth)}, {}, race=False, seed=1)
    assert grid.later() == {"teacher": 0}
    assert played(grid, {"teacher": truth}) == [60]
    assert grid.graded()["teacher"] == list(truth.values())


def test_tasks_race_side_by_side_and_what_was_not_asked_is_no_row():
    truth = cells({"a": GOOD, "b": POOR, "c": WORST}, "x") | cells({"a": WORST, "b": POOR, "c": GOOD}, "y")
    requests = asked_of(cells({"a": GOOD, "b": POOR, "c": WORST}, "x"), "x")
    requests += asked_of(cells({"a": GOOD, "b": POOR, "c": WORST}, "y"), "y")
    race = Probe({"teacher": requests}, {}, race=True, seed=1)
    assert played(race, {"teacher": truth}) == [2 * 3 * rounds(3, 30)[0], 2 * 2 * (rounds(3, 30)[1] - rounds(3, 30)[0])]
    kept = race.graded()["teacher"]
    assert len(kept) == len(race.requests()["teacher"]) == 2 * generations(3, 30) < len(truth) / 2
    choices = select(kept, {}, race.requests()["teacher"])
    assert [(c.task, c.strategy, c.runner_up) for c in choices] == [("x", "a", "b"), ("y", "c", "b")]
    assert [[s.questions for s in c.scores] for c in choices] == [[rounds(3, 30)[1]] * 2 + [rounds(3, 30)[0]]] * 2


def test_a_category_races_as_one_and_a_task_of_it_without_a_raced_question_has_its_choice_too():
    truth = cells({"a": GOOD, "b": POOR}, "x") | cells({"a": "1", "b": "1"}, "y")
    requests = asked_of(cells({"a": GOOD, "b": POOR}, "x"), "x") + asked_of(cells({"a": "1", "b": "1"}, "y"), "y")
    groups = {"x": "category c", "y": "category c"}
    seed = next(
        s for s in range(99) if "y00" not in {a.row_id for a in Probe({"t": requests}, groups, race=True, seed=s).asked}
    )
    race = Probe({"teacher": requests}, groups, race=True, seed=seed)
    played(race, {"teacher": truth})
    choices = select(race.graded()["teacher"], groups, race.requests()["teacher"])
    assert [(c.task, c.strategy) for c in choices] == [("x", "a"), ("y", "a")]


def test_an_answer_that_did_not_come_is_wrong_in_the_race_and_does_not_stop_it():
    truth = cells({"a": GOOD, "b": POOR})
    race = Probe({"teacher": asked_of(truth)}, {}, race=True, seed=1)
    (first, *others) = race.wanted()["teacher"]
    race.add(
        "teacher",
        [truth[r.strategy, r.row_id] for r in others],
        [rejected(strategy=first.strategy, row_id=first.row_id)],
    )
    assert not race.wanted()
    (choice,) = select(race.graded()["teacher"], {}, race.requests()["teacher"])
    lost = next(score for score in choice.scores if score.strategy == first.strategy)
    assert (lost.questions, len(race.graded()["teacher"])) == (rounds(2, 30)[0], 2 * rounds(2, 30)[0] - 1)


def test_what_later_rounds_can_ask_is_bounded_by_what_is_not_known():
    truth = cells({"a": GOOD, "b": POOR, "c": WORST})
    race = Probe({"teacher": asked_of(truth)}, {}, race=True, seed=1)
    assert race.later() == {"teacher": generations(3, 30) - 3 * rounds(3, 30)[0]}
    first = {(r.strategy, r.row_id) for r in race.wanted()["teacher"]}
    race.add("teacher", [row for cell, row in truth.items() if cell not in first])
    assert race.later() == {"teacher": 0}


def test_two_who_judge_are_asked_the_same_and_the_race_counts_both():
    teacher, student = cells({"a": GOOD, "b": GOOD, "c": POOR}), cells({"a": WORST, "b": POOR, "c": POOR})
    asked = asked_of(teacher)
    race = Probe({"teacher": asked, "student": asked}, {}, race=True, seed=1)
    played(race, {"teacher": teacher, "student": student})
    assert [len(rows) for rows in race.graded().values()] == [generations(3, 30)] * 2
    (choice,) = select(race.graded()["teacher"], {}, race.requests()["teacher"], race.graded()["student"])
    assert choice.strategy == "b"


def test_a_race_waits_for_both_who_judge():
    teacher, student = cells({"a": GOOD, "b": GOOD, "c": POOR}), cells({"a": WORST, "b": POOR, "c": POOR})
    race = Probe({"teacher": asked_of(teacher), "student": asked_of(student)}, {}, race=True, seed=1)
    first = race.asked
    race.add("teacher", [teacher[ask] for ask in first])
    assert race.asked == first
    assert list(race.wanted()) == ["student"]
    race.add("student", [student[ask] for ask in first])
    assert race.asked > first


def test_the_order_of_questions_and_strategies_leaves_no_trace_in_what_is_asked():
    truth = cells({"a": GOOD, "b": POOR, "c": WORST})
    one, other = (Probe({"teacher": asked_of(of)}, {}, race=True, seed=1) for of in (truth, reversed(truth)))
    assert played(one, {"teacher": truth}) == played(other, {"teacher": truth})
    assert one.asked == other.asked


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_on_126_tasks_of_7_techniques_the_race_ends_within_the_interval_of_the_grid_s_choice(spread):
    """In at least 98 % of tasks, for at most 35 % of the generations; the long run is in benchmarks/racing.py."""
    draw = np.random.default_rng(3)
    level = draw.normal(0, 1, (126, 1)) + spread * draw.standard_normal((126, 7))
    outcomes = probe(1 / (1 + np.exp(-level)), 64, 126, seed=4)
    within = asked = 0
    for task in outcomes:
        grid, race, number = raced(task)
        within += task[int(race.strategy[1:])].mean() >= wilson(grid.scores[0].correct, 64)[0]
        asked += number
    assert within >= 0.98 * 126
    assert asked <= 0.35 * 126 * 7 * 64
