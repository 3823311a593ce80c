"""The paper's recipe as parameters: each file loads as the stages load it, and holds what the paper states."""

import re
from functools import cache

import pytest

from orca2.audit.check import SECTIONS
from orca2.core import config
from orca2.recipe.templates import Templates
from tests.closure import ROOT
from tests.test_identity import fields

CONFIGS = sorted((ROOT / "configs").glob("*/*.yaml"))
PAGE = (ROOT / "configs/README.md").read_text("utf-8")
SIZES = ("7b", "13b")


@cache
def loaded(file):
    return {name: config.load_section(name, kind, file) for name, kind in SECTIONS.items()}


def named(size, phase):
    return loaded(ROOT / f"configs/orca2-{size}/phase-{phase}.yaml")


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parent.name} {file.stem}")
def test_a_config_loads_whole_with_the_loader_of_the_stages(file):
    assert config.unknown_sections(SECTIONS, file=file) == []
    assert all(section is not None for section in loaded(file).values())


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parent.name} {file.stem}")
def test_every_technique_and_student_template_of_a_config_ships(file):
    templates, params = Templates(ROOT / "templates"), loaded(file)
    templates.check_strategies(params["probe"].strategies, "probe")
    for name in (params["erase"].student_template, *params["evaluate"].student_templates):
        templates.check_student(name, "templates")


@pytest.mark.parametrize("phase", [2, 3])
def test_the_two_sizes_differ_in_their_student_alone(phase):
    small, large = (named(size, phase) for size in SIZES)
    assert {name for name in SECTIONS if small[name] != large[name]} <= {"models"}
    assert small["models"].compared == large["models"].compared


@pytest.mark.parametrize("size", SIZES)
def test_the_figures_of_the_paper_stand_in_the_parameters(size):
    second, third = named(size, 2), named(size, 3)
    assert {name: (d.per_task, d.size) for name, d in second["tasks"].draws.items()} == {
        "niv2": (300, 0), "flan_2021": (0, 2_500_000), "t0": (0, 2_000_000)
    }  # fmt: skip
    assert {name: draw.size for name, draw in third["tasks"].draws.items()} == {
        "cautious_flan": 602_000,
        "math": 160_000,
    }
    sources = third["tasks"].sources
    assert (sources["few_shot"].limit, sources["orca_1"].limit) == (55_000, 1_000_000)
    assert (sources["few_shot"].few_shot.least, sources["few_shot"].few_shot.most) == (3, 5)
    assert sources["orca_1"].few_shot is None
    assert (second["train"].epochs, third["train"].epochs) == (3, 4)
    assert second["pack"].max_tokens == third["pack"].max_tokens == 4096
    assert third["evaluate"].student_templates == ("empty", "cautious")
    assert (third["probe"].judge, third["probe"].choose_per) == ("student", "category")


@pytest.mark.parametrize("size", SIZES)
def test_a_benchmark_of_the_paper_is_a_category_that_is_only_examined(size):
    sources = named(size, 3)["tasks"].sources.values()
    benchmarks = {source.category for source in sources if source.split == "evaluation"}
    assert benchmarks >= {"agieval", "bbh", "drop", "crass", "race", "gsm8k", "mmlu", "arc_easy", "arc_challenge"}
    assert benchmarks.isdisjoint(source.category for source in sources if source.split != "evaluation")


def test_the_page_names_only_parameters_that_there_are():
    written = re.findall(rf"`((?:{'|'.join(SECTIONS)})(?:\.[a-z_0-9]+)+)`", PAGE)
    named_by_user = [re.sub(r"^tasks\.draws\.\w+", "tasks.draws.*", name) for name in written]
    sections = {name for path in fields(SECTIONS) for name in _beginnings(path)}
    assert len(written) > 30 and {name for name in named_by_user if name not in sections} == set()


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parent.name} {file.stem}")
def test_the_page_says_what_of_a_config_is_a_choice_of_ours(file):
    lines = file.read_text("utf-8").splitlines()
    ours = {line.split(":")[0].strip() for line in lines if line.endswith("# ours")}
    assert len(ours) > 8 and {name for name in ours if name not in PAGE} == set()


def _beginnings(path):
    names = path.split(".")
    return [".".join(names[:number]) for number in range(1, len(names) + 1)]
