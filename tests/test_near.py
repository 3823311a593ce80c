"""Near duplicates: proposed by MinHash, judged on their words, and never a question that asks something else."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orca2.recipe.likeness.near import LIKENESS, common_runs, likeness
from orca2.recipe.likeness.runs import runs
from orca2.recipe.likeness.wording import wording
from orca2.recipe.tasks.duplicates import near_duplicates
from tests.examples import example

BASE = "Nina packed 36 boxes on Monday, and a third as many on Friday. How many boxes did she pack in all?"
PASSAGE = " ".join(f"word{i} of the story" for i in range(80))
ANY = 5


def found(questions, splits=None, answers=None, groups=None, ranks=None):
    """Which questions go, and which they are like, of all in training unless said otherwise."""
    count = len(questions)
    splits, answers = splits or ["train"] * count, answers or ["1"] * count
    rows = [
        example(row_id=str(i), question=question, split=split, answer=answer, grader="exact")
        for i, (question, split, answer) in enumerate(zip(questions, splits, answers, strict=True))
    ]
    order = {"evaluation": 1, "probe": 3, "train": ANY}
    ranks = ranks or [order[split] for split in splits]
    gone = near_duplicates([wording(q) for q in questions], groups or [""] * count, rows, ranks)
    assert {rejection.reason for rejection in gone} <= {"near duplicate"}
    return {rejection.row: int(rejection.detail.split()[-1]) for rejection in gone}


def naive(wordings):
    """Every question compared with all that stay before it, in order."""
    leaders = {}
    common = common_runs(wordings, ["sums"] * len(wordings)).get("sums")
    for row, text in enumerate(wordings):
        like = [first for first in range(row) if first not in leaders and likeness(wordings[first], text, common)]
        if like:
            leaders[row] = like
    return leaders


def edited(text, draw):
    """One or two words of it exchanged, dropped or put in."""
    words = text.split()
    for _ in range(draw.randint(1, 2)):
        at = draw.randrange(len(words))
        words[at : at + draw.randint(0, 1)] = draw.choice([[], [f"new{draw.randrange(99)}"]])
    return " ".join(words) or text


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), vocabulary=st.sampled_from([8, 40, 2000]), count=st.integers(1, 60))
def test_what_is_found_is_what_comparing_all_pairs_finds_but_for_a_miss_in_fifty(seed, vocabulary, count):
    draw = random.Random(seed)  # noqa: S311
    texts = [" ".join(f"w{'xyz'[i % 3]}{chr(97 + i % 26)}{'v' * (i // 26)}" for i in (draw.randrange(vocabulary)
             for _ in range(draw.randint(12, 40)))) for _ in range(count)]  # fmt: skip
    texts = list(dict.fromkeys([*texts, *(edited(draw.choice(texts), draw) for _ in range(count))]))
    expected, gone = naive([wording(text) for text in texts]), found(texts)
    assert set(gone) <= set(expected)
    for row, first in gone.items():
        assert likeness(wording(texts[first]), wording(texts[row])) >= LIKENESS
    assert len(gone) >= 0.98 * len(expected) - 1


def test_a_name_exchanged_or_a_word_put_in_is_a_near_duplicate_and_the_first_stays():
    assert found([BASE, BASE.replace("Nina", "Mara"), "Something else altogether."]) == {1: 0}
    assert found([BASE, f"Please: {BASE}"]) == {1: 0}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BASE, BASE.replace("36", "37")),
        (BASE, BASE.replace("a third", "three times")),
        (f"{PASSAGE}. What is it about?", f"{PASSAGE}. Who wrote this old letter?"),
        ("Calculate 4 + 5 + 6.", "Calculate 4 + 6 + 5."),
        ("Alice has 3 brothers and she also has 2 sisters. How many sisters does Alice's brother have?",
         "Mary has 3 brothers and she also has 2 sisters. How many sisters does Mary's brother have?"),
        (f"{PASSAGE}. 3 + 4", f"{PASSAGE}. 3 - 4"),
        ("True and not not ( not False ) is", "False and not not ( not False ) is"),
    ],
)  # fmt: skip
def test_another_question_is_no_near_duplicate(one, other):
    assert found([one, other]) == {}


def test_in_one_split_another_answer_makes_another_question_but_nothing_like_a_held_out_one_is_learnt():
    mara = BASE.replace("Nina", "Mara")
    assert found([BASE, mara], answers=["48", "40"]) == {}
    assert found([mara, BASE], ["train", "evaluation"], ["40", "48"]) == {0: 1}


def test_an_instruction_that_a_task_shares_makes_no_near_duplicates_of_its_questions():
    instruction = "Solve the following problem with care. Write the two words below in the reversed order, one by one"
    pairs = [f"{instruction}: {one}, {other}" for one in "abcdef" for other in ("sun", "moon", "star")]
    named = [
        f"{name} has 3 brothers and she also has {number} sisters. How many sisters does {name}'s brother have?"
        for name in ("Alice", "Mary", "Linda", "Sarah", "Susan")
        for number in range(1, 8)
    ]
    assert found(pairs) == found(named) == {}


def test_rows_of_one_group_and_questions_of_a_benchmark_are_never_left_out():
    one, other = f"{PASSAGE}. Which is true?", f"{PASSAGE}. Which is false?"
    assert found([one, other]) == {1: 0}
    assert found([one, other], groups=["p", "p"]) == {}
    assert found([one, other], groups=["p", "q"]) == {1: 0}
    assert found([one, other], ["evaluation"] * 2, ranks=[0, 0]) == {}
    assert found([one, other], ["evaluation"] * 2, ranks=[1, 0]) == {0: 1}


def test_a_chain_of_likenesses_leaves_no_question_out_that_is_like_none_that_stays():
    words = [f"w{chr(97 + i)}" for i in range(26)] * 2
    texts = [" ".join(words)]
    for at in range(0, 50, 5):
        words[at] = f"other{chr(97 + at // 5)}"
        texts.append(" ".join(words))
    gone = found(texts)
    assert 0 < len(gone) < len(texts) - 1
    for row, first in gone.items():
        assert first not in gone
        assert likeness(texts[first], texts[row])


@given(texts=st.lists(st.lists(st.sampled_from("abcde"), min_size=1), max_size=9), length=st.integers(1, 4))
def test_runs_are_those_of_each_text_and_none_across_two(texts, length):
    joined = [" ".join(text) for text in texts]
    for beyond in (False, True):
        numbers, meaning = {}, {}
        for stretch in runs(joined, length, beyond=beyond):
            assert len(stretch.texts) == len(stretch.numbers) == stretch.ends[-1]
            for at, text in enumerate(stretch.texts):
                numbers.setdefault(int(text), []).append(int(stretch.numbers[at]))
        for row, text in enumerate(texts):
            edge = [""] * (length - 1) * beyond
            padded = [*edge, *text, *edge]
            own = [tuple(padded[i : i + length]) for i in range(len(padded) - length + 1)]
            assert len(numbers.get(row, [])) == len(own)
            for run, number in zip(own, numbers.get(row, []), strict=True):
                assert meaning.setdefault(run, number) == number
        assert len(set(meaning.values())) == len(meaning)


def test_texts_come_in_stretches_and_keep_their_numbers(monkeypatch):
    texts = [f"one two {i}" for i in range(50)]
    (whole,) = runs(texts, 3)
    monkeypatch.setattr("orca2.recipe.likeness.runs._STRETCH_CHARACTERS", 40)
    parts = list(runs(texts, 3))
    assert len(parts) > 10
    assert np.array_equal(np.concatenate([part.numbers for part in parts]), whole.numbers)
    assert np.array_equal(np.concatenate([part.texts for part in parts]), whole.texts)
