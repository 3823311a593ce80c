"""Templates and expressions over a row: what they may say, what they may not, and what a source is told by."""

import dataclasses
import json
import re
from contextlib import nullcontext

import pytest

from orca2.audit import sources as audit
from orca2.audit.why import why
from orca2.audit.why_output import as_text
from orca2.core.errors import Orca2Error
from orca2.project.revisions import Revision
from orca2.recipe.graders.known import grading_facts
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.sources.origin import origin_facts
from tests.dataset import Recipe, build, questions
from tests.examples import write_templates, write_yaml


def source(name, **fields):
    values = {"kind": "file", "name": str(name), "category": "any", "licence": "MIT"}
    return SourceConfig(**values | fields)


def jsonl(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def reading(folder, rows, seed=1, **fields):
    return read_source("t", source(jsonl(folder / "t.jsonl", rows), **fields), seed)


def refusal(*arguments, **fields):
    with pytest.raises(Orca2Error) as caught:
        reading(*arguments, **fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"question": "{{ a"}, "question: unexpected end of template"),
        ({"question": "{% include 'x' %}"}, "question: takes no other file"),
        ({"question": "{% import 'x' as y %}"}, "question: takes no other file"),
        ({"question": "{{ a ~ b }}"}, "question: `~` would spell null as `None`"),
        ({"question": "{{ a | nofilter }}"}, "question: No filter named 'nofilter'"),
        ({"question": "{{ a | random }}"}, "question: No filter named 'random'"),
        ({"where": "a >"}, "where: "),
        ({"where": "a = b"}, "where: "),
        ({"choices": "a b", "grader": "choice"}, "choices: "),
        ({"answer": "a.b("}, "answer: "),
        ({"answer": "a", "answer_column": "b"}, "answer_column: `answer` says what is right"),
        ({"question": "{{ a }}", "question_column": "b"}, "question_column: `question` says what is asked"),
        ({"answer_is": "index"}, "answer_is: is for a source with `choices`"),
        ({"choices": "a"}, "a label is no answer to grader 'exact'; say `grader: choice`"),
        ({"task": "a", "task_column": "b"}, "task_column: leave `task` empty"),
        ({"limit": -1}, "limit must be 0 (all) or more"),
    ],
)
def test_what_no_row_could_mend_is_told_when_params_are_read(fields, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        source("t.jsonl", **fields)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ nothing }}", "nothing (null) is not text"),
        ("{{ flag }}", "true or false is not text"),
        ("{{ nan }}", "nan is not text"),
        ("{{ list }}", "a list is not text"),
        ("{{ object }}", "an object is not text"),
        ("{{ object.absent }}", "has no attribute 'absent'"),
        ("{{ question.upper }}", "is not text"),
        ("{{ ().__class__.__mro__ }}", "is unsafe"),
        ("{{ question.__class__ }}", "is unsafe"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ question | boxed }}", "there is no box in it"),
        ("{% if flag %}{% endif %}", "its question is empty"),
    ],
)
def test_a_value_without_a_text_of_its_own_is_never_printed_and_nothing_leaves_the_sandbox(tmp_path, template, words):
    row = {"question": "q", "answer": "1", "nothing": None, "flag": True, "nan": float("nan"), "list": [1]}
    assert words in (told := refusal(tmp_path, [row | {"object": {"a": 1}}], question=template))
    assert "t.jsonl: line 1: " in told


def test_what_stands_in_a_row_is_data_and_numbers_and_odd_names_are_printed(tmp_path):
    row = {"question": "{{ 7 * 7 }}", "answer": "1", "n": 5, "x": 0.5, "Option A": "red", "none": None}
    template = "{{ question }} {{ n }} {{ x }} {{ row['Option A'] }}{% if none %} {{ none }}{% endif %}"
    (example,) = reading(tmp_path, [row], question=template).examples
    assert example.question == "{{ 7 * 7 }} 5 0.5 red"


def test_a_column_that_no_row_has_is_told_once_and_one_that_a_row_lacks_rejects_that_row(tmp_path):
    rows = [{"question": f"q{i}", "passage": "p", "answer": "1"} for i in range(3)]
    told = refusal(tmp_path, rows, question="{{ pasage }} {{ question }}", where="levl > 1")
    assert told.count("has no column") == 2
    assert "its columns: question, passage, answer" in told
    rows[1] = {"question": "q1", "answer": "1"}
    found = reading(tmp_path, rows, question="{{ passage }} {{ question }}", max_bad_share=0.4)
    assert len(found.examples) == 2
    assert found.rejected[0].detail == "line 2: its question cannot be rendered: 'passage' is undefined"


