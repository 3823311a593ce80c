"""Near copies: held-out questions that differ from training in names, or names and numbers, alone; told and kept."""

import json

import pytest

from orca2.recipe.sources import SourceConfig
from orca2.recipe.tasks import SplitConfig, TasksConfig, collect
from orca2.recipe.tasks.near_copies import near_copies, rows_of, shares
from tests.examples import example


def rows(*questions):
    return [example(row_id=f"{split}{i}", split=split, question=text) for i, (split, text) in enumerate(questions)]


@pytest.mark.parametrize(
    ("held_out", "trained", "mask"),
    [
        ("Alice has 3 pens.", "Bob has 3 pens.", "names"),
        ("Alice has 3 pens.", "Bob has 4 pens.", "names_and_numbers"),
        ("Calculate 4 + 5 + 6.", "Calculate 6 + 5 + 4.", "names"),
        ("Calculate 4 + 5.", "Calculate 41 + 7.", "names_and_numbers"),
        ("Calculate 4 + 5.", "Calculate 4 - 5.", None),
        ("Alice has 3 pens.", "Bob has 3 cups.", None),
    ],
)
def test_a_near_copy_is_the_same_but_for_names_or_numbers_in_any_order(held_out, trained, mask):
    examples = rows(("evaluation", held_out), ("train", trained), ("probe", held_out))
    pairs = near_copies(examples)
    assert [(pair.held_out.row_id, pair.trained.row_id, pair.mask) for pair in pairs] == (
        [("evaluation0", "train1", mask)] if mask else []
    )
    told = [f"same but for {mask.replace('_', ' ')} as train1"] if mask else []
    assert [(pair.row_id, pair.detail) for pair in rows_of(pairs)] == [("evaluation0", text) for text in told]
    found = {"but_names": int(mask == "names"), "but_names_and_numbers": int(mask is not None)}
    assert shares(examples, pairs) == {"sums": {"evaluation": 1} | found}


@pytest.mark.parametrize(("mask", "kept"), [("", 40), ("names", 20), ("names_and_numbers", 0)])
def test_near_copies_stay_unless_it_is_asked_otherwise_and_then_the_training_row_goes(tmp_path, mask, kept):
    def file(name, questions):
        (tmp_path / name).write_text("".join(json.dumps({"question": q, "answer": "1"}) + "\n" for q in questions))
        return str(tmp_path / name)

    held_out = [f"Alice has {number} pens." for number in range(20)]
    trained = [f"Bob has {number} pens." for number in range(40)]
    common = {"kind": "file", "category": "c", "licence": "MIT", "task": "t"}
    sources = {
        "taught": SourceConfig(name=file("a.jsonl", trained), split="train", **common),
        "test": SourceConfig(name=file("b.jsonl", held_out), split="evaluation", **common),
        "probe": SourceConfig(name=file("c.jsonl", ["What is a pen?"]), split="probe", **common),
    }
    config = TasksConfig(sources=sources, splits=SplitConfig(), drop_near_copies=mask)
    examples, rejected, num_read = collect(config, 1)
    assert sum(e.split == "train" for e in examples) == kept
    assert sum(e.split == "evaluation" for e in examples) == 20
    assert len(examples) + len(rejected) == num_read
    assert {r.reason for r in rejected} <= {"near copy of evaluation"}
    ids = {e.row_id for e in examples if e.split == "evaluation"}
    assert all(r.detail.split()[-1] in ids for r in rejected)
