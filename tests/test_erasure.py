"""Prompt erasing: nothing of the teacher's instruction is left on the student's side, in turns or in words."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.rows import Chat, Example, Graded, Rejected, Request
from orca2.core.tables import from_table, to_table
from orca2.recipe.erasure import SHINGLE_WORDS, erase_table
from orca2.recipe.templates import Templates, opened
from tests.examples import ROOT, example, graded, request, turns
from tests.naive_erasure import erase, quotation_in

INSTRUCTION = "First break the question into small parts, then solve each part in turn, don't skip the café check."
WHOLE_QUESTION = "What is two and three, when you count them one after the other?"
WORKED = "One and one are two, since one after one is two. Answer: 2"
STUDENT = turns("What is 2 + 3?", system="You are a helpful assistant.")


def erased(text, *, question="What is 2 + 3?", student=STUDENT, worked=(), last=None):
    teacher = request(messages=turns(*worked, last or question, system=INSTRUCTION))
    return erase(graded(text=text), teacher, student, "student/generic.j2")


def shingles(text):
    words = text.lower().split()
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}


def test_the_student_sees_its_own_turns_then_the_answer_untouched():
    text = "  2 + 3 = 5\n\nAnswer: 5 "
    chat = erased(text)
    assert isinstance(chat, Chat)
    assert chat.messages[:-1] == STUDENT
    assert (chat.messages[-1].role, chat.messages[-1].content) == ("assistant", text)
    assert chat.erased_template == "strategies/step_by_step.j2"
    assert chat.student_template == "student/generic.j2"


def test_an_answer_that_quotes_eight_words_is_rejected_and_the_quotation_is_named():
    row = erased("As told: break the question into small parts, then solve it.")
    assert isinstance(row, Rejected)
    assert row.reason == "answer quotes the erased instruction"
    assert row.detail == "break the question into small parts then solve"


def test_seven_words_in_a_row_are_no_quotation():
    assert isinstance(erased("I break the question into small parts, then I solve."), Chat)


@pytest.mark.parametrize(
    "text",
    [
        "BREAK THE QUESTION INTO SMALL PARTS THEN SOLVE",
        "break *the* question, into _small_ parts;\nthen **solve**",
        "break-the-question into “small” parts – then: solve",
        "turn, don’t skip the café check. solve each part in turn, don’t skip the café check",
        "each part in turn don't skip the cafe\u0301 check",
    ],
)
def test_case_punctuation_markup_and_spellings_of_the_same_letters_hide_no_quotation(text):
    assert isinstance(erased(text), Rejected)


def test_words_that_the_question_says_too_are_no_quotation():
    question = f"Explain this advice: {INSTRUCTION}"
    student = turns(question, system="You are a helpful assistant.")
    assert isinstance(erased(f"It says: {INSTRUCTION}", question=question, student=student), Chat)


def test_words_that_the_student_is_told_too_are_no_quotation():
    student = turns("What is 2 + 3?", system=INSTRUCTION)
    assert isinstance(erased(INSTRUCTION, student=student), Chat)


def test_an_instruction_beside_the_question_in_the_last_turn_is_erased_as_well():
    last = "What is 2 + 3? Write down every single step that you take before answering."
    assert isinstance(erased("I write down every single step that you take before answering.", last=last), Rejected)
    assert isinstance(erased("You ask: What is 2 + 3? Answer: 5", last=last), Chat)


def test_a_worked_answer_shows_a_form_and_counts_only_when_it_is_copied_whole():
    worked = ("What is 4 + 4?", "Four and four more make eight apples in all. Answer: 8")
    assert isinstance(erased("Four and four more make eight apples in all. Answer: 9", worked=worked), Chat)
    copied = erased("Four and four more make eight apples in all.\nAnswer: 8. Done.", worked=worked)
    assert isinstance(copied, Rejected)
    assert copied.detail == "four and four more make eight apples in all answer 8"


def test_a_short_worked_answer_may_be_given_again():
    assert isinstance(erased("Answer: 5", worked=("What is 1 + 4?", "Answer: 5")), Chat)


def test_a_worked_question_is_part_of_the_instruction():
    worked = ("Ann has three red apples and buys two green ones today. How many?", "Answer: 5")
    assert isinstance(erased("Ann has three red apples and buys two green ones. Answer: 5", worked=worked), Rejected)


WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=24).map(" ".join)


@given(text=WORDS, instruction=WORDS, permitted=WORDS)
def test_a_quotation_is_found_exactly_when_plain_shingles_overlap(text, instruction, permitted):
    found = quotation_in(text, turns("q", system=instruction)[:1], allowed=turns(permitted))
    overlap = (shingles(text) & shingles(instruction)) - shingles(permitted)
    assert bool(found) == bool(overlap)
    assert not found or tuple(found.split()) in overlap


def shipped_pairs():
    templates = Templates(ROOT / "templates")
    tasks = sorted({file.split("/")[1] for file in templates.files if file.startswith("tasks/")} | {"any other task"})
    return [(strategy, task) for strategy in templates.strategies for task in tasks]


@pytest.mark.parametrize(("strategy", "task"), shipped_pairs())
def test_no_shipped_student_template_lets_a_run_of_the_teachers_instruction_through(strategy, task):
    templates = Templates(ROOT / "templates")
    asked = example(task=task, question="zzz")
    teacher = templates.teacher(asked, strategy)
    assert any(shingles(m.content) for m in teacher.messages[:-1]), "nothing to erase: this test would prove nothing"
    for name in (file.split("/")[1][:-3] for file in templates.files if file.startswith("student/")):
        student = templates.student(asked, name)
        assert not quotation_in("\n".join(m.content for m in student.messages), teacher.messages[:-1], allowed=())
        row = erase(graded(text="Answer: 5"), request(messages=teacher.messages), student.messages, student.template)
        everything = " ".join(m.content for m in row.messages)
        assert not shingles(everything) & {s for m in teacher.messages[:-1] for s in shingles(m.content)}


def test_a_student_template_that_repeats_the_instruction_would_be_caught_here():
    teacher = turns("q", system=INSTRUCTION)
    leaking = dataclasses.replace(STUDENT[0], content=f"Be kind. {INSTRUCTION}")
    assert quotation_in(leaking.content, teacher[:-1], allowed=())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 4)), max_size=8))
def test_a_table_of_answers_is_erased_as_they_are_one_by_one(rows):
    templates = opened(ROOT / "templates")
    lasts = [WHOLE_QUESTION, f"{WHOLE_QUESTION} {INSTRUCTION}", " a blank first"]
    examples, asked, kept = [], [], []
    for number, (last, worked, said) in enumerate(rows):
        names = {"row_id": f"row {number}", "sample_index": number % 2}
        examples.append(example(row_id=names["row_id"], question=lasts[last] if last != 1 else WHOLE_QUESTION))
        told = turns(*("1 + 1?", WORKED) * worked, lasts[last], system=INSTRUCTION)
        asked.append(request(messages=told, template=f"strategies/{worked}.j2", **names))
        kept.append(graded(text=["5", INSTRUCTION, WORKED, WHOLE_QUESTION, f"So: {WORKED}"][said], **names))
    tables = (to_table(examples, Example), to_table(asked[::-1], Request), to_table(kept, Graded))
    chats, rejected = erase_table(*tables, templates, "generic")
    one_by_one = []
    for shown, teacher, row in zip(examples, asked, kept, strict=True):
        student = templates.student(shown, "generic")
        one_by_one.append(erase(row, teacher, student.messages, student.template))
    assert list(from_table(chats, Chat)) == [row for row in one_by_one if isinstance(row, Chat)]
    assert list(from_table(rejected, Rejected)) == [row for row in one_by_one if isinstance(row, Rejected)]
