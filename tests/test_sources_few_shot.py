"""Few-shot questions: three to five others of the same task and instruction stand before each."""

import json
import re
from collections import Counter

import pytest

from orca2.core import config
from orca2.core.errors import Orca2Error
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.sources.few_shot import FewShot
from orca2.recipe.sources.origin import name_of_shot, origin_of
from orca2.recipe.tasks import TasksConfig, collect
from tests.examples import write_yaml

ROWS = [
    {"question": f"Which is {kind}, {i}?", "answer": f"{kind} {i}", "kind": kind, "instruction": f"say {i % 2}"}
    for kind in ("odd", "even")
    for i in range(40)
]


def reading(folder, rows=ROWS, seed=1, few_shot=None, **fields):
    (folder / "t.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    values = {"kind": "file", "name": str(folder / "t.jsonl"), "category": "any", "licence": "MIT", "split": "train"}
    values |= {"task_column": "kind", "few_shot": few_shot or {}}
    section = {"tasks": {"sources": {"t": values | fields, "probed": values | {"few_shot": None, "split": "probe"}}}}
    loaded = config.load_section("tasks", TasksConfig, write_yaml(folder / "params.yaml", section))
    return read_source("t", loaded.sources["t"], seed)


def shown(question):
    """The questions of a few-shot one with their answers, and the one that is asked."""
    *before, asked = question.split("\n\n")
    return [tuple(one.split("\nAnswer: ")) for one in before], asked


def test_three_to_five_others_of_the_task_stand_before_each_question_with_their_answers(tmp_path):
    answers = {row["question"]: row["answer"] for row in ROWS}
    found = reading(tmp_path)
    assert len(found.examples) == len(ROWS)
    numbers, used = Counter(), Counter()
    for example in found.examples:
        others, asked = shown(example.question)
        assert example.answer == answers[asked]
        assert all(answers[question] == answer for question, answer in others)
        assert all(question.startswith(f"Which is {example.task}") for question, _ in others)
        assert len({asked, *(question for question, _ in others)}) == len(others) + 1
        numbers[len(others)] += 1
        used.update(question for question, _ in others)
    assert set(numbers) == {3, 4, 5}
    assert max(used.values()) < 20, "no question stands before most others"
    assert len({e.row_id for e in found.examples}) == len(ROWS)


def test_the_names_of_those_shown_stand_in_the_metadata(tmp_path):
    for example in reading(tmp_path).examples:
        others, _ = shown(example.question)
        assert origin_of(example.metadata).shots == tuple(name_of_shot(question) for question, _ in others)


def test_a_question_that_is_held_out_stands_before_none_that_is_taught(tmp_path):
    """Short ones, which share no run of words that would tell; and in a task of another name."""
    rows = [{"question": f"{i} + {i}?", "answer": str(2 * i)} for i in range(200)]
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    plain = {"kind": "file", "name": str(tmp_path / "t.jsonl"), "category": "any", "licence": "MIT"}
    probed = SourceConfig(**plain, split="probe", task="few", limit=5)
    few = SourceConfig(**plain, split="train", task="few", few_shot=FewShot())
    sources = {"alone": SourceConfig(**plain), "few": few, "probed": probed}
    examples, rejected, num_read = collect(TasksConfig(sources=sources), 1)
    held_out = {e.question for e in examples if e.split == "evaluation"}
    taught = [shown(e.question)[0] for e in examples if e.task == "few" and e.split == "train"]
    assert held_out
    assert taught
    assert not any(question in held_out for others in taught for question, _ in others)
    gone = [r for r in rejected if r.reason == "shows a held-out question"]
    assert gone
    assert len(examples) + len(rejected) == num_read


def test_only_questions_of_the_same_instruction_stand_together_where_a_column_says_it(tmp_path):
    for example in reading(tmp_path, few_shot={"same": ["instruction"]}).examples:
        others, asked = shown(example.question)
        parities = {int(re.search(r"\d+", question)[0]) % 2 for question in (asked, *(one for one, _ in others))}
        assert len(parities) == 1


def test_a_question_with_too_few_others_is_left_out_by_name_and_its_source_is_not_refused(tmp_path):
    rows = [*ROWS, *({"question": f"q{i}", "answer": "1", "kind": "rare"} for i in range(3))]
    found = reading(tmp_path, [row | {"instruction": "x"} for row in rows])
    assert len(found.examples) == len(ROWS)
    assert [r.reason for r in found.rejected] == ["too few others to show before it"] * 3
    assert found.num_read == len(rows)
    assert len(reading(tmp_path, rows, few_shot={"least": 2}).examples) == len(rows)


def test_a_copy_of_a_question_never_stands_before_it(tmp_path):
    rows = [{"question": "same?", "answer": str(i), "kind": "odd"} for i in range(9)]
    assert reading(tmp_path, rows).examples == []
    for example in reading(tmp_path, [*rows, *ROWS]).examples:
        assert example.question.count("same?") <= 1


def test_most_questions_keep_their_shots_when_the_source_grows_and_another_seed_draws_others(tmp_path):
    before, after, other = (
        {shown(e.question)[1]: e.question for e in reading(tmp_path, rows, seed).examples}
        for rows, seed in ((ROWS, 1), ([{**ROWS[0], "question": "Which is odd, new?"}, *ROWS], 1), (ROWS, 2))
    )
    assert before == {shown(e.question)[1]: e.question for e in reading(tmp_path, ROWS[::-1]).examples}
    assert sum(after[asked] == question for asked, question in before.items()) > 70
    assert sum(other[asked] == question for asked, question in before.items()) < 8


def test_a_template_of_ones_own_shows_them_in_its_own_way(tmp_path):
    template = "{% for shot in shots %}Q: {{ shot.question }} A: {{ shot.answer }};{% endfor %} Q: {{ question }} A:"
    example = reading(tmp_path, few_shot={"template": template, "least": 1, "most": 1}).examples[0]
    assert re.fullmatch(r"Q: Which is odd, \d+\? A: odd \d+; Q: Which is odd, 0\? A:", example.question)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"split": ""}, "few_shot: needs a `split`"),
        ({"few_shot": {"least": 0}}, "least must be 1 or more, and most no less"),
        ({"few_shot": {"least": 6}}, "least must be 1 or more, and most no less"),
        ({"few_shot": {"template": "{{ question"}}, "template: unexpected end"),
        ({"few_shot": {"template": "{{ question }}"}}, "template: must show `shots` and `question`"),
        ({"few_shot": {"template": "{{ question }}{{ shots }}{{ answer }}"}}, "template: must show `shots`"),
        ({"few_shot": {"same": ["instrction"]}}, "has no column `instrction`"),
    ],
)
def test_what_cannot_work_is_told(tmp_path, fields, words):
    with pytest.raises(Orca2Error) as caught:
        reading(tmp_path, **fields)
    assert words in str(caught.value)
