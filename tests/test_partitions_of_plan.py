"""A plan that goes partition by partition and renders nothing, against one that renders every request at once."""

from collections import Counter
from contextlib import chdir

import pytest

from orca2.core.rows import Answer, Example, Request
from orca2.plan.asking import Asker
from orca2.plan.causes import Causes
from orca2.plan.questions import Collected, Written
from orca2.project.artifacts import REQUESTS
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.requests import GenerateConfig, teaching
from orca2.recipe.templates import Templates
from orca2.store.store import Store
from tests.dataset import MODEL, Recipe, build, questions

CONFIG = GenerateConfig(sampling=Recipe().sampling)


def naive(requests, store, earlier):
    """Keys to generate, how many are cached, and how many of last time's are not asked any more."""
    missing = store.missing(requests)
    asked = {(r.row_id, r.sample_index) for r in requests}
    gone = sum((r.row_id, r.sample_index) not in asked for r in earlier)
    return {r.key for r in missing}, len({r.key for r in requests}) - len(missing), gone


SIZES = [(10**9, 10**9), (2_000, 10**9), (10**9, 9_000), (4_000, 9_000)]


@pytest.mark.parametrize(("examples_bytes", "requests_bytes"), SIZES)
@pytest.mark.parametrize("collected", [False, True])
def test_the_same_requests_by_partition_as_all_at_once(
    tmp_path, monkeypatch, examples_bytes, requests_bytes, collected
):
    many, now = questions(40), questions(45)[3:] + questions(2, "probe")[:2]
    build(tmp_path, Recipe(examples=many))
    earlier = read_rows(tmp_path / "data/requests", Request)
    monkeypatch.setattr("orca2.project.shards.SHARD_BYTES", examples_bytes)
    write_rows(tmp_path / "data/examples", Example, now if not collected else many)
    monkeypatch.setattr("orca2.project.shards.SHARD_BYTES", requests_bytes)
    write_rows(tmp_path / "data/requests", Request, earlier)
    store = Store(tmp_path / "store")
    with store.writer("{}") as writer:
        writer.add(
            Answer(key=r.key, text="a", finish_reason="stop", max_tokens=9, prompt_tokens=1, completion_tokens=1)
            for r in earlier[::2]
        )
    store.refresh()
    with chdir(tmp_path), Causes(templates := Templates(), store) as causes:
        asks = teaching(templates, Recipe().strategies, CONFIG, MODEL, 42)
        source = Collected(now, []) if collected else Written()
        asker = Asker(templates=templates, store=store, questions=source, causes=causes, seconds=lambda _: None)
        asking = asker.ask(asks, REQUESTS, ())
        keys, cached, gone = naive(asks.requests(now, templates), store, earlier)
    assert {wanted.key for wanted in asking.wanted} == keys
    assert (asking.cached, asking.dropped.total()) == (cached, gone)
    assert not asking.same
    kinds = Counter(wanted.cause.kind for wanted in asking.wanted)
    assert kinds["source"] == 10 and set(kinds) == {"source", "answer"}