def test_columns_that_nothing_reads_are_known(tmp_path):
    row = {"question": "q", "answer": "1", "a": 1, "b": {"c": "x"}, "d": 2, "e": 3, "f": 4, "other": 5, "url": 6}
    fields = {"question": "{{ question }} {{ b.c }}{% for x in [1] %}{{ x }}{% endfor %}", "where": "a == 1"}
    fields |= {"id_column": "d", "group_column": "e", "category_column": "f"}
    found = reading(tmp_path, [row], **fields)
    assert found.unused == ("other", "url")
    assert found.columns == tuple(row)
    assert found.examples[0].category == "4"


def test_rows_for_which_where_is_not_so_are_left_out_by_name_and_are_not_bad(tmp_path):
    rows = [{"question": f"q{i}", "answer": "1", "level": i, "language": "en"} for i in range(10)]
    found = reading(tmp_path, [*rows, {"level": 0}], where='level > 2 and language == "en"')
    assert [e.question for e in found.examples] == [f"q{i}" for i in range(3, 10)]
    assert [r.reason for r in found.rejected] == ["left out by `where`"] * 4
    assert found.rejected[0].detail == "line 1"
    assert found.num_read == 11
    assert "`where` leaves no row" in refusal(tmp_path, rows, where="level > 10")
    assert "`where` has no value here: '>' not supported" in refusal(tmp_path, rows, where="level > language")


def test_a_limit_draws_by_content_and_stays_when_the_source_grows_or_its_answers_are_mended(tmp_path):
    rows = [{"question": f"q{i}", "answer": "1"} for i in range(60)]
    few, more, other = (
        {e.question for e in reading(tmp_path, some, seed=seed, limit=20).examples}
        for some, seed in ((rows[:40], 1), (rows[20:] + rows[:20], 1), (rows[:40], 2))
    )
    assert len(few) == len(more) == len(other) == 20
    assert few & more >= {q for q in more if int(q[1:]) < 40}, "only a new question takes the place of another"
    assert few != other
    mended = reading(tmp_path, [row | {"answer": "1.0"} for row in rows[:40]], limit=20)
    assert {e.question for e in mended.examples} == few
    assert [r.reason for r in mended.rejected] == ["beyond the limit of its source"] * 20
    assert len({r.row_id for r in mended.rejected}) == 20


def test_tasks_that_a_column_names_are_names_of_folders_and_two_are_never_taken_for_one(tmp_path):
    names = ["ai2/arc:1.0", "plain", "ai2/arc:1.0", "  "]
    rows = [{"question": f"q{i}", "answer": "1", "task_name": name} for i, name in enumerate(names)]
    assert [e.task for e in reading(tmp_path, rows[:3], task_column="task_name").examples] == [
        "ai2_arc_1_0",
        "plain",
        "ai2_arc_1_0",
    ]
    assert "`task_name` names no task" in refusal(tmp_path, rows, task_column="task_name")
    rows[3]["task_name"] = "ai2/arc/1.0"
    assert "'ai2/arc:1.0' and 'ai2/arc/1.0' are both called ai2_arc_1_0" in refusal(
        tmp_path, rows, task_column="task_name"
    )


def test_true_and_false_are_an_answer_to_the_grader_of_yes_and_no_alone(tmp_path):
    rows = [{"question": "Is 2 even?", "answer": True}, {"question": "Is 3 even?", "answer": False}]
    assert [e.answer for e in reading(tmp_path, rows, grader="boolean").examples] == ["true", "false"]
    assert "`grader: boolean` takes it as it is" in refusal(tmp_path, rows)


PARAMS = {
    "seed": 42,
    "erase": {"student_template": "generic"},
    "tasks": {"sources": {"quiz": {"kind": "file", "category": "any", "licence": "MIT", "grader": "choice"}}},
}


