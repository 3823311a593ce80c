"""`orca2 diff`: which rows of a dataset differ between two versions, and the first cause of each."""

import dataclasses
import shutil
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orca2.core.errors import Orca2Error
from orca2.core.rows import PackedSequence, Sampling
from orca2.diff.diff import diff
from orca2.diff.output import Shifts, as_text
from orca2.project.revisions import WORKSPACE, Revision
from orca2.project.shards import write_rows
from tests.closure import ROOT
from tests.dataset import MODEL, Recipe, build, questions, right

BASE = Recipe()
STEPS = "strategies/step_by_step.j2"
REVERSAL = "tasks/reversal/step_by_step.j2"
SAMPLED = Sampling(temperature=0.5)


def wrong(request):
    return "Answer: not that"


def between(tmp_path, before, after, stage="erase", **options):
    for name, recipe in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        build(tmp_path / name, recipe)
    sides = (Revision(WORKSPACE, tmp_path / name) for name in ("before", "after"))
    return diff(*sides, stage, **options)


def told(found):
    """Status, task and cause of the changes, with their number."""
    return {(kind.status, kind.task, kind.cause, kind.detail): rows for kind, rows in found.counts.items()}


def only(found):
    """The one status and cause that every change has, and how many changes there are."""
    ((status, cause, detail),) = {(kind.status, kind.cause, kind.detail) for kind in found.counts}
    return status, cause, detail, found.counts.total()


