"""Answers that no known one can judge: a model is asked, twice, in both orders, and what it said is stored."""

import json
from contextlib import chdir

import pytest

from orca2.core import config
from orca2.core.errors import Orca2Error
from orca2.core.rows import Example, Generation, Graded, Rejected, Request, Sampling
from orca2.engines.generation import generations
from orca2.engines.judging import Judging
from orca2.plan.judging import StoredVerdicts
from orca2.project.artifacts import EXAMPLES, GENERATIONS, GRADED, JUDGED, rejected
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.graders.judged import BAD, GOOD, ORDERS, accepts, case
from orca2.recipe.grading import JUDGES, check_judges, grade, opinions, verdicts_of
from orca2.recipe.models import ModelsConfig, prepare, read_prepared, write_prepared
from orca2.recipe.requests import Asks, Form
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.templates import Templates
from orca2.store.root import default_root
from orca2.store.store import Store
from stages import grade as stage
from tests.endpoint import Endpoint, _Handler, reply, send
from tests.examples import ROOT, answer, example, generation, write_templates, write_yaml

JUDGED_BY = "judge:fair"
TURN = "{% call system() %}Judge.{% endcall %}{% call user() %}{{ question }}{% endcall %}"


def letter_of(verdict, order):
    return "AB"[order.index(verdict)]


@pytest.mark.parametrize("order", ORDERS)
def test_a_reply_is_read_by_letter_or_by_word_on_its_answer_line_alone(order):
    good, bad = letter_of(GOOD, order), letter_of(BAD, order)
    for said in (f"Answer: {good}", f"It holds.\nAnswer: ({good})", f"**Answer:** {good}) acceptable",
                 "Answer: acceptable", "Answer: **Acceptable**.", f"Answer: option {good}"):  # fmt: skip
        assert accepts(said, order), said
    for said in (f"Answer: {bad}", "Answer: not acceptable", "Answer: Not acceptable.", f"{good}", "acceptable", "",
                 f"Answer: {good} not acceptable", f"Answer: {bad}, acceptable", "Answer: C", "Answer: unacceptable",
                 f"<think>Answer: {good}", f"Answer: {good}\nAnswer: {bad}"):  # fmt: skip
        assert not accepts(said, order), said


def test_the_case_shows_question_answer_and_both_verdicts_and_a_known_answer_only_where_there_is_one():
    shown = case("Why?", "", "Because.", ORDERS[1])
    assert shown == (
        "Question:\nWhy?\n\nAnswer to be judged:\nBecause.\n\nVerdicts:\n(A) not acceptable\n(B) acceptable"
    )
    assert "Known answer:\nSo.\n" in case("Why?", "So.", "Because.", ORDERS[0])


@pytest.fixture
def templates(tmp_path):
    return Templates(write_templates(tmp_path / "templates", judge__fair=TURN))


OPEN = [example(row_id=f"{i:064x}", question=f"Tell me of {i}.", answer="", grader=JUDGED_BY) for i in range(3)]
CLOSED = example(row_id="c" * 64)


def test_every_answer_is_shown_in_both_orders_and_the_keys_of_all_are_their_own(templates):
    answers = [generation(f"Story {i}.", row_id=e.row_id) for i, e in enumerate(OPEN)]
    asked = list(opinions([*OPEN, CLOSED], [*answers, generation("Answer: 5", row_id="c" * 64)], templates, "m"))
    assert [(o.about[0], o.order) for o in asked] == [(e.row_id, order) for e in OPEN for order in ORDERS]
    assert len({o.request.key for o in asked}) == 6
    identities = {(o.request.row_id, o.request.sample_index, o.request.strategy) for o in asked}
    assert len(identities) == 6
    assert {o.request.template for o in asked} == {"judge/fair.j2"}
    assert all(f"Story {int(o.about[0], 16)}." in o.request.messages[-1].content for o in asked)


def test_an_answer_that_is_cut_or_says_nothing_is_wrong_and_nobody_is_asked(templates):
    answers = [
        generation("Once upon", row_id=OPEN[0].row_id, finish_reason="length"),
        generation(" \n", row_id=OPEN[1].row_id),
        generation("<think>never closed", row_id=OPEN[2].row_id),
    ]
    assert not list(opinions(OPEN, answers, templates, "m"))
    assert [row.strict_correct for row in grade(OPEN, answers)] == [False] * 3


