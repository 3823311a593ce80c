"""A teacher behind HTTP: a real `vllm serve` on loopback, and an endpoint that does wrong in every way we know."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.core.rows import Sampling
from orca2.engines.config import GenerationConfig
from orca2.engines.generation import answer
from orca2.engines.http import HttpConfig
from orca2.engines.http_reply import read_reply
from orca2.engines.limits import require_answers
from orca2.recipe.models import prepare
from orca2.store.store import Store
from tests.endpoint import Endpoint, after, cuts, fails, free_port, hangs, reply, says, writes
from tests.examples import ROOT, request, turns
from tests.tiny import make_tiny_model
from tests.workspace import Workspace

NAME = "org/tiny:1"
SECRET = "sk-3c9f51a7d20b84e6"  # noqa: S105  (opens nothing)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def model(tmp_path):
    return prepare(f"http:{NAME}@2026-11")


def over_http(base_url, **settings):
    quick = {"concurrency": 4, "timeout_s": 5, "max_retries": 2}
    return GenerationConfig(http=HttpConfig(base_url=base_url, **quick | settings))


def ask(model, count, *, samples=1, text="What is 2 + 3, number", **sampling):
    return [
        request(
            row_id=f"{number:064x}",
            sample_index=sample,
            model=model.digest,
            messages=turns(f"{text} {number}", system="Be brief."),
            sampling=Sampling(**{"max_tokens": 8} | sampling),
        )
        for number in range(count)
        for sample in range(samples)
    ]


def question(number):
    return f"What is 2 + 3, number {number}"


def texts(run):
    return [generation.text for generation in run.generations]


def failures(run):
    return {f.row_id: (f.reason, f.detail) for f in run.failures}


def stored(root):
    return [row for file in root.glob("*.parquet") for row in pq.read_table(file).to_pylist()]


class TestVllm:
    """Against the server that ships with vLLM."""

    @pytest.fixture(scope="class")
    def base_url(self, tmp_path_factory):
        """One server for the class. `vllm serve` starts this module; the CPU package's own script is broken."""
        folder = make_tiny_model(tmp_path_factory.mktemp("served") / "tiny")
        port, log = free_port(), folder.parent / "log"
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={folder}", f"--port={port}"]
        command += ["--host=127.0.0.1", f"--served-model-name={NAME}", "--dtype=float32", "--enforce-eager"]
        command += ["--max-model-len=256", "--max-num-seqs=8", "--block-size=32", "--generation-config=vllm"]
        settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        with log.open("wb") as out:
            server = subprocess.Popen(command, env=os.environ | settings, stdout=out, stderr=out)
        try:
            _wait_for_health(server, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            family = [*psutil.Process(server.pid).children(recursive=True), server]
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            server.wait()

    def test_greedy_answers_come_in_order_and_a_second_run_sends_nothing(self, base_url, model, tmp_path):
        requests = ask(model, 11)
        first = answer(requests, model, Store(tmp_path), over_http(base_url))
        assert [(g.row_id, g.key) for g in first.generations] == [(r.row_id, r.key) for r in requests]
        assert (first.num_cached, first.num_generated, first.failures) == (0, 11, [])
        assert first.generated_tokens == sum(g.completion_tokens for g in first.generations) > 0
        # Nothing answers at that address, so one request would be an error.
        second = answer(requests, model, Store(tmp_path), over_http(f"http://127.0.0.1:{free_port()}/v1"))
        assert (second.num_cached, second.num_generated) == (11, 0)
        assert second.generations == first.generations

    def test_samples_differ_and_their_seeds_repeat_them(self, base_url, model, tmp_path):
        requests = ask(model, 3, samples=3, temperature=1.0, top_p=0.9, top_k=50, max_tokens=12)
        one, two = (answer(requests, model, Store(tmp_path / n), over_http(base_url)) for n in ("one", "two"))
        assert len(set(texts(one))) == 9
        assert texts(one) == texts(two)

    def test_top_k_reaches_the_endpoint(self, base_url, model, tmp_path):
        """The likeliest token alone is the greedy answer, at any temperature."""
        greedy = answer(ask(model, 4), model, Store(tmp_path), over_http(base_url))
        first_only = ask(model, 4, temperature=2.0, top_k=1)
        assert texts(answer(first_only, model, Store(tmp_path), over_http(base_url))) == texts(greedy)

    def test_a_stop_string_ends_an_answer_and_is_no_part_of_it(self, base_url, model, tmp_path):
        requests, store = ask(model, 8, temperature=1.0, max_tokens=40), Store(tmp_path)
        whole = texts(answer(requests, model, store, over_http(base_url)))
        asked, text, stop = next(
            (r, text, c) for r, text in zip(requests, whole, strict=True) for c in text if c.isalpha() and c.isascii()
        )
        # The seed is derived from the row, so the answer is the same one up to where it stops.
        fields = {"row_id": asked.row_id, "model": model.digest, "messages": asked.messages}
        stopped = request(**fields, sampling=dataclasses.replace(asked.sampling, stop=(stop,)))
        run = answer([stopped], model, store, over_http(base_url))
        assert texts(run) == [text[: text.index(stop)]]
        assert run.generations[0].finish_reason == "stop"

    def test_a_cut_answer_is_stored_as_cut_and_asked_again_only_under_another_limit(self, base_url, model, tmp_path):
        run = answer(ask(model, 3, max_tokens=2), model, Store(tmp_path), over_http(base_url))
        assert {(g.finish_reason, g.completion_tokens) for g in run.generations} == {("length", 2)}
        again = answer(ask(model, 3, max_tokens=2), model, Store(tmp_path), over_http(base_url))
        more = answer(ask(model, 3, max_tokens=5), model, Store(tmp_path), over_http(base_url))
        assert (again.num_generated, more.num_generated) == (0, 3)

    def test_an_answer_keeps_where_it_came_from_but_for_the_address(self, base_url, model, tmp_path):
        answer(ask(model, 1), model, Store(tmp_path), over_http(base_url))
        provenance = json.loads(stored(tmp_path)[0]["provenance"])
        assert (provenance["engine"], provenance["model"], provenance["revision"]) == ("http", NAME, "2026-11")
        assert provenance["reported_system_fingerprint"].startswith("vllm-")
        assert "127.0.0.1" not in json.dumps(provenance)
        assert {"client", "reported_model", "commit"} <= set(provenance)

    def test_a_question_longer_than_the_context_fails_alone_with_the_endpoints_words(self, base_url, model, tmp_path):
        requests = [*ask(model, 1, text="long " * 300), *ask(model, 3)[1:]]
        run = answer(requests, model, Store(tmp_path), over_http(base_url))
        assert len(run.generations) == 2
        ((reason, detail),) = failures(run).values()
        assert reason == "no reply from the endpoint"
        assert "400" in detail
        assert "256" in detail

    def test_a_model_that_the_endpoint_does_not_know_is_told_once(self, base_url, tmp_path):
        other = prepare("http:org/other@1")
        with pytest.raises(Orca2Error, match=r"model org/other, .*does not exist") as caught:
            answer(ask(other, 50), other, Store(tmp_path / "store"), over_http(base_url))
        assert "models.teacher" in caught.value.hint


def _wait_for_health(server, url, log):
    deadline = time.monotonic() + 240
    while True:
        assert server.poll() is None, log.read_text("utf-8", "replace")[-3000:]
        assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-3000:]
        with suppress(OSError):
            if urllib.request.urlopen(url, timeout=2).status == 200:  # noqa: S310  (loopback)
                return
        time.sleep(0.3)


