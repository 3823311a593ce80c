"""Yes or no, sets, lists, dates, mathematics: what is equal is equal however it is written, and near misses are not."""

import datetime
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.recipe.graders import GRADERS, grader_of
from orca2.recipe.graders.boolean import boolean
from orca2.recipe.graders.dates import date
from orca2.recipe.graders.items import items_in
from orca2.recipe.graders.latex import _process, latex
from orca2.recipe.graders.lists import list_of
from orca2.recipe.graders.sets import set_of
from orca2.recipe.graders.verdict import judge


def verdict(grader, gold, text):
    found = judge(GRADERS[grader], grader, gold, text, "{}")
    return found.strict_correct, found.lenient_correct


SAID = [
    "{}", "{}.", "{}!", "**{}**", "{}, because 3 > 2", "{} because it is not raining", "The statement is {}",
    "It is {}",
    r"\boxed{{\text{{{}}}}}", "{} - it holds", "{}; see above", "[{}]", "{} (the premise is wrong)",
    "{}, it does not contradict the claim", "The claim is {} since no cat is wrong",
]  # fmt: skip


@pytest.mark.parametrize("form", SAID)
def test_yes_and_true_agree_and_never_with_no_and_false(form):
    for gold, word in itertools.product(("Yes", "true", "TRUE", "No", "false"), ("yes", "True", "No", "FALSE")):
        right = (gold.lower() in ("yes", "true")) == (word.lower() in ("yes", "true"))
        assert verdict("boolean", gold, f"Answer: {form.format(word)}") == (right, right)


@pytest.mark.parametrize(
    "text",
    ["yes or no", "not true", "True and False", "no, yes", "maybe", "", "untrue", "I don't know", "It is not correct",
     "neither true nor false", "yesterday", "It is unclear whether yes", "now", "none"],
)  # fmt: skip
def test_what_says_both_or_neither_is_no_verdict(text):
    assert not boolean("Yes", text, "{}")
    assert not boolean("No", text, "{}")


SAME_ITEMS = [
    "a, b, c", "a, b and c", "a, b, and c", '["a", "b", "c"]', "['a', 'b', 'c']", "{a, b, c}", r"\{a, b, c\}",
    "(a, b, c)",
    "a; b; c", "a,b,c", "- a\n- b\n- c", "1. a\n2. b\n3. c", "* a\n* b\n* c", "a\nb\nc", "a,\nb,\nc",
    "```\na\nb\nc\n```",
    '[\n"a",\n"b",\n"c"\n]', "**a, b, c**", "A, B, C.", r"\boxed{a, b, c}",
]  # fmt: skip


@pytest.mark.parametrize("text", SAME_ITEMS)
def test_items_are_the_same_however_they_are_set_down(text):
    assert items_in(text) == ["a", "b", "c"]
    assert list_of("a, b, c", text, "{}")
    assert verdict("list", "a, b, c", f"Answer:\n{text}\n\nI hope so.") == (True, True)
    assert verdict("set", "c, b, a", f"Answer: {text}")[0] or "\n" in text


def test_an_order_counts_in_a_list_and_not_in_a_set():
    assert set_of("a, b, c", "c, a, b", "{}")
    assert not list_of("a, b, c", "c, a, b", "{}")
    assert set_of("a, b", "a, a, b", "{}")
    assert not list_of("a, b", "a, a, b", "{}")


@pytest.mark.parametrize("wrong", ["a, b", "a, b, c, d", "a, b, d", "abc", "a b c", "", "a, b or c", "a, b, cc"])
def test_an_item_too_many_too_few_or_another_is_wrong(wrong):
    for grader in ("set", "list"):
        assert verdict(grader, "a, b, c", f"Answer: {wrong}") == (False, False)


@pytest.mark.parametrize(
    ("gold", "text", "right"),
    [
        ("1, 2, 3", "1.0, 2, 6/2", True), ("1,000, 2", "1000 and 2", True), ("1,2,3", "1 2 3", True), ("1, 2", "12",
         False),
        ("(1,2), (3,4)", "(1,2), (3,4)", True), ("(1,2), (3,4)", "(3,4), (1,2)", False),
        ("[[1,2],[3,4]]", "[[1, 2], [3, 4]]", True),
        ("New York, Rome", "New York and Rome", True), ("", "", False), ("x", "x", True),
    ],
)  # fmt: skip
def test_numbers_pairs_and_names_are_items(gold, text, right):
    assert list_of(gold, text, "{}") is right


def test_a_pair_is_one_item_whatever_stands_around_it():
    assert set_of("(1,2), (3,4)", "{(3, 4), (1, 2)}", "{}")
    assert not set_of("(1,2), (3,4)", "(1,4), (3,2)", "{}")
    assert items_in("(a, b), c") == ["(a,b)", "c"]
    assert items_in("f(a; b); c") == ["f(a; b)", "c"]


