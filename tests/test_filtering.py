"""What grade keeps: every answer is kept or rejected once, with a reason that says what was wrong."""

import itertools
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.core.rows import Example, Generation, Graded, Rejected
from orca2.project import partitions, shards
from orca2.project.artifacts import EXAMPLES, GENERATIONS, GRADED, rejected
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.filtering import GradeConfig, keep
from orca2.recipe.filtering.balance import balance, last_kept, limits, uneven
from stages import grade as stage
from tests.examples import example, generation, graded, write_yaml

WRONG = {"strict_answer": "6", "strict_correct": False}
UNSAID = {"strict_answer": None, "strict_correct": False}


@pytest.mark.parametrize(
    ("fields", "by_correct", "by_all"),
    [
        ({}, "", ""),
        (WRONG, "wrong answer", ""),
        (UNSAID, "no `Answer:` line", ""),
        (UNSAID | {"lenient_correct": True}, "no `Answer:` line", ""),
        ({"finish_reason": "length"}, "cut by max_tokens", "cut by max_tokens"),
        ({"text": " \n"}, "empty answer", "empty answer"),
    ],
)
def test_an_answer_is_rejected_for_the_first_thing_that_is_wrong_with_it(fields, by_correct, by_all):
    for mode, expected in (("correct", by_correct), ("all", by_all)):
        kept, rejected = keep([graded(**fields)], GradeConfig(keep=mode))
        assert [row.reason for row in rejected] == ([expected] if expected else [])
        assert len(kept) == (not expected)


def test_every_answer_is_kept_or_rejected_once_and_kept_ones_are_untouched():
    kinds = [{}, WRONG, UNSAID, {"finish_reason": "length"}, {"text": ""}]
    rows = [graded(row_id=str(i), **fields) for i, fields in enumerate(itertools.chain(kinds, kinds))]
    for mode in ("correct", "all"):
        kept, rejected = keep(rows, GradeConfig(keep=mode))
        assert sorted([r.row_id for r in kept] + [r.row_id for r in rejected]) == [r.row_id for r in rows]
        assert all(row in rows for row in kept)


def test_a_rejection_shows_what_was_expected_and_what_came():
    _, (wrong, unsaid) = keep([graded(**WRONG), graded(**UNSAID, text="no idea")], GradeConfig(keep="correct"))
    assert wrong.detail == "expected '5', got '6'"
    assert unsaid.detail == "expected '5', got 'no idea'"
    assert wrong.stage == "grade"


def samples(*texts, row_id="q", **fields):
    """Right answers to one question; each costs as many tokens as it has words."""
    return [
        graded(row_id=row_id, sample_index=i, text=text, completion_tokens=len(text.split()), **fields)
        for i, text in enumerate(texts)
    ]


def chosen(rows, **settings):
    """Question and sample of what is kept, and the reasons of the rest."""
    kept, lost = keep(rows, GradeConfig(**{"keep": "correct"} | settings))
    assert sorted([(r.row_id, r.sample_index) for r in [*kept, *lost]]) == [(r.row_id, r.sample_index) for r in rows]
    assert all(row in rows for row in kept)
    return [(row.row_id, row.sample_index) for row in kept], Counter(row.reason for row in lost)


FOUR = [*samples("a b c d", "a b", "A  b", "a b c"), *samples("z", row_id="r")]


def test_by_default_every_right_answer_is_kept():
    assert chosen(FOUR) == ([("q", 0), ("q", 1), ("q", 2), ("q", 3), ("r", 0)], {})


def test_answers_to_a_question_that_differ_in_case_and_blanks_alone_are_one():
    assert chosen(FOUR, distinct=True) == ([("q", 0), ("q", 1), ("q", 3), ("r", 0)], {"same as another answer": 1})
    same_elsewhere = [*samples("a"), *samples("a", row_id="r")]
    assert chosen(same_elsewhere, distinct=True)[1] == {}


def test_at_most_so_many_answers_to_a_question_are_kept_the_first_or_the_shortest():
    assert chosen(FOUR, per_question=2) == ([("q", 0), ("q", 1), ("r", 0)], {"beyond per_question": 2})
    assert chosen(FOUR, per_question=1, prefer="shortest") == ([("q", 1), ("r", 0)], {"beyond per_question": 3})
    both = chosen(FOUR, per_question=2, prefer="shortest", distinct=True)
    assert both == ([("q", 1), ("q", 3), ("r", 0)], {"same as another answer": 1, "beyond per_question": 1})