FAULTS = {
    "refusal": ([says(content=None, refusal="I would rather not")], "refused by the endpoint", "I would rather not"),
    "content filter": ([says(finish_reason="content_filter")], "refused by the endpoint", "content_filter"),
    "filtered prompt": ([fails(400, "bad words", code="content_filter")], "refused by the endpoint", "bad words"),
    "malformed JSON": ([writes('{"choices": [{')], "no valid reply from the endpoint", "Expecting"),
    "a web page": ([writes("<html>welcome</html>")], "no valid reply from the endpoint", "welcome"),
    "empty choices": ([says(choices=[])], "no valid reply from the endpoint", "no chat completion"),
    "no choices": ([writes('{"error": {"message": "overloaded"}}')], "no valid reply from the endpoint", "overloaded"),
    "no text": ([says(content=None)], "no valid reply from the endpoint", "has no text"),
    "tool calls": ([says(finish_reason="tool_calls")], "no valid reply from the endpoint", "tool_calls"),
    "a tool call that stops": ([says(tool_calls=[{}])], "no valid reply from the endpoint", "no text"),
    "absurd usage": ([says(prompt_tokens=1 << 70)], "no valid reply from the endpoint", "usage in tokens"),
    "no usage": ([says(usage=None)], "no valid reply from the endpoint", "usage in tokens"),
    "half a letter": ([says(content="\ud83d")], "no valid reply from the endpoint", "surrogates"),
    "over the limit": ([says(completion_tokens=9)], "no valid reply from the endpoint", "raise sampling.max_tokens"),
    "server error": ([fails(500, "out of order")] * 3, "no reply from the endpoint", "out of order"),
    "too many": ([fails(429, "slow down", Retry_After="0.1")] * 3, "no reply from the endpoint", "slow down"),
    "refused parameter": ([fails(422, "no such field")], "no reply from the endpoint", "no such field"),
    "cut connections": ([cuts] * 3, "no reply from the endpoint", "RemoteProtocolError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_answer_has_its_kind_is_never_stored_and_is_asked_again(endpoint, model, tmp_path, fault):
    line, reason, words = FAULTS[fault]
    endpoint.faults_of[question(1)] = list(line)
    requests, config = ask(model, 3), over_http(endpoint.base_url)
    run = answer(requests, model, Store(tmp_path), config)
    assert not endpoint.faults_of[question(1)]
    assert [g.row_id for g in run.generations] == [requests[0].row_id, requests[2].row_id]
    assert [f.row_id for f in run.failures] == [requests[1].row_id]
    assert run.failures[0].reason == reason
    assert words in run.failures[0].detail
    assert {row["key"] for row in stored(tmp_path)} == {requests[0].key, requests[2].key}
    endpoint.seen.clear()
    again = answer(requests, model, Store(tmp_path), config)
    assert endpoint.questions() == [question(1)]
    assert (again.num_cached, again.num_generated, again.failures) == (2, 1, [])


def test_a_model_that_only_thought_up_to_its_limit_is_cut_and_not_asked_again(endpoint, model, tmp_path):
    endpoint.faults = [says(content=None, finish_reason="length", completion_tokens=8)]
    run, again = (answer(ask(model, 1), model, Store(tmp_path), over_http(endpoint.base_url)) for _ in "ab")
    assert [(g.text, g.finish_reason) for g in run.generations] == [("", "length")]
    assert again.num_generated == 0


@pytest.mark.parametrize("fault", [fails(500), fails(503), fails(408), fails(429, Retry_After="0.2"), cuts, hangs])
def test_a_fault_that_passes_costs_nothing_but_time(endpoint, model, tmp_path, fault):
    endpoint.faults_of[question(0)] = [fault]
    run = answer(ask(model, 2), model, Store(tmp_path), over_http(endpoint.base_url, timeout_s=1))
    assert texts(run) == ["Answer: 5", "Answer: 5"]
    assert Counter(endpoint.questions()) == {question(0): 2, question(1): 1}


def test_a_hang_is_given_up_after_the_timeout(endpoint, model, tmp_path):
    endpoint.faults_of[question(0)] = [hangs] * 2
    begin = time.monotonic()
    run = answer(ask(model, 2), model, Store(tmp_path), over_http(endpoint.base_url, timeout_s=0.5, max_retries=1))
    assert 1 < time.monotonic() - begin < 10
    assert [(f.reason, "timed out" in f.detail) for f in run.failures] == [("no reply from the endpoint", True)]


def test_the_endpoint_says_how_long_to_wait(endpoint, model, tmp_path):
    endpoint.faults = [fails(429, Retry_After="1.5")]
    answer(ask(model, 1), model, Store(tmp_path), over_http(endpoint.base_url))
    first, second = (moment for moment, _, _ in endpoint.seen)
    assert 1.5 <= second - first < 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_every_request_would_meet_stops_the_run_but_not_the_answers_on_their_way(
    endpoint, model, tmp_path, status
):
    endpoint.faults = [after(1.0, says())] + [says()] * 4 + [fails(status, "KEY is no key of ours")] * 500
    with pytest.raises(Orca2Error, match=rf"{status}.*\*\*\* is no key of ours") as caught:
        answer(ask(model, 200), model, Store(tmp_path), over_http(endpoint.base_url))
    assert "OPENAI_API_KEY" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(endpoint.seen) < 20
    assert len(Store(tmp_path)) == 5


def test_an_answer_that_never_comes_does_not_keep_a_run_that_makes_no_sense(endpoint, model, tmp_path, monkeypatch):
    monkeypatch.setattr("orca2.engines.http._GRACE_S", 0.5)
    endpoint.faults = [hangs] + [fails(401)] * 20
    begin = time.monotonic()
    with pytest.raises(Orca2Error, match="401"):
        answer(ask(model, 10), model, Store(tmp_path), over_http(endpoint.base_url, timeout_s=60))
    assert time.monotonic() - begin < 20


def test_an_endpoint_that_dies_is_left_alone(endpoint, model, tmp_path):
    endpoint.faults = [says()] * 5 + [fails(500, "out of order")] * 500
    with pytest.raises(Orca2Error, match=r"the last 20 requests had no reply, the last one: .*out of order"):
        answer(ask(model, 300), model, Store(tmp_path), over_http(endpoint.base_url, max_retries=0))
    assert len(endpoint.seen) < 60
    assert len(Store(tmp_path)) == 5


def test_many_requests_that_the_endpoint_declines_are_no_dead_endpoint(endpoint, model, tmp_path):
    endpoint.faults = [fails(400, "too long")] * 60
    run = answer(ask(model, 70), model, Store(tmp_path), over_http(endpoint.base_url))
    assert (len(run.generations), len(run.failures)) == (10, 60)


def test_an_address_where_nothing_answers_is_told_before_anything_is_sent(model, tmp_path):
    begin = time.monotonic()
    with pytest.raises(Orca2Error, match="nothing answers at `base_url`") as caught:
        answer(ask(model, 3), model, Store(tmp_path), over_http(f"http://127.0.0.1:{free_port()}/v1"))
    assert time.monotonic() - begin < 10
    assert "start the endpoint" in caught.value.hint


def test_too_many_rows_without_an_answer_fail_the_stage_and_are_named(endpoint, model, tmp_path):
    endpoint.faults_of = {question(n): [fails(422, "no such field")] for n in range(30)}
    run = answer(ask(model, 100), model, Store(tmp_path), over_http(endpoint.base_url), stage="probe")
    with pytest.raises(Orca2Error) as caught:
        require_answers(run, over_http(endpoint.base_url, max_failure_share=0.29))
    told = str(caught.value)
    assert told.startswith("stage probe: 30 of 100 requests have no answer")
    assert f"row {3:012x}"[:8] in told
    assert told.count("no such field") == 20
    assert "and 10 more, all in data/rejected/probe" in told
    require_answers(run, over_http(endpoint.base_url, max_failure_share=0.3))


def test_a_run_without_failures_needs_no_tolerance(endpoint, model, tmp_path):
    require_answers(answer(ask(model, 1), model, Store(tmp_path), over_http(endpoint.base_url)), GenerationConfig())
    require_answers(answer([], model, Store(tmp_path), GenerationConfig()), GenerationConfig())


def rates(endpoint, window_s):
    """The most requests in any window of so many seconds."""
    moments = [moment for moment, _, _ in endpoint.seen]
    return max(sum(start <= moment < start + window_s for moment in moments) for start in moments)


def test_requests_a_minute_are_kept_evenly_repeated_ones_included(endpoint, model, tmp_path):
    endpoint.faults = [fails(429, Retry_After="0.01")] * 5
    config = over_http(endpoint.base_url, requests_per_minute=600, concurrency=50, max_retries=9)
    run = answer(ask(model, 10), model, Store(tmp_path), config)
    assert (len(run.generations), len(endpoint.seen)) == (10, 15)
    assert endpoint.seen[-1][0] - endpoint.seen[0][0] > 1.3
    assert rates(endpoint, 0.5) <= 9


def test_tokens_a_minute_are_kept_also_by_requests_of_different_size(endpoint, model, tmp_path):
    small, large = ask(model, 8, max_tokens=8), ask(model, 3, text="word " * 80, max_tokens=8)
    tokens = sum(sum(len(m.content) for m in r.messages) // 4 + 8 for r in small + large)
    config = over_http(endpoint.base_url, tokens_per_minute=20 * tokens, concurrency=50)
    answer(small + large, model, Store(tmp_path), config)
    # A twentieth of a minute for all of them, less the first, which may be the largest.
    assert 1.5 < endpoint.seen[-1][0] - endpoint.seen[0][0] < 8


def test_no_more_requests_are_on_their_way_than_allowed(endpoint, model, tmp_path):
    endpoint.delay_s = 0.05
    answer(ask(model, 20), model, Store(tmp_path), over_http(endpoint.base_url, concurrency=3))
    assert endpoint.most_at_once == 3


def test_a_greedy_request_sends_what_its_key_holds_and_no_more(endpoint, model, tmp_path):
    (greedy,) = ask(model, 1, top_p=0.5, top_k=7, stop=("\n",))
    (sampled,) = ask(model, 1, temperature=0.7, top_p=0.5, top_k=7)
    answer([greedy], model, Store(tmp_path), over_http(endpoint.base_url))
    answer([sampled], model, Store(tmp_path), over_http(endpoint.base_url))
    messages = [{"role": m.role, "content": m.content} for m in greedy.messages]
    common = {"model": NAME, "messages": messages, "max_tokens": 8}
    assert endpoint.seen[0][2] == common | {"temperature": 0.0, "stop": ["\n"]}
    assert endpoint.seen[1][2] == common | {"temperature": 0.7, "top_p": 0.5, "top_k": 7, "seed": sampled.seed}


def test_equal_requests_are_asked_once_and_fail_together(endpoint, model, tmp_path):
    requests = ask(model, 2)
    endpoint.faults_of[question(0)] = [says(refusal="no")]
    run = answer(requests + requests, model, Store(tmp_path), over_http(endpoint.base_url))
    assert sorted(endpoint.questions()) == [question(0), question(1)]
    assert (len(run.generations), len(run.failures), run.num_generated) == (2, 2, 1)


_KILLED_RUN = """
import sys
from pathlib import Path
from orca2.engines.generation import answer
from orca2.recipe.models import prepare
from orca2.store.store import Store
from tests.test_http import NAME, ask, over_http
model = prepare(f"http:{NAME}@2026-11")
answer(ask(model, 6), model, Store(Path(sys.argv[2])), over_http(sys.argv[1], timeout_s=60))
"""


def test_a_finished_answer_survives_a_kill_while_another_one_hangs(endpoint, model, tmp_path):
    endpoint.faults_of[question(5)] = [hangs]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", _KILLED_RUN, endpoint.base_url, str(tmp_path)], env=environment)
    try:
        deadline = time.monotonic() + 30
        while len(Store(tmp_path)) < 5:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # The last answer was stored soon after it came, though nothing came after it.
        assert time.monotonic() - endpoint.seen[-1][0] < 15
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    endpoint.seen.clear()
    run = answer(ask(model, 6), model, Store(tmp_path), over_http(endpoint.base_url))
    assert (run.num_cached, run.num_generated, endpoint.questions()) == (5, 1, [question(5)])


_INTERRUPTED_RUN = f"""
from orca2.core.errors import exit_on_error
def main():
    {_KILLED_RUN.strip().replace(chr(10), chr(10) + "    ")}
exit_on_error(main)
"""


def test_an_interrupted_run_ends_at_once_with_one_line_and_keeps_what_was_answered(endpoint, model, tmp_path):
    endpoint.faults_of[question(5)] = [hangs]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _INTERRUPTED_RUN, endpoint.base_url, str(tmp_path)]
    # A job that a shell began in the background ignores Ctrl-C, and so would what it starts.
    as_from_a_terminal = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=as_from_a_terminal
    )
    deadline = time.monotonic() + 60
    while len(Store(tmp_path)) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    _, told = process.communicate()
    assert time.monotonic() - begin < 5
    assert process.returncode == 130
    assert told == "interrupted: finished answers are kept; the same command again goes on from there\n"
    assert len(Store(tmp_path)) == 5


def _anywhere(tree):
    """Every path into nested JSON."""
    yield ()
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, part in inside:
        yield from ((name, *rest) for rest in _anywhere(part))


def _with(tree, path, value):
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = _with(tree[path[0]], path[1:], value)
    return copy


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=4,
)


