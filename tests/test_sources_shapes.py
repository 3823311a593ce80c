"""The shapes that published sets have: each loads from params.yaml alone, whole, and is graded as its authors mean."""

import json
import time

import pytest

from orca2.core import config
from orca2.core.errors import Orca2Error
from orca2.recipe.graders import GRADERS
from orca2.recipe.graders.known import known
from orca2.recipe.graders.verdict import judge
from orca2.recipe.sources.origin import group_of, origin_of
from orca2.recipe.tasks import TasksConfig, collect
from tests.examples import write_yaml

PASSAGE = "Four cyclists, {}, Ben, Cal and Dee, finish one behind the other, and {} is not the last of them."


def gsm8k(i):
    return {
        "question": f"Ann buys {i} pens for 2 each. How much?",
        "answer": f"{i}*2=<<{i}*2={2 * i}>>{2 * i}\n#### {2 * i}",
    }


def bbh(i):
    days = "\n".join(f"({'ABC'[n]}) 0{n + 1}/1{i % 10}/2020" for n in range(3))
    return {"input": f"It is {i} days to the end. What day is it?\nOptions:\n{days}", "target": f"({'ABC'[i % 3]})"}


def agieval(i):
    return {
        "passage": PASSAGE.format(f"Al{i // 2}", f"Al{i // 2}"),
        "question": "Which one must be true?",
        "options": [f"(A)Ben is number {i % 2 + 1}", "(B)Cal is first", "(C)Dee is last", "(D)none of these"],
        "label": "ABCD"[i % 4],
        "other": None,
    }


def arc(i):
    labels = ["1", "2", "3", "4"] if i % 2 else ["A", "B", "C", "D"]
    texts = ["iron", f"ice of {i} grams", "wax", "lead"]
    return {
        "id": f"M-{i}",
        "question": f"Which melts first, test {i}?",
        "choices": {"text": texts, "label": labels},
        "answerKey": labels[1],
    }


def mmlu(i):
    return {
        "question": f"What is {i} + 1?",
        "subject": "arithmetic",
        "choices": [str(i), str(i + 1), str(i + 2), "none"],
        "answer": 1,
    }


def race(i):
    article = PASSAGE.format(f"Mia{i // 3}", "she")
    return {
        "article": article,
        "question": f"Who is number {i % 3}?",
        "options": ["Mia", "Ben", "Cal", "Dee"],
        "answer": "C",
        "example_id": f"high{i // 3}.txt",
    }


def drop(i):
    spans = [f"{i} yards", str(i)] if i % 2 else [f"{i}-yard"]
    return {
        "passage": f"In game {i // 2} they ran far.",
        "question": f"How far, play {i}?",
        "answers_spans": {"spans": spans, "types": ["span"] * len(spans)},
    }


def squad(i):
    text = ["Ada Lovelace", "Lovelace", "Ada Lovelace"]
    return {
        "id": f"5-{i}",
        "context": f"Note {i // 4} by Ada Lovelace.",
        "question": f"Who wrote note {i}?",
        "answers": {"text": text, "answer_start": [9, 13, 9]},
    }


def maths(i):
    solution = (
        rf"Since ${{x}}$ is \boxed{{0}} at first, we find $\boxed{{\frac{{{i}}}{{\sqrt{{{i + 2}}}}}}}$ for ${{x}}$."
    )
    return {"problem": f"Find $x_{{{i}}}$.", "level": "Level 2", "type": "Algebra", "solution": solution}


def flan(i):
    return {
        "inputs": f"Is sentence {i} kind?\nOPTIONS:\n- yes\n- no",
        "targets": "no",
        "task_name": f"kind/task:{i % 50}",
        "task_source": "Flan2021",
    }


