"""Questions: read as they are written, named by content, split for good, and every row accounted for."""

import dataclasses
import datetime
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.recipe.graders.reasoning_gym import UNSOUND_VERDICTS
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.tasks import SplitConfig, TasksConfig, collect
from tests.examples import ROOT

ANY_SPLIT = SplitConfig(probe_fraction=0.2, evaluation_fraction=0.3)


def source(name, **fields):
    values = {"kind": "datasets", "name": str(name), "category": "arithmetic", "licence": "MIT"}
    return SourceConfig(**values | fields)


def gym(name="gcd", size=20, **fields):
    return source(name, kind="reasoning_gym", size=size, **fields)


def jsonl(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def sums(count):
    return [{"question": f"{i} + 1?", "answer": str(i + 1)} for i in range(count)]


def questions(file, **fields):
    return [(e.question, e.answer) for e in read_source("t", source(file, **fields), 1).examples]


def refusal(call, *arguments, **fields):
    with pytest.raises(Orca2Error) as caught:
        call(*arguments, **fields)
    return str(caught.value)


def table_file(folder, suffix, rows):
    """The rows as one file of each kind that a source may be."""
    file = folder / f"rows{suffix}"
    if suffix == ".jsonl":
        return jsonl(file, rows)
    if suffix == ".json":
        file.write_text(json.dumps(rows), "utf-8")
    elif suffix == ".csv":
        import csv

        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), file)
    return file


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet"])
def test_every_kind_of_file_gives_the_same_questions_and_guesses_at_nothing(tmp_path, suffix):
    answers = ["007", "1.50", "2020-01-05", "NA", "true", "1,000", "1e3", "Å \u2028 'x', \"y\"", "{{ 7*7 }}", "null"]
    rows = [{"question": f"q{i}\nsecond line", "answer": answer, "other": "x"} for i, answer in enumerate(answers)]
    read = questions(table_file(tmp_path, suffix, rows))
    assert read == [(row["question"], row["answer"]) for row in rows]


def test_columns_are_mapped_and_an_answer_is_cut_out_by_its_pattern(tmp_path):
    file = jsonl(tmp_path / "t.jsonl", [{"q": " 1+1? ", "a": "It is <<1+1=2>>2\n#### 2"}, {"q": "2+2?", "a": "#### 4"}])
    read = questions(file, question_column="q", answer_column="a", answer_pattern="#### (.+)")
    assert read == [("1+1?", "2"), ("2+2?", "4")]


def test_a_changed_file_is_read_anew_even_when_its_time_and_size_are_the_old_ones(tmp_path):
    file = jsonl(tmp_path / "t.jsonl", [{"question": "old", "answer": "1"}])
    times = file.stat()
    assert questions(file) == [("old", "1")]
    jsonl(file, [{"question": "new", "answer": "1"}])
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert questions(file) == [("new", "1")]


def test_a_file_name_is_a_name_and_no_pattern(tmp_path):
    jsonl(tmp_path / "odd1.jsonl", [{"question": "other", "answer": "1"}])
    assert questions(jsonl(tmp_path / "odd[1].jsonl", [{"question": "own", "answer": "1"}])) == [("own", "1")]


def test_a_set_whose_answers_end_worked_text_is_read_whole(tmp_path):
    """As GSM8K has them: a known answer is what follows `####`, at times with a sign, a comma or decimals."""
    finals = [(f"-{n}", str(n), f"1,{n:03}")[n % 3] + (".5" if n % 7 == 0 else "") for n in range(600)]
    rows = [
        {"question": f"Ann has {n} pens.\nHow many are {n} and 0?", "answer": f"{n}+0=<<{n}+0={n}>>{n}\n#### {final}"}
        for n, final in enumerate(finals)
    ]
    file = jsonl(tmp_path / "worked.jsonl", rows)
    worked = source(file, grader="numeric", answer_pattern="#### (.+)")
    examples, rejected, _ = collect(TasksConfig(sources={"worked": worked}, splits=ANY_SPLIT), 42)
    assert rejected == []
    assert sorted(e.answer for e in examples) == sorted(finals)
    shares = {split: count / len(examples) for split, count in Counter(e.split for e in examples).items()}
    assert shares == pytest.approx({"probe": 0.2, "evaluation": 0.3, "train": 0.5}, abs=0.05)


