"""All requests of an artifact are answered as a list of them is, with nothing but a partition of texts in memory."""

from itertools import pairwise

import pytest

from orca2.core.errors import Orca2Error
from orca2.core.rows import Generation, Rejected, Request, Sampling
from orca2.engines.config import GenerationConfig, HttpConfig
from orca2.engines.generation import answer
from orca2.engines.streaming import answer_all
from orca2.project import partitions, shards
from orca2.project.artifacts import GENERATIONS, REQUESTS, rejected
from orca2.project.partitions import partitions_of
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.models import prepare
from orca2.store.store import Store
from tests.endpoint import Endpoint, fails, says
from tests.examples import answer as answer_to
from tests.examples import request, turns

FAILED = rejected("generate")


@pytest.fixture
def endpoint(tmp_path, monkeypatch):
    """A scripted endpoint, in a project whose requests lie in many shards, four of them in a partition."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "SHARD_BYTES", 1500)
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def model():
    return prepare("http:org/tiny@1")


def question(number):
    return f"What is {number} + 3?"


def ask(model, numbers):
    return [
        request(
            row_id=f"{number:064x}", model=model.digest, sampling=Sampling(max_tokens=8),
            messages=turns("1 + 1?", "Answer: 2", question(number), system=f"Be brief {number % 3} times."),
        )
        for number in numbers
    ]  # fmt: skip


def config(endpoint, **http):
    settings = {"base_url": endpoint.base_url, "max_retries": 0, "max_failure_share": 1.0, "concurrency": 1}
    return GenerationConfig(http=HttpConfig(**settings | http))


def stream(model, store, settings):
    return answer_all(REQUESTS, GENERATIONS, FAILED, model, store, settings)


def store_some(root, requests):
    with Store(root).writer('{"engine": "test"}') as writer:
        writer.add([answer_to(r, f"Answer: {r.row_id[-2:]}") for r in requests])


def test_an_artifact_is_answered_as_a_list_is(endpoint, model, tmp_path):
    requests = ask(model, range(60))
    again = {"model": model.digest, "sampling": requests[40].sampling, "messages": requests[40].messages}
    copies = [request(row_id="f" * 63 + str(i), **again) for i in range(3)]
    write_rows(REQUESTS.path, Request, requests + copies)
    assert partitions_of(REQUESTS)[0] > 4
    for root in ("listed", "streamed"):
        store_some(tmp_path / root, requests[:20])
    faults = {question(30): [fails(422, "no such field")] * 2, question(31): [says(refusal="never")] * 2}
    endpoint.faults_of |= {name: list(line) for name, line in faults.items()}
    listed = answer(read_rows(REQUESTS.path, Request), model, Store(tmp_path / "listed"), config(endpoint))
    endpoint.seen.clear()
    run = stream(model, Store(tmp_path / "streamed"), config(endpoint))
    assert len(endpoint.seen) == 40
    assert read_rows(GENERATIONS.path, Generation) == listed.generations
    assert sorted(run.failures, key=str) == sorted(listed.failures, key=str)
    assert read_rows(FAILED.path, Rejected) == listed.failures
    assert (run.num_answered, run.num_cached, run.num_generated) == (61, 20, 38)
    assert (listed.num_answered, listed.num_cached, listed.num_generated) == (61, 20, 38)


def test_requests_that_share_a_prefix_are_asked_one_after_another(endpoint, model, tmp_path):
    write_rows(REQUESTS.path, Request, ask(model, range(60)))
    stream(model, Store(tmp_path / "store"), config(endpoint))
    prefixes = [body["messages"][0]["content"] for _, _, body in endpoint.seen]
    assert sum(before != after for before, after in pairwise(prefixes)) == 2


def test_what_is_stored_is_asked_of_nobody(endpoint, model, tmp_path):
    requests = ask(model, range(60))
    write_rows(REQUESTS.path, Request, requests)
    store_some(tmp_path / "store", requests)
    run = stream(model, Store(tmp_path / "store"), config(endpoint))
    assert not endpoint.seen
    assert (run.num_answered, run.num_cached, run.num_generated) == (60, 60, 0)
    assert [g.text for g in read_rows(GENERATIONS.path, Generation)] == [f"Answer: {i:02x}" for i in range(60)]


def test_too_large_a_budget_or_too_many_failures_leave_the_old_generations(endpoint, model, tmp_path):
    requests = ask(model, range(10))
    write_rows(REQUESTS.path, Request, requests)
    store_some(tmp_path / "store", requests[:9])
    with pytest.raises(Orca2Error, match="1 requests could generate 8 tokens, above max_new_tokens 7"):
        stream(model, Store(tmp_path / "store"), GenerationConfig(max_new_tokens=7))
    assert not endpoint.seen
    endpoint.faults = [fails(422, "no")]
    with pytest.raises(Orca2Error, match="1 of 10 requests have no answer"):
        stream(model, Store(tmp_path / "store"), config(endpoint, max_failure_share=0.0))
    assert not GENERATIONS.path.exists()
    assert len(read_rows(FAILED.path, Rejected)) == 1


def test_requests_to_another_model_are_refused(endpoint, model, tmp_path):
    write_rows(REQUESTS.path, Request, [request()])
    with pytest.raises(Orca2Error, match="another model than the one prepared"):
        stream(model, Store(tmp_path / "store"), config(endpoint))


def test_what_a_stage_kept_aside_is_gone_in_the_end(endpoint, model, tmp_path):
    write_rows(REQUESTS.path, Request, ask(model, range(3)))
    stream(model, Store(tmp_path / "store"), config(endpoint))
    assert list(partitions.SCRATCH.iterdir()) == []
