"""Splits: by what a question says and its group, so that nothing else moves a question; and one copy of each."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orca2.recipe.likeness import wording as module
from orca2.recipe.likeness.wording import wording, words
from orca2.recipe.sources import SourceConfig
from orca2.recipe.tasks import SplitConfig, TasksConfig, collect

SPLITS = SplitConfig(probe_fraction=0.2, evaluation_fraction=0.3)
BASE = "Nina packed 36 boxes on Monday, and a third as many on Friday. How many boxes did she pack in all?"
SPELLINGS = [
    BASE,
    BASE.lower(),
    BASE.replace(",", ""),
    BASE.replace(" ", "  "),
    BASE.replace(" ", "\u00a0"),
    BASE.replace("?", "？"),
    f"Question: {BASE}",
    f"**Question 3:** {BASE}\nAnswer:",
    f"Q. {BASE.upper()}",
    BASE.replace("Friday", "Fri\u00adday"),
    BASE.translate(str.maketrans("NM36", "ＮＭ３６")),
]
many = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def source(tmp_path):
    def made(rows, **fields):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        values = {"kind": "file", "name": str(file), "category": "c", "licence": "MIT"}
        return SourceConfig(**values | fields)

    return made


def asked(count, answer=str):
    return [{"question": f"How much is {i} and {i}?", "answer": answer(2 * i)} for i in range(count)]


def gathered(seed=42, **sources):
    return collect(TasksConfig(sources=sources, splits=SPLITS), seed)


def test_every_spelling_of_a_question_says_the_same():
    assert {wording(text) for text in SPELLINGS} == {wording(BASE)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2+3", "2-3"), ("2.5", "25"), ("2,5", "25"), ("x<3", "x>3"), ("5!", "5"), ("5%", "5"), ("-5", "5"),
        (".5", "5"), ("12:30", "1230"), ("3 : 4", "3 4"), ("f'(x)", "f(x)"), ("(2+3)*4", "2+(3*4)"), ("2³", "23"),
        ("1½", "11/2"), ("x²", "x2"), ("x - y", "x y"), ("2−3", "2+3"), ("C++", "C"), ("a _ b", "a b _"),
        ("no cat", "cat"), ("$5", "5"), ("日本", "本日"),
    ],
)  # fmt: skip
def test_what_carries_meaning_is_never_normalised_away(one, other):
    assert wording(one) != wording(other)
    assert wording(f"What is {one}?") != wording(f"What is {other}?")


@settings(max_examples=300)
@given(st.text(st.sampled_from("ab1 2.,:;!'\"()-+_?x Ié²½日*’\n<"), max_size=14))
def test_words_are_what_the_pattern_finds_in_the_whole_text(text):
    assert words(text) == module._WORD.findall(module._plain(text).casefold())


def test_a_text_of_marks_alone_says_what_stands_there():
    assert (wording(" ? "), wording("!")) == ("?", "!")


@pytest.mark.parametrize("first", range(len(SPELLINGS)))
def test_of_all_spellings_of_a_question_one_stays_whichever_comes_first(source, first):
    rows = [{"question": text, "answer": "48"} for text in (*SPELLINGS[first:], *SPELLINGS[:first])]
    examples, rejected, _ = gathered(t=source(rows))
    assert len(examples) == 1
    assert Counter(r.reason for r in rejected) == {"duplicate question": len(SPELLINGS) - 1}


def test_no_evaluation_question_moves_when_answers_are_rewritten_a_task_is_renamed_or_a_source_is_put_above(source):
    def held_out(**sources):
        return {wording(e.question) for e in gathered(**sources)[0] if e.split == "evaluation"}

    rows = asked(1000)
    spelt = [{"question": f"Q: {row['question'].upper()}", "answer": "other"} for row in rows]
    before = held_out(t=source(rows))
    assert len(before) > 250
    assert held_out(t=source(asked(1000, "{}.0".format))) == before
    assert held_out(renamed=source(rows)) == before
    assert held_out(new=source(rows[:500], category="other"), t=source(rows)) == before
    assert held_out(new=source(rows[:500], split="train", task="t"), t=source(rows)) == before
    assert held_out(new=source(spelt), t=source(rows)) == before


@many
@given(order=st.permutations(["train", "", "evaluation", "probe"]))
def test_on_a_clash_evaluation_wins_then_the_probe_whatever_comes_first(source, order):
    leak = [{"question": "The question of a benchmark?", "answer": "1"}]
    sources = {
        f"from_{split or 'any'}": source([*leak, *asked(20)], split=split, category=split or "any", task="t")
        for split in order
    }
    examples, _, _ = gathered(**sources)
    (kept,) = [e for e in examples if e.question == leak[0]["question"]]
    assert (kept.split, kept.category) == ("evaluation", "evaluation")
    assert {e.split for e in examples} == {"evaluation"}


def test_a_question_with_two_known_answers_is_a_listed_conflict_and_one_answer_spelt_twice_is_none(source):
    rows = [{"question": "How many?", "answer": answer} for answer in ("5", "5.0", "7")]
    examples, rejected, _ = gathered(t=source(rows, grader="numeric"))
    (kept,) = examples
    assert kept.answer == "5"
    assert [r.reason for r in rejected] == ["duplicate question", "conflicting answer"]
    assert kept.row_id in rejected[1].detail
    assert "'5', not '7'" in rejected[1].detail


@many
@given(
    passages=st.lists(st.integers(0, 12), min_size=1, max_size=60),
    fixed=st.lists(st.sampled_from(["", "train", "evaluation"]), min_size=2, max_size=3),
    seed=st.integers(0, 5),
)
def test_no_group_stands_on_two_sides_and_a_held_out_one_stays_held_out(source, passages, fixed, seed):
    rows = [
        {"question": f"What of {i}?", "answer": "A", "passage": f"passage {passage}"}
        for i, passage in enumerate(passages)
    ]
    sources = {
        f"s{i}": source(rows[i :: len(fixed)] or rows, split=split, group_column="passage", task="t")
        for i, split in enumerate(["", *fixed][: len(fixed)])
    }
    examples, rejected, num_read = gathered(seed, **sources)
    sides = {}
    for row in examples:
        sides.setdefault(json.loads(row.metadata)["origin"]["group"], set()).add(row.split)
    assert all(len(splits) == 1 for splits in sides.values())
    assert len(examples) + len(rejected) == num_read
    for row in rejected:
        assert row.reason in ("group is held by evaluation", "group is held by probe", "duplicate question")


def test_a_source_loses_no_row_to_its_groups_and_each_goes_where_it_would_alone(source):
    rows = [{"question": f"What of {i}?", "answer": "A", "passage": f"passage {i % 40}"} for i in range(200)]
    examples, rejected, _ = gathered(t=source(rows, group_column="passage"))
    assert (len(examples), rejected) == (200, [])
    split_of = {e.question: e.split for e in examples}
    assert {e.split for e in examples} == {"probe", "evaluation", "train"}
    for passage in range(40):
        own = [row for i, row in enumerate(rows) if i % 40 == passage]
        (split,) = {split_of[row["question"]] for row in own}
        alone, *_ = gathered(t=source(own[:1], group_column="passage"))
        assert alone[0].split == split


def test_equal_questions_about_different_passages_are_all_kept(source):
    rows = [{"question": f"Passage {i}.\nWhich one must be true?", "answer": "A"} for i in range(10)]
    assert len(gathered(t=source(rows))[0]) == 10


def test_the_options_of_a_question_are_part_of_it_where_its_text_does_not_show_them():
    from orca2.recipe.graders.known import grading_facts
    from orca2.recipe.tasks.columns import wording_of
    from tests.examples import example as row

    def asked_with(*texts, question="Which one must be true?"):
        choices = [(label, text) for label, text in zip("AB", texts, strict=True)]
        return wording_of(row(question=question, metadata=json.dumps(grading_facts(choices=choices))))

    assert asked_with("rain", "snow") != asked_with("rain", "hail")
    shown = "Which one?\n(A) rain\n(B) snow"
    assert asked_with("rain", "snow", question=shown) == wording(shown)


@many
@given(count=st.integers(1, 60), seed=st.integers(0, 9))
@example(count=60, seed=0)
def test_a_limit_draws_the_same_questions_whatever_their_answers_and_the_name_of_their_task(source, count, seed):
    limited = SplitConfig(probe_fraction=0.2, evaluation_fraction=0.3, train_limit=5, evaluation_limit=3)
    one, other = (
        {(e.question, e.split) for e in collect(TasksConfig(sources={name: source(rows)}, splits=limited), seed)[0]}
        for name, rows in (("t", asked(count)), ("u", asked(count, "{}.0".format)))
    )
    assert one == other
