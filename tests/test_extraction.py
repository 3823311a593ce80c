"""Extraction: one way from what a model wrote to what a grader judges, in time that grows no faster than the text."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orca2.recipe.graders import GRADERS
from orca2.recipe.graders.extraction import Shape, answer_line, lenient_answer
from orca2.recipe.graders.known import grading_facts
from orca2.recipe.graders.numbers import last_number
from orca2.recipe.graders.speech import before_next_question, said
from orca2.recipe.graders.verdict import judge
from orca2.recipe.graders.wrappers import boxes, fences, peel, tagged
from tests.examples import strict_answer

SPEAKING = {name: grader for name, grader in GRADERS.items() if name != "reasoning_gym"}
"""The graders that judge a text by itself."""
GOLDS = {
    "exact": "Paris",
    "numeric": "42",
    "choice": "(B)",
    "boolean": "Yes",
    "set": "a, b, c",
    "list": "3, 1, 2",
    "date": "2020-03-05",
    "latex": r"\frac{1}{2}",
}
NEAR_MISSES = {
    "exact": "Paris, Texas",
    "numeric": "43",
    "choice": "(C)",
    "boolean": "No",
    "set": "a, b, d",
    "list": "1, 2, 3",
    "date": "2020-05-03",
    "latex": r"\frac{1}{3}",
}


def verdict(text, gold="42", grader="numeric", **facts):
    found = judge(GRADERS[grader], grader, gold, text, json.dumps(grading_facts(**facts)))
    return found.strict_correct, found.lenient_correct


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<think>Answer: 7</think>Answer: 5", "Answer: 5"),
        ("Answer: 7\n</think>\nAnswer: 5", "\nAnswer: 5"),
        ("<think>a</think><think>b</think>c", "c"),
        ("[THINK]a[/THINK]c", "c"),
        ("<thinking>Answer: 5", None),
        ("<think>a</think>Answer: 5<think>but", None),
        ("Answer: 5<|im_end|>\n<|im_start|>user\nmore", "Answer: 5"),
        ("<|im_start|>assistant\nAnswer: 5</s>", "<|im_start|>assistant\nAnswer: 5"),
        ("I think 3 < 5", "I think 3 < 5"),
        ("", ""),
    ],
)
def test_reasoning_is_no_answer_and_a_model_speaks_until_the_next_turn(text, spoken):
    assert said(text) == spoken


@pytest.mark.parametrize(
    "goes_on",
    [
        "\n\nQuestion: 2 + 3?\n5\nAnswer: 5", "\nQ: 2 + 3?\nAnswer: 5", "\n\n**Question 2:** 2 + 3?\nAnswer: 5",
        "\nNext problem: 2 + 3?\nAnswer: 5", "\n## Exercise 2\nAnswer: 5", "\n\nProblem 7. Add.\nAnswer: 5",
        "\nUser: and 2 + 3?\nAnswer: 5", "\nHuman: and 2 + 3?\nAnswer: 5", "\n### Instruction:\nAdd.\nAnswer: 5",
        "<|im_end|>\n<|im_start|>user\n2 + 3?\nAnswer: 5", "</s> Answer: 5",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "stated", ["Answer: 42", "The answer is 42.", r"So \boxed{42}", "<answer>42</answer>", "#### 42"]
)
def test_an_answer_to_a_question_of_the_models_own_is_not_its_answer(stated, goes_on):
    assert verdict(stated + goes_on)[1]
    assert not any(verdict(stated + goes_on, "5"))


def test_a_series_of_numbered_questions_is_a_way_to_answer_and_its_last_answer_counts():
    series = "Question 1: How many boxes?\nAnswer: 6\nQuestion 2: How many apples?\nAnswer: 42"
    assert verdict(series) == (True, True)
    assert before_next_question("a\nQuestion 2: b", 0) == "a\n"
    assert verdict("User: is the name of a column.\nHuman: of another.\nAnswer: 42") == (True, True)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer:\n```\n42\n```", "42"),
        ("Answer:\n```python\n42\n```\nas shown", "42"),
        ("Answer: `42`", "42"),
        (r"Answer: $\boxed{42}$.", "42"),
        (r"Answer: \boxed{\text{B}}", "B"),
        (r"Answer: $\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        (r"Answer: \(42\)", "42"),
        ("Answer:\n\\[\n\\boxed{42}\n\\]\nwhich is right", "42"),
        ("Answer:\n$$\n42\n$$", "42"),
        ("Answer: \\begin{pmatrix}\n1 \\\\\n2\n\\end{pmatrix}", "\\begin{pmatrix}\n1 \\\\\n2\n\\end{pmatrix}"),
        ("Answer: **The answer is 42**", "42"),
        ("Answer: The correct answer is (B)", "(B)"),
        ("Answer: Option B", "B"),
        ("Answer: <answer>42</answer>", "42"),
        ("Answer: <b>42</b>", "42"),
        ("## Answer: 42", "42"),
        ("- Answer: 42", "42"),
        ("> Answer: 42", "42"),
        ("3. **Final Answer:** 42", "42"),
        ("Answer：42", "42"),
        ("The final answer: 42\nI hope that this helps.", "42"),
        ("Answer: \\[ never closed", "\\[ never closed"),
    ],
)
def test_the_answer_line_is_peeled_of_what_it_is_dressed_in(text, answer):
    assert strict_answer(text) == answer


def test_how_an_answer_line_begins_is_a_setting_of_the_source():
    assert verdict("Result = 42", answer_lines=["Result ="]) == (True, True)
    assert verdict("Answer: 42", answer_lines=["Result ="])[0] is False
    assert verdict("答え: 42", answer_lines=["答え:", "Answer:"]) == (True, True)


def test_any_of_several_known_answers_is_right():
    for given_answer in ("Paris", "City of Paris", "paris."):
        assert verdict(f"Answer: {given_answer}", "Paris", "exact", answers=["City of Paris"]) == (True, True)
    assert verdict("Answer: City", "Paris", "exact", answers=["City of Paris"]) == (False, False)


GRID = "5 3 1\n2 4 6\n7 8 9"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (f"Answer:\n{GRID}", True), (f"Answer:\n{GRID}\n\nI hope so.", True), (f"Answer:\n```\n{GRID}\n```", True),
        (f"Answer: {GRID}", True), (f"Let me see.\n\n{GRID}", False), ("Answer:\n5 3 1\n2 4 6", False),
        (f"Answer:\n{GRID}\n1 1 1", False), ("Answer: 5 3 1 2 4 6 7 8 9", True),
    ],
)  # fmt: skip
def test_an_answer_may_have_as_many_lines_as_the_known_one(text, right):
    assert verdict(text, GRID, "exact")[0] is right


def test_blank_lines_are_part_of_an_answer_where_the_known_one_has_some():
    gold = "1 2\n\n3 4"
    assert verdict(f"Answer:\n{gold}", gold, "exact") == (True, True)
    assert answer_line(f"Answer:\n{gold}", awaited=Shape(rows=3)) == "1 2"


@pytest.mark.parametrize(
    "form",
    [
        "Therefore, she has {} apples left.", "#### {}", r"The final answer is $\boxed{{{}}}$.", "Result: {}",
        "Thus, the total is ${}.", "So 2 + 3 = {}.", "**{}**", "The total is **{}** apples.", "{} is the answer.",
        "My answer is {}", "<answer>{}</answer>", "Final answer\n{}", "### Final Answer\n\n{}", "$$x = {}$$",
        "Therefore, the answer is: **{}**", "The answer is:\n$$\n{}\n$$", "\\[\n\\boxed{{{}}}\n\\]", "Ans: {}", "{}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", ["42", "1,200", "3.5", "-7"])
def test_a_number_is_found_leniently_in_every_usual_statement_and_no_other_is(form, number):
    worked = "There are 6 boxes of 7 apples: 6 * 7 = 41 + 1.\n" + form.format(number)
    assert verdict(worked, number) == (False, True)
    assert not any(verdict(worked, other)[1] for other in ("41", "6", "-42", "420", "0"))


@pytest.mark.parametrize("stated", ["7 or 42", "at least 42", "not 42", r"\sqrt{42}", "42x", "41-42"])
@pytest.mark.parametrize("form", ["Answer: {}", "The answer is {}.", r"\boxed{{{}}}"])
def test_what_is_stated_and_left_open_is_wrong_leniently_too(stated, form):
    assert verdict(form.format(stated)) == (False, False)


WRAPPED = [
    "Answer: {}", "**Answer:** {}", "**Answer: {}**", "Answer: **{}**", "Answer: `{}`", "Answer:\n{}", "Answer: {}.",
    "Answer:\n```\n{}\n```", r"Answer: \boxed{{{}}}", r"Answer: $\boxed{{{}}}$", "Answer: <answer>{}</answer>",
    r"Answer: \boxed{{\text{{{}}}}}", "### Answer: {}", "Final Answer: {}", "Answer: The answer is {}",
    "<think>Answer: none</think>\nAnswer: {}", "Answer: {}\n\nQuestion: And the next?\nAnswer: none",
]  # fmt: skip


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("grader", SPEAKING)
def test_a_known_answer_is_right_in_every_wrapper_and_a_near_miss_in_none(grader, wrapped):
    assert verdict(wrapped.format(GOLDS[grader]), GOLDS[grader], grader) == (True, True)
    assert verdict(wrapped.format(NEAR_MISSES[grader]), GOLDS[grader], grader) == (False, False)


def wrap(layers, text):
    for opening, closing in layers:
        text = opening + text + closing
    return text


LAYERS = [("**", "**"), ("`", "`"), ("$", "$"), (r"\boxed{", "}"), (r"\text{", "}"), ("```\n", "\n```"), (r"\(", r"\)"),
          ("<answer>", "</answer>"), ("The answer is ", ""), ("__", "__")]  # fmt: skip


@settings(max_examples=300)
@given(
    layers=st.lists(st.sampled_from(LAYERS), max_size=4, unique=True),
    bare=st.text("abcXYZ0123456789 ", min_size=1).map(str.strip).filter(bool),
)
def test_every_layer_is_peeled_and_what_wears_none_stays(layers, bare):
    assert peel(bare) == bare
    assert peel(wrap(layers, bare)) == bare
    assert peel(peel(wrap(layers, bare))) == bare


def test_boxes_tags_and_fences_are_found_with_what_stands_in_them():
    assert boxes(r"\boxed{a} and \boxed{\frac{1}{2}} and \boxed{never") == ["a", r"\frac{1}{2}"]
    assert tagged("<answer>a</answer> <ANSWER>b</ANSWER> <answer>never") == ["a", "b"]
    assert fences("```\na\n```\nb\n~~~x\nc\nd\n~~~\n```\nnever") == ["a", "c\nd"]


PIECES = st.sampled_from(
    ["Answer:", "Answer: ", "answer is ", "\n", "\n\n", " ", "\t", "\r", "5", "-3", "1,000", "1/", "1e", "½", "٤",
     "(A) ",
     "B", "or ", "yes ", "not ", "**", "`", "```\n", "$", "$$", "\\[", "\\]", "\\(", "\\boxed{", "}", "{", "\\frac{1}{",
     "\\text{", "<think>", "</think>", "<answer>", "</answer>", "Question: ", "Question 1:\n", "User: ", "- ", "1. ",
     "a, ", "; ",
     "[", "]", "(", ")", "^", "=", "because ", "2020-01-01 ", "January 5, ", "#### ",
     "\\begin{a}\n", "\u2009", "\u0301"]
)  # fmt: skip
MESSAGES = st.lists(PIECES | st.text(max_size=5), max_size=20).map("".join)


@settings(max_examples=400)
@given(text=MESSAGES, grader=st.sampled_from(sorted(set(SPEAKING) - {"latex"})), data=st.data())
def test_no_text_stops_extraction_or_a_grader_and_what_is_right_strictly_is_right_leniently(text, grader, data):
    gold = data.draw(st.sampled_from([GOLDS[grader], "5", "A", "a, b", "1\n2"]))
    strict, lenient = verdict(text, gold, grader)
    assert lenient or not strict
    assert all(part is None or part for part in (strict_answer(text), lenient_answer(text, last_number)))


@settings(max_examples=60)
@given(
    before=PIECES,
    pieces=st.lists(PIECES, min_size=1, max_size=3),
    after=PIECES,
    grader=st.sampled_from(sorted(SPEAKING)),
)
def test_a_text_of_100_kilobytes_is_judged_at_once_whatever_is_said_again_and_again(before, pieces, after, grader):
    repeated = "".join(pieces)
    text = before + repeated * (100_000 // len(repeated)) + after
    begin = time.process_time()
    verdict(text, GOLDS[grader], grader)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("grader", SPEAKING)
@pytest.mark.parametrize(
    "repeated",
    ["Answer: \\[\n", "Answer: 5\n", "\n", " ", "1/", "1,", "a\n```\n", "<answer>", r"\(", "[", "A or B ", "and "],
)
def test_a_megabyte_takes_seconds_at_most_whoever_judges_it(grader, repeated):
    begin = time.process_time()
    verdict("Answer: " + repeated * (1_000_000 // len(repeated)), GOLDS[grader], grader)
    assert time.process_time() - begin < 2
