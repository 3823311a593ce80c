"""Prompt erasing: nothing of the teacher's instruction is left on the student's side, in turns or in words."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.errors import InputErrors, Orca2Error
from orca2.core.rows import Chat, Example, Graded, Rejected, Request
from orca2.core.tables import from_table, to_table
from orca2.recipe.erasure import EraseConfig, check_erased_names, check_lines
from orca2.recipe.erasure.residue import LIKE, QUOTED
from orca2.recipe.erasure.tables import erase_table
from orca2.recipe.erasure.words import SHINGLE_WORDS
from orca2.recipe.templates import Templates, opened
from tests.examples import ROOT, example, graded, request, turns, write_templates
from tests.naive_erasure import erase, residue_in

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


def test_seven_words_in_a_row_are_no_quotation_though_they_may_be_too_alike():
    text = "I break the question into small parts, then I solve."
    row = erased(text)
    assert row.reason == LIKE
    assert isinstance(erased(text.replace("question into small parts", "cake in two")), Chat)


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


@given(text=WORDS, instruction=WORDS.filter(lambda words: len(words.split()) >= SHINGLE_WORDS), permitted=WORDS)
def test_a_quotation_is_found_exactly_when_plain_shingles_overlap(text, instruction, permitted):
    found = residue_in(text, turns("q", system=instruction)[:1], allowed=turns(permitted))
    overlap = (shingles(text) & shingles(instruction)) - shingles(permitted)
    assert bool(found and found.kind == QUOTED) == bool(overlap)
    assert not overlap or tuple(found.words.split()) in overlap


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
        assert not residue_in("\n".join(m.content for m in student.messages), teacher.messages[:-1], allowed=())
        row = erase(graded(text="Answer: 5"), request(messages=teacher.messages), student.messages, student.template)
        everything = " ".join(m.content for m in row.messages)
        assert not shingles(everything) & {s for m in teacher.messages[:-1] for s in shingles(m.content)}


def test_a_student_template_that_repeats_the_instruction_would_be_caught_here():
    teacher = turns("q", system=INSTRUCTION)
    leaking = dataclasses.replace(STUDENT[0], content=f"Be kind. {INSTRUCTION}")
    assert residue_in(leaking.content, teacher[:-1], allowed=())


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
    chats, rejected = erase_table(*tables, templates, EraseConfig(student_template="generic"))
    one_by_one = []
    for shown, teacher, row in zip(examples, asked, kept, strict=True):
        student = templates.student(shown, "generic")
        one_by_one.append(erase(row, teacher, student.messages, student.template))
    assert list(from_table(chats, Chat)) == [row for row in one_by_one if isinstance(row, Chat)]
    assert list(from_table(rejected, Rejected)) == [row for row in one_by_one if isinstance(row, Rejected)]


ROWS = [f"row {number}" for number in range(300)]


def chats_of(config, rows=ROWS[:1], text="5", **fields):
    """The conversations of some questions of one task, under shipped templates."""
    templates = opened(ROOT / "templates")
    told = turns("1 + 1?", WORKED, WHOLE_QUESTION, system=INSTRUCTION)
    tables = (
        to_table([example(row_id=row, question=WHOLE_QUESTION, **fields) for row in rows], Example),
        to_table([request(row_id=row, messages=told, template="strategies/x.j2") for row in rows], Request),
        to_table([graded(row_id=row, text=text) for row in rows], Graded),
    )
    return list(from_table(erase_table(*tables, templates, EraseConfig(**config))[0], Chat))


def test_generic_shows_the_line_of_the_student_template_and_is_the_default():
    (chat,) = chats_of({"student_template": "plain"})
    assert [(m.role, m.content) for m in chat.messages[1:]] == [("user", WHOLE_QUESTION), ("assistant", "5")]
    assert chat.messages[0].content.startswith("Answer what you are asked.")
    assert (chat.student_template, chat.erased_template) == ("student/plain.j2", "strategies/x.j2")


def test_empty_shows_the_question_alone():
    (chat,) = chats_of({"student_template": "generic", "instruction": "empty"})
    assert chat.messages == turns(WHOLE_QUESTION, "5")
    assert chat.student_template == "student/empty.j2"


def test_keep_leaves_the_teachers_instruction_and_no_worked_turn_and_looks_for_no_quotation_of_what_stays():
    config = {"student_template": "generic", "instruction": "keep"}
    (chat,) = chats_of(config, text=f"{INSTRUCTION} 5")
    assert chat.messages == turns(WHOLE_QUESTION, f"{INSTRUCTION} 5", system=INSTRUCTION)
    assert chat.student_template == chat.erased_template == "strategies/x.j2"
    assert not chats_of(config, text=WORKED), "a worked turn is erased in any case"


def test_one_of_shows_each_row_one_line_by_its_id_and_a_further_line_moves_no_other_row():
    two = {"student_template": "generic", "instruction": "one_of", "one_of": ("generic", "plain")}
    shown = {chat.row_id: chat.student_template for chat in chats_of(two, ROWS)}
    assert 100 < list(shown.values()).count("student/plain.j2") < 200
    assert shown == {chat.row_id: chat.student_template for chat in chats_of(two, ROWS[::-1])}
    three = {
        chat.row_id: chat.student_template for chat in chats_of(two | {"one_of": ("careful", "plain", "generic")}, ROWS)
    }
    moved = {row for row in ROWS if three[row] != shown[row]}
    assert 60 < len(moved) < 140
    assert {three[row] for row in moved} == {"student/careful.j2"}


def test_a_task_may_be_erased_otherwise_than_its_category_and_a_category_otherwise_than_the_rest():
    config = {"student_template": "generic", "tasks": {"sums": "empty", "arithmetic": "keep"}}
    shown = [
        chats_of(config, **of)[0].student_template for of in ({}, {"task": "other"}, {"task": "o", "category": "c"})
    ]
    assert shown == ["student/empty.j2", "strategies/x.j2", "student/generic.j2"]


def test_held_out_questions_are_asked_as_they_were_taught_but_nobody_names_the_technique_to_the_student():
    tasks = {"a": "empty", "b": "keep", "c": "one_of"}
    config = EraseConfig(student_template="plain", one_of=("generic", "plain"), tasks=tasks)
    assert [config.asked(task, "any") for task in "abcd"] == ["empty", "plain", "plain", "plain"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"instruction": "one_of"}, "needs two student templates or more"),
        ({"tasks": {"sums": "one_of"}, "one_of": ("generic",)}, "needs two student templates or more"),
        ({"instruction": "one_of", "one_of": ("plain", "careful")}, "must hold generic"),
        ({"one_of": ("plain", "plain")}, "names a template twice"),
    ],
)
def test_lines_that_cannot_be_drawn_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        EraseConfig(student_template="generic", **fields)


def test_every_line_that_is_in_use_must_be_there_and_an_empty_one_be_empty(tmp_path):
    write_templates(tmp_path, student__empty=(ROOT / "templates/student/generic.j2").read_text("utf-8"))
    config = EraseConfig(
        student_template="generic", instruction="empty", one_of=("generic", "gone"), tasks={"a": "one_of"}
    )
    with pytest.raises(InputErrors) as caught:
        check_lines(config, opened(tmp_path), "params.yaml: erase")
    report = str(caught.value)
    assert "params.yaml: erase.one_of: unknown student template 'gone'" in report
    assert "student/empty.j2: has a system turn" in report


def test_a_name_that_no_task_and_no_category_has_is_told():
    config = EraseConfig(student_template="generic", tasks={"sums": "keep", "sum": "keep"})
    with pytest.raises(Orca2Error, match="no task or category 'sum'"):
        check_erased_names(config, ["sums", "arithmetic"], "params.yaml: erase")
