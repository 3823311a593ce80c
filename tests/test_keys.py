"""Keys of questions that are never rendered, and tables of requests, are those of the requests that a stage asks."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orca2.core.rows import Example, Request, Sampling
from orca2.core.tables import from_table, to_table
from orca2.recipe import turns
from orca2.recipe.request_tables import Keys, request_table
from orca2.recipe.requests import Asks, Form, own_seed, request_key
from orca2.recipe.templates import Templates
from tests.closure import ROOT
from tests.dataset import questions

TEMPLATES = Templates(ROOT / "templates")
ENTRIES = [file for file in TEMPLATES.files if not file.endswith("/questions.j2")]
SAMPLINGS = [Sampling(), Sampling(temperature=0.7, top_k=5, stop=("\n\n",))]
HOLES = ["\0question\0", "\\u0000question\\u0000", str(2**80 + 12345), '"', "\ud800", " ends blank ", "a\u2028b"]
TEXT = st.sampled_from(HOLES) | st.text(min_size=1).filter(str.strip)


def naive(template, question, task, sampling, sample_index):
    example = dataclasses.replace(questions(1)[0], task=task, question=question)
    seed = own_seed(42, example.row_id, sample_index)
    messages = TEMPLATES.render(template, example).messages
    return request_key("m" * 64, messages, sampling, seed, sample_index), seed


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "sampled"])
@settings(max_examples=120)
@given(question=TEXT, template=st.sampled_from(ENTRIES), sample_index=st.integers(0, 2))
def test_a_key_without_rendering_is_the_key_of_the_rendered_request(sampling, question, template, sample_index):
    key, seed = naive(template, question, "reversal", sampling, sample_index)
    assert Keys(TEMPLATES, sampling).under(template, "m" * 64, "reversal", "any")(question, seed, sample_index) == key


def test_a_template_that_asks_something_of_the_question_is_rendered_for_each(tmp_path):
    for folder in ("strategies", "student"):
        (tmp_path / folder).mkdir()
    turn = "{% call user() %}{{ question | upper }}{% endcall %}"
    (tmp_path / "strategies/loud.j2").write_text(turn)
    templates = Templates(tmp_path)
    messages = templates.render("strategies/loud.j2", dataclasses.replace(questions(1)[0], question="why?")).messages
    assert messages[0].content == "WHY?"
    key = Keys(templates, Sampling()).under("strategies/loud.j2", "m", "reversal", "any")
    assert key("why?", 1, 0) == request_key("m", messages, Sampling(), 1, 0)


@pytest.mark.parametrize("text", ["\\u0000question\\u0000", str(2**81 + 12345)])
def test_a_template_that_holds_what_stands_for_a_hole_gets_its_own_key(tmp_path, text):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies/odd.j2").write_text(f"{{% call user() %}}{text} {{{{ question }}}}{{% endcall %}}")
    templates = Templates(tmp_path)
    messages = templates.render("strategies/odd.j2", dataclasses.replace(questions(1)[0], question="why?")).messages
    key = Keys(templates, SAMPLINGS[1]).under("strategies/odd.j2", "m", "reversal", "any")
    assert key("why?", 7, 1) == request_key("m", messages, SAMPLINGS[1], 7, 1)


ODD = ["{% call user() %}{{ question | upper }}{% endcall %}", "{% call user() %} {{ question }} {% endcall %}"]
QUESTIONS = st.lists(st.tuples(TEXT | st.just("  two\n"), st.sampled_from(["train", "probe"])), max_size=5)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "sampled"])
@settings(max_examples=60, deadline=None)
@given(asked=QUESTIONS, chosen=st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=2), at_once=st.integers(1, 4))
def test_a_table_of_requests_holds_the_requests_that_are_made_one_by_one(sampling, asked, chosen, at_once):
    check_table(TEMPLATES, sampling, asked, chosen, at_once)


@pytest.mark.parametrize("text", ODD)
def test_a_template_that_changes_the_question_makes_the_same_table(text, tmp_path):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies/odd.j2").write_text(text)
    check_table(Templates(tmp_path), SAMPLINGS[1], [(" why? ", "train"), ("so", "train")], ["strategies/odd.j2"], 9)


def check_table(templates, sampling, asked, chosen, at_once):
    examples = [
        dataclasses.replace(questions(1)[0], row_id=f"row {number}", question=text, split=split)
        for number, (text, split) in enumerate(asked)
        if "\ud800" not in text
    ]
    forms = [Form(f"s{number}", template, "m" * 64) for number, template in enumerate(chosen)]
    asks = Asks(split="train", forms=lambda *_: forms, sampling=sampling, samples=2, seed=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "_CHUNK_TEXT", 200 * at_once)
        made = request_table(asks, to_table(examples, Example), templates)
    expected = asks.requests(examples, templates)
    assert list(from_table(made, Request)) == expected
    assert made.schema == to_table(expected, Request).schema
