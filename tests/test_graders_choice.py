"""Options: label, number and text of one option agree, whichever of them is known and whichever is given."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.recipe.graders import GRADERS
from orca2.recipe.graders.choice import choice
from orca2.recipe.graders.known import grading_facts
from orca2.recipe.graders.options import last_option
from orca2.recipe.graders.verdict import judge

ON_A_LINE = [
    "Answer: ({0})", "Answer: {0}", "Answer: {0}.", "Answer: ({1})", "Answer: **({0})**", "**Answer:** ({0}) {2}",
    "Answer: {0}) {2}", "Answer: {0}. {2}", "Answer: {0}: {2}", "Answer: {0} - {2}", "Answer: {0} — {2}",
    "Answer: **{0}**: {2}", "Answer: **{0}. {2}**", "Answer: option ({0}): {2}", "Answer: Option {0}", "Answer: [{0}]",
    "Answer: The correct answer is ({0})", "Answer: The correct option is {0}", r"Answer: \boxed{{{0}}}",
    r"Answer: $\boxed{{\text{{({0})}}}}$", r"Answer: \text{{({0})}} {2}", "Answer: {0} because it is small",
    "Answer: {0} is correct", "Answer: {0}, since the others fail", "Answer: Therefore, {0}", "Answer: It's {0}",
    "Answer: I choose {0}", "Answer:\n({0})", "Answer: {0}\n\nA is wrong, B is wrong, C is wrong.",
    "Answer: {0} is the correct answer", "Answer: ({0}) {2}\nQuestion: and now?\nAnswer: (A)",
]  # fmt: skip
ELSEWHERE = [
    "The answer is ({0}).", "So the answer is {0} because A is too small.", "Therefore, {0} is correct.",
    "I would pick {0} — a safe choice.", "The correct option is {0}: {2}.", "The best answer is option {0}.",
    r"The final answer is $\boxed{{\text{{{0}}}}}$", "So ({0}).", "({0})", "{0}", "**{0}**", "My answer: {0}",
    "{0}) {2}", "Hence option ({0}) is correct.", "The answer must be {0}", "<answer>{0}</answer>",
    "So the right answer is ({0}), not (A) or (B).", "Option {0} is the right one.", "**Final answer: ({0})**",
]  # fmt: skip
BY_TEXT = ["Answer: {2}", "Answer: It must be {2}.", "The answer is {2}.", "So it is {2}."]
OPTIONS = {
    "cities": ["Paris", "Rome", "New York", "None of the above"],
    "like one another": ["a cat", "a cat and a dog", "I and II only", "Both A and B"],
    "numbers": ["1", "-1", "12", "1.5"],
    "dates": ["12/25/1937", "12/24/1937", "01/04/1938", "12/26/1937"],
}
LABELS = "ABCD"


def verdict(text, gold, metadata):
    found = judge(GRADERS["choice"], "choice", gold, f"Let us see. We rule out (A) first.\n{text}", metadata)
    return found.strict_correct, found.lenient_correct


def golds(options, index):
    """Every way in which a set writes down that this option is right."""
    label = LABELS[index]
    return [label, f"({label})", f"{label}) {options[index]}", options[index], label.lower()]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("form", [*ON_A_LINE, *ELSEWHERE, *BY_TEXT])
def test_an_option_is_right_in_every_form_and_every_other_is_wrong(form, options):
    metadata = json.dumps(grading_facts(choices=[*zip(LABELS, options, strict=True)]))
    for right in range(4):
        for named in range(4):
            text = form.format(LABELS[named], LABELS[named].lower(), options[named])
            for gold in golds(options, right):
                strict, lenient = verdict(text, gold, metadata)
                assert lenient is (named == right), (text, gold)
                assert not strict or named == right, (text, gold)
                assert strict or named != right or not text.startswith("Answer:"), (text, gold)


@pytest.mark.parametrize("form", [*ON_A_LINE, *ELSEWHERE])
def test_labels_alone_decide_where_the_options_are_not_known(form):
    for right in "ABCDEFGH":
        for named in "ABCDEFGH":
            text = form.format(named, named.lower(), "12/25/1937")
            assert verdict(text, f"({right})", "{}")[1] is (named == right)


def test_a_number_from_zero_is_an_option_unless_it_is_the_text_of_one():
    cities = json.dumps(grading_facts(choices=[*zip(LABELS, OPTIONS["cities"], strict=True)]))
    numbers = json.dumps(grading_facts(choices=[*zip(LABELS, OPTIONS["numbers"], strict=True)]))
    assert choice("2", "C", cities)
    assert choice("2", "New York", cities)
    assert not choice("2", "B", cities)
    assert choice("1", "A", numbers)
    assert not choice("1", "B", numbers)


@pytest.mark.parametrize(
    "hedged",
    [
        "A or B", "Both A and B", "(A) and (B)", "A, B", "A/B", "(A) Paris or (B) Rome", "Either (A) or (B)",
        "not A", "Neither",
        "A. Paris or B. Rome", "Paris or Rome", "not Paris", "(A) Rome", "A: Rome", "any of them", "(E)", "", "?",
        "I think so",
        "a good question", "Parisian", "New",
    ],
)  # fmt: skip
def test_a_hedge_a_contradiction_or_no_option_is_wrong_strictly_and_leniently(hedged):
    metadata = json.dumps(grading_facts(choices=[*zip(LABELS, OPTIONS["cities"], strict=True)]))
    for gold in LABELS:
        for known in (metadata, "{}"):
            rome = known == "{}" and hedged.endswith(("Rome",)) and gold == "A" and " or " not in hedged
            assert verdict(f"Answer: {hedged}", gold, known) == (rome, rome), (gold, known)


@pytest.mark.parametrize(
    ("gold", "given_text", "right"),
    [
        ("ABD", "A, B, D", True), ("ABD", "A, B and D", True), ("ABD", "(A), (B), (D)", True), ("ABD", "ABD", True),
        ("ABD", "A, B", False), ("ABD", "A", False), ("A", "ABD", False), ("ABD", "ABCD", False),
        ("A, C", "C and A", False), ("A, C", "A and C", True),
    ],
)  # fmt: skip
def test_several_right_options_are_right_together(gold, given_text, right):
    metadata = json.dumps(grading_facts(choices=[*zip(LABELS, OPTIONS["cities"], strict=True)]))
    assert choice(gold, given_text, "{}") is right
    assert choice(gold, given_text, metadata) is right


def test_two_options_of_one_text_cannot_be_told_apart_by_it():
    metadata = json.dumps(grading_facts(choices=[("A", "4"), ("B", "4"), ("C", "5")]))
    assert not choice("A", "4", metadata)
    assert choice("A", "A", metadata)
    assert choice("C", "5", metadata)


@pytest.mark.parametrize(
    ("gold", "given_text", "right"),
    [
        ("Yes", "True", True), ("no", "It is False", True), ("Yes", "No, it is not true", False), ("Paris", "paris",
         True),
        ("Paris", "(B) Paris", True), ("left", "left or right", False), ("left turn", "left", False), ("Paris",
         "Rome", False),
    ],
)  # fmt: skip
def test_words_are_compared_as_words_where_nothing_else_is_known(gold, given_text, right):
    assert choice(gold, given_text, "{}") is right


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I rule out (A), so (C).", "C"), ("(A) is wrong. (B) is wrong. Option C.", "C"), ("Not (A).", None),
        ("It is (B).\nGood luck!", "B"), ("both (A) and (B)", None), ("$f(d) = t$", None), ("There is no way.", None),
    ],
)  # fmt: skip
def test_the_last_option_that_is_not_ruled_out_is_the_one_a_text_names(text, label):
    assert last_option(text) == label


@given(st.permutations(["Paris", "Rome", "Oslo", "Bonn"]), st.sampled_from("ABCD"), st.sampled_from(ON_A_LINE))
def test_no_letter_is_judged_otherwise_than_another(texts, label, form):
    metadata = json.dumps(grading_facts(choices=[*zip(LABELS, texts, strict=True)]))
    text = form.format(label, label.lower(), texts[LABELS.index(label)])
    assert verdict(text, label, metadata) == (True, True)