def test_every_source_is_shown_with_a_question_its_rejections_and_its_unread_columns(tmp_path):
    rows = [
        {"question": f"Which, {i}?", "of": ["red", "blue"], "answer": "blue", "set": f"s/{i % 12}"} for i in range(60)
    ]
    quiz = {"name": str(jsonl(tmp_path / "quiz.jsonl", [*rows, {"question": " "}])), "choices": "of"}
    quiz |= {"task_column": "set", "max_bad_share": 0.1, "where": "answer is defined or set is not defined"}
    params = json.loads(json.dumps(PARAMS))
    sources = params["tasks"]["sources"]
    sources["quiz"] |= quiz
    sources["held"] = sources["quiz"] | {"split": "evaluation", "id_column": "question"}
    sources["gone"] = sources["quiz"] | {"name": "gone.jsonl"}
    templates = write_templates(tmp_path / "templates")
    shown = []
    with pytest.raises(Orca2Error, match=r"gone\.jsonl: no such file"):
        shown.extend(audit.read_all(write_yaml(tmp_path / "params.yaml", params), templates))
    text = "\n".join(shown)
    for words in (
        "quiz: 61 rows read, 60 questions, 1 left out\n  left out 1  no options\n  tasks    s_0, s_1, s_10,",
        "s_7 and 2 more\n  split    20% probe, 20% evaluation, the rest train\n",
        "  question | Which, 0?\n           | (A) red\n           | (B) blue\n  right    B  (grader choice)\n",
        "  options  (A) red, (B) blue",
        "held: 61 rows read",
        "  split    all of it is for evaluation",
        "  id       Which, 0?",
    ):
        assert words in text
    assert "unread" not in text


@pytest.mark.parametrize(
    ("question", "fields", "is_told"),
    [
        ("Which one must be true?", {}, True),
        ("Which one must be true?", {"choices": "of"}, False),
        ("Which one must be true?\n(A) this (B) that", {}, False),
        ("Which one?\nA. this\nB. that", {}, False),
        ("Which one must be true?", {"grader": "exact"}, False),
    ],
)
def test_options_that_nobody_sees_are_told(tmp_path, question, fields, is_told):
    rows = [{"question": question, "of": ["this", "that"], "answer": "B"} for _ in range(3)]
    params = json.loads(json.dumps(PARAMS))
    params["tasks"]["sources"]["quiz"] |= {"name": str(jsonl(tmp_path / "t.jsonl", rows))} | fields
    (text,) = audit.read_all(write_yaml(tmp_path / "params.yaml", params), write_templates(tmp_path / "templates"))
    assert ("  options  of 3 questions are not seen" in text) == is_told


def test_templates_of_a_task_that_only_a_column_names_are_sound_and_others_are_told(tmp_path):
    rows = [{"question": f"q{i}", "of": ["red", "blue"], "answer": "blue", "set": "colours", "x": 1} for i in range(9)]
    params = json.loads(json.dumps(PARAMS))
    quiz = {"name": str(jsonl(tmp_path / "t.jsonl", rows)), "choices": "of", "task_column": "set"}
    params["tasks"]["sources"]["quiz"] |= quiz
    file = write_yaml(tmp_path / "params.yaml", params)
    templates = write_templates(tmp_path / "templates", tasks__colours__direct="{% extends 'strategies/direct.j2' %}")
    (text,) = audit.read_all(file, templates)
    assert "  unread   x: no template and no parameter reads these columns\n" in text
    (templates / "tasks" / "colours").rename(templates / "tasks" / "colors")
    with pytest.raises(Orca2Error, match="no task uses these templates"):
        list(audit.read_all(file, templates))
    (templates / "tasks" / "colors").rename(templates / "tasks" / "colours")
    for name, fault in (("colours", ""), ("colors", "no task or category 'colors'")):
        params["erase"]["tasks"] = {name: "keep"}
        write_yaml(file, params)
        with pytest.raises(Orca2Error, match=fault) if fault else nullcontext():
            list(audit.read_all(file, templates))


def test_why_shows_a_rows_own_id_its_group_and_every_answer_that_is_right(tmp_path, monkeypatch):
    facts = grading_facts(answers=["nought"]) | origin_facts(own_id="train-7", group="passage 3")
    rows = [dataclasses.replace(e, metadata=json.dumps(facts)) for e in questions()]
    named = [dataclasses.replace(row, row_id=f"{number:064x}") for number, row in enumerate(rows)]
    root = build(tmp_path / "project", Recipe(examples=named, says=lambda request: "Answer: 0"))
    monkeypatch.chdir(root)
    story = as_text(why(Revision("workspace"), f"{0:064x}", tmp_path / "store"))
    assert "\norigin     id train-7, group passage 3\n" in story
    assert "\nexpected   0 or nought  (grader exact)\n" in story
