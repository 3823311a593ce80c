"""The request key: whatever can change an answer changes it, and nothing else does."""

import dataclasses
import itertools

import pytest

from orca2.core.rows import Message, Sampling
from orca2.recipe.requests import (
    ALWAYS_WRITTEN,
    BESIDE_KEY,
    DRAWN_ONLY,
    GenerateConfig,
    build_request,
    key_parameters,
    request_key,
)
from orca2.recipe.templates import Templates
from tests.examples import example, request, turns, write_templates

SAMPLED = Sampling(temperature=0.7, top_p=0.9, top_k=5, max_tokens=64, stop=("\n\n",))
BASE = {
    "model": "m" * 64,
    "messages": turns("2 + 3?", system="Add."),
    "sampling": SAMPLED,
    "seed": 7,
    "sample_index": 0,
}
OTHER_SAMPLING = {"temperature": 0.8, "top_p": 0.95, "top_k": 6, "max_tokens": 65, "stop": ("\n",)}
OTHER = {"model": "n" * 64, "messages": turns("2 + 4?", system="Add."), "seed": 8, "sample_index": 1}
SAMPLING_FIELDS = {field.name for field in dataclasses.fields(Sampling)}


def key(**changes):
    return request_key(**BASE | changes)


def resampled(sampling, *names):
    return dataclasses.replace(sampling, **{name: OTHER_SAMPLING[name] for name in names})


def test_the_tables_name_fields_that_there_are_and_none_that_is_compared_by_rule_is_in_the_key():
    assert ALWAYS_WRITTEN | BESIDE_KEY | DRAWN_ONLY <= SAMPLING_FIELDS
    assert not BESIDE_KEY & (ALWAYS_WRITTEN | DRAWN_ONLY)


def test_keys_of_before_held_these_four_and_a_greedy_one_these_two_for_ever():
    assert set(key_parameters(Sampling(temperature=0.5))) == {"temperature", "top_p", "top_k", "stop"}
    assert key_parameters(Sampling()) == {"temperature": 0.0, "stop": ()}


def test_this_mutation_test_knows_every_argument_and_every_field():
    assert set(request_key.__annotations__) - {"return"} == set(BASE) == {*OTHER, "sampling"}
    assert set(OTHER_SAMPLING) == SAMPLING_FIELDS


@pytest.mark.parametrize("name", sorted(OTHER))
def test_another_argument_is_another_key(name):
    assert key(**{name: OTHER[name]}) != key()


@pytest.mark.parametrize("name", sorted(SAMPLING_FIELDS - BESIDE_KEY))
def test_another_sampling_field_is_another_key(name):
    assert key(sampling=resampled(SAMPLED, name)) != key()


@pytest.mark.parametrize("name", sorted(BESIDE_KEY))
def test_a_field_that_the_store_compares_by_rule_leaves_the_key_alone(name):
    assert key(sampling=resampled(SAMPLED, name)) == key()


def test_all_single_mutations_have_keys_of_their_own():
    keys = [key(**{name: OTHER[name]}) for name in OTHER]
    keys += [key(sampling=resampled(SAMPLED, name)) for name in SAMPLING_FIELDS - BESIDE_KEY]
    assert len({key(), *keys}) == 1 + len(keys)


def test_a_greedy_key_ignores_seed_sample_and_the_shape_of_a_distribution_nobody_draws_from():
    greedy = dataclasses.replace(SAMPLED, temperature=0.0)
    same = key(sampling=greedy)
    assert key(sampling=greedy, seed=8) == same
    assert key(sampling=greedy, sample_index=1) == same
    assert key(sampling=resampled(greedy, "top_p", "top_k")) == same


def test_a_greedy_key_still_covers_model_messages_stop_and_temperature():
    greedy = dataclasses.replace(SAMPLED, temperature=0.0)
    others = [key(sampling=greedy, **{name: OTHER[name]}) for name in ("model", "messages")]
    others += [key(sampling=resampled(greedy, name)) for name in ("stop", "temperature")]
    assert len({key(sampling=greedy), *others}) == 5


@pytest.mark.parametrize("temperature", [0, -0.0, False])
def test_however_nought_is_written_it_is_one_greedy_key(temperature):
    assert key(sampling=Sampling(temperature=temperature)) == key(sampling=Sampling(temperature=0.0))


Grown = dataclasses.make_dataclass(
    "Grown",
    [("repetition_penalty", float, dataclasses.field(default=1.0))],
    bases=(Sampling,),
    frozen=True,
    kw_only=True,
)
"""The sampling parameters of a later version, which has one more."""
EVERY_MIX = [
    {name: OTHER_SAMPLING[name] for name in names}
    for count in range(len(OTHER_SAMPLING) + 1)
    for names in itertools.combinations(OTHER_SAMPLING, count)
]