def test_the_same_recipe_gives_no_difference(tmp_path):
    found = between(tmp_path, BASE, BASE)
    assert not found.differs
    assert (found.rows_before, found.rows_after) == (8, 8)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"examples": questions(5)}, ("added", "source", "new question", 2)),
        ({"examples": questions(3)}, ("removed", "source", "question gone", 2)),
        ({"examples": questions(3) + [q for q in questions(4, "evaluation") if q.row_id.endswith("3")]},
         ("moved", "split", "train → evaluation", 2)),
        ({"strategies": {"reversal": "direct_answer", "sum_of_two": "step_by_step"}},
         ("changed", "strategy", "step_by_step → direct_answer", 4)),
        ({"sampling": SAMPLED}, ("changed", "sampling", "temperature 0.0 → 0.5", 8)),
        ({"model": "b" * 64}, ("changed", "model", f"{MODEL[:12]} → {'b' * 12}", 8)),
        ({"says": lambda r: f"Well.\n{r.row_id[-1] and 'Answer: ' + r.row_id[-1]}"},
         ("changed", "answer", "the same request, another answer", 8)),
        ({"says": wrong}, ("removed", "answer", "the same request, another answer", 8)),
        ({"sampling": Sampling(max_tokens=64), "says": lambda r: f"Longer.\nAnswer: {r.row_id[-1]}"},
         ("changed", "sampling", "max_tokens 128 → 64", 8)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_change_of_one_thing_is_the_cause_of_every_row_that_changes(tmp_path, change, expected):
    assert only(between(tmp_path, BASE, BASE.changed(**change))) == expected


def test_more_samples_are_new_ones_of_the_same_questions(tmp_path):
    sampled = BASE.changed(sampling=SAMPLED)
    assert only(between(tmp_path, sampled, sampled.changed(samples=2))) == ("added", "sampling", "new sample", 8)


def test_another_seed_is_a_cause_where_answers_are_sampled_and_nowhere_else(tmp_path):
    sampled = BASE.changed(sampling=SAMPLED)
    (tmp_path / "greedy").mkdir()
    assert not between(tmp_path / "greedy", BASE, BASE.changed(seed=7)).differs
    assert only(between(tmp_path, sampled, sampled.changed(seed=7))) == ("changed", "sampling", "seed", 8)


def test_an_edited_template_is_named_with_its_lines_for_the_rows_that_it_made(tmp_path):
    old = "From the last to the first: quickly, lantern."
    after = BASE.changed(edits={REVERSAL: (old, "Backwards: quickly, lantern.")})
    line = next(
        n for n, text in enumerate((ROOT / "templates" / REVERSAL).read_text("utf-8").splitlines(), 1) if old in text
    )
    found = between(tmp_path, BASE, after)
    assert told(found) == {("changed", "reversal", "template", f"templates/{REVERSAL} line {line}"): 4}
    assert found.fields == {"key": 4}
    (hunk,) = found.hunks.values()
    assert [text[:1] for text in hunk.splitlines()] == ["t", "@", "-", "+"]
    assert "+1. lantern. 2. quickly. Backwards: quickly, lantern." in hunk


def test_a_general_template_is_the_cause_of_every_row_that_extends_it(tmp_path):
    after = BASE.changed(edits={STEPS: ("short ordered steps", "short, ordered steps")})
    status, cause, detail, rows = only(between(tmp_path, BASE, after))
    assert (status, cause, rows) == ("changed", "template", 8)
    assert detail.startswith(f"templates/{STEPS} line ")


def test_a_comment_in_a_template_changes_no_row(tmp_path):
    assert not between(tmp_path, BASE, BASE.changed(edits={STEPS: ("{#- Purpose", "{#- A comment. Purpose")})).differs


def test_the_students_template_is_told_from_the_teachers(tmp_path):
    after = BASE.changed(edits={"student/generic.j2": ("You are a helpful assistant.", "Be brief.")})
    detail = "templates/student/generic.j2 line 3"
    assert only(between(tmp_path, BASE, after)) == ("changed", "student template", detail, 8)


def test_a_filter_rule_is_the_cause_of_what_it_lets_in(tmp_path):
    half = BASE.changed(says=lambda r: right(r) if r.task == "reversal" else wrong(r))
    found = between(tmp_path, half, half.changed(keep="all"))
    assert told(found) == {("added", "sum_of_two", "filter", "grade.keep correct → all"): 4}


def test_another_grader_is_the_cause_of_what_it_finds_right(tmp_path):
    verbose = BASE.changed(says=lambda r: right(r) + ".0")
    numeric = [dataclasses.replace(q, grader="numeric") for q in questions()]
    found = between(tmp_path, verbose, verbose.changed(examples=numeric))
    assert only(found) == ("added", "grader", "exact → numeric", 8)


def test_the_first_cause_counts_and_what_follows_from_it_is_not_named(tmp_path):
    after = BASE.changed(
        strategies={"reversal": "direct_answer", "sum_of_two": "step_by_step"},
        model="b" * 64,
        student="generic",
        edits={STEPS: ("short ordered steps", "short, ordered steps")},
    )
    causes = {(kind.task, kind.cause) for kind in between(tmp_path, BASE, after).counts}
    assert causes == {("reversal", "strategy"), ("sum_of_two", "template")}


def test_a_larger_limit_is_a_cause_only_of_the_answers_that_it_changed(tmp_path):
    longer = BASE.changed(sampling=Sampling(max_tokens=256), edits={"student/generic.j2": ("You are", "You're")})
    causes = {kind.cause for kind in between(tmp_path, BASE, longer).counts}
    assert causes == {"student template"}


@pytest.mark.parametrize(
    ("stage", "change", "expected"),
    [
        ("prepare_tasks", {"examples": [dataclasses.replace(q, licence="MIT") for q in questions()]},
         ("changed", "source", "licence", 8)),
        ("prepare_tasks", {"examples": questions(4, "evaluation")}, ("moved", "split", "train → evaluation", 8)),
        ("render_prompts", {"model": "b" * 64}, ("changed", "model", f"{MODEL[:12]} → {'b' * 12}", 8)),
        ("generate", {"says": wrong}, ("changed", "answer", "the same request, another answer", 8)),
        ("grade", {"says": wrong}, ("removed", "answer", "the same request, another answer", 8)),
        ("grade", {"student": "generic"}, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_every_artifact_can_be_compared_by_the_stage_that_writes_it(tmp_path, stage, change, expected):
    found = between(tmp_path, BASE, BASE.changed(**change), stage)
    assert not found.differs if expected is None else only(found) == expected


def test_the_rows_that_are_shown_hold_both_versions_and_no_more_than_were_asked_for(tmp_path):
    found = between(tmp_path, BASE, BASE.changed(says=lambda r: f"Well.\n{right(r)}"), limit=3)
    assert len(found.shown) == 3
    for change in found.shown:
        assert change.fields == ("messages",)
        assert change.before["messages"][-1]["content"] == f"Answer: {change.row_id[-1]}"
        assert change.after["messages"][-1]["content"] == f"Well.\nAnswer: {change.row_id[-1]}"
    assert found.counts.total() == 8


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("task = 'reversal'", 4),
        ("task = 'reversal' and row_id like '%-1'", 1),
        ("cause = 'answer' or task = 'sum_of_two'", 8),
        ("fields = 'messages' and status = 'changed'", 8),
        ("detail glob 'nothing*'", 0),
        ("1", 8),
        ("  ", 8),
        ("task = 'reversal' -- a comment", 4),
    ],
)
def test_a_condition_chooses_what_is_counted_and_shown(tmp_path, where, rows):
    found = between(tmp_path, BASE, BASE.changed(says=lambda r: f"Well.\n{right(r)}"), where=where)
    assert found.counts.total() == len(found.shown) == rows


@pytest.mark.parametrize(
    "where",
    ["tsk = 'reversal'", "task =", "1); drop table changes; --", "1) union select 1 where (1", "load_extension('x')",
     "row_id in (select row_id from changes)",
     "task = 'a'; delete from changes"],
)  # fmt: skip
def test_what_is_no_condition_is_an_error_that_names_the_columns(tmp_path, where):
    with pytest.raises(Orca2Error, match="is no condition") as caught:
        between(tmp_path, BASE, BASE.changed(model="b" * 64), where=where)
    assert "status, row_id, sample_index, task, strategy, cause, detail, fields" in str(caught.value)


def test_a_version_from_before_an_artifact_existed_says_so_and_every_row_is_new(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    build(tmp_path / "new", BASE)
    found = diff(*(Revision(WORKSPACE, tmp_path / name) for name in ("old", "new")), "erase")
    assert "workspace has no data/chats" in found.notes
    assert (found.rows_before, found.rows_after, found.counts.total()) == (0, 8, 8)
    assert {kind.status for kind in found.counts} == {"added"}


def test_a_lineage_that_is_partly_missing_is_said_and_the_rest_still_tells(tmp_path):
    for name, recipe in (("before", BASE), ("after", BASE.changed(says=lambda r: f"Well.\n{right(r)}"))):
        (tmp_path / name).mkdir()
        build(tmp_path / name, recipe)
    shutil.rmtree(tmp_path / "before" / "data" / "requests")
    found = diff(*(Revision(WORKSPACE, tmp_path / name) for name in ("before", "after")), "erase")
    assert only(found) == ("changed", "answer", "the same request, another answer", 8)
    assert any("has no data/requests, so causes are sought without it" in note for note in found.notes)


def test_packed_sequences_are_compared_by_their_position(tmp_path):
    def sequence(index, ids):
        return PackedSequence(sequence_index=index, input_ids=ids, labels=ids, segments=())

    for name, rows in (("before", [sequence(0, (1, 2)), sequence(1, (3,))]), ("after", [sequence(0, (1, 9))])):
        write_rows(tmp_path / name / "data/packed", PackedSequence, rows)
    found = diff(*(Revision(WORKSPACE, tmp_path / name) for name in ("before", "after")), "pack")
    assert {(kind.status, kind.cause) for kind in found.counts} == {("changed", "repacked"), ("removed", "repacked")}
    assert found.fields == {"input_ids": 1, "labels": 1}


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (4, 4), (1, 16), (16, 1), (2, 16)])
def test_the_number_of_shards_changes_nothing(tmp_path, monkeypatch, before, after):
    """The parts of a dataset are compared one by one, and the same rows come out."""
    many = questions(40)
    recipes = (
        BASE.changed(examples=many),
        BASE.changed(examples=many[:-3], says=lambda r: right(r) + " " * (r.row_id[-1] == "7")),
    )
    for name, recipe, shards in zip(("before", "after"), recipes, (before, after), strict=True):
        monkeypatch.setattr("orca2.project.shards.SHARD_BYTES", 10**9 if shards == 1 else 30_000 // shards)
        (tmp_path / name).mkdir()
        build(tmp_path / name, recipe)
    counts = [len(list((tmp_path / name / "data/chats").glob("*.parquet"))) for name in ("before", "after")]
    assert (counts[0] > 1, counts[1] > 1) == (before > 1, after > 1)
    found = diff(*(Revision(WORKSPACE, tmp_path / name) for name in ("before", "after")), "erase", limit=100)
    by_cause = Counter()
    for kind, rows in found.counts.items():
        by_cause[kind.status, kind.cause] += rows
    assert by_cause == {("removed", "source"): 3, ("changed", "answer"): 7}
    assert {c.row_id for c in found.shown if c.status == "removed"} == {q.row_id for q in many[-3:]}


def test_a_question_beyond_a_limit_has_not_left_its_source(tmp_path):
    last = [q for q in questions() if q.row_id.endswith("-3")]
    found = between(tmp_path, BASE, BASE.changed(examples=questions(3), left_out=last))
    assert only(found) == ("moved", "split", "train → beyond train_limit", 2)


def test_a_limit_that_no_answer_met_is_a_change_of_the_requests_alone(tmp_path):
    longer = BASE.changed(sampling=Sampling(max_tokens=256), seed=7)
    expected = ("changed", "sampling", "max_tokens 128 → 256", 8)
    assert only(between(tmp_path, BASE, longer, "render_prompts")) == expected
    (tmp_path / "chats").mkdir()
    assert not between(tmp_path / "chats", BASE, longer).differs


def test_a_category_that_chooses_another_template_is_the_source(tmp_path):
    named = [dataclasses.replace(q, category="sum_of_two" if q.task == "reversal" else "any") for q in questions()]
    with_category = [dataclasses.replace(q, task=q.task.replace("reversal", "turned")) for q in questions()]
    before = BASE.changed(examples=with_category, strategies={"turned": "step_by_step", "sum_of_two": "step_by_step"})
    after = [dataclasses.replace(q, category=n.category) for q, n in zip(with_category, named, strict=True)]
    found = between(tmp_path, before, before.changed(examples=after))
    assert told(found) == {("changed", "turned", "source", "any → sum_of_two"): 4}


def test_a_rule_is_the_one_that_the_rows_were_filtered_with_whatever_params_yaml_says_now(tmp_path):
    half = BASE.changed(says=lambda r: right(r) if r.task == "reversal" else wrong(r))
    for name, recipe in (("before", half), ("after", half.changed(keep="all"))):
        (tmp_path / name).mkdir()
        build(tmp_path / name, recipe)
        (tmp_path / name / "params.yaml").write_text("grade: {keep: correct}")
    found = diff(*(Revision(WORKSPACE, tmp_path / name) for name in ("before", "after")), "erase")
    assert {(kind.cause, kind.detail) for kind in found.counts} == {("filter", "grade.keep correct → all")}


def test_a_students_template_that_lets_rows_in_is_their_cause(tmp_path):
    """An answer that quotes the teacher's instruction is rejected, unless the student is told the same."""
    instruction = next(
        line for line in (ROOT / "templates" / STEPS).read_text("utf-8").splitlines() if "short ordered steps" in line
    )
    quoting = BASE.changed(says=lambda r: f"{instruction}\n{right(r)}")
    old = "You are a helpful assistant."
    after = quoting.changed(edits={"student/generic.j2": (old, f"{old} {instruction}")})
    found = between(tmp_path, quoting, after)
    assert only(found)[:2] == ("added", "student template")


def test_a_deleted_line_is_said_to_be_after_the_one_before_it(tmp_path):
    text = (ROOT / "templates" / REVERSAL).read_text("utf-8").splitlines()
    number = next(n for n, line in enumerate(text) if line.startswith("1. lantern"))
    found = between(tmp_path, BASE, BASE.changed(edits={REVERSAL: (text[number] + "\n", "")}))
    assert only(found)[2] == f"templates/{REVERSAL} line after {number}"


def test_a_git_attribute_hides_no_template(tmp_path, monkeypatch):
    attributes = tmp_path / "attributes"
    attributes.write_text("*.j2 binary\n")
    for name, value in (("COUNT", "1"), ("KEY_0", "core.attributesFile"), ("VALUE_0", str(attributes))):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    after = BASE.changed(edits={"student/generic.j2": ("You are a helpful assistant.", "Be brief.")})
    assert only(between(tmp_path, BASE, after))[2] == "templates/student/generic.j2 line 3"


def test_rows_that_were_written_over_are_compared_as_they_are_and_not_by_old_digests(tmp_path):
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        build(tmp_path / name, BASE)
    file = tmp_path / "after" / "data/chats/rows-00-of-01.parquet"
    pq.write_table(pq.read_table(file).slice(0, 6), file)
    found = diff(*(Revision(WORKSPACE, tmp_path / name) for name in ("before", "after")), "erase")
    assert (found.rows_after, found.counts.total()) == (6, 2)


def test_columns_that_only_one_version_has_are_told_beside_the_rows_that_changed(tmp_path):
    for name, recipe in (("before", BASE), ("after", BASE.changed(says=lambda r: f"Well.\n{right(r)}"))):
        (tmp_path / name).mkdir()
        build(tmp_path / name, recipe)
    file = tmp_path / "after" / "data/chats/rows-00-of-01.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["key"]).append_column("extra", pa.array(["x"] * 8)), file)
    found = diff(*(Revision(WORKSPACE, tmp_path / name) for name in ("before", "after")), "erase")
    assert found.columns == ["- key", "+ extra"]
    text = as_text(found, Shifts(strategies=[], quality=({}, {})))
    assert text.splitlines()[0].endswith("8 changed, column - key, column + extra")


def test_what_neither_version_has_is_an_error_and_not_the_same_rows(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Orca2Error, match="neither workspace nor workspace has it"):
        diff(Revision(WORKSPACE, tmp_path / "empty"), Revision(WORKSPACE, tmp_path / "empty"), "erase")


def test_a_renamed_task_is_other_questions_because_its_name_is_part_of_their_identity(tmp_path):
    renamed = [
        dataclasses.replace(q, task="turned", row_id=q.row_id.replace("reversal", "turned"))
        if q.task == "reversal"
        else q
        for q in questions()
    ]
    after = BASE.changed(examples=renamed, strategies={"turned": "direct_answer", "sum_of_two": "step_by_step"})
    assert told(between(tmp_path, BASE, after)) == {
        ("removed", "reversal", "source", "question gone"): 4,
        ("added", "turned", "source", "new question"): 4,
    }