LETTER = {"grader": "choice", "choices": "options"}
CHOICES = {"grader": "choice", "choices": "choices"}
SHAPES = {
    "gsm8k": (gsm8k, {"grader": "numeric", "answer_pattern": "#### (.+)"}),
    "bbh": (bbh, {"grader": "choice", "question_column": "input", "choices": "input", "answer_column": "target"}),
    "agieval": (
        agieval,
        LETTER | {"question": "{{ passage }}\n\n{{ question }}", "answer_column": "label", "group_column": "passage"},
    ),
    "arc": (arc, CHOICES | {"answer_column": "answerKey", "answer_is": "label", "id_column": "id"}),
    "mmlu": (mmlu, CHOICES | {"answer_is": "index", "category_column": "subject"}),
    "race": (race, LETTER | {"question": "{{ article }}\n\n{{ question }}", "group_column": "example_id"}),
    "drop": (
        drop,
        {"question": "{{ passage }}\n{{ question }}", "answer": "answers_spans.spans", "group_column": "passage"},
    ),
    "squad": (
        squad,
        {"question": "{{ context }}\n\n{{ question }}", "answer_column": "answers", "group_column": "context"},
    ),
    "math": (maths, {"grader": "latex", "question_column": "problem", "answer": "solution | boxed"}),
    "flan": (flan, {"question_column": "inputs", "answer_column": "targets", "task_column": "task_name"}),
}
RIGHT = {
    "gsm8k": ("#### 4", "Answer: $4.00", "Answer: 5"),
    "bbh": ("C", "Answer: (C)", "Answer: (B)"),
    "agieval": ("C", "Answer: C. Dee is last", "Answer: Cal is first"),
    "arc": ("B", "The answer is (B) ice of 2 grams.", "Answer: wax"),
    "mmlu": ("B", "Answer: 3", "Answer: C"),
    "race": ("C", "Answer: Cal", "Answer: D"),
    "drop": ("2-yard", "Answer: 2-yard", "Answer: 2"),
    "squad": ("Ada Lovelace", "Answer: Lovelace", "Answer: Ada"),
    "math": (r"\frac{2}{\sqrt{4}}", r"Answer: $\boxed{1}$", "Answer: 2"),
    "flan": ("no", "Answer: No.", "Answer: yes"),
}
"""Of the third row: what is known, and an answer that is right and one that is wrong, stated strictly or leniently."""


def collected(folder, rows, **fields):
    """What comes of the rows by params.yaml alone, in one split."""
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    source = {"kind": "file", "name": str(folder / "rows.jsonl"), "category": "any", "licence": "MIT"} | fields
    section = {"tasks": {"sources": {"set": source}, "splits": {"probe_fraction": 0.2, "evaluation_fraction": 0.2}}}
    return collect(config.load_section("tasks", TasksConfig, write_yaml(folder / "params.yaml", section)), 42)


@pytest.fixture(params=SHAPES)
def shape(request, tmp_path):
    """The name of a shape, its first row of sixty and the questions of all, in their order."""
    make, fields = SHAPES[request.param]
    rows = [make(i) for i in range(60)]
    examples, rejected, num_read = collected(tmp_path, rows, **fields)
    assert (rejected, num_read) == ([], 60)
    return request.param, examples


def test_no_row_is_lost_and_a_right_answer_is_right_and_a_wrong_one_wrong(shape):
    name, examples = shape
    assert len({e.question for e in examples}) == len(examples) == 60
    _, right, wrong = RIGHT[name]
    assert any(verdict(e, right) and not verdict(e, wrong) for e in examples), "the third row is among them"
    golds = [g for e in examples for g in (e.answer, *known(e.metadata).answers)]
    assert all(isinstance(g, str) and g.strip() == g and "[" not in g for g in golds)


def verdict(example, text):
    return judge(GRADERS[example.grader], example.grader, example.answer, text, example.metadata).lenient_correct


def third(tmp_path, name):
    make, fields = SHAPES[name]
    (example,), _, _ = collected(tmp_path, [make(2)], **fields)
    return example


@pytest.mark.parametrize("name", SHAPES)
def test_the_answer_that_is_known_is_the_one_of_the_set(tmp_path, name):
    gold, right, wrong = RIGHT[name]
    example = third(tmp_path, name)
    assert example.answer == gold.removeprefix("#### ")
    assert verdict(example, right)
    assert not verdict(example, wrong)


def test_options_and_passage_stand_in_the_question_once(tmp_path):
    assert third(tmp_path, "agieval").question == (
        f"{PASSAGE.format('Al1', 'Al1')}\n\nWhich one must be true?\n"
        "(A) Ben is number 1\n(B) Cal is first\n(C) Dee is last\n(D) none of these"
    )
    assert third(tmp_path, "arc").question.endswith("test 2?\n(A) iron\n(B) ice of 2 grams\n(C) wax\n(D) lead")
    assert third(tmp_path, "mmlu").question == "What is 2 + 1?\n(A) 2\n(B) 3\n(C) 4\n(D) none"
    assert third(tmp_path, "bbh").question.count("(A)") == 1