def test_a_json_file_may_hold_its_rows_in_a_field(tmp_path):
    file = tmp_path / "counting.json"
    rows = [{"input": f"I have {n} plums. How many plums?", "target": str(n)} for n in range(9)]
    file.write_text(json.dumps({"name": "counting", "examples": rows}))
    columns = {"question_column": "input", "answer_column": "target"}
    assert len(questions(file, config={"field": "examples"}, **columns)) == 9
    assert "name the field that does" in refusal(questions, file, **columns)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", b"", "has no rows"),
        ("blank.jsonl", b"\n \n", "has no rows"),
        ("empty.json", b"", "cannot be read"),
        ("no_rows.json", b"[]", "has no rows"),
        ("empty.csv", b"", "has no rows"),
        ("header.csv", b"question,answer\n", "has no rows"),
        ("cut.json", b'[{"question": "q", ', "cannot be read"),
        ("scalar.json", b"3", "holds no list of rows"),
        ("cut.parquet", b"PAR1", "cannot be read"),
        ("latin.csv", "question,answer\né,1\n".encode("latin-1"), "cannot be read"),
        ("latin.jsonl", '{"question": "é", "answer": "1"}\n'.encode("latin-1"), "cannot be read"),
        ("open.csv", b'question,answer\n"q,1\n', "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_or_holds_nothing_is_an_error_that_names_it(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    told = refusal(questions, tmp_path / name)
    assert words in told
    assert name in told
    assert "->" in told


def test_every_broken_line_is_told_at_once_with_its_number(tmp_path):
    file = tmp_path / "t.jsonl"
    file.write_text('{"question": "q", "answer": "1"}\n{"question":\n\n["q", "1"]\n{"question": "q" "answer"}\n')
    told = refusal(questions, file)
    assert "t.jsonl: line 2: not valid JSON" in told
    assert "t.jsonl: line 4: is list, not an object with columns" in told
    assert "t.jsonl: line 5: not valid JSON" in told


def test_every_row_without_question_or_answer_is_told_at_once(tmp_path):
    rows = [*sums(1), {"question": " ", "answer": "1"}, {"question": "q"}, {"question": ["q"], "answer": "1"}]
    told = refusal(questions, jsonl(tmp_path / "t.jsonl", [*rows, {"question": "q", "answer": None}]))
    for words in ("line 2: `question` is empty", "line 3: `answer` is empty", "line 4: `question` is a list, not text"):
        assert words in told
    assert "line 5: `answer` is empty" in told
    assert "line 1:" not in told


def test_a_csv_row_of_another_width_is_an_error_and_never_shifts_the_columns(tmp_path):
    (tmp_path / "t.csv").write_text("question,answer\nq,1\na,b,c\nd\n")
    told = refusal(questions, tmp_path / "t.csv")
    assert "line 3: has another number of fields" in told
    assert "line 4: has another number of fields" in told


@pytest.mark.parametrize(("pattern", "answer"), [("#### (.+)", "no mark"), ("#### (.*)", "#### "), ("b|(a)", "b")])
def test_an_answer_in_which_the_pattern_finds_nothing_is_told_with_its_line(tmp_path, pattern, answer):
    file = jsonl(tmp_path / "t.jsonl", [{"question": "q", "answer": answer}])
    assert "line 1: `answer` holds no answer_pattern" in refusal(questions, file, answer_pattern=pattern)


SPAN = {"spans": ["Ada"], "start": [3]}


@pytest.mark.parametrize(
    ("suffix", "answer", "words"),
    [
        (".jsonl", SPAN, "`answer` is an object, not text or a number"),
        (".json", [["a"], "b"], "`answer` is a list, not text or a number"),
        (".jsonl", True, "`answer` is true or false, not text or a number"),
        (".jsonl", float("nan"), "`answer` is nan, not text or a number"),
        (".json", float("inf"), "`answer` is inf, not text or a number"),
        (".parquet", SPAN, "`answer` is an object, not text or a number"),
        (".parquet", float("nan"), "`answer` is nan, not text or a number"),
        (".parquet", False, "`answer` is true or false, not text or a number"),
        (".parquet", b"5", "`answer` is bytes, not text or a number"),
        (".parquet", datetime.date(2020, 1, 5), "`answer` is a date, not text or a number"),
        (".jsonl", "\ud800", "`answer` holds half a character"),
    ],
)
def test_an_answer_that_is_neither_text_nor_a_number_is_refused_with_its_row_and_what_to_do(
    tmp_path, suffix, answer, words
):
    told = refusal(questions, table_file(tmp_path, suffix, [{"question": "q", "answer": answer}]))
    assert f"rows{suffix}: {'line' if suffix == '.jsonl' else 'row'} 1: {words}" in told
    assert "->" in told


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_a_number_keeps_its_spelling_whole_or_floating(tmp_path, suffix):
    for answer, spelt in ((5, "5"), (5.0, "5.0"), (-0.1, "-0.1"), (10**17, "100000000000000000")):
        assert questions(table_file(tmp_path, suffix, [{"question": "q", "answer": answer}])) == [("q", spelt)]


def test_a_csv_field_of_any_length_is_read(tmp_path):
    long = "word " * 100_000
    read = questions(table_file(tmp_path, ".csv", [{"question": long, "answer": "1"}]))
    assert read == [(long.strip(), "1")]


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.jsonl", '{"question": ' + DEEP + "}", "line 1: is nested too deeply"),
        ("t.jsonl", '{"question": "q", "answer": ' + "1" * 5000 + "}", "line 1: not valid JSON: Exceeds the limit"),
        ("t.json", DEEP, "is nested too deeply"),
        ("t.json", "[" + "1" * 5000 + "]", "cannot be read: Exceeds the limit"),
    ],
)
def test_what_the_parsers_of_the_standard_library_give_up_on_is_told_plainly(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    told = refusal(questions, tmp_path / name)
    assert words in told
    assert "->" in told


def test_two_sources_of_one_task_draw_different_questions_from_one_generator():
    one, two = ({e.question for e in read_source(name, gym(size=20, task="t"), 1).examples} for name in ("one", "two"))
    assert len(one & two) < 5


def test_the_questions_of_the_shipped_sources_are_those_of_before():
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    for name, fields in params["tasks"]["sources"].items():
        first = read_source(name, SourceConfig(**fields | {"size": 1}), params["seed"]).examples[0]
        assert first.row_id.startswith(FIRST[name])


FIRST = {
    "sum_of_three": "e9c60d5a3bd8",
    "sum_of_two": "c254a3270ab3",
    "siblings": "812977a6b79a",
    "reversal": "4d0d0e9c5ca2",
}
"""Ids of the first question of each, so that no change of a seed goes unseen."""


def test_missing_columns_are_told_with_those_that_are_there(tmp_path):
    told = refusal(questions, jsonl(tmp_path / "t.jsonl", sums(1)), question_column="q", answer_column="a")
    assert "has no column `q`" in told
    assert "has no column `a`" in told
    assert "its columns: question, answer" in told


def test_all_sources_that_cannot_be_read_are_told_together(tmp_path):
    (tmp_path / "cut.json").write_text("{")
    sources = {"a": source(tmp_path / "gone.jsonl"), "b": source(tmp_path / "cut.json"), "c": gym("no_such_game")}
    told = refusal(collect, TasksConfig(sources=sources), 1)
    for words in ("gone.jsonl: no such file", "cut.json: cannot be read", "refuses 'no_such_game'"):
        assert words in told


@pytest.mark.parametrize("config", [{"min_numbers": -5}, {"no_such_setting": 1}, {"seed": 3}])
def test_settings_that_reasoning_gym_refuses_are_told_with_the_source(config):
    told = refusal(read_source, "divisors", gym(config=config, task="numbers"), 1)
    assert "params.yaml: tasks.sources.divisors: reasoning-gym refuses 'gcd'" in told


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("gcd", {"kind": "reasoning_gym"}, "size: a reasoning_gym source needs"),
        ("owner/name", {}, "needs a 40-hex commit"),
        ("owner/name", {"revision": "main"}, "needs a 40-hex commit"),
        ("t.jsonl", {"size": 5}, "size: is for reasoning_gym"),
        ("t.jsonl", {"config": {"feild": "x"}}, "no setting feild"),
        ("t.csv", {"config": {"field": "x"}}, "no setting field"),
        ("t.jsonl", {"answer_pattern": "#### ("}, "answer_pattern:"),
        ("t.jsonl", {"answer_pattern": "#### .+"}, "needs one group"),
        ("t.jsonl", {"grader": "reasoning_gym"}, "reasoning_gym cannot judge 't.jsonl'"),
        ("countdown", {"kind": "reasoning_gym", "size": 5, "grader": "reasoning_gym"}, "cannot judge 'countdown'"),
    ],
)
def test_a_source_that_cannot_work_is_refused_before_anything_is_read(name, fields, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        TasksConfig(sources={"t": source(name, **fields)})


def test_the_reasoning_gym_judges_that_run_an_answer_as_code_are_exactly_the_refused_ones():
    import reasoning_gym

    package = Path(reasoning_gym.__file__).parent
    running = re.compile(r"(?<!def )\b(?:eval|exec|parse_expr|sympify)\((?:full_code|answer)\b")
    found = {
        file.stem for file in package.rglob("*.py") if running.search(file.read_text("utf-8")) and file.stem != "codeio"
    }
    assert found == UNSOUND_VERDICTS - {"game_of_life_halting"}


def test_reasoning_gym_draws_the_same_questions_for_the_same_seed_and_others_for_another():
    first, again, other = (read_source("gcd", gym(), seed).examples for seed in (1, 1, 2))
    assert first == again
    assert {e.row_id for e in first} != {e.row_id for e in other}


def test_two_tasks_on_one_reasoning_gym_dataset_draw_different_questions():
    one, two = (read_source(task, gym(size=5), 1).examples for task in ("one", "two"))
    assert [e.question for e in one] != [e.question for e in two]


def test_metadata_of_sets_is_the_same_text_in_any_process():
    from orca2.recipe.sources.reasoning_gym import _plain

    assert _plain({"names": {"b", "c", "a"}, "pair": (1, 2)}) == {"names": ["a", "b", "c"], "pair": [1, 2]}
    with pytest.raises(TypeError):
        _plain({"x": object()})


def test_exact_duplicates_within_a_task_are_rejected_by_name_and_the_first_stays(tmp_path):
    rows = [*sums(3), sums(1)[0], {"question": "0 + 1?", "answer": "one"}, sums(1)[0]]
    config = TasksConfig(sources={"t": source(jsonl(tmp_path / "t.jsonl", rows))})
    examples, rejected, _ = collect(config, 1)
    (original,) = (e for e in examples if e.question == "0 + 1?")
    assert original.answer == "1"
    assert len(examples) == 3
    assert Counter(r.reason for r in rejected) == {"duplicate question": 2, "conflicting answer": 1}
    assert all(original.row_id in r.detail for r in rejected)
    assert len({(r.row_id, r.sample_index) for r in rejected}) == 3


def test_the_same_question_in_two_tasks_is_kept_once_so_that_none_is_taught_and_examined(tmp_path):
    file = jsonl(tmp_path / "t.jsonl", sums(4))
    examples, rejected, _ = collect(TasksConfig(sources={"a": source(file), "b": source(file)}), 1)
    assert {e.task for e in examples} == {"a"}
    assert [(r.task, r.reason) for r in rejected] == [("b", "duplicate question")] * 4


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(st.integers(0, 30), max_size=40, min_size=1),
    limits=st.tuples(*[st.integers(0, 4)] * 3),
    seed=st.integers(0, 9),
)
def test_whatever_is_read_is_kept_or_rejected_once(tmp_path, numbers, limits, seed):
    rows = [{"question": f"{n}?", "answer": str(n)} for n in numbers]
    names = ("probe", "evaluation", "train")
    splits = dataclasses.replace(ANY_SPLIT, **{f"{s}_limit": n for s, n in zip(names, limits, strict=True)})
    config = TasksConfig(sources={"t": source(jsonl(tmp_path / "t.jsonl", rows))}, splits=splits)
    examples, rejected, _ = collect(config, seed)
    assert len(examples) + len(rejected) == len(rows)
    assert len({(r.row_id, r.sample_index) for r in rejected}) == len(rejected)
    assert len({e.row_id for e in examples}) == len(examples)
    taken = Counter(e.split for e in examples)
    for name, limit in zip(names, limits, strict=True):
        cut = sum(r.reason == f"beyond {name}_limit" for r in rejected)
        assert taken[name] == limit if cut else not limit or taken[name] <= limit


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 40), more=st.integers(1, 40), front=st.booleans(), seed=st.integers(0, 9))
def test_adding_rows_moves_no_other_row_between_splits(tmp_path, count, more, front, seed):
    rows, added = sums(count), [{"question": f"new {i}", "answer": "1"} for i in range(more)]
    before, after = (
        {e.question: e.split for e in collect(TasksConfig(sources={"t": source(file)}, splits=ANY_SPLIT), seed)[0]}
        for file in (
            jsonl(tmp_path / "before.jsonl", rows),
            jsonl(tmp_path / "after.jsonl", [*added, *rows] if front else [*rows, *added]),
        )
    )
    assert {question: after[question] for question in before} == before


