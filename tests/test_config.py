"""params.yaml: everything wrong with it is told at once, with where it is and what to write instead."""

import dataclasses
import re
import time
from typing import Literal

import pytest
import yaml

from orca2.audit.check import SECTIONS
from orca2.core import config
from orca2.core.errors import InputErrors, Orca2Error
from orca2.core.rows import Sampling
from orca2.engines.config import EngineConfig, GenerationConfig, HttpConfig
from orca2.recipe.packing import PackConfig
from orca2.recipe.requests import GenerateConfig
from orca2.recipe.tasks import SplitConfig, TasksConfig
from orca2.training.loop import TrainConfig
from orca2.training.run import TrainClusterConfig
from tests.examples import ROOT, write_yaml

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
GENERATE = {"samples": 1, "sampling": {"temperature": 0.0, "max_tokens": 96}}
SOURCE = {"kind": "reasoning_gym", "name": "gcd", "size": 10, "category": "arithmetic", "licence": "Apache-2.0"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A dataclass with one field of every kind that the loader knows."""

    number: float
    mode: Literal["fast", "slow"] = "fast"
    names: tuple[str, ...] = ()
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    maybe: int | None = None
    flag: bool = False


def of(**sections):
    """A dataclass that reads these sections."""
    return dataclasses.make_dataclass("Params", sections.items(), bases=(config.Sections,), frozen=True, kw_only=True)


def errors_of(file, **sections):
    with pytest.raises(Orca2Error) as caught:
        config.load(of(**sections), file)
    return str(caught.value)


def errors_in(tmp_path, document, **sections):
    return errors_of(write_yaml(tmp_path / "params.yaml", document), **sections)


def test_the_shipped_parameters_load_whole():
    loaded = config.load(of(**SECTIONS), ROOT / "params.yaml")
    assert set(vars(loaded)) == set(SECTIONS)
    assert not config.unknown_sections(SECTIONS, file=ROOT / "params.yaml")


def test_a_section_is_read_into_its_owner_with_defaults_for_what_it_does_not_say(tmp_path):
    file = write_yaml(tmp_path / "p.yaml", {"generate": GENERATE, "seed": 3})
    loaded = config.load(of(generate=GenerateConfig, seed=int), file)
    assert loaded.generate == GenerateConfig(sampling=Sampling(temperature=0.0, max_tokens=96))
    assert loaded.seed == 3


def test_a_misspelt_parameter_names_its_path_and_the_nearest_known_one(tmp_path):
    told = errors_in(tmp_path, {"generate": {"sampling": {"temprature": 0.5}}}, generate=GenerateConfig)
    assert f"{tmp_path}/params.yaml: generate.sampling.temprature: unknown parameter" in told
    assert "did you mean `temperature`?" in told


def test_a_parameter_like_no_other_gets_the_list_of_known_ones(tmp_path):
    told = errors_in(tmp_path, {"generate": GENERATE | {"qqqq": 1}}, generate=GenerateConfig)
    assert "known: samples, sampling" in told


def test_all_errors_of_a_file_come_together(tmp_path):
    document = {
        "generate": {"samples": "many", "sampling": {"max_tokens": 9.5, "stop": "x", "top_q": 1}},
        "tasks": {"sources": {"gcd": SOURCE | {"kind": "magic"}, "lcm": {k: SOURCE[k] for k in ("kind", "name")}}},
        "sead": 4,
    }
    told = errors_in(tmp_path, document, generate=GenerateConfig, tasks=TasksConfig, seed=int)
    for words in (
        "generate.samples: must be int, not 'many'",
        "generate.sampling.max_tokens: must be int, not 9.5",
        "generate.sampling.stop: must be a list, not 'x'",
        "generate.sampling.top_q: unknown parameter",
        "tasks.sources.gcd: kind: 'magic' is not one of reasoning_gym, file, hub, datasets, nor MODULE:READER",
        "tasks.sources.lcm.category: missing",
        "tasks.sources.lcm.licence: missing",
        "section `seed` is missing",
        "did you mean `sead`?",
    ):
        assert words in told


def test_floats_as_dvc_writes_them_back_are_floats_though_yaml_reads_text(tmp_path):
    from dvc.utils.hydra import apply_overrides

    file = tmp_path / "params.yaml"
    file.write_text("sample: {number: 0.5}\n")
    apply_overrides(file, ["sample.number=5e-5"])
    assert config.load_section("sample", Sample, file).number == 5e-5
    file.write_text("sample: {number: 1e-4 or so}\n")
    assert "must be float, not '1e-4 or so'" in errors_of(file, sample=Sample)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"number": True}, "number: must be float, not True"),
        ({"number": None}, "number: must be float, not None"),
        ({"number": float("nan")}, "number: must be a finite number, not nan"),
        ({"number": float("inf")}, "number: must be a finite number, not inf"),
        ({"number": 1, "mode": "fats"}, "did you mean `fast`?"),
        ({"number": 1, "mode": ["fast"]}, "is not one of"),
        ({"number": 1, "names": [1]}, "names[0]: must be str, not 1"),
        ({"number": 1, "sizes": {"a": "x"}}, "sizes.a: must be int, not 'x'"),
        ({"number": 1, "sizes": [1]}, "sizes: must be a mapping"),
        ({"number": 1, "maybe": "x"}, "maybe: must be int, not 'x'"),
        ({"number": 1, "flag": 1}, "flag: must be bool, not 1"),
        ({"number": 1, "flag": "yes"}, "flag: must be bool, not 'yes'"),
        ({"number": 1, 7: 7}, "sample.7: unknown parameter"),
        ({}, "sample.number: missing"),
        ("text", "sample: must be a mapping"),
        (None, "sample: must be a mapping"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_with_its_path(tmp_path, fields, words):
    assert words in errors_in(tmp_path, {"sample": fields}, sample=Sample)


def test_whole_numbers_serve_as_floats_and_null_where_it_is_allowed(tmp_path):
    document = {"sample": {"number": 2, "maybe": None, "names": ["a"], "sizes": {"b": 1}}}
    loaded = config.load_section("sample", Sample, write_yaml(tmp_path / "p.yaml", document))
    assert loaded == Sample(number=2.0, names=("a",), sizes={"b": 1})
    assert isinstance(loaded.number, float)


def test_a_value_out_of_range_is_told_with_the_section_it_stands_in(tmp_path):
    told = errors_in(tmp_path, {"generate": {"sampling": {"temperature": -1.0, "top_p": 2.0}}}, generate=GenerateConfig)
    assert "generate.sampling: temperature must be 0 or more; top_p must be above 0" in told


def test_a_key_written_twice_is_refused_instead_of_the_second_winning_quietly(tmp_path):
    (tmp_path / "params.yaml").write_text("seed: 1\ngenerate: {samples: 1}\nseed: 2\n")
    told = errors_of(tmp_path / "params.yaml", seed=int)
    assert "`seed` is written twice" in told
    assert "line 3" in told


def test_a_task_written_twice_does_not_lose_the_first(tmp_path):
    (tmp_path / "params.yaml").write_text("tasks:\n  sources:\n    gcd: {name: a}\n    gcd: {name: b}\n")
    assert "`gcd` is written twice" in errors_of(tmp_path / "params.yaml", tasks=TasksConfig)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"seed: [1\n", "not valid YAML"),
        (b"seed: \xff\n", "not valid YAML"),
        (b"seed: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        (b"- seed\n", "must be a mapping of sections"),
        (b"", "must be a mapping of sections"),
    ],
)
def test_a_file_that_is_not_a_mapping_in_yaml_is_an_error_that_names_it(tmp_path, content, words):
    (tmp_path / "params.yaml").write_bytes(content)
    told = errors_of(tmp_path / "params.yaml", seed=int)
    assert words in told
    assert str(tmp_path / "params.yaml") in told


def test_a_missing_file_says_where_to_run(tmp_path):
    assert "run this from the root of the project" in errors_of(tmp_path / "params.yaml", seed=int)


def test_a_section_nobody_reads_is_an_error_with_the_nearest_name(tmp_path):
    file = write_yaml(tmp_path / "p.yaml", {"genrate": {}, "seed": 1, "own_stage": {}})
    found = config.unknown_sections({"generate": int, "seed": int}, ["own_stage"], file)
    assert [(e.message, e.hint) for e in found] == [("unknown section `genrate`", "did you mean `generate`?")]


def test_an_unknown_part_of_a_divided_section_is_told_with_where_it_is(tmp_path):
    file = write_yaml(tmp_path / "p.yaml", {"cluster": {"trainning": {}, "generation": {}}})
    (error,) = config.unknown_sections({"cluster": of(training=int, generation=int)}, file=file)
    assert str(error).endswith("did you mean `training`?")
    assert "p.yaml: cluster" in str(error)


def test_subsections_are_read_apart_from_what_others_own(tmp_path):
    file = write_yaml(tmp_path / "p.yaml", {"cluster": {"sample": {"number": 1}, "other": {"x": "anything"}}})
    assert config.load(of(cluster=of(sample=Sample)), file).cluster.sample.number == 1.0
    assert "did you mean `sample`?" in errors_of(file, cluster=of(smaple=Sample))


def test_errors_survive_the_journey_between_processes():
    import pickle

    one = Orca2Error("broken", "file:3", "mend it")
    both = InputErrors([one, Orca2Error("missing")])
    assert str(pickle.loads(pickle.dumps(one))) == str(one) == "file:3: broken\n    -> mend it"  # noqa: S301
    assert str(pickle.loads(pickle.dumps(both))) == str(both) == f"{one}\nmissing"  # noqa: S301


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB + "seed: *a11\n", "its anchors stand for more than 100000 values"),
        (MERGES + "seed: *a11\n", "its merges stand for too many values"),
        ("seed: &s [*s]\n", "holds an anchor inside itself"),
        ("seed: " + "[" * 2000 + "]" * 2000, "is nested too deeply"),
        ("? [a, b]\n: 1\n", "a name must be a word"),
        ("a: &a {x: 1}\nseed: {<<: *a, <<: *a}\n", "`<<` is written twice"),
    ],
)
def test_a_file_that_would_cost_time_without_end_or_names_nothing_is_told_at_once(tmp_path, content, words):
    (tmp_path / "params.yaml").write_text(content)
    begin = time.process_time()
    with pytest.raises(Orca2Error, match=re.escape(words)):
        config.load_section("seed", int, tmp_path / "params.yaml")
    assert time.process_time() - begin < 5


def test_anchors_that_people_use_are_read(tmp_path):
    (tmp_path / "params.yaml").write_text("a: &a {temperature: 0.5}\ngenerate: {sampling: {<<: *a, max_tokens: 9}}\n")
    read = config.load_section("generate", GenerateConfig, tmp_path / "params.yaml")
    assert read.sampling == Sampling(temperature=0.5, max_tokens=9)


def test_a_wrong_value_of_any_length_is_shown_in_short(tmp_path):
    file = write_yaml(tmp_path / "params.yaml", {"seed": ["x" * 10_000]})
    with pytest.raises(Orca2Error) as caught:
        config.load_section("seed", int, file)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (
            EngineConfig,
            {"max_num_seqs": 0, "max_model_len": -5, "block_size": 0, "kv_cache_gib": -1.0,
             "gpu_memory_utilization": 9.0, "tensor_parallel_size": 0},
            ["max_num_seqs", "max_model_len", "block_size", "kv_cache_gib", "gpu_memory", "tensor_parallel_size"],
        ),
        (TrainConfig, SHIPPED["train"] | {"epochs": 0, "learning_rate": 0.0}, ["epochs", "learning_rate"]),
        (TrainClusterConfig, {"workers": 0, "cpus_per_worker": 0}, ["workers must", "cpus_per_worker must"]),
        (
            GenerationConfig,
            {"engines": 0, "cpus_per_engine": 0.0, "gpus_per_engine": -1.0, "batch_size": 0},
            ["engines must", "cpus_per_engine must", "gpus_per_engine must", "batch_size must"],
        ),
        (GenerationConfig, {"max_new_tokens": -1}, ["max_new_tokens must be 0 or more"]),
        (GenerationConfig, {"gpus_per_engine": 1.5}, ["gpus_per_engine must be 0 or more, and whole above 1"]),
        (GenerationConfig, {"batch_size": 65}, ["batch_size must be at most engine.max_num_seqs, 64"]),
        (
            GenerationConfig,
            {"gpus_per_engine": 1.0, "engine": EngineConfig(tensor_parallel_size=8)},
            ["engine.tensor_parallel_size 8 needs gpus_per_engine of as many, not 1"],
        ),
        (
            HttpConfig,
            {"concurrency": 0, "timeout_s": 0.0, "max_retries": -1, "requests_per_minute": -1, "tokens_per_minute": -1},
            ["concurrency", "timeout_s", "max_retries", "requests_per_minute", "tokens_per_minute"],
        ),
        (
            SplitConfig,
            {"probe_fraction": 0.0, "probe_limit": -1, "train_limit": -1, "evaluation_limit": -1},
            ["fractions", "probe_limit", "train_limit", "evaluation_limit"],
        ),
        (PackConfig, {"max_tokens": 1}, ["max_tokens"]),
    ],
)  # fmt: skip
def test_all_broken_rules_of_a_config_are_told_at_once(kind, fields, words):
    with pytest.raises(ValueError, match=r"must|needs") as caught:
        kind(**fields)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("value", [True, 1.0, "1"])
def test_what_equals_a_whole_number_and_is_none_is_refused(tmp_path, value):
    wrong = {"pack": {"max_tokens": value}, "train": SHIPPED["train"] | {"zero_stage": value}}
    file = write_yaml(tmp_path / "params.yaml", wrong)
    for name, kind in (("pack", PackConfig), ("train", TrainConfig)):
        with pytest.raises(Orca2Error, match=r"must be int|is not one of"):
            config.load_section(name, kind, file)
