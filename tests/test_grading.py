"""Grading: tables of answers as models write them, with the verdict that a careful person would give."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.recipe.graders import GRADERS
from orca2.recipe.graders.choice import choice
from orca2.recipe.graders.exact import exact
from orca2.recipe.graders.extraction import lenient_answer
from orca2.recipe.graders.numeric import numeric
from orca2.recipe.graders.reasoning_gym import UNSOUND_VERDICTS, reasoning_gym
from orca2.recipe.graders.wrappers import peel
from orca2.recipe.grading import check_grader, grade
from tests.examples import example, generation, strict_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 5", "5"),
        ("answer: 5", "5"),
        ("ANSWER : 5", "5"),
        ("Answer:5", "5"),
        ("  Answer: 5  \n", "5"),
        ("**Answer:** 5", "5"),
        ("**Answer**: 5", "5"),
        ("**Answer: 5**", "5"),
        ("`Answer: 5`", "5"),
        ("Answer:\n5", "5"),
        ("2 + 3 is 5.\n\nAnswer: 5 apples", "5 apples"),
        ("Answer: 4\nNo, wait.\nAnswer: 5", "5"),
        ("Answer: Zürich – 東京", "Zürich – 東京"),
        ("Answer: a: b", "a: b"),
        ("The answer: 5", "5"),
        ("Final Answer: 5", "5"),
        ("Question: what? Answer: 5", None),
        ("Answer 5", None),
        ("My answer is 5.", None),
        ("Answer:", None),
        ("Answer: **", None),
        ("Answers: 5", None),
        ("", None),
        ("5", None),
    ],
)
def test_the_strict_answer_is_what_stands_on_the_last_answer_line(text, answer):
    assert strict_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "grader", "answer"),
    [
        ("Answer: 5 apples", "numeric", "5"),
        ("The answer is 5.", "numeric", "5"),
        ("So the final answer is: $1,200.", "numeric", "1,200"),
        (r"Hence \boxed{42} follows, in 3 steps.", "numeric", "42"),
        ("We have 2 + 3 = 5", "numeric", "5"),
        ("The answer is 5. I checked 2 of them.", "numeric", "5"),
        ("First 7, then 9.", "numeric", "9"),
        ("no number here", "numeric", None),
        ("The correct option is (B).", "choice", "B"),
        ("I rule out (A) and take (C)", "choice", "C"),
        ("The answer is B.", "choice", "B"),
        ("So yes", "choice", "yes"),
        ("hmm", "choice", None),
        ("It was made in\nParis.", "exact", "Paris"),
        ("The answer is New York.", "exact", "New York"),
        ("", "numeric", None),
        ("", "choice", None),
        ("\n \n", "exact", None),
    ],
)
def test_the_lenient_answer_is_found_however_it_is_stated(text, grader, answer):
    assert lenient_answer(text, GRADERS[grader].find) == answer


SAME_NUMBER = [
    ("5", "5"), ("5", "5."), ("5", "5.0"), ("5", " 5 apples"), ("5", "x = 5"), ("5", "2 + 3 = 5"), ("5", "five (5)"),
    ("5", "five"),
    ("1000", "1,000"), ("1,000", "1000.00"), ("1000", "$1,000"), ("1234567", "1,234,567"), ("1000", "1e3"),
    ("60", "60%"),
    ("-5", "-5"), ("-5", "\N{MINUS SIGN}5"), ("-5", "\N{EN DASH}5"), ("-5", "-$5"), ("-5", "minus 5"),
    ("-5", "negative 5"),
    ("0.5", ".5"), ("0.5", "1/2"), ("1/2", "2/4"), ("1/3", "1 / 3"), ("3/4", r"\frac{3}{4}"), ("-1/2", "-1/2"),
    ("0", "-0"), ("0", "0.00"), ("42", "٤٢"), ("18", "18 dollars"), ("5", "5 = 5.0"), ("0.1", "1e-1"),
]  # fmt: skip
OTHER_NUMBER = [
    ("5", "-5"), ("5", "\N{MINUS SIGN}5"), ("5", "-$5"), ("-5", "5"), ("5", ".5"), ("5", "5.5"), ("5", "55"),
    ("5", "5/2"), ("5", "2 + 5"), ("2", "2 + 3 = 5"), ("3", "2 + 3 = 5"), ("5", "5 or 6"), ("5", "4 to 5"),
    ("5", "3-5"),
    ("123", "1,2,3"), ("12", "1,2"), ("1", "1e3"), ("1", "1e9999999999"), ("10", "10^3"), ("12", "12:30"),
    ("3", "3.5.2"),
    ("1", "1/0"), ("0", "1/0"), ("12", "12/25/1937"), ("5", "5 of 10"), ("10", "1 0"), ("0.1", "10%"),
    ("12.50", "12,50"),
    ("5", ""), ("5", "none"), ("", ""), ("no number", "no number"), ("1", "9" * 6000), ("1/3", "0.333"),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "given_text"), SAME_NUMBER)
def test_numbers_agree_however_they_are_written(expected, given_text):
    assert numeric(expected, given_text, "{}")


@pytest.mark.parametrize(("expected", "given_text"), OTHER_NUMBER)
def test_another_number_no_number_or_a_choice_of_numbers_is_wrong(expected, given_text):
    assert not numeric(expected, given_text, "{}")


@given(number=st.integers(-(10**9), 10**9))
def test_any_number_agrees_with_itself_in_every_spelling_and_never_with_its_neighbours(number):
    for text in (f"{number}", f"{number:,}", f"{number}.0", f"${number}", f"about {number} km", f"x = {number:,}."):
        assert numeric(str(number), text, "{}")
        assert not numeric(str(number + 1), text, "{}")
        assert not number or not numeric(str(-number), text, "{}")


@given(st.text())
def test_a_text_without_digits_is_never_right_as_a_number(text):
    letters = "".join(c for c in text if not c.isnumeric())
    assert not numeric(letters, letters, "{}")
    assert not numeric("0", letters, "{}")


SAME_OPTION = [
    ("(B)", "(B)"), ("(B)", "B"), ("(B)", "b"), ("B", "(b)"), ("(B)", "B."), ("(B)", "B)"), ("(B)", "(B) 12/25/1937"),
    ("B", "b) 4 apples"), ("B", "B: four"), ("B", "**B**"), ("B", "B, because A is too small"), ("A", "A) 4"),
    ("A", "A"),
    ("Yes", "yes"), ("Yes", "Yes, because 3 > 2."), ("No", "NO."), ("True", "true"), ("invalid", "Invalid."),
    ("3", "3"),
    ("(A)", "A 4"), ("left turn", "Left  turn."),
]  # fmt: skip
OTHER_OPTION = [
    ("(B)", "(A)"), ("(B)", "because"), ("B", "Bob"), ("A", "a cat"), ("A", "A or B"), ("B", "A or B"),
    ("A", "(A), (B)"),
    ("A", "A/B"), ("Yes", "yes or no"), ("True", "True/False"), ("Yes", "No"), ("No", "None"), ("No", "not sure"),
    ("A", "not A"), ("valid", "invalid"), ("3", "3.5"), ("3", "30"), ("3", "-3"), ("left turn", "left side"), ("A", ""),
    ("A", "?"), ("Yes", "y"),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "given_text"), SAME_OPTION)
def test_options_agree_however_they_are_written(expected, given_text):
    assert choice(expected, given_text, "{}")


@pytest.mark.parametrize(("expected", "given_text"), OTHER_OPTION)
def test_another_option_or_several_at_once_is_wrong(expected, given_text):
    assert not choice(expected, given_text, "{}")


@pytest.mark.parametrize(
    ("expected", "given_text", "verdict"),
    [
        ("Paris", "paris", True), ("Paris", " **Paris**. ", True), ("Paris", '"Paris"', True),
        ("Paris", "“Paris”.", True),
        ("New  York", "new york", True), ("STRASSE", "Straße", True), ("caf\u00e9", "cafe\u0301", True),
        ("3.5", "3.5.", True),
        ("Paris", "Paris, France", False), ("Paris", "", False), ("1", "1.0", False), ("-5", "5", False),
        ("cafe", "café", False),
        (".", "...", False), ("**", "", False), ("", "", False),
    ],
)  # fmt: skip
def test_exact_answers_agree_but_for_case_space_quotes_markup_and_a_full_stop(expected, given_text, verdict):
    assert exact(expected, given_text, "{}") is verdict


def gym_question(name):
    import reasoning_gym as gym

    entry = gym.create_dataset(name, size=1, seed=3)[0]
    return str(entry["answer"]), json.dumps({"source_dataset": name, **entry["metadata"]})


@pytest.mark.parametrize(
    "name", ["gcd", "letter_counting", "chain_sum", "leg_counting", "syllogism", "basic_arithmetic"]
)
def test_reasoning_gym_judges_its_own_questions(name):
    answer, metadata = gym_question(name)
    assert reasoning_gym(answer, answer, metadata)
    assert not reasoning_gym(answer, "certainly not", metadata)
    assert not reasoning_gym(answer, "", metadata)


@pytest.mark.parametrize("nonsense", ["foo", "∞", "1/0", "(", "1e999", "[[1]]", "A,B", "-", ""])
@pytest.mark.parametrize("name", ["prime_factorization", "coin_flip", "boxnet", "gcd"])
def test_text_over_which_a_judge_of_reasoning_gym_stumbles_is_wrong_and_stops_nothing(name, nonsense):
    answer, metadata = gym_question(name)
    assert not reasoning_gym(answer, nonsense, metadata)


def test_no_answer_is_ever_run_as_code(tmp_path):
    import reasoning_gym as gym

    trap = f"__import__('pathlib').Path({str(tmp_path / 'pwned')!r}).touch()"
    for name in ("gcd", "letter_counting", "number_sorting", "string_manipulation", "decimal_arithmetic"):
        answer, metadata = gym_question(name)
        assert not reasoning_gym(answer, trap, metadata)
    assert not (tmp_path / "pwned").exists()
    # The reason for UNSOUND_VERDICTS; should this fail one day, reasoning-gym has mended it.
    gym.create_dataset("string_insertion", size=1, seed=0).score_answer(trap, {"answer": "x", "metadata": {}})
    assert (tmp_path / "pwned").exists()
    assert "string_insertion" in UNSOUND_VERDICTS


TEXTS = st.lists(
    st.sampled_from(["Answer:", "answer is", "5", "-3", "1,000", "(A)", "B", "yes", "no", "or", "=",
        ".", "\n", "**", "Paris", r"\boxed{5}"]),
    max_size=12,
).map(" ".join)  # fmt: skip


@given(
    text=TEXTS | st.text(), expected=st.sampled_from(["5", "-3", "(A)", "B", "yes", "Paris", "1000"]), data=st.data()
)
def test_what_is_right_strictly_is_right_leniently_and_no_text_crashes_a_grader(text, expected, data):
    grader = data.draw(st.sampled_from(["exact", "numeric", "choice"]))
    (row,) = grade([example(answer=expected, grader=grader)], [generation(text)])
    assert row.lenient_correct or not row.strict_correct
    assert not row.strict_correct or row.strict_answer is not None


def test_an_aside_after_a_right_strict_answer_does_not_make_it_wrong_leniently():
    (row,) = grade([example(answer="(B)", grader="choice")], [generation("Answer: B, and by no means (A)")])
    assert (row.strict_correct, row.lenient_correct, row.lenient_answer) == (True, True, row.strict_answer)


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("2 + 3 = 5\nAnswer: 5", True, True),
        ("The answer is 5.", False, True),
        ("Answer: 6\nThe answer is 5.", False, False),
        ("Answer: 2 + 3 = 5", True, True),
        ("6", False, False),
        ("", False, False),
    ],
)
def test_both_verdicts_stand_side_by_side(text, strict, lenient):
    (row,) = grade([example(answer="5")], [generation(text)])
    assert (row.strict_correct, row.lenient_correct) == (strict, lenient)
    assert row.expected == "5"
    assert row.text == text


def test_long_ramblings_are_graded_in_no_time():
    ramblings = [
        "\n" * 40_000,
        "Answer" * 8_000,
        "a, " * 20_000 + "5",
        "1," * 20_000,
        "answer is " * 5_000,
        "(" * 40_000,
    ]
    rows = [generation(text) for text in [*ramblings, "Answer: " + "a b " * 10_000, "- " * 20_000]]
    for grader in ("exact", "numeric", "choice"):
        assert not any(row.strict_correct for row in grade([example(grader=grader)], rows))


def test_an_unknown_grader_is_told_with_the_known_ones():
    with pytest.raises(Orca2Error, match="unknown grader 'numerc'") as caught:
        check_grader("numerc", "params.yaml: tasks.sources.gcd.grader")
    assert caught.value.hint.startswith(f"known: {', '.join(sorted(GRADERS))}")
    assert caught.value.where == "params.yaml: tasks.sources.gcd.grader"


# What the search below replaced: plain, and quadratic on some texts.
NAIVE_ANSWER_LINE = re.compile(r"^[ \t]*answer[ \t]*:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)


def naive_strict_answer(text):
    found = NAIVE_ANSWER_LINE.findall(text)
    return (peel(found[-1]) or None) if found else None


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["Answer:", "answer", ":", " ", "\t", "\n", "\r", "\x85", "5", "b"]), max_size=12))
def test_a_strict_answer_is_what_one_regular_expression_would_find(parts):
    assert strict_answer("".join(parts)) == naive_strict_answer("".join(parts))


N = 200_000
LONG = {
    "blanks before an end": "Answer: a" + " " * N + "b",
    "blanks and no end": "Answer:" + " " * N,
    "lines and no end": "Answer:" + "\n" * N,
    "a line of blanks": " " * N + "Answer: b",
    "answers": "Answer: 5\n" * (N // 10),
    "marks": "Answer:\n" * (N // 8),
    "stars": "*" * N + "answer: b",
    "a statement of blanks": "the answer is" + " " * N,
    "a statement of lines": "the answer is" + "\n" * N,
    "a statement of words": "answer " + "a" * N,
    "statements": "answer answer is " * (N // 17),
    "boxes": "\\boxed{" * (N // 7),
    "an open box": "\\boxed{" + "a" * N,
    "groups": "1" + ",234" * (N // 4),
    "groups that end badly": "1" + ",234" * (N // 4) + "5",
    "groups of two": "12," * (N // 3),
    "groups after another": "1" + ",234" * (N // 8) + "5 1" + ",234" * (N // 8) + ",5",
    "digits": "1" * N,
    "points": "1." * (N // 2),
    "fractions": "1/" * (N // 2),
    "over blanks": "1" + " " * N + "/",
    "signs": "-" * N,
    "exponents": "1e" * (N // 2),
    "minus": "minus " * (N // 6),
    "minus blanks": "minus" + " " * N,
    "brackets": "(" * N,
    "options": "a or " * (N // 5),
    "quotes": "'" * N,
    "latex": "\\frac{1}{" * (N // 9),
}


@pytest.mark.parametrize("grader", ["exact", "numeric", "choice"])
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_text_of_200_000_characters_is_judged_at_once_whatever_a_model_wrote(text, grader):
    begin = time.process_time()
    strict, lenient = strict_answer(text), lenient_answer(text, GRADERS[grader].find)
    for given_answer in (strict, lenient, text):
        GRADERS[grader].judge("5", given_answer or "", "{}")
    assert time.process_time() - begin < 5