def test_raising_a_limit_only_adds_rows(tmp_path):
    file = jsonl(tmp_path / "t.jsonl", sums(60))
    kept = []
    for limit in (3, 6, 0):
        splits = dataclasses.replace(ANY_SPLIT, train_limit=limit)
        examples, _, _ = collect(TasksConfig(sources={"t": source(file)}, splits=splits), 1)
        kept.append({(e.row_id, e.split) for e in examples})
    assert kept[0] < kept[1] < kept[2]


def test_several_sources_may_share_a_task_each_with_a_split_of_its_own(tmp_path):
    rows = sums(60)
    taught = source(jsonl(tmp_path / "train.jsonl", rows[:40]), task="sums")
    held_out = source(jsonl(tmp_path / "test.jsonl", rows[40:]), task="sums", split="evaluation")
    examples, _, num_read = collect(TasksConfig(sources={"a": taught, "b": held_out}), 1)
    assert num_read == 60
    assert {e.task for e in examples} == {"sums"}
    assert {e.split for e in examples if e.question in {row["question"] for row in rows[40:]}} == {"evaluation"}
    assert {e.split for e in examples} == {"probe", "train", "evaluation"}


def test_a_task_that_is_taught_without_probe_questions_is_refused_and_a_benchmark_needs_none(tmp_path):
    file = jsonl(tmp_path / "t.jsonl", sums(3))
    with pytest.raises(ValueError, match="task 't' is taught and has no probe questions"):
        TasksConfig(sources={"t": source(file, split="train"), "u": source(file)})
    exam = {"t": source(file, split="evaluation")}
    assert TasksConfig(sources=exam | {"u": source(file)}).taught == {"u"}
    with pytest.raises(ValueError, match="at least one that is not `split: evaluation`"):
        TasksConfig(sources=exam)


