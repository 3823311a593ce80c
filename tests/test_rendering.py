"""Which requests each stage makes: of its own split, one for each question, strategy and sample."""

import pytest

from orca2.core.rows import Sampling
from orca2.recipe.requests import GenerateConfig, ProbeConfig, evaluation_requests, probe_requests, teaching
from orca2.recipe.templates import Templates
from tests.examples import ROOT, example

CHOSEN = {"sums": "step_by_step"}
EXAMPLES = [
    example(row_id=f"{split[0]}{number}", split=split)
    for split in ("probe", "train", "evaluation")
    for number in (1, 2)
]


@pytest.fixture(scope="module")
def templates():
    return Templates(ROOT / "templates")


def test_the_probe_asks_every_strategy_on_its_own_questions(templates):
    config = ProbeConfig(strategies=("direct_answer", "step_by_step"), sampling=Sampling())
    asked = probe_requests(EXAMPLES, templates, config, "m", 42)
    assert [(r.row_id, r.strategy) for r in asked] == [
        ("p1", "direct_answer"), ("p1", "step_by_step"), ("p2", "direct_answer"), ("p2", "step_by_step")
    ]  # fmt: skip


def test_teaching_asks_the_chosen_strategy_once_for_each_sample(templates):
    config = GenerateConfig(samples=2, sampling=Sampling(temperature=1.0))
    asked = teaching(templates, CHOSEN, config, "m", 42).requests(EXAMPLES, templates)
    assert [(r.row_id, r.sample_index) for r in asked] == [("t1", 0), ("t1", 1), ("t2", 0), ("t2", 1)]
    assert {r.strategy for r in asked} == {"step_by_step"}
    assert len({r.key for r in asked}) == 4


def test_a_probed_answer_is_the_same_request_when_it_is_taught(templates):
    sampling = Sampling()
    row = [example(split="probe")]
    (probed,) = probe_requests(row, templates, ProbeConfig(strategies=("step_by_step",), sampling=sampling), "m", 42)
    row = [example(split="train")]
    (taught,) = teaching(templates, CHOSEN, GenerateConfig(sampling=sampling), "m", 42).requests(row, templates)
    assert probed.key == taught.key


def test_base_and_student_are_asked_the_very_same_and_differ_by_model_alone(templates):
    models = {"base": "b", "student": "s"}
    asked = evaluation_requests(
        EXAMPLES, templates, CHOSEN, dict.fromkeys(models, lambda *_: "generic"), models, Sampling(max_tokens=8)
    )
    base, student = ([r for r in asked if r.strategy == role] for role in models)
    assert [r.messages for r in base] == [r.messages for r in student]
    assert not {r.key for r in base} & {r.key for r in student}
    assert [(r.row_id, r.model) for r in base] == [("e1", "b"), ("e2", "b")]


def test_the_teacher_is_examined_under_the_strategy_chosen_for_the_task(templates):
    asked = evaluation_requests(EXAMPLES, templates, CHOSEN, {}, {"teacher": "m"}, Sampling())
    assert {(r.template, r.strategy) for r in asked} == {("strategies/step_by_step.j2", "teacher")}
