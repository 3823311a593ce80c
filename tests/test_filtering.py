"""What grade keeps: every answer is kept or rejected once, with a reason that says what was wrong."""

import itertools

import pytest

from orca2.recipe.filtering import GradeConfig, keep
from tests.examples import graded

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
