"""Which technique an answer shows: told by its form, checked on answers whose technique is known."""

import json
import random
from dataclasses import replace

import pytest

from orca2.recipe.graders.known import grading_facts
from orca2.recipe.strategies.forms import NONE, form, techniques_used
from tests.examples import example, graded

WRITTEN = {
    "direct_answer": "Answer: {sum}",
    "step_by_step": "{a} + {b} = {sum}. That makes {sum}.\nAnswer: {sum}",
    "extract_then_generate": "Numbers: {a}, {b}.\nAnswer: {sum}",
}


def sums(split, number):
    draw = random.Random(split)  # noqa: S311
    for i in range(number):
        a, b = draw.randrange(10, 99), draw.randrange(10, 99)
        yield example(row_id=f"{split}{i}", split=split, question=f"What is {a} + {b}?"), {"a": a, "b": b, "sum": a + b}


def answers(asked, written):
    return [
        graded(row_id=row.row_id, strategy=name, text=WRITTEN[form].format(**n))
        for row, n in asked
        for name, form in written
    ]


PROBE = list(sums("probe", 12))
HELD_OUT = list(sums("evaluation", 10))
PROBED = answers(PROBE, [(name, name) for name in WRITTEN])
EXAMPLES = [row for row, _ in PROBE + HELD_OUT]


def used(rows, taught="direct_answer"):
    return techniques_used({"student": rows}, PROBED, EXAMPLES, {"sums": taught})["models"]["student"]["sums"]


@pytest.mark.parametrize("name", WRITTEN)
def test_the_technique_of_an_answer_is_told_on_questions_that_were_never_probed(name):
    assert used(answers(HELD_OUT, [("student", name)])) == {"direct_answer": {name: 10}}


def test_what_was_taught_and_what_was_used_stand_side_by_side():
    rows = answers(HELD_OUT[:7], [("student", "step_by_step")]) + answers(HELD_OUT[7:], [("student", "direct_answer")])
    assert used(rows) == {"direct_answer": {"direct_answer": 3, "step_by_step": 7}}


def test_an_answer_like_none_of_them_is_called_that():
    rows = [
        graded(row_id=row.row_id, strategy="student", text="I would rather not say, for reasons.")
        for row, _ in HELD_OUT
    ]
    assert used(rows) == {"direct_answer": {NONE: 10}}


def test_a_wrong_answer_shows_its_technique_as_a_right_one_does():
    row, _ = HELD_OUT[0]
    text = "1 + 1 = 3. That makes 3.\nAnswer: 3"
    assert used([graded(row_id=row.row_id, strategy="student", text=text)]) == {"direct_answer": {"step_by_step": 1}}


def test_a_task_that_was_not_probed_is_left_out():
    row = example(row_id="x", task="other", split="evaluation")
    found = techniques_used({"student": [graded(row_id="x", task="other")]}, PROBED, [*EXAMPLES, row], {"other": "a"})
    assert found["models"] == {"student": {}}


def test_the_rule_is_checked_on_answers_whose_technique_is_known():
    def recognised(probed):
        return techniques_used({}, probed, EXAMPLES, {})["recognised"]

    assert recognised(PROBED) == 1.0
    mixed = answers(PROBE, [("a", "step_by_step"), ("b", "step_by_step")])
    assert recognised(mixed) <= 0.6
    assert recognised([]) is None


def test_numbers_and_words_of_the_question_leave_only_their_form():
    assert form("12 cats. 7 dogs.\nAnswer: 3", "How many cats?") == form("5 cows. 88 dogs.\n**Answer:** 9", "And cows?")
    assert form("Answer: 3", "?") == {("", ""): 1}


def test_the_answer_line_is_that_of_the_source():
    assert form("7 of 7.\nResult: 12 in all", "?", ["Result:"]) == form("7 of 7.\nAnswer: 9", "?")
    assert form("7 of 7.\nResult: 12 in all", "?") != form("7 of 7.\nAnswer: 9", "?")
    own = json.dumps(grading_facts(answer_lines=["Result:"]))
    rows = [replace(row, metadata=own) for row in EXAMPLES]
    forms = {name: form.replace("Answer:", "Result:") for name, form in WRITTEN.items()}
    written = [
        graded(row_id=row.row_id, strategy=name, text=forms[name].format(**n)) for row, n in PROBE for name in forms
    ]
    bare = [graded(row_id=row.row_id, text="Result: which is what it comes to, I think") for row, _ in HELD_OUT]
    found = techniques_used({"student": bare}, written, rows, {"sums": "direct_answer"})
    assert found["models"]["student"]["sums"] == {"direct_answer": {"direct_answer": 10}}
    assert found["recognised"] == 1.0


def test_neither_the_order_of_rows_nor_of_the_probe_leaves_a_trace():
    rows = answers(HELD_OUT, [("student", "step_by_step")])
    one = techniques_used({"student": rows}, PROBED, EXAMPLES, {"sums": "direct_answer"})
    assert one == techniques_used({"student": rows[::-1]}, PROBED[::-1], EXAMPLES[::-1], {"sums": "direct_answer"})
