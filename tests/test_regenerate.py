"""Asking again: which of the stored answers, and how an answer and its grade may differ."""

from dataclasses import replace

import pytest

from orca2.audit.verify import regenerate, sample
from orca2.core.errors import Orca2Error
from orca2.engines.generation import answer
from orca2.store.store import Store
from tests.examples import example, request
from tests.in_process import CONFIG
from tests.test_generation import make_requests


@pytest.mark.parametrize(("share", "number"), [("1%", 1), ("10%", 2), ("0.5", 10), ("100%", 20)])
def test_a_share_is_the_same_requests_each_time_and_at_least_one(share, number):
    requests = [request(row_id=f"{i:064d}") for i in range(20)]
    chosen = sample(requests, share)
    assert len(chosen) == number
    assert chosen == sample(requests[::-1], share)


@pytest.mark.parametrize("share", ["0", "101%", "a few", "-1%"])
def test_a_share_that_is_none_says_what_one_looks_like(share):
    with pytest.raises(Orca2Error, match="give one such as 1%"):
        sample([request()], share)


def test_asking_again_reports_where_an_answer_differs_and_whether_its_grade_does(in_process, tmp_path):
    requests = make_requests(in_process, 6, max_tokens=20)
    stored = answer(requests, in_process, Store(tmp_path / "store"), CONFIG).generations
    examples = [example(row_id=r.row_id, task=r.task) for r in requests]
    altered = [replace(g, text=g.text[:3] + "#" + g.text[4:]) if i == 2 else g for i, g in enumerate(stored)]
    found = regenerate(requests, altered, examples, in_process, CONFIG)
    assert found.asked == 6
    (difference,) = found.differences
    assert difference.request.row_id == stored[2].row_id
    assert 0 < difference.first_token < difference.tokens
    assert difference.same_grade
