"""`orca2 plan` and `orca2 diff` give the same causes: each kind of change is made once, and both are asked."""

import shutil
import subprocess
from collections import Counter
from contextlib import chdir

import pytest

from orca2.core.rows import Answer, Rejected, Request, Sampling
from orca2.diff.causes import KINDS, OF_REQUESTS, Known, Outside, in_order
from orca2.diff.diff import diff
from orca2.plan.asking import Asker
from orca2.plan.causes import NOT_STORED, Causes
from orca2.plan.questions import Collected
from orca2.project.artifacts import REQUESTS
from orca2.project.revisions import WORKSPACE, Revision
from orca2.project.shards import read_rows
from orca2.recipe.requests import GenerateConfig, teaching
from orca2.recipe.templates import Templates
from orca2.store.store import Store
from tests.dataset import MODEL, Recipe, build, questions

BASE = Recipe()
STEPS = "strategies/step_by_step.j2"
REVERSAL = "tasks/reversal/step_by_step.j2"
DIRECT = {"reversal": "direct_answer", "sum_of_two": "step_by_step"}
SAMPLED = BASE.changed(sampling=Sampling(temperature=0.5))
EDIT = {REVERSAL: ("From the last to the first: quickly, lantern.", "Backwards: quickly, lantern.")}
EDITS = {**EDIT, STEPS: ("short ordered steps", "short, ordered steps")}


def by_diff(before, after):
    """Requests by cause and detail, between two versions that were built."""
    found, counts = diff(Revision(WORKSPACE, before), Revision(WORKSPACE, after), "render_prompts"), Counter()
    for kind, rows in found.counts.items():
        counts[kind.cause, kind.detail] += rows
    return counts


def by_plan(before, after, recipe, tmp_path):
    """The same where the earlier version is built, committed and answered, and the later one is still to come."""
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "built"]):
        identity = ["-c", "user.name=orca2 tests", "-c", "user.email=tests@example.invalid"]
        subprocess.run(["git", *identity, *command], cwd=before, check=True)
    store = Store(tmp_path / "store")
    answer(store, read_rows(before / "data/requests", Request))
    shutil.rmtree(before / "templates")
    shutil.copytree(after / "templates", before / "templates")
    with chdir(before), Causes(templates := Templates(), store) as causes:
        left_out = read_rows(after / "data/rejected/prepare_tasks", Rejected)
        asker = Asker(
            templates=templates, store=store, questions=Collected(list(recipe.examples), left_out), causes=causes,
            seconds=lambda _: None,
        )  # fmt: skip
        config = GenerateConfig(sampling=recipe.sampling, samples=recipe.samples)
        asking = asker.ask(teaching(templates, recipe.strategies, config, recipe.model, recipe.seed), REQUESTS, ())
    return sum((Counter({tuple(c): n}) for (c, _), n in (asking.causes + asking.dropped).items()), Counter())


def answer(store, requests):
    """Answers that are cut, so that another limit asks again."""
    with store.writer("{}") as writer:
        writer.add(
            Answer(key=r.key, text="...", finish_reason="length", max_tokens=r.sampling.max_tokens, prompt_tokens=9,
                   completion_tokens=r.sampling.max_tokens)
            for r in requests
        )  # fmt: skip
    store.refresh()


def moved(to):
    return questions(3) + [q for q in questions(4, to) if q.row_id.endswith("3")]


@pytest.mark.parametrize(
    ("before", "change", "kinds"),
    [
        (BASE, {}, set()),
        (BASE, {"examples": questions(5)}, {"source"}),
        (BASE, {"examples": questions(3)}, {"source"}),
        (BASE, {"examples": moved("evaluation")}, {"split"}),
        (BASE.changed(examples=moved("probe")), {"examples": questions(4)}, {"split"}),
        (BASE, {"examples": questions(3), "left_out": questions(4)[3::4]}, {"split"}),
        (BASE, {"strategies": DIRECT}, {"strategy"}),
        (BASE, {"edits": EDIT}, {"template"}),
        (BASE, {"edits": EDITS}, {"template"}),
        (BASE, {"sampling": SAMPLED.sampling}, {"sampling"}),
        (BASE, {"sampling": Sampling(max_tokens=256)}, {"sampling"}),
        (SAMPLED, {"samples": 2}, {"sampling"}),
        (SAMPLED, {"seed": 7}, {"sampling"}),
        (BASE, {"model": "b" * 64}, {"model"}),
        (BASE, {"model": "b" * 64, "edits": EDIT}, {"template", "model"}),
        (BASE, {"model": "b" * 64, "sampling": SAMPLED.sampling, "edits": EDIT}, {"template", "sampling"}),
        (SAMPLED, {"model": "b" * 64, "seed": 7, "samples": 2, "examples": questions(5), "strategies": DIRECT,
                   "edits": EDITS}, {"source", "strategy", "template", "sampling"}),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, dict | set) else None,
)  # fmt: skip
def test_both_name_the_same_causes_for_the_same_rows(tmp_path, before, change, kinds):
    after = before.changed(**change)
    for name, recipe in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        build(tmp_path / name, recipe)
    seen = by_diff(tmp_path / "before", tmp_path / "after")
    planned = by_plan(tmp_path / "before", tmp_path / "after", after, tmp_path)
    assert planned == seen
    assert {kind for kind, _ in seen} == kinds


def test_what_can_be_a_cause_is_asked_in_the_order_of_the_list():
    everything = {
        "split": "train", "category": "", "question": "", "grader": "", "metadata": "", "strategy": "", "template": "",
        "messages": "", "sampling": {}, "seed": 1, "model": MODEL, "key": "", "text": "", "finish_reason": "",
    }  # fmt: skip
    steps = {name: Known([everything], [everything]) for name in ("examples", "left_out", "requests", "answers")}
    steps |= {name: Known([everything], [everything]) for name in ("graded", "chats")}
    for asked in ("sampling", "strategy"):
        outside = Outside(templates=lambda *_: "", rule="grade.keep", asked=asked)
        kinds = [KINDS.index(kind) for kind, _, _ in in_order(steps, outside)]
        assert kinds == sorted(kinds)
        assert len(set(kinds)) == len(KINDS) - len({"first build", "code", "repacked"})


def test_a_plan_tells_a_beginning_of_the_list():
    assert KINDS[: len(OF_REQUESTS)] == OF_REQUESTS
    assert NOT_STORED.kind == OF_REQUESTS[-1]
