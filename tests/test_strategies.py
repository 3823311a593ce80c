"""The choice of a strategy: the best wins, a tie goes to the cheaper, and the evidence can be read."""

import itertools
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.errors import InputErrors, Orca2Error
from orca2.core.rows import Sampling
from orca2.recipe.requests import ProbeConfig
from orca2.recipe.statistics import exact_share, mcnemar, smallest_lead, wilson
from orca2.recipe.strategies import examined_under, read_choices, require_choices, select, shared, write_choices
from tests.examples import example, graded, request
from tests.simulated import probe


def probed(strategy, verdicts, *, task="sums", tokens=10, prompt_tokens=20):
    return [
        graded(
            task=task, strategy=strategy, row_id=f"q{i:03d}", strict_correct=bool(v), strict_answer="5" if v else None,
            completion_tokens=tokens, prompt_tokens=prompt_tokens,
        )
        for i, v in enumerate(verdicts)
    ]  # fmt: skip


def naive_mcnemar(first, second):
    """Two-sided, by writing out every way in which a fair coin could have dealt the questions that tell them apart."""
    told_apart = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    wins = sum(a for a, _ in told_apart)
    lopsided = max(wins, len(told_apart) - wins)
    deals = list(itertools.product((0, 1), repeat=len(told_apart)))
    as_far = sum(max(sum(deal), len(deal) - sum(deal)) >= lopsided for deal in deals)
    return as_far / len(deals)


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775328),
        (10, 10, 0.7224672, 1.0),
        (5, 10, 0.2365931, 0.7634069),
        (1, 24, 0.0073926, 0.2024375),
        (81, 263, 0.2553, 0.3662),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_gives_the_published_intervals(correct, total, low, high):
    assert wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


@given(total=st.integers(1, 400), data=st.data())
def test_wilson_solves_the_score_equation_and_holds_the_observed_share(total, data):
    correct = data.draw(st.integers(0, total))
    share, (low, high) = correct / total, wilson(correct, total)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    for end in (end for end in (low, high) if 1e-9 < end < 1 - 1e-9):
        assert abs(share - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / total), rel=1e-4, abs=1e-9)


def test_a_strategy_that_is_shown_to_be_better_wins_whatever_it_costs():
    rows = probed("cheap", [1] * 2 + [0] * 8, tokens=1) + probed("dear", [1] * 10, tokens=99)
    (choice,) = select(rows)
    assert (choice.strategy, choice.verdict) == ("dear", "significant")
    assert [score.strategy for score in choice.scores] == ["dear", "cheap"]


def test_luck_on_one_question_buys_no_tokens():
    rows = probed("dear", [1] * 41 + [0] * 23, tokens=300) + probed("cheap", [1] * 40 + [0] * 24, tokens=10)
    (choice,) = select(rows)
    assert (choice.strategy, choice.verdict, choice.runner_up) == ("cheap", "no significant winner", "dear")
    assert [score.strategy for score in choice.scores] == ["cheap", "dear"]
    assert (choice.scores[0].p_value, choice.scores[1].p_value) == (1.0, None)


def test_the_cheapest_is_sought_only_among_those_that_are_not_shown_to_be_worse():
    rows = [
        *probed("best", [1] * 20, tokens=30),
        *probed("near", [1] * 18 + [0] * 2, tokens=20),
        *probed("poor", [1] * 2 + [0] * 18, tokens=1),
    ]
    (choice,) = select(rows)
    assert (choice.strategy, choice.runner_up) == ("near", "best")


@pytest.mark.parametrize(("techniques", "questions"), [(4, 16), (4, 64), (7, 16), (7, 64)])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_among_equals_the_cheap_one_is_chosen_and_its_interval_holds_the_truth(techniques, questions, level):
    """In at least 90 and 94 of 100 simulated probes; the long run is in benchmarks/intervals.py."""
    rounds, cheap, held = 100, 0, 0
    for outcomes in probe([level] * techniques, questions, rounds, seed=techniques * questions):
        (choice,) = select([row for i, rights in enumerate(outcomes) for row in probed(f"s{i}", rights, tokens=10 + i)])
        cheap += choice.strategy == "s0"
        held += choice.scores[0].low <= level <= choice.scores[0].high
    assert cheap >= 0.9 * rounds - 3
    assert held >= 0.94 * rounds - 3