def test_a_new_parameter_at_its_default_moves_no_key_and_set_it_moves_each_greedy_or_not():
    old, new, given = (
        [key(sampling=kind(**mix, **more)) for mix in EVERY_MIX]
        for kind, more in ((Sampling, {}), (Grown, {}), (Grown, {"repetition_penalty": 1.1}))
    )
    assert len(EVERY_MIX) == 32
    assert [one != other for one, other in zip(old, new, strict=True)] == [False] * 32
    assert [one != other for one, other in zip(old, given, strict=True)] == [True] * 32


def test_of_two_requests_only_the_one_that_sets_a_new_parameter_moves():
    before = [request(row_id=row * 64, sampling=SAMPLED).key for row in "ab"]
    grown = dataclasses.asdict(SAMPLED)
    after = [request(row_id="a" * 64, sampling=Grown(**grown)).key]
    after += [request(row_id="b" * 64, sampling=Grown(**grown, repetition_penalty=1.1)).key]
    assert [one != other for one, other in zip(before, after, strict=True)] == [False, True]


def test_roles_order_and_boundaries_of_turns_are_in_the_key():
    variants = [
        turns("ab", "c", "d"),
        turns("a", "bc", "d"),
        turns("d", "c", "ab"),
        (Message(role="system", content="ab"), *turns("d")),
        (Message(role="user", content="ab"), *turns("d")),
        turns("ab\x00c", "", "d"),
    ]
    assert len({key(messages=messages) for messages in variants}) == len(variants)


def test_golden_keys_pin_the_scheme_so_that_no_paid_answer_is_orphaned_by_accident():
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=5, stop=("x",))
    assert request().key == "c2ded0382dab1ea59a3af00bea75bd32ed517d194fc9fc55b13a31d978c20af9"
    assert request(sampling=sampling).key == "bcfdae748d010f7c6732fb2ae83ce80e5b91cb233e767dc202961342280d51fa"


def test_strategy_template_and_task_names_are_lineage_and_never_identity():
    renamed = request(strategy="other", template="strategies/other.j2", task="other")
    assert renamed.key == request().key


def test_raising_the_number_of_samples_keeps_the_keys_of_the_first_ones():
    four, eight = ([request(sampling=SAMPLED, sample_index=i).key for i in range(n)] for n in (4, 8))
    assert eight[:4] == four
    assert len(set(eight)) == 8


def test_sampled_answers_to_different_rows_draw_with_different_seeds():
    seeds = {request(row_id=row * 64, sample_index=i).seed for row in "abc" for i in range(3)}
    assert len(seeds) == 9


def test_a_comment_or_whitespace_at_the_ends_of_a_turn_costs_no_token(tmp_path):
    plain = "{% call system() %}Add.{% endcall %}{% call user() %}{{ question }}{% endcall %}"
    edited = "{# v2 #}\n{% call system() %}\n  Add. {# why #}\n{% endcall %}\n"
    edited += "{% call user() %} {{ question }}\n{% endcall %}\n"
    keys = set()
    for number, text in enumerate((plain, edited)):
        templates = Templates(write_templates(tmp_path / str(number), strategies__direct=text))
        keys.add(request(messages=templates.teacher(example(), "direct").messages).key)
    assert len(keys) == 1


def test_one_letter_more_in_an_included_file_is_another_key(tmp_path):
    page = "{% call system() %}{% include 'shared/rule.j2' %}{% endcall %}{% call user() %}{{ question }}{% endcall %}"
    keys = set()
    for rule in ("Add", "Add."):
        root = write_templates(tmp_path / rule, strategies__direct=page, shared__rule=rule)
        keys.add(request(messages=Templates(root).teacher(example(), "direct").messages).key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"samples": 0}, "samples must be 1"),
        ({"samples": 2}, "temperature above 0"),
    ],
)
def test_samples_that_cannot_be_drawn_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        GenerateConfig(sampling=Sampling(), **fields)


def test_all_broken_sampling_rules_are_told_at_once():
    with pytest.raises(ValueError, match=r"temperature.*top_p.*top_k.*max_tokens.*stop"):
        Sampling(temperature=-1, top_p=0, top_k=-1, max_tokens=0, stop=("",))


def test_a_request_carries_what_its_key_was_made_of():
    made = build_request(
        row_id="r", sample_index=2, task="t", strategy="s", template="f", model="m", messages=turns("q"),
        sampling=SAMPLED, seed=1,
    )  # fmt: skip
    assert made.key == request_key(made.model, made.messages, made.sampling, made.seed, made.sample_index)
