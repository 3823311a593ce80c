"""The audit of answers: residues of an erased instruction are found in any script, and plain answers are left alone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.recipe.erasure.likeness import MORE, SHARE, Sentences
from orca2.recipe.erasure.phrases import meta_phrase, technique_name
from orca2.recipe.erasure.residue import LIKE, META, NAMED, QUOTED, WORKED, residue, told
from orca2.recipe.erasure.words import plain, runs, tokens
from tests.examples import turns
from tests.residues import LATIN, SCRIPTS, found_in, planted

KIND_OF = {"verbatim": QUOTED, "short": QUOTED, "fuzzy": LIKE, "meta": META, "name": NAMED, "worked": WORKED}
SHOWN = ("You are a helpful assistant.", "What is 2 + 3?")


def left(text, *, system="", worked=(), shown=SHOWN, names=("step_by_step", "recall_then_generate", "reflect")):
    """The kind and the words of what is found in an answer."""
    erased = turns(*worked, system=system)
    found = residue(text, told(erased), shown, names)
    return (found.kind, found.words) if found else None


def test_at_least_95_percent_of_sixty_planted_residues_are_found_each_as_its_kind():
    residues = planted()
    assert len(residues) == 60
    found = [(found_in(SCRIPTS[script], text, kind), kind) for script, kind, text in residues]
    assert sum(bool(one) for one, _ in found) >= 57
    assert [(one, kind) for one, kind in found if one and one.kind != KIND_OF[kind]] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_answer_in_the_form_of_the_worked_ones_is_no_residue(name):
    script = SCRIPTS[name]
    assert [found for text in script.clean for found in [found_in(script, text)] if found] == []


def test_an_instruction_that_is_erased_from_one_script_is_no_residue_in_another():
    others = {name: [t for other, s in SCRIPTS.items() if other != name for t in s.clean] for name in SCRIPTS}
    assert not [
        found for name, texts in others.items() for t in texts for found in [found_in(SCRIPTS[name], t)] if found
    ]


@pytest.mark.parametrize(
    ("shares", "found"),
    [
        ("请先把问题分解成小的部分", True),  # twelve characters
        ("请先把问题分解成小的部", False),
        ("คิดทีละขั้นตอนก่อนตอบคำถาม", True),
        ("คิดทีละขั้นตอน", False),
    ],
)
def test_where_words_have_no_blanks_a_run_of_characters_is_a_quotation(shares, found):
    instruction = f"{shares}，然后依次解决每一个部分，这样就不会忘记任何东西，คิดแล้วคิดอีกทุกครั้งเสมอ"
    assert (
        bool([run for run in runs(tokens(plain(f"好。{shares}。5"))) if run in set(runs(tokens(plain(instruction))))])
        == found
    )


def test_an_instruction_of_four_words_is_found_wherever_it_stands_and_one_of_two_as_a_sentence():
    assert left("So I think step by step. 5", system="Think step by step.") == (QUOTED, "think step by step")
    assert left("Find the total! 5", system="Find the total.") == (QUOTED, "find the total")
    assert left("First find the total number: 5", system="Find the total.") is None
    assert left("Be brief! 5", system="Be brief.") == (QUOTED, "be brief")
    assert left("I shall be brief about it: 5", system="Be brief.") is None
    assert left("Answer: 5", system="Answer.") is None


def test_a_sentence_of_a_longer_instruction_is_found_where_it_is_a_sentence_of_the_answer():
    system = "Look at the numbers of the question first. Show your work. Then give the result on its own line."
    assert left("Show your work. 5", system=system) == (QUOTED, "show your work")
    assert left("They show your work time was 5", system=system) is None


def test_what_the_question_or_the_line_of_the_student_says_is_no_residue():
    system = "End with a line `Answer: <number>` and nothing behind it. Write one short sentence before that line."
    asked = "What is 2 + 3? End with a line `Answer: <number>` and nothing behind it. Write one short sentence."
    text = "I end with a line Answer: <number> and nothing behind it. Write one short sentence.\nAnswer: 5"
    assert left(text, system=system)
    assert left(text, system=system, shown=("You are kind.", asked)) is None
    assert left(text, system=system, shown=(asked, "2 + 3?")) is None


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (
            "According to the instructions, it bakes for 20 minutes. Answer: 20",
            "The instructions say 20 minutes. How long?",
        ),
        ("The system prompt is what a model reads first.", "What is a system prompt?"),
        ("Use the step_by_step strategy.", "Which strategy, step_by_step or reflect?"),
        ("按照指示，烤二十分钟。", "指示说烤二十分钟。要烤多久？"),
    ],
)
def test_who_asks_about_instructions_is_answered_about_instructions(text, question):
    assert left(text, shown=("You are kind.", question)) is None
    assert left(text)


@pytest.mark.parametrize(
    "text",
    [
        "Step by step, we get 5.",
        "Take it as directed by your doctor.",
        "As instructed by the referee, they stop.",
        "She was told to wait.",
        "The recipe for example needs 5.",
        "The message is short.",
        "He follows the manufacturer's instructions.",
        "It is a method to reflect light.",
        "We check, then guess.",
        "A system of two equations.",
        "Follow the instructions on the box.",
        "You find it in the instructions of the oven. The instructions are short.",
    ],
)
def test_plain_words_are_no_phrase_about_an_instruction(text):
    assert left(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "As I was instructed,", "as you've instructed", "AS *INSTRUCTED*", "per your instructions",
        "The instructions say", "I was told to think aloud", "in accordance with the given instructions",
        "the examples I was shown", "Wie angewiesen,", "Conformément aux consignes,", "Siguiendo sus instrucciones,",
        "Seguindo as instruções,", "Come da istruzioni,", "В соответствии с инструкцией,", "依照系統指令",
        "システムの指示では", "지시에 따라", "निर्देशानुसार", "وفقًا للتعليمات", "ตามคำสั่งที่ได้รับ", "Аs instructed",
    ],
)  # fmt: skip
def test_phrases_about_an_instruction_are_known_in_many_languages(text):
    assert meta_phrase(plain(f"{text} 5"), "2 + 3?")


def test_a_name_of_one_word_or_an_everyday_one_counts_beside_a_word_that_says_what_it_is():
    def named(text):
        return technique_name(plain(text), tokens(plain(text)), "", ("reflect", "step_by_step", "short_answer"))

    for text in ("Technique: reflect.", "the 'reflect' strategy", "strategy: step by step", "a short-answer approach"):
        assert named(text), text
    for text in ("Mirrors reflect.", "step by step", "a short answer", "A step-by-step approach"):
        assert not named(text), text


WORKED_TURNS = (
    "Ann has 3 red apples and Bo has 6. Who has more?", "Compare the two: Bo with 6 beats Ann with 3. Answer: Bo",
    "Cy has 9 red apples and Di has 2. Who has more?", "Compare the two: Cy with 9 beats Di with 2. Answer: Cy",
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Compare the two: Bo with 6 beats Ann with 3. Answer: Bo",
        "Bo with 6 beats Ann with 5, so it is Ed. Answer: Ed",
        "Ann has 3 red apples. Ed has 5. Answer: Ed",
    ],
)
def test_a_worked_turn_is_found_whole_and_in_part(text):
    question = "Ed has 5 red apples and Flo has 4. Who has more?"
    found = left(text, worked=WORKED_TURNS, shown=("You are kind.", question))
    assert found
    assert found[0] == WORKED


def test_a_worked_form_filled_with_the_question_s_own_words_is_no_residue():
    question = "Ed has 5 red apples and Bo has 4. Who has more?"
    text = "Compare the two: Ed with 5 beats Bo with 4. Ed has 5 red apples and Bo has 4. Answer: Ed"
    assert left(text, worked=WORKED_TURNS, shown=("You are kind.", question)) is None


def test_a_common_phrase_that_an_instruction_has_too_is_no_likeness():
    system = "Read the problem. Find the total number of items in each group. Then give the result with its unit."
    assert left("First find the total number of pieces: 14 * 60 = 840. Then 840 / 3 = 280.", system=system) is None
    assert left("First I find the total number of the items in every group: 840.", system=system)


def test_a_name_of_a_worked_turn_is_no_residue_where_the_question_has_it_too():
    worked = ("Anna has 3 kettles. How many?", "Anna has 3.", "Cyril has 9 violins. How many?", "Cyril has 9.")
    text = "Anna sells her kettles, so 5. Answer: 5"
    assert left(text, worked=worked, shown=("You are kind.", "Bo has 5 cups. How many?")) == (WORKED, "anna, kettles")
    assert left(text, worked=worked, shown=("You are kind.", "Anna has 5 cups. How many?")) is None


def test_a_word_with_letters_of_another_script_is_read_as_it_looks():
    assert plain("Wоrk thrоugh the quеstion") == "work through the question"
    assert plain("Работа и question") == "работа и question"


LETTERS = st.text("abc", max_size=40)


@given(LETTERS, LETTERS)
def test_a_stretch_is_like_a_sentence_exactly_when_one_of_all_stretches_holds_enough_of_its_pieces(text, sentence):
    pieces = {sentence[i : i + 4] for i in range(len(sentence) - 3)}
    size = len(sentence) * 3 // 2
    stretches = [{text[i : i + 4] for i in range(s, min(s + size, len(text) - 3))} for s in range(len(text))]
    is_like = len(pieces) >= 14 and any(len(held & pieces) >= SHARE * len(pieces) + MORE[4] for held in stretches)
    assert bool(Sentences([sentence]).like([text], lambda _: set())) == is_like


def test_pieces_of_a_sentence_that_stand_far_apart_are_no_likeness():
    sentence = "abcdefghijklmnopqrstuvwxyz0123456789"
    for between, is_like in (("z" * 10, True), ("z" * 60, False)):
        assert bool(Sentences([sentence]).like([sentence[:18], between, sentence[18:]], lambda _: set())) == is_like


@pytest.mark.parametrize(
    "hostile",
    [
        "step " * 200_000, "a'" * 500_000, "as i was " * 110_000, "the instructions " * 60_000, "步" * 330_000,
        "_" * 1_000_000, "recall, then " * 80_000, "treat each part on " * 53_000, "Ophelia starts with " * 50_000,
        ". " * 500_000, "ก็" * 300_000, "wоrk" * 200_000, "strategy" + " " * 1_000_000, "strategy " * 110_000,
        "smallest parts before it computes anything or else split up " * 17_000,
    ],
)  # fmt: skip
def test_a_megabyte_of_anything_takes_seconds(hostile):
    begin = time.process_time()
    found_in(LATIN, hostile)
    assert time.process_time() - begin < 6