def test_the_interval_of_the_most_accurate_one_is_honest_too():
    """The plain interval of a winner among seven holds the truth in about 80 of 100 rounds."""
    most = probe([0.5] * 7, 64, 400).sum(axis=2).max(axis=1).tolist()
    assert sum(low <= 0.5 <= high for low, high in (exact_share(m, 64, 1 - 0.05 / 7) for m in most)) >= 0.94 * 400
    assert sum(low <= 0.5 <= high for low, high in (wilson(m, 64) for m in most)) < 0.9 * 400


@pytest.mark.parametrize(
    ("right", "asked", "low", "high"), [(0, 10, 0.0, 0.3085), (5, 10, 0.1871, 0.8129), (9, 10, 0.5550, 0.9975)]
)
def test_exact_gives_the_published_intervals(right, asked, low, high):
    assert exact_share(right, asked, 0.95) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("apart", "asked"), [(0, 64), (5, 16), (6, 64), (18, 64), (33, 64)])
def test_the_smallest_lead_can_be_shown_and_a_smaller_one_cannot(apart, asked):
    lead = round(smallest_lead(apart, asked) * asked)
    apart = max(apart, 6)
    assert mcnemar((apart + lead) // 2, (apart - lead) // 2) < 0.05
    assert lead < 2 or mcnemar((apart + lead - 2) // 2, (apart - lead + 2) // 2) >= 0.05


def student(*probes):
    return {"student": [row for rows in probes for row in rows]}


def test_where_both_judge_the_cheapest_is_chosen_that_neither_shows_to_be_worse():
    teacher = [*probed("cheap", [1] * 20, tokens=1), *probed("mid", [1] * 20, tokens=2), *probed("dear", [1] * 20)]
    by_student = student(probed("cheap", [0] * 20), probed("mid", [1] * 18 + [0] * 2), probed("dear", [1] * 20))
    assert select(teacher)[0].strategy == "cheap"
    (choice,) = select(teacher, **by_student)
    assert (choice.strategy, choice.verdict) == ("mid", "no significant winner")
    assert [(s.strategy, s.correct) for s in choice.student_scores] == [("mid", 18), ("dear", 20), ("cheap", 0)]
    assert [s.correct for s in choice.scores] == [20, 20, 20]


def test_where_each_is_shown_to_be_worse_by_one_the_choice_is_of_those_most_often_right():
    teacher = [*probed("a", [1] * 20, tokens=9), *probed("b", [0] * 20, tokens=1)]
    by_student = student(probed("a", [0] * 20), probed("b", [1] * 15 + [0] * 5))
    (choice,) = select(teacher, **by_student)
    assert (choice.strategy, choice.verdict) == ("a", "no significant winner")


def test_two_who_agree_that_all_others_are_worse_have_a_significant_winner():
    teacher = [*probed("a", [1] * 20), *probed("b", [0] * 20)]
    assert select(teacher, **student(teacher))[0].verdict == "significant"


def race_of(*rows):
    """What a race asked of these."""
    return [request(task=row.task, strategy=row.strategy, row_id=row.row_id) for row in rows]


def test_after_a_race_the_choice_is_of_the_last_two_and_each_is_compared_on_what_it_was_asked():
    """The one that is out was right on all four that it was asked; by its share alone it would win."""
    rows = [*probed("out", [1] * 4, tokens=1), *probed("a", [1] * 12 + [0] * 8), *probed("b", [1] * 9 + [0] * 11)]
    (choice,) = select(rows, None, race_of(*rows))
    assert [(s.strategy, s.questions) for s in choice.scores] == [("a", 20), ("b", 20), ("out", 4)]
    assert (choice.strategy, choice.runner_up) == ("a", "b")
    assert choice.scores[2].p_value == 1.0
    assert choice.verdict == "no significant winner"


def test_after_a_race_the_cheaper_of_two_is_chosen_only_where_it_is_level():
    def cheaper(right):
        rows = [*probed("dear", [1] * 14 + [0] * 6, tokens=99), *probed("cheap", [1] * right + [0] * (20 - right))]
        return select(rows, None, race_of(*rows))[0].strategy, select(rows)[0].strategy

    assert cheaper(13) == ("cheap", "cheap")
    assert cheaper(9) == ("dear", "cheap")


def test_a_category_chooses_for_all_its_tasks_from_all_their_questions():
    rows = [
        *probed("a", [1] * 8, task="x"), *probed("b", [0] * 8, task="x"),
        *probed("a", [0, 1, 1], task="y"), *probed("b", [1, 0, 0], task="y"),
        *probed("a", [0] * 8, task="z"), *probed("b", [1] * 8, task="z"),
    ]  # fmt: skip
    examples = [example(task=t, category="sums" if t in "xy" else "z") for t in "xyz"]
    assert shared(examples, "task") == {}
    choices = select(rows, shared(examples, "category"))
    assert [(choice.task, choice.strategy, choice.scores[0].questions) for choice in choices] == [
        ("x", "a", 11),
        ("y", "a", 11),
        ("z", "b", 8),
    ]


def test_a_tie_goes_to_the_cheaper_and_then_to_the_name():
    tied = probed("b", [1, 0], tokens=5) + probed("a", [0, 1], tokens=9)
    assert select(tied)[0].strategy == "b"
    assert select(probed("b", [1, 0]) + probed("a", [0, 1]))[0].strategy == "a"


def test_the_worked_turns_of_a_prompt_are_part_of_what_it_costs():
    rows = probed("terse", [1], tokens=5, prompt_tokens=900) + probed("wordy", [1], tokens=50, prompt_tokens=100)
    assert select(rows)[0].strategy == "wordy"


def test_the_verdict_counts_strict_answers_only():
    lenient = [graded(strategy="lax", strict_correct=False, lenient_correct=True)]
    assert select([*lenient, graded(strategy="strict")])[0].strategy == "strict"


def test_a_clear_lead_is_significant_a_narrow_one_is_not_and_one_candidate_needs_no_test():
    clear = select(probed("a", [1] * 12) + probed("b", [0] * 12))[0]
    narrow = select(probed("a", [1, 1, 0]) + probed("b", [1, 0, 0]))[0]
    alone = select(probed("a", [1, 0]))[0]
    assert (clear.verdict, narrow.verdict, alone.verdict) == ("significant", "no significant winner", "only candidate")
    assert clear.p_value == pytest.approx(2 / 2**12)
    assert narrow.p_value == 1.0
    assert alone.p_value is None


@given(pairs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=10))
def test_the_exact_test_agrees_with_writing_out_every_deal(pairs):
    first, second = zip(*pairs, strict=True)
    (choice,) = select(probed("a", first) + probed("b", second))
    assert choice.p_value == pytest.approx(naive_mcnemar(first, second))


def test_answers_are_paired_by_question_and_never_by_position():
    a, b = probed("a", [1, 1, 1, 1, 1, 1, 0, 0]), probed("b", [0, 0, 0, 0, 0, 0, 1, 0])
    assert select(a + b[::-1]) == select(a + b)


def test_a_question_without_an_answer_counts_against_its_strategy():
    unlucky, steady = probed("unlucky", "1" * 20)[:2], probed("steady", [1, 1, 1] + [0] * 17)
    (choice,) = select(unlucky + steady)
    assert max(choice.scores, key=lambda score: score.accuracy).strategy == "steady"
    scores = {s.strategy: s for s in choice.scores}
    assert (scores["unlucky"].correct, scores["unlucky"].questions, scores["unlucky"].accuracy) == (2, 20, 0.1)
    assert (scores["unlucky"].low, scores["unlucky"].high) == exact_share(2, 20, 1 - 0.05 / 2)
    assert scores["unlucky"].format_ok == 1.0
    whole = probed("unlucky", [1, 1] + [0] * 18)
    assert choice.p_value == select(whole + steady)[0].p_value


def test_the_order_of_answers_leaves_no_trace_in_the_choices():
    rows = [row for task in ("x", "y") for s in ("a", "b") for row in probed(s, [1, 0, 1], task=task)]
    assert select(rows) == select(rows[::-1])


def test_each_task_has_one_choice_by_name():
    rows = [row for task in ("y", "x") for row in probed("a", [1], task=task)]
    assert [choice.task for choice in select(rows)] == ["x", "y"]


def test_the_choices_are_yaml_for_people_and_stable_to_the_byte(tmp_path):
    choices = select(probed("a", [1] * 9, tokens=7) + probed("b", [1] * 3 + [0] * 6))
    write_choices(choices, tmp_path / "data" / "strategies.yaml")
    text = (tmp_path / "data" / "strategies.yaml").read_text("utf-8")
    assert text == GOLDEN_YAML
    assert yaml.safe_load(text)["evidence"]["sums"]["runner_up"] == "b"
    assert read_choices(tmp_path / "data" / "strategies.yaml") == {"sums": "a"}


def test_an_edit_by_hand_is_respected(tmp_path):
    (tmp_path / "s.yaml").write_text("strategies: {sums: recall}\n")
    assert read_choices(tmp_path / "s.yaml") == {"sums": "recall"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no strategies chosen yet"),
        ("strategies: [", "not valid YAML"),
        ("strategies: [a]", "has no `strategies:` mapping"),
        ("", "has no `strategies:` mapping"),
        ("- a", "has no `strategies:` mapping"),
    ],
)
def test_choices_that_are_missing_or_broken_by_an_edit_say_what_to_run(tmp_path, content, words):
    if content is not None:
        (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(Orca2Error, match=words) as caught:
        read_choices(tmp_path / "s.yaml")
    assert caught.value.where == str(tmp_path / "s.yaml")
    assert "dvc repro" in caught.value.hint


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_candidates_are_named_once_each_and_at_least_one(names):
    with pytest.raises(ValueError, match="name at least one, each once"):
        ProbeConfig(strategies=names, sampling=Sampling())


GOLDEN_YAML = """\
strategies:
  sums: a
evidence:
  sums:
    verdict: significant
    p_value: 0.0312
    runner_up: b
    smallest_lead: 0.6667
    scores:
    - strategy: a
      correct: 9
      questions: 9
      accuracy: 1.0
      low: 0.6145
      high: 1.0
      p_value: null
      format_ok: 1.0
      answer_tokens: 7.0
      prompt_tokens: 20.0
    - strategy: b
      correct: 3
      questions: 9
      accuracy: 0.3333
      low: 0.0579
      high: 0.7389
      p_value: 0.0312
      format_ok: 0.3333
      answer_tokens: 10.0
      prompt_tokens: 20.0
"""


def test_a_task_without_a_chosen_strategy_is_named_with_what_to_do(tmp_path):
    with pytest.raises(InputErrors) as caught:
        require_choices({"gcd": "recall"}, ["sum", "gcd", "legs"], tmp_path / "strategies.yaml")
    assert [e.message for e in caught.value.errors] == [
        "no strategy was chosen for task `legs`",
        "no strategy was chosen for task `sum`",
    ]
    assert "probe questions" in str(caught.value)
    require_choices({"gcd": "recall"}, ["gcd"], tmp_path / "strategies.yaml")


def test_a_benchmark_has_the_default_technique_unless_one_is_declared_and_a_probed_task_has_what_was_chosen():
    known = [
        example(task=task, split=split, row_id=f"{task} {split}")
        for task, split in [("sums", "probe"), ("sums", "evaluation"), ("mmlu", "evaluation"), ("bbh", "evaluation")]
    ]
    chosen = {"sums": "recall", "bbh": "step_by_step"}
    assert examined_under(chosen, known, "direct") == chosen | {"mmlu": "direct"}
    assert "sums" not in examined_under({}, known, "direct")