def test_an_answer_is_right_only_where_both_orders_say_so(templates):
    answers = [generation(f"Story {i}.", row_id=e.row_id) for i, e in enumerate(OPEN)]
    asked = list(opinions(OPEN, answers, templates, "m"))
    says_a = {o.request.key: "Answer: A" for o in asked}
    assert set(verdicts_of(asked, says_a).values()) == {False}, "who takes the first option always, accepts nothing"
    fair = {o.request.key: f"Answer: {letter_of(GOOD, o.order)}" for o in asked if o.about[0] == OPEN[1].row_id}
    verdicts = verdicts_of(asked, fair)
    assert [about[0] for about, accepted in verdicts.items() if accepted] == [OPEN[1].row_id]
    rows = grade(OPEN, answers, verdicts)
    assert [(row.strict_answer, row.strict_correct, row.lenient_correct) for row in rows] == [
        ("Story 0.", False, False), ("Story 1.", True, True), ("Story 2.", False, False)
    ]  # fmt: skip


def test_a_source_that_a_model_judges_needs_no_answers_and_takes_those_that_are_there(tmp_path):
    rows = [{"question": "Why?"}, {"question": "How?", "answer": ""}, {"question": "Who?", "answer": "She."}]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    common = {"kind": "datasets", "name": str(tmp_path / "q.jsonl"), "category": "c", "licence": "MIT"}
    found = read_source("open", SourceConfig(grader=JUDGED_BY, **common), 1)
    assert [row.answer for row in found.examples] == ["", "", "She."]
    assert not found.rejected
    assert not found.unsound


def test_a_judge_that_is_not_there_is_told_before_anything_runs(templates):
    with pytest.raises(Orca2Error, match="no template"):
        check_judges({"open": "judge:unfair", "sums": "numeric"}, templates, "path:judge", "params.yaml: tasks.sources")
    with pytest.raises(Orca2Error, match="no model judges"):
        check_judges({"open": JUDGED_BY}, templates, "", "params.yaml: tasks.sources")
    check_judges({"open": JUDGED_BY}, templates, "path:judge", "params.yaml: tasks.sources")
    check_judges({"sums": "numeric"}, templates, "", "params.yaml: tasks.sources")
    with pytest.raises(ValueError, match="judge: 'who' is not"):
        ModelsConfig(teacher="path:a", student="path:b", judge="who")


def test_the_shipped_judge_shows_the_case():
    (opinion, _) = opinions(
        [example(grader="judge:acceptable")], [generation("A story.")], Templates(ROOT / "templates"), "m"
    )
    assert "A story." in opinion.request.messages[-1].content
    assert opinion.request.messages[0].role == "system"


def test_a_plan_names_what_is_asked_of_stored_answers_and_counts_what_follows_from_others(templates, tmp_path):
    store = Store(tmp_path / "store")
    asks = Asks(split="train", forms=lambda *_: [Form("direct", "strategies/direct.j2", "m")], sampling=Sampling())
    stored = asks.requests(OPEN[:2], templates)
    with store.writer("{}") as writer:
        writer.add([answer(request, f"Story {i}.") for i, request in enumerate(stored)])
    store.refresh()
    planned = StoredVerdicts(model="judge", templates=templates, store=store, seconds=lambda tokens: (1.0, 2.0))
    asking = planned.about(asks, [*OPEN, CLOSED])
    assert (asking.requests, asking.cached, len(asking.wanted), asking.later) == (4, 0, 4, 2)
    assert asking.most_new_tokens == 6 * JUDGES.max_tokens
    rows, asked = planned.known(OPEN, generations(stored, store.find(stored)))
    assert rows == []
    with store.writer("{}") as writer:
        writer.add([answer(request, "Answer: A") for request in asked[:2]])
    store.refresh()
    asking = planned.about(asks, OPEN)
    assert (asking.cached, len(asking.wanted), asking.later) == (2, 2, 2)
    (row,), _ = planned.known(OPEN, generations(stored, store.find(stored)))
    assert (row.row_id, row.strict_correct) == (OPEN[0].row_id, False), "A in both orders is no acceptance"