def test_tasks_categories_groups_and_ids_come_from_their_columns(tmp_path):
    make, fields = SHAPES["flan"]
    examples, _, _ = collected(tmp_path, [make(i) for i in range(200)], **fields)
    assert len({e.task for e in examples}) == 50
    assert "kind_task_7" in {e.task for e in examples}
    assert third(tmp_path, "mmlu").category == "arithmetic"
    assert group_of(third(tmp_path, "race").metadata) == "high0.txt"
    assert origin_of(third(tmp_path, "arc").metadata).id == "M-2"


@pytest.mark.parametrize("labels", ["1234", "ABCD"])
def test_options_that_are_labels_themselves_are_told_from_their_labels(tmp_path, labels):
    row = {"question": "How many?", "choices": {"text": list(labels[::-1]), "label": list(labels)}, "answer": labels[1]}
    with pytest.raises(Orca2Error, match="may be"):
        collected(tmp_path, [row], **CHOICES)
    (example,), _, _ = collected(tmp_path, [row], **CHOICES, answer_is="label")
    assert example.answer == labels[1]
    assert verdict(example, f"Answer: {labels[1]}")
    assert not any(verdict(example, f"Answer: {label}") for label in (labels[0], labels[2], labels[3]))
    (example,), _, _ = collected(tmp_path, [row], **CHOICES, answer_is="text")
    assert example.answer == labels[2]
    texts = [labels[1], "ten", "thirty", "forty"]
    row["choices"]["text"] = texts
    (example,), _, _ = collected(tmp_path, [row], **CHOICES, answer_is="label")
    for right in (labels[1], f"({labels[1]})", "ten", f"({labels[1]}) ten"):
        assert verdict(example, f"Answer: {right}")
    for wrong in (labels[0], "thirty", f"({labels[0]}) {labels[1]}"):
        assert not verdict(example, f"Answer: {wrong}")


@pytest.mark.parametrize(
    ("choices", "answer", "answer_is", "options", "label"),
    [
        (["red", "blue"], "blue", "", [["A", "red"], ["B", "blue"]], "B"),
        (["red", "blue"], "(b)", "", [["A", "red"], ["B", "blue"]], "B"),
        (["red", "blue"], 0, "index", [["A", "red"], ["B", "blue"]], "A"),
        (["red", "blue"], "1", "one_based_index", [["A", "red"], ["B", "blue"]], "A"),
        (["5", "7", None], 7, "text", [["A", "5"], ["B", "7"]], "B"),
        ([5, 70], 70, "", [["A", "5"], ["B", "70"]], "B"),
        (["A)21", "B) 21.5"], "B", "", [["A", "21"], ["B", "21.5"]], "B"),
        (["(A)x", "(C)y"], "(C)y", "", [["A", "(A)x"], ["B", "(C)y"]], "B"),
        ([{"label": "P", "text": "x"}, {"label": "Q", "text": "y"}], "Q", "", [["P", "x"], ["Q", "y"]], "Q"),
        ({"text": ["x", "y"], "label": ["1", "2"]}, "2", "", [["1", "x"], ["2", "y"]], "2"),
        ({"A": "x", "B": "y", "C": None}, "y", "", [["A", "x"], ["B", "y"]], "B"),
        ("(A) x, y (B) z", "B", "", [["A", "x, y"], ["B", "z"]], "B"),
        ("a ) 38 , b ) 27.5 , c ) none of these", "c", "", [["a", "38"], ["b", "27.5"], ["c", "none of these"]], "c"),
        ("Pick:\nA. one\nB. two.\n\nThink.", "A", "", [["A", "one"], ["B", "two."]], "A"),
        (
            "Who (A)?\n(A) x (B) y (C) both (A) and (B)",
            "C",
            "",
            [["A", "x"], ["B", "y"], ["C", "both (A) and (B)"]],
            "C",
        ),
        (["a", "b", "c", "d"], "ACD", "", [["A", "a"], ["B", "b"], ["C", "c"], ["D", "d"]], "A, C, D"),
    ],
)
def test_options_have_many_shapes_and_one_meaning(tmp_path, choices, answer, answer_is, options, label):
    row = {"question": "Which?", "choices": choices, "answer": answer}
    (example,), _, _ = collected(tmp_path, [row], **CHOICES, answer_is=answer_is)
    assert [list(option) for option in known(example.metadata).choices] == options
    assert example.answer == label
    assert verdict(example, f"Answer: {label}")


