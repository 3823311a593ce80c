"""Answers of a model behind an OpenAI-compatible HTTP endpoint.

The client of `openai` asks again by itself after a cut connection, a timeout, a 408, 409, 429 or 5xx, and waits as long
as the endpoint's `Retry-After` says. What becomes of each request is typed, so that only answers are stored. What the
endpoint adds by itself (its chat template, a repetition penalty) is part of the revision that the user declares.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import os
import re
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orca2.core.errors import Orca2Error
from orca2.core.rows import Outcome, Request
from orca2.engines.base import Batch
from orca2.engines.config import GenerationConfig, HttpConfig
from orca2.engines.http_reply import read_reply, short
from orca2.recipe.models import Model, http_name
from orca2.recipe.requests import key_parameters

if TYPE_CHECKING:
    import httpx
    import openai

_WHERE = "params.yaml: cluster.generation.http"
_TICK_S = 1.0
"""Longest wait between two lists of outcomes, so that what is finished can be stored though the rest is slow."""
_CONNECT_S = 10.0
"""Longest wait for a connection: an endpoint may think long, but not before it has heard a question."""
_GRACE_S = 30.0
"""Longest wait for answers that are on their way when no further request makes sense."""
_BYTES_PER_TOKEN = 4
_SECRET_LENGTH = 8
"""A shorter key is a stand-in for an endpoint that asks for none, such as `x`, and may stand in any text."""
_HOPELESS = {
    401: "the endpoint does not accept the key: mend the environment variable",
    403: "the endpoint forbids this: ask for access to the model, or mend the key",
    404: "mend models.teacher, or `base_url`, which ends in /v1 for most endpoints",
}
"""Statuses that every further request would meet as well."""
_OPENAI_NAMES = {"temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty"}
"""Parameters that OpenAI's own API has; others are vLLM's and travel beside them."""
_LOST_IN_A_ROW = 20
"""Requests without a reply, one after another, that show a dead endpoint; more where more are on their way at once."""
_KEPT = "what is stored so far is kept"


def check_endpoint(config: HttpConfig) -> None:
    """Raise for what is missing before anything can be sent: the address, or the key of an endpoint elsewhere."""
    if not config.base_url:
        hint = "add the endpoint's address, as in `base_url: http://127.0.0.1:8000/v1`"
        raise Orca2Error("a teacher behind HTTP needs `base_url`", _WHERE, hint)
    key, where = _key(config), f"environment variable {config.api_key_env}"
    if not key and not _is_this_machine(config.base_url):
        hint = "export the endpoint's key; any value does where it asks for none, or where every answer is stored"
        raise Orca2Error("is not set", where, hint)
    if not re.fullmatch(r"[!-~]*", key):
        raise Orca2Error("holds a space, or a character that no key has", where, "export the key and nothing else")


@contextmanager
def answering_over_http(
    requests: Iterable[Request], model: Model, config: GenerationConfig
) -> Iterator[Iterator[Batch]]:
    """The endpoint at `config.http`; its requests are taken as they are sent. Errors as of `outcomes`."""
    begin = time.time()
    with closing(outcomes(requests, model, config.http)) as lists:
        yield (Batch(known, "", begin) for known in lists)


def outcomes(requests: Iterable[Request], model: Model, config: HttpConfig) -> Generator[list[Outcome], None, None]:
    """What became of the requests, as soon as it is known: a list, perhaps empty, at least every second.

    Raises:
        Orca2Error: nothing answers at the address, or every further request would fail as well.
    """
    check_endpoint(config)
    waiting, running = iter(requests), set[asyncio.Task[Outcome]]()
    # The loop stands still while the caller stores what it got: milliseconds, and replies wait in their sockets.
    with asyncio.Runner() as runner:
        endpoint = _Endpoint(model, config)
        try:
            runner.run(endpoint.greet())
            while True:
                free = 0 if endpoint.fault else config.concurrency - len(running)
                running |= {runner.get_loop().create_task(endpoint.ask(r)) for r in islice(waiting, free)}
                if not running or time.monotonic() > endpoint.last_moment:
                    break
                done, running = runner.run(_first_of(running))
                yield [task.result() for task in done]
        finally:
            runner.run(endpoint.close(running))
        if endpoint.fault:
            raise endpoint.fault


async def _first_of(running: set[asyncio.Task[Outcome]]) -> tuple[set[asyncio.Task[Outcome]], ...]:
    return await asyncio.wait(running, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)


class _Endpoint:
    """The client of one endpoint, with its limits and its recent luck."""

    def __init__(self, model: Model, config: HttpConfig) -> None:
        import openai

        self._config, self._key = config, _key(config)
        self._name, self._revision = http_name(model.reference)
        self._requests = _Pace(config.requests_per_minute, 1)
        self._tokens = _Pace(config.tokens_per_minute, max(1, config.tokens_per_minute // 60))
        self._lost_in_a_row = 0
        self.fault: Orca2Error | None = None
        """What every further request would meet as well."""
        self.last_moment = math.inf
        """For answers that are on their way, and paid for, when that is known."""
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=config.base_url,
            timeout=openai.Timeout(config.timeout_s, connect=min(config.timeout_s, _CONNECT_S)),
            max_retries=config.max_retries,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"request": [self._pace]}),
        )

    async def greet(self) -> None:
        """Raise when nothing answers; any reply will do, for not every endpoint lists its models."""
        import openai

        try:
            await self._client.with_options(max_retries=0).models.with_raw_response.list()
        except openai.APIConnectionError as error:
            hint = "start the endpoint, or mend `base_url`"
            # Without its cause, which may show the key.
            raise Orca2Error(f"nothing answers at `base_url`: {self._words(error)}", _WHERE, hint) from None
        except openai.APIStatusError:
            return

    async def ask(self, request: Request) -> Outcome:
        """Send one request, again where that may help, and judge what comes back."""
        import openai

        try:
            reply = await self._client.chat.completions.with_raw_response.create(**self._body(request))
        except openai.APIError as error:
            return self._without_reply(request, error)
        self._lost_in_a_row = 0
        facts = {"engine": "http", "client": f"openai {version('openai')}"}
        facts |= {"model": self._name, "revision": self._revision}
        return read_reply(request, self._without_key(reply.text), facts)

    async def close(self, running: set[asyncio.Task[Outcome]]) -> None:
        """Give up what is on its way."""
        for task in running:
            task.cancel()
        await self._client.close()

    def _body(self, request: Request) -> dict[str, object]:
        """What is sent: the parameters that are in the key, and the seed where something is drawn."""
        given = {name: value for name, value in key_parameters(request.sampling).items() if value != ()}
        if request.sampling.temperature > 0:
            given["seed"] = request.seed
        extra = {name: value for name, value in given.items() if name not in _OPENAI_NAMES}
        body: dict[str, object] = {name: value for name, value in given.items() if name in _OPENAI_NAMES}
        body |= {
            "model": self._name,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "max_tokens": request.sampling.max_tokens,
        }
        if extra.get("top_k") == 0:
            del extra["top_k"]  # It keeps every token, which not every endpoint knows how to say.
        return body | ({"extra_body": extra} if extra else {})

    async def _pace(self, sent: httpx.Request) -> None:
        """Wait until the limits allow one more request; the client calls this before each, repeated ones included."""
        await self._requests.wait_for(1)
        if sent.content:
            await self._tokens.wait_for(_num_tokens(json.loads(sent.content)))

    def _without_reply(self, request: Request, error: openai.APIError) -> Outcome:
        status, detail = getattr(error, "status_code", None), self._words(error)
        if status in _HOPELESS:
            where = f"model {self._name}, environment variable {self._config.api_key_env}"
            self._give_up(Orca2Error(detail, where, f"{_HOPELESS[status]}; {_KEPT}"))
        if error.code == "content_filter":
            return Outcome(key=request.key, kind="refused", detail=detail)
        is_lost = status is None or status in (408, 409, 429) or status >= 500
        self._lost_in_a_row = self._lost_in_a_row + 1 if is_lost else 0
        if self._lost_in_a_row >= max(_LOST_IN_A_ROW, 2 * self._config.concurrency):
            message = f"the last {self._lost_in_a_row} requests had no reply, the last one: {detail}"
            self._give_up(Orca2Error(message, _WHERE, f"see what ails the endpoint, then run again; {_KEPT}"))
        return Outcome(key=request.key, kind="failed", detail=detail)

    def _give_up(self, fault: Orca2Error) -> None:
        if not self.fault:
            self.fault, self.last_moment = fault, time.monotonic() + _GRACE_S

    def _words(self, error: BaseException) -> str:
        """An error in short, its cause included; some endpoints repeat the key in it."""
        cause = error.__cause__
        return short(self._without_key(f"{error} {type(cause).__name__}: {cause}" if cause else str(error)))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if len(self._key) >= _SECRET_LENGTH else text


class _Pace:
    """Lets through so many a minute, evenly, and never more than `at_once` of them at one moment; 0 is no limit."""

    def __init__(self, per_minute: int, at_once: int) -> None:
        from aiolimiter import AsyncLimiter

        self._at_once, self._next = at_once, asyncio.Lock()
        self._limiter = AsyncLimiter(at_once, 60 * at_once / per_minute) if per_minute else None

    async def wait_for(self, amount: int) -> None:
        """Return when so many more may pass; the first to ask is the first to go."""
        if self._limiter:
            async with self._next:
                for part in range(0, amount, self._at_once):
                    await self._limiter.acquire(min(self._at_once, amount - part))


def _num_tokens(body: dict[str, Any]) -> int:
    """What a request may cost, guessed from its text: the endpoint's tokenizer is not known."""
    written = sum(len(message["content"].encode()) for message in body["messages"])
    return written // _BYTES_PER_TOKEN + int(body["max_tokens"])


def _key(config: HttpConfig) -> str:
    return os.environ.get(config.api_key_env, "").strip()


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
