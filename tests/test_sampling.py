"""Draws: exact, reproducible by seed, uniform over tasks, and steady when a source grows."""

import json
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.recipe.sources import SourceConfig
from orca2.recipe.tasks import SplitConfig, TasksConfig, collect
from orca2.recipe.tasks.sampling import DrawConfig, two_level

SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 30), min_size=1)


def naive(counts, size, draw):
    """A task uniformly among those that have a question left, again and again."""
    taken = dict.fromkeys(counts, 0)
    for _ in range(size):
        taken[draw.choice([task for task in counts if taken[task] < counts[task]])] += 1
    return taken


@given(counts=SIZES, share=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_draw_is_exact_and_the_same_for_the_same_seed(counts, share, seed):
    size = int(share * sum(counts.values()))
    taken = two_level(counts, size, seed)
    assert sum(taken.values()) == size
    assert all(taken[task] <= counts[task] for task in counts)
    assert taken == two_level(dict(reversed(counts.items())), size, seed)


def test_as_many_are_taken_of_each_task_as_by_drawing_a_task_uniformly_each_time():
    counts, size, rounds = {"small": 3, "middle": 12, "large": 100, "huge": 1000}, 60, 800
    draw = random.Random(1)  # noqa: S311
    for task in counts:
        here, there = (
            [taken[task] for taken in drawn]
            for drawn in (
                [two_level(counts, size, seed) for seed in range(rounds)],
                [naive(counts, size, draw) for _ in range(rounds)],
            )
        )
        assert sum(here) / rounds == pytest.approx(sum(there) / rounds, abs=0.5)
        spread = [sum((n - sum(ns) / rounds) ** 2 for n in ns) / rounds for ns in (here, there)]
        assert spread[0] == pytest.approx(spread[1], rel=0.25, abs=0.05)


@given(counts=SIZES, more=SIZES, share=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_task_that_grows_pushes_out_at_most_as_many_of_the_others_as_it_brings(counts, more, share, seed):
    size = int(share * sum(counts.values()))
    grown = {task: count + more.get(task, 0) for task, count in counts.items()}
    before, after = two_level(counts, size, seed), two_level(grown, size, seed)
    assert sum(max(0, before[task] - after[task]) for task in counts) <= sum(grown.values()) - sum(counts.values())


def sources(folder, counts, **draws):
    made = {}
    for task, count in counts.items():
        file = folder / f"{task}.jsonl"
        rows = [{"question": f"{task} {i}?", "answer": "1"} for i in range(count)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        made[task] = SourceConfig(kind="file", name=str(file), category="c", licence="MIT")
    return TasksConfig(sources=made, splits=SplitConfig(), draws=draws)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(more=st.integers(1, 20), seed=st.integers(0, 9))
def test_a_source_that_grows_pushes_out_at_most_as_many_training_questions_as_it_brings(tmp_path, more, seed):
    draw = DrawConfig(sources=("one", "two", "three"), per_task=30, size=50)
    before, after = (
        collect(sources(tmp_path, {"one": 10 + grown, "two": 60, "three": 90, "other": 20}, mix=draw), seed)
        for grown in (0, more)
    )
    trained, later = ({e.row_id for e in examples if e.split == "train" and e.task != "other"}
                      for examples, *_ in (before, after))  # fmt: skip
    assert len(trained) == len(later) == 50
    assert len(trained - later) <= more
    held_out, still = ({e.row_id for e in examples if e.split != "train"} for examples, *_ in (before, after))
    assert held_out <= still
    for examples, rejected, num_read in (before, after):
        assert len(examples) + len(rejected) == num_read
        assert {(r.reason, r.detail) for r in rejected} == {("not drawn", "by tasks.draws.mix")}


def test_a_cap_of_a_draw_holds_for_its_own_sources_alone(tmp_path):
    config = sources(tmp_path, {"one": 40, "two": 40}, caps=DrawConfig(sources=("one",), per_task=7))
    counts = Counter(e.task for e in collect(config, 1)[0] if e.split == "train")
    assert counts["one"] == 7
    assert counts["two"] > 15


def test_a_draw_of_more_than_there_is_is_told_with_what_there_is(tmp_path):
    config = sources(tmp_path, {"one": 40}, mix=DrawConfig(sources=("one",), per_task=5, size=6))
    with pytest.raises(Orca2Error, match=r"tasks\.draws\.mix: asks for 6 .* have 5, with at most 5 of a task"):
        collect(config, 1)


@pytest.mark.parametrize(
    ("draws", "words"),
    [
        ({"a": {"sources": ("gone",), "size": 1}}, "'gone' is no source of another draw and one of: one"),
        (
            {"a": {"sources": ("one",), "size": 1}, "b": {"sources": ("one",), "size": 1}},
            "is no source of another draw",
        ),
        ({"a": {"sources": ("one",)}}, "per_task or size must be above 0"),
        ({"a": {"sources": (), "size": 1}}, "name at least one"),
    ],
)
def test_a_draw_that_cannot_be_made_is_refused_when_params_are_read(tmp_path, draws, words):
    with pytest.raises(ValueError, match=words):
        sources(tmp_path, {"one": 3}, **{name: DrawConfig(**fields) for name, fields in draws.items()})