def test_a_list_on_the_answer_line_ends_there_and_one_below_at_a_blank_line():
    assert verdict("list", "a, b, c", "Answer: a, b, c\nI hope this helps!") == (True, True)
    assert verdict("list", "a, b, c", "Answer:\na, b, c\nI hope this helps!") == (True, True)
    assert verdict("list", "a, b, c", "Answer:\n- a\n- b\n- c\n\nI hope this helps!") == (True, True)
    assert verdict("list", "a", "Answer: - a\n- b") == (False, False)


WORDS = st.text("abcdefgh", min_size=2, max_size=6).filter(lambda word: word not in ("and",))


@given(st.lists(WORDS | st.integers(-99, 99).map(str), min_size=2, max_size=6, unique=True), st.randoms())
def test_a_shuffled_list_is_the_same_set_and_another_list(items, random):
    shuffled = random.sample(items, len(items))
    assert set_of(", ".join(items), "; ".join(shuffled), "{}")
    assert list_of(", ".join(items), "\n".join(shuffled), "{}") is (items == shuffled)
    assert not set_of(", ".join(items), ", ".join(items[1:]) if len(items) > 2 else items[0], "{}")


DAY_FORMS = [
    "{0:%Y-%m-%d}", "{0:%m/%d/%Y}", "{0.day}.{0.month}.{0.year}", "{0:%d %B %Y}", "{0:%B %d, %Y}",
    "{0:%A}, {0:%b} {0.day}, {0.year}",
    "the {0.day}th of {0:%B}, {0.year}", "It was on {0:%B} {0.day} {0.year}.", "{0:%Y/%m/%d}", "{0:%Y-%m-%d}T10:00",
    "**{0:%d-%b-%Y}**",
]  # fmt: skip


@given(st.dates(datetime.date(1000, 1, 1), datetime.date(2999, 12, 31)), st.dates(datetime.date(1000, 1, 1)))
def test_a_day_is_the_same_in_every_spelling_and_no_other_is(day, other):
    for form in DAY_FORMS:
        assert date(day.isoformat(), form.format(day), "{}")
        assert date(day.isoformat(), form.format(other), "{}") is (day == other)
    assert not date(day.isoformat(), f"{day.isoformat()} or {day.replace(year=day.year + 1, day=1).isoformat()}", "{}")


@pytest.mark.parametrize(
    "wrong",
    ["2020-05-03", "March 2020", "5 March", "2020-03-05 or 2020-03-06", "not 2020-03-05", "before 5 March 2020", "",
     "5 March 2021",
     "15 March 2020", "03/05/20205", "2020-03-055"],
)  # fmt: skip
def test_another_day_a_part_of_one_or_two_days_are_wrong(wrong):
    assert verdict("date", "2020-03-05", f"Answer: {wrong}")[0] is False


def test_a_day_that_is_in_no_calendar_is_never_right():
    assert not date("2020-02-30", "2020-02-30", "{}")
    assert date("12/25/1937", "25/12/1937", "{}")


SAME_MATHS = [
    (r"\frac{3}{4}", "0.75"), (r"\frac{3}{4}", r"\dfrac34"), (r"(x+1)(x-1)", "x^2-1"), (r"\sqrt{8}", r"2\sqrt{2}"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"), (r"x \in [-2,7]", "[-2,7]"), (r"90^\circ", "90"), (r"\$32,\!348",
     "32348"),
    (r"\text{Evelyn}", "Evelyn"), ("y = 2x+3", "y = 3 + 2x"), (r"\{1,2\}", r"\{2, 1\}"), ("5!", "120"), ("2^{10}",
     "1024"),
    (r"\left(\frac12, 3\right)", "(0.5, 3)"), (r"\begin{pmatrix}1\\2\end{pmatrix}",
     r"\begin{bmatrix}1\\2\end{bmatrix}"),
    ("6+9i", "9i+6"), (r"(-\infty,2)\cup(3,\infty)", r"(-\infty, 2) \cup (3, \infty)"), (r"1\frac{4}{5}",
     r"\frac{9}{5}"),
    ("x=5", "5"), (r"-\frac{1}{3}", r"\frac{-1}{3}"), ("17_8", "17_{8}"), (r"\binom{5}{2}", r"\binom{5}{2}"),
     ("10,080", "10080"),
]  # fmt: skip
OTHER_MATHS = [
    ("[0,1)", "[0,1]"), ("(2,3)", "(3,2)"), ("2k+2", "2k+3"), (r"\sqrt{3}", "1.73"), ("x=5", "y=5"), ("5!", "5"),
     ("3,5,7", "357"),
    (r"\{1,2\}", r"\{1,2,3\}"), ("17_8", "17_9"), ("17_8", "17"), (r"\text{even}", "odd"), (r"\pi", "3.14"), ("6+9i",
     "6-9i"),
    (r"\infty", r"-\infty"), ("p-q", "q-p"), (r"\text{Evelyn}", "Eve"), ("42", r"\text{not } 42"), ("5", "5 or 6"),
     ("2", "2x"),
    ("2", r"\sqrt{2}"), (r"\frac{a}{b}", r"\frac{b}{a}"), (r"\sin x", r"\cos x"), (r"\pm 5", "5"), ("3", "3, 4"),
     ("", ""), ("1", ""),
]  # fmt: skip
ON_A_LINE = [
    "Answer: {}", "Answer: ${}$", r"Answer: $\boxed{{{}}}$", r"Answer: \({}\)", "**Answer:** ${}$", "Answer: $${}$$.",
    "Final Answer: The final answer is ${}$. I hope it is correct.", "Answer:\n\\[\n{}\n\\]", "Answer:\n$$\n{}\n$$",
    "Answer: \\boxed{{{}}}.",
]  # fmt: skip
ELSEWHERE = [
    r"So the answer is $\boxed{{{}}}$.", "The final answer is:\n\\[\n\\boxed{{{}}}\n\\]", "Hence, the answer is ${}$.",
    "We get\n$$\\boxed{{{}}}$$\nas required.", r"Thus the answer is \({}\).",
]  # fmt: skip