class Examiner(Endpoint):
    """Accepts what holds the word `good`, by reason or by always taking option A."""

    fair = True

    def next_fault(self, question):
        order = ORDERS[0] if "(A) acceptable" in question else ORDERS[1]
        verdict = GOOD if "good" in question else BAD
        text = f"Answer: {letter_of(verdict, order) if self.fair else 'A'}"

        def says(handler: _Handler) -> None:
            send(handler, 200, json.dumps(reply(content=text)))

        return says


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with Examiner() as endpoint:
        yield endpoint


@pytest.fixture
def project(tmp_path, monkeypatch, endpoint):
    """Generated answers to open questions, every other one good, and to one with a known answer."""
    monkeypatch.setenv("ORCA2_STORE", str(tmp_path / "store"))
    write_templates(tmp_path / "templates", judge__fair=TURN)
    http = {"base_url": endpoint.base_url, "concurrency": 2}
    write_yaml(tmp_path / "params.yaml", {"grade": {"keep": "correct"}, "cluster": {"generation": {"http": http}}})
    with chdir(tmp_path):
        write_prepared({role: prepare(f"http:{role}@1") for role in ("teacher", "student", "judge")})
        write_rows(EXAMPLES.path, Example, [*OPEN, CLOSED])
        write_rows(GENERATIONS.path, Generation, [
            *(generation(f"A {'good' if i % 2 else 'poor'} story of {e.row_id[-1]}.", row_id=e.row_id, sample_index=i)
              for e in OPEN for i in range(2)),
            generation("Answer: 5", row_id=CLOSED.row_id),
        ])  # fmt: skip
        yield tmp_path


def test_the_stage_asks_the_judge_keeps_what_it_accepts_and_asks_nothing_twice(project, endpoint):
    stage.main()
    assert len(set(endpoint.questions())) == 2 * 6
    assert {body["model"] for _, _, body in endpoint.seen} == {"judge"}
    kept = {(row.row_id, row.sample_index) for row in read_rows(project / GRADED.path, Graded)}
    assert kept == {(e.row_id, 1) for e in OPEN} | {(CLOSED.row_id, 0)}
    lost = read_rows(project / rejected("grade").path, Rejected)
    assert [row.reason for row in lost] == ["wrong answer"] * 3
    asked = read_rows(project / JUDGED["grade"].path, Request)
    assert len(asked) == 12
    before = {file: file.read_bytes() for file in (project / "data/graded").rglob("*.parquet")}
    number = len(endpoint.seen)
    stage.main()
    assert len(endpoint.seen) == number
    assert {file: file.read_bytes() for file in (project / "data/graded").rglob("*.parquet")} == before


def test_a_judge_that_always_takes_the_first_option_accepts_nothing(project, endpoint):
    endpoint.fair = False
    stage.main()
    assert {row.row_id for row in read_rows(project / GRADED.path, Graded)} == {CLOSED.row_id}


def test_without_a_judge_the_stage_says_what_is_missing_and_asks_nobody(project, endpoint):
    write_prepared({role: prepare(f"http:{role}@1") for role in ("teacher", "student")})
    with pytest.raises(Orca2Error, match="no model judges"):
        stage.main()
    assert not endpoint.seen


def test_answers_of_two_models_under_one_technique_are_asked_about_apart(project):
    judging = Judging(
        stage="probe",
        model=read_prepared()["judge"],
        templates=Templates(),
        store=Store(default_root()),
        config=config.load(stage.Params).cluster.generation,
    )
    right = [
        judging.grade(OPEN, [generation(text, row_id=OPEN[0].row_id, key=role)], role)[0].strict_correct
        for role, text in (("teacher", "A good story."), ("student", "A poor story."))
    ]
    assert right == [True, False]
    write_rows(JUDGED["probe"].path, Request, judging.requests)
    assert len(read_rows(JUDGED["probe"].path, Request)) == 4