@given(path=st.sampled_from(list(_anywhere(reply()))), value=_ANY_JSON)
def test_whatever_stands_anywhere_in_a_reply_it_is_an_answer_that_can_be_stored_or_none(path, value):
    asked = request(sampling=Sampling(max_tokens=8))
    outcome = read_reply(asked, json.dumps(_with(reply(), path, value)), {"engine": "http"})
    assert outcome.key == asked.key
    assert (outcome.answer is not None) == (outcome.kind in ("answered", "cut"))
    if outcome.answer:
        assert isinstance(outcome.answer.text.encode(), bytes)
        assert 0 <= outcome.answer.completion_tokens <= 8
        assert 0 <= outcome.answer.prompt_tokens < 1 << 31
        assert json.loads(outcome.provenance)["engine"] == "http"
    else:
        assert outcome.detail


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": "api.openai.com/v1"}, "base_url must be"),
        ({"base_url": "ftp://host/v1"}, "base_url must be"),
        ({"base_url": "https://"}, "base_url must be"),
        ({"base_url": f"https://me:{SECRET}@host/v1"}, "no user"),
        ({"base_url": f"https://host/v1?api-key={SECRET}"}, "query"),
        ({"api_key_env": SECRET}, "never the key"),
        ({"api_key_env": ""}, "never the key"),
        ({"concurrency": 0}, "concurrency"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"max_retries": -1}, "max_retries"),
        ({"requests_per_minute": -1}, "requests_per_minute"),
        ({"max_failure_share": 1.5}, "max_failure_share"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_a_key_among_them_is_not_repeated(settings, words):
    with pytest.raises(ValueError, match=words) as caught:
        HttpConfig(**settings)
    assert SECRET not in str(caught.value)


def refusal(model, tmp_path, config):
    with pytest.raises(Orca2Error) as caught:
        answer(ask(model, 1), model, Store(tmp_path), config)
    return str(caught.value)


def test_a_missing_address_or_key_is_told_before_anything_is_sent(model, tmp_path, monkeypatch):
    assert "needs `base_url`" in refusal(model, tmp_path, GenerationConfig())
    monkeypatch.delenv("OPENAI_API_KEY")
    elsewhere = over_http("https://api.example.invalid/v1")
    assert refusal(model, tmp_path, elsewhere).startswith("environment variable OPENAI_API_KEY: is not set")
    for broken in (f"{SECRET} {SECRET}", f"{SECRET}\n{SECRET}", f"{SECRET}\N{LATIN SMALL LETTER E WITH ACUTE}"):
        monkeypatch.setenv("OPENAI_API_KEY", broken)
        told = refusal(model, tmp_path, elsewhere)
        assert "no key has" in told
        assert SECRET not in told


def test_an_endpoint_on_this_machine_needs_no_key(endpoint, model, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    answer(ask(model, 1), model, Store(tmp_path), over_http(endpoint.base_url))
    assert len(endpoint.seen) == 1


def test_the_key_is_taken_from_the_variable_that_is_named(endpoint, model, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", f" {SECRET}-mine\n")
    answer(ask(model, 1), model, Store(tmp_path), over_http(endpoint.base_url, api_key_env="MY_KEY"))
    assert endpoint.keys == {f"Bearer {SECRET}-mine"}


def test_the_key_reaches_nothing_that_is_written_or_told(endpoint, model, tmp_path, capfd):
    echoes = [fails(422, "KEY"), writes(SECRET), says(refusal=SECRET), says(content=SECRET), says(model=SECRET)]
    echoes += [says(finish_reason=SECRET), fails(400, "KEY", code="content_filter"), writes("x" * 290 + SECRET)]
    endpoint.faults = list(echoes)
    run = answer(ask(model, 12), model, Store(tmp_path), over_http(endpoint.base_url, concurrency=1))
    with pytest.raises(Orca2Error) as caught:
        require_answers(run, GenerationConfig())
    assert endpoint.keys == {f"Bearer {SECRET}"}
    written = f"{run} {stored(tmp_path)} {caught.value} {capfd.readouterr()}"
    assert "***" in written
    # Nor the beginning of it, where a long text was cut.
    assert SECRET[:8] not in written


def _with_endpoint(workspace, base_url, **settings):
    generation = workspace.params()["cluster"]["generation"]
    http = {"base_url": base_url, "concurrency": 1, "max_retries": 0} | settings
    models = {"teacher": f"http:{NAME}@2026-11", "student": "path:tiny"}
    workspace.set_params({"models": models, "cluster": {"generation": generation | {"http": http}}})


def _rejected(workspace, stage):
    return stored(workspace.root / "data" / "rejected" / stage)


@pytest.mark.slow
def test_the_pipeline_fails_with_the_list_goes_on_from_there_and_counts_what_it_goes_without(endpoint, tmp_path):
    workspace = Workspace(tmp_path)
    make_tiny_model(tmp_path / "tiny")
    workspace.add_dep("prepare_models", "tiny")
    _with_endpoint(workspace, endpoint.base_url)
    endpoint.faults = [says(), fails(500, "KEY is out of order")]
    failed = workspace.run("dvc", "repro", "probe", check=False, OPENAI_API_KEY=SECRET)
    assert "stage probe: 1 of 16 requests have no answer" in failed.stderr
    assert [row["reason"] for row in _rejected(workspace, "probe")] == ["no reply from the endpoint"]
    assert "*** is out of order" in _rejected(workspace, "probe")[0]["detail"]
    endpoint.seen.clear()
    workspace.repro("select_strategies")
    assert len(endpoint.seen) == 1
    _with_endpoint(workspace, endpoint.base_url, max_failure_share=0.5)
    endpoint.faults = [says(refusal="no")]
    workspace.repro("grade")
    counts = json.loads((workspace.root / "metrics" / "generate.json").read_text("utf-8"))
    assert counts == {"rows_in": 8, "rows_out": 7, "rejected": {"refused by the endpoint": 1}}
    assert len(_rejected(workspace, "generate")) == 1
    paths = [".dvc", ".orca2", "data", "metrics", "models", "dvc.lock", "params.yaml"]
    written = [file for path in paths for file in [workspace.root / path, *(workspace.root / path).rglob("*")]]
    assert [file for file in written if file.is_file() and SECRET in _content(file)] == []


def _content(file: Path) -> str:
    return str(pq.read_table(file).to_pylist()) if file.suffix == ".parquet" else file.read_text("utf-8", "replace")
