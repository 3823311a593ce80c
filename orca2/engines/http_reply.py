"""Judge what an OpenAI-compatible endpoint sends back: an answer to store, or the reason why there is none."""

import json
from typing import Any

from orca2.core.rows import Answer, Outcome, Request


def read_reply(request: Request, body: str, facts: dict[str, str]) -> Outcome:
    """Judge the body of a successful reply; nothing in it is taken on trust.

    Args:
        request: what it replies to.
        body: JSON, if the endpoint does as it should.
        facts: the provenance that is known without it.
    """
    try:
        reply = json.loads(body)
        choice = reply["choices"][0]
        message, reason = choice["message"], choice["finish_reason"]
        if message.get("refusal") or reason == "content_filter":
            return Outcome(key=request.key, kind="refused", detail=short(str(message.get("refusal") or reason)))
        answer = _answer(request, message, reason, reply.get("usage") or {})
    except (LookupError, TypeError, AttributeError):
        return Outcome(key=request.key, kind="invalid", detail=short(f"is no chat completion: {body}"))
    except ValueError as error:
        return Outcome(key=request.key, kind="invalid", detail=short(f"{error}: {body}"))
    own = {f"reported_{name}": str(reply[name]) for name in ("model", "system_fingerprint") if reply.get(name)}
    return Outcome.of(answer, json.dumps(facts | own, sort_keys=True))


def _answer(request: Request, message: dict[str, Any], reason: object, usage: Any) -> Answer:
    """The answer in a reply.

    Raises:
        ValueError: there is none, or the store could not find it again.
    """
    limit = request.sampling.max_tokens
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    # A model that thinks aloud elsewhere may spend its whole limit on that, and say nothing.
    text = "" if message["content"] is None and reason == "length" else message["content"]
    if reason not in ("stop", "length") or message.get("tool_calls"):
        raise ValueError(f"ended with {reason!r}, which is no text")
    if not isinstance(text, str):
        raise ValueError("has no text")
    text.encode()
    if not all(type(count) is int and 0 <= count < 1 << 31 for count in (prompt, completion)):
        raise ValueError("does not state its usage in tokens")
    if reason == "stop" and completion > limit:
        raise ValueError(f"spent {completion} tokens where max_tokens allows {limit}: raise sampling.max_tokens")
    return Answer(
        key=request.key,
        text=text,
        finish_reason=reason,
        max_tokens=limit,
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


def short(text: str) -> str:
    """One line of at most 300 characters that a file can hold."""
    return " ".join(text.encode(errors="replace").decode().split())[:300]