def test_the_shortest_right_answer_is_not_the_shortest_answer():
    rows = [*samples("a b c", "a b"), graded(row_id="q", sample_index=2, text="a", completion_tokens=1, **WRONG)]
    assert chosen(rows, per_question=1, prefer="shortest")[0] == [("q", 1)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"per_question": -1}, "per_question must be 0"),
        ({"prefer": "shortest"}, "set per_question too"),
        ({"quotas": {"a": 1}, "weights": {"a": 1.0}}, "set one of them"),
        ({"quotas": {"a": -1}}, "quotas.a must be 0 or more"),
        ({"weights": {"a": 0.0}}, "weights.a must be above 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        GradeConfig(keep="correct", **settings)


KEPT = {"easy": 80, "hard": 20, "none": 0}


def test_quotas_bound_the_tasks_that_they_name_and_weights_set_all_in_proportion():
    assert limits(KEPT, GradeConfig(keep="correct", quotas={"easy": 30})) == {"easy": 30, "hard": 20, "none": 0}
    assert limits(KEPT, GradeConfig(keep="correct", quotas={"easy": 300})) == KEPT
    assert limits(KEPT, GradeConfig(keep="correct", weights={"easy": 1.0})) == {"easy": 20, "hard": 20, "none": 0}
    assert limits(KEPT, GradeConfig(keep="correct", weights={"easy": 1.5})) == {"easy": 30, "hard": 20, "none": 0}
    assert limits(KEPT, GradeConfig(keep="correct", weights={"hard": 0.1})) == {"easy": 80, "hard": 8, "none": 0}


def test_a_quota_for_a_task_that_is_not_there_is_an_error():
    with pytest.raises(Orca2Error, match="there is no task `esy`"):
        limits(KEPT, GradeConfig(keep="correct", quotas={"esy": 30}))


def remaining(rows, number):
    last = last_kept([(r.row_id, r.sample_index, r.task) for r in rows], {"sums": number})
    kept, lost = balance(rows, last)
    assert len(kept) + len(lost) == len(rows)
    return {(r.row_id, r.sample_index) for r in kept}


@given(numbers=st.lists(st.integers(1, 4), min_size=1, max_size=12), data=st.data())
def test_exactly_so_many_remain_and_a_higher_quota_only_adds(numbers, data):
    rows = [row for i, n in enumerate(numbers) for row in samples(*["a"] * n, row_id=f"q{i}")]
    number = data.draw(st.integers(0, len(rows) + 2))
    few, more = remaining(rows, number), remaining(rows[::-1], number + 1)
    assert len(few) == min(number, len(rows))
    assert few <= more
    answers = Counter(row_id for row_id, _ in few)
    assert max(answers.values(), default=0) - min(answers[r.row_id] for r in rows) <= 3
    if number >= len(numbers):
        assert len(answers) == len(numbers), "a first answer of every question comes before any second one"


def test_rates_of_keeping_that_differ_by_more_than_two_are_told():
    answers = {"easy": 100, "hard": 100}
    assert uneven({"easy": 80, "hard": 40}, answers) == ""
    told = uneven({"easy": 82, "hard": 25}, answers)
    assert "82% of the answers of `easy` are kept and 25% of `hard`" in told
    assert "0% of `hard`" in uneven({"easy": 1}, answers)
    assert uneven({"easy": 1}, {"easy": 100}) == ""


@pytest.fixture
def graded_folder(tmp_path, monkeypatch):
    """Ten questions of two tasks, two answers each: all right of the one, every fourth of the other."""
    monkeypatch.chdir(tmp_path)
    ids = {task: [f"{task}{i}".encode().hex().rjust(64, "0") for i in range(10)] for task in ("easy", "hard")}
    write_rows(EXAMPLES.path, Example, [example(row_id=i, task=task, answer="5") for task in ids for i in ids[task]])
    write_rows(GENERATIONS.path, Generation, [
        generation("Answer: 5" if task == "easy" or (n + sample) % 4 == 0 else "Answer: 6",
                   row_id=row_id, sample_index=sample, task=task, key=f"{row_id}{sample}")
        for task in ids for n, row_id in enumerate(ids[task]) for sample in (0, 1)
    ])  # fmt: skip
    return tmp_path


def run(root, **settings):
    """Tasks of what is kept and reasons of the rest, after the stage ran there."""
    write_yaml(root / "params.yaml", {"grade": {"keep": "correct"} | settings, "cluster": {"generation": {}}})
    stage.main()
    kept, lost = read_rows(root / GRADED.path, Graded), read_rows(root / rejected("grade").path, Rejected)
    counts = json.loads((root / "metrics" / "grade.json").read_text("utf-8"))
    assert counts["rows_in"] == 40 == counts["rows_out"] + sum(counts["rejected"].values())
    assert counts["rejected"] == Counter(row.reason for row in lost)
    assert counts["format_ok"] == 1.0
    return Counter(row.task for row in kept), counts["rejected"]


def test_the_stage_warns_of_tasks_that_outweigh_others_and_balances_where_it_is_told_to(graded_folder, capsys):
    assert run(graded_folder) == ({"easy": 20, "hard": 5}, {"wrong answer": 15})
    assert "100% of the answers of `easy` are kept and 25% of `hard`" in capsys.readouterr().out
    assert run(graded_folder, weights={"easy": 2}) == (
        {"easy": 10, "hard": 5}, {"wrong answer": 15, "beyond its task's share": 10}
    )  # fmt: skip
    assert "warning" not in capsys.readouterr().out
    assert len({row.row_id for row in read_rows(graded_folder / GRADED.path, Graded) if row.task == "easy"}) == 10
    assert run(graded_folder, quotas={"easy": 3, "hard": 9})[0] == {"easy": 3, "hard": 5}
    assert not list((graded_folder / ".orca2" / "scratch").iterdir())


def test_quotas_that_bind_nothing_leave_the_bytes_as_they_are(graded_folder):
    def written():
        return {file.name: file.read_bytes() for file in sorted((graded_folder / GRADED.path).iterdir())}

    run(graded_folder)
    plain = written()
    run(graded_folder, quotas={"easy": 20})
    assert written() == plain


def test_however_the_rows_are_cut_the_same_remain(graded_folder, monkeypatch):
    def remaining():
        run(graded_folder, quotas={"easy": 7})
        return read_rows(graded_folder / GRADED.path, Graded)

    whole = remaining()
    monkeypatch.setattr(shards, "SHARD_BYTES", 2000)
    for artifact, kind in ((EXAMPLES, Example), (GENERATIONS, Generation)):
        write_rows(artifact.path, kind, read_rows(artifact.path, kind))
    monkeypatch.setattr(partitions, "PARTITION_SHARDS", 1)
    assert partitions.partitions_of(EXAMPLES, GENERATIONS)[0] > 4
    assert sorted(map(str, remaining())) == sorted(map(str, whole))
