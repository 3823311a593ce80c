"""Overlap with what is held out: as counting all runs of all pairs finds it."""

import itertools
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from orca2.recipe.likeness.overlap import COMMON, RUN_WORDS, SHARE, overlaps

WORDS = ["".join(letters) for letters in itertools.product("abcdefgh", repeat=3)][:400]


def runs_of(text):
    words = text.split(" ")
    return {tuple(words[i : i + RUN_WORDS]) for i in range(len(words) - RUN_WORDS + 1)}


def naive(texts, questions):
    holders = Counter(run for text in (*texts, *questions) for run in runs_of(text))
    found = {}
    for number, text in enumerate(texts):
        shares = []
        for question in questions:
            own = {run for run in runs_of(question) if holders[run] <= COMMON}
            shares.append(len(own & runs_of(text)) / len(own) if own else 0)
        best = max(range(len(questions)), key=lambda q: shares[q], default=None)
        if best is not None and shares[best] >= SHARE:
            found[number] = (best, shares[best])
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), questions=st.integers(0, 6), texts=st.integers(0, 25), common=st.sampled_from([0, 20])
)
def test_overlaps_are_those_of_all_pairs(seed, questions, texts, common):
    draw = random.Random(seed)  # noqa: S311
    instruction = " ".join(WORDS[:common])
    held_out = [" ".join([instruction, *draw.choices(WORDS, k=draw.randint(1, 40))]).strip() for _ in range(questions)]
    others = []
    for _ in range(texts):
        text = draw.choices(WORDS, k=draw.randint(1, 30))
        if held_out and draw.random() < 0.6:
            source = draw.choice(held_out).split(" ")
            start = draw.randrange(len(source))
            text[3:3] = source[start : start + draw.randint(5, 60)]
        others.append(" ".join([instruction, *text]).strip())
    found = {o.text: (o.question, o.share) for o in overlaps(others, held_out)}
    assert found == naive(others, held_out)


def test_a_passage_in_training_overlaps_and_an_instruction_that_all_share_does_not():
    passage = " ".join(WORDS[:60])
    (found,) = overlaps(["another text", f"{passage} and who came"], [f"{passage} what was it about"])
    assert (found.text, found.question) == (1, 0)
    assert found.share > 0.9
    instruction = " ".join(WORDS[:40])
    asked = [f"{instruction} {i} and {i}" for i in range(12)]
    assert overlaps(asked[:6], asked[6:]) == []


def test_a_text_that_lacks_a_number_of_the_question_is_another_one():
    options = " ".join(WORDS[:40])
    question = f"it is 13 days to the end {options}"
    assert overlaps([f"it is 3 days to the end {options}"], [question]) == []
    assert len(overlaps([f"here: {question} and 3 more"], [question])) == 1


def test_nothing_overlaps_where_nothing_is_held_out_or_questions_are_shorter_than_a_run():
    assert overlaps([" ".join(WORDS)], []) == []
    assert overlaps([], [" ".join(WORDS)]) == []
    assert overlaps([" ".join(WORDS)], [" ".join(WORDS[: RUN_WORDS - 1])]) == []