@pytest.mark.parametrize(("gold", "given_text"), SAME_MATHS)
def test_what_is_equal_by_algebra_is_equal(gold, given_text):
    assert latex(gold, given_text, "{}")
    assert latex(given_text, gold, "{}")


@pytest.mark.parametrize(("gold", "given_text"), OTHER_MATHS)
def test_what_differs_by_algebra_in_form_or_in_its_unknown_is_wrong(gold, given_text):
    assert not latex(gold, given_text, "{}")
    assert not latex(given_text, gold, "{}")


@pytest.mark.parametrize("gold", [pair[0] for pair in SAME_MATHS])
def test_a_formula_is_right_in_every_form_that_models_use(gold):
    for form in ON_A_LINE:
        assert verdict("latex", gold, form.format(gold)) == (True, True), form
    for form in ELSEWHERE:
        assert verdict("latex", gold, f"Let $a = 7$.\n{form.format(gold)}") == (False, True), form


@pytest.mark.parametrize(
    "hostile",
    [
        "9^{9^{9^{9}}}", "10^{100000}^{100000}", "100000!", r"\binom{1000000}{500000}", r"\sum_{k=1}^{10^9} k",
        "((" * 900, "x^" * 900,
        r"\frac{" * 300, "(x+1)^{100000}", r"\int x^x dx", "(a+b+c+d)^{40}(a-b-c-d)^{40}", r"\sqrt{" * 400,
        "__import__('os').abort()",
        r"\sin" * 600, "{" * 1900, "1" * 1900, "$" * 1900, "\x00", "\ud800".encode("utf-8", "ignore").decode(),
    ],
)  # fmt: skip
def test_no_formula_hangs_or_stops_the_grader_and_the_next_one_is_judged(hostile):
    begin = time.monotonic()
    assert not latex("x^2 + 1", hostile, "{}")
    assert time.monotonic() - begin < 8
    assert latex("(x+1)^2", "x^2+2x+1", "{}")


def test_the_process_that_judges_is_started_again_when_it_is_killed():
    assert latex("(x+1)^2", "x^2+2x+1", "{}")
    _process()._running.kill()
    _process()._running.wait()
    assert latex("(x+2)^2", "x^2+4x+4", "{}")


@settings(max_examples=40)
@given(st.text(r"\frac{}()^_0123456789xy+-*/$&,.= sqrt", max_size=40))
def test_any_formula_is_judged_without_a_crash(text):
    assert latex(text, text, "{}") in (True, False)
    assert not latex("7001", text, "{}")


def test_no_answer_is_run_as_code(tmp_path):
    trap = f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()"
    for name, grader in GRADERS.items():
        for text in (trap, f"${trap}$", rf"\boxed{{{trap}}}", f"{{{{{trap}}}}}"):
            if name != "reasoning_gym":
                grader.judge("5", text, "{}")
    assert not (tmp_path / "ran").exists()


def test_a_grader_of_ones_own_is_named_with_python_before_it_or_without(tmp_path, monkeypatch):
    (tmp_path / "my_judges.py").write_text("def same(expected, given, metadata):\n    return expected == given\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_judges:same", "python:my_judges:same"):
        assert grader_of(name, "here").judge("a", "a", "{}")
    with pytest.raises(Orca2Error, match="my_judges"):
        grader_of("python:my_judges:absent", "here")
    with pytest.raises(Orca2Error, match="unknown grader 'python:'"):
        grader_of("python:", "here")