@pytest.mark.parametrize(
    "fields", [{"probe_fraction": 0}, {"probe_fraction": 0.6, "evaluation_fraction": 0.4}, {"train_limit": -1}]
)
def test_a_division_that_leaves_a_split_empty_is_refused(fields):
    with pytest.raises(ValueError, match=r"fractions|_limit"):
        SplitConfig(**fields)


@pytest.mark.parametrize("sources", [{}, {"a/b": gym()}, {"../x": gym()}])
def test_task_names_are_plain_and_at_least_one(sources):
    with pytest.raises(ValueError, match="sources"):
        TasksConfig(sources=sources)


def test_a_hub_dataset_comes_through_datasets_by_the_same_column_mapping(tmp_path, monkeypatch):
    import datasets

    # A folder stands in for the hub, which these machines do not reach; `datasets` loads both by the same call.
    (tmp_path / "name").mkdir(parents=True)
    jsonl(tmp_path / "name" / "train.jsonl", sums(3))
    from_hub = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda name, **asked: from_hub(str(tmp_path / "name"), **asked))
    assert questions("owner/name", revision="a" * 40) == [(row["question"], row["answer"]) for row in sums(3)]
    said = refusal(questions, "owner/name", revision="a" * 40, question_column="prompt")
    assert "prompt" in said
    assert "answer, question" in said or "question, answer" in said