@pytest.mark.parametrize(
    ("choices", "answer", "answer_is", "words"),
    [
        (["red", "blue"], 1, "", "the answer '1' is none of the options A, B"),
        (["2", "1"], "1", "", "the answer '1' may be A, B"),
        (["red", "blue"], 2, "index", "is none of the options A, B by index"),
        (["red", "blue"], 0, "one_based_index", "is none of the options A, B by one_based_index"),
        (["red", "blue"], "green", "", "is none of the options A, B"),
        (["red", "red"], "red", "", "the answer 'red' may be A, B"),
        (["red", "blue"], True, "", "`answer` is true or false"),
        (["red"], "A", "", "names 1 option, not several"),
        (["red", None, "blue"], "A", "", "option B is empty"),
        ([["red"], "blue"], "A", "", "an option is a list, not text"),
        ([True, False], "A", "", "an option is true or false, not text"),
        ({"text": ["x", "y"], "label": ["A"]}, "A", "", "1 labels and 2 texts"),
        ({"text": ["x", "y"], "label": ["A", "a"]}, "A", "", "two options have one label"),
        ([{"label": "A"}, {"label": "B"}], "A", "", "without a `label` and a `text` each"),
        ("no option here", "A", "", "names no options"),
        (5, "A", "", "`choices` is a number"),
        (None, "A", "", "`choices` is nothing (null)"),
        ([str(n) for n in range(27)], "A", "", "27 options, more than there are letters"),
    ],
)
def test_options_and_answers_that_cannot_be_understood_are_refused_with_what_to_say(
    tmp_path, choices, answer, answer_is, words
):
    with pytest.raises(Orca2Error) as caught:
        collected(tmp_path, [{"question": "q", "choices": choices, "answer": answer}], **CHOICES, answer_is=answer_is)
    assert words in str(caught.value)
    assert "rows.jsonl: line 1: " in str(caught.value)
    assert caught.value.hint


def test_options_may_stand_in_columns_of_their_own(tmp_path):
    row = {"question": "Which?", "opa": "x", "opb": "y", "opc": None, "answer": 2}
    fields = {"grader": "choice", "choices": ["opa", "opb", "opc"], "answer_is": "one_based_index"}
    (example,), _, _ = collected(tmp_path, [row], **fields)
    assert (example.question, example.answer) == ("Which?\n(A) x\n(B) y", "B")
    (shown,), _, _ = collected(tmp_path, [row], **fields, question="{{ question }} {{ opa }} or {{ opb }}?")
    assert shown.question == "Which? x or y?"


def test_a_template_may_show_the_options_in_its_own_way_and_reach_inside_a_column(tmp_path):
    """As the first files of ARC: the options lie beside the stem in one column."""
    inside = {"stem": "Which?", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}]}
    row, fields = {"question": inside, "key": "B"}, {"grader": "choice", "choices": "question.choices"}
    fields |= {"answer_column": "key"}
    (example,), _, _ = collected(tmp_path, [row], **fields, question="{{ question.stem }}")
    assert example.question == "Which?\n(A) x\n(B) y"
    own = "{{ question.stem }}{% for option in choices %} {{ option.label }}={{ option.text }}{% endfor %}"
    (example,), _, _ = collected(tmp_path, [row], **fields, question=own)
    assert example.question == "Which? A=x B=y"


@pytest.mark.parametrize(
    "cell", ["(a) " * 250_000, "A" + " " * 1_000_000 + "!", "1" * 5_000, "A, " * 300_000, "\n" * 1_000_000]
)
@pytest.mark.parametrize("column", ["choices", "answer"])
def test_hostile_cells_take_no_time(tmp_path, cell, column):
    row = {"question": "q", "choices": ["red", "blue"], "answer": "A"} | {column: cell}
    begin = time.process_time()
    with pytest.raises(Orca2Error):
        collected(tmp_path, [row], **CHOICES)
    assert time.process_time() - begin < 2
