"""An OpenAI-compatible endpoint of the tests' own, which does wrong as it is told. Not a test module."""

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[["_Handler"], None]


class Endpoint:
    """A server on loopback; it answers every question with `Answer: 5` but where a fault is next in line."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        """What the next requests meet, whatever they ask."""
        self.faults_of: dict[str, list[Fault]] = {}
        """What the next requests with this question meet."""
        self.seen: list[tuple[float, str, dict[str, Any]]] = []
        """Time, question and body of every request, in the order they came."""
        self.keys: set[str] = set()
        """Every `Authorization` that was sent."""
        self.delay_s = 0.0
        self.most_at_once = self.at_once = 0
        self.over = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self) -> "Endpoint":
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def questions(self) -> list[str]:
        return [question for _, question, _ in self.seen]

    def next_fault(self, question: str) -> Fault | None:
        for line in (self.faults_of.get(question), self.faults):
            if line:
                return line.pop(0)
        return None


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        send(self, 404, "{}")

    def do_POST(self) -> None:
        endpoint, body = self.endpoint, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        with endpoint.lock:
            endpoint.seen.append((time.monotonic(), question, body))
            endpoint.keys.add(self.headers["Authorization"])
            endpoint.at_once += 1
            endpoint.most_at_once = max(endpoint.most_at_once, endpoint.at_once)
            fault = endpoint.next_fault(question)
        time.sleep(endpoint.delay_s)
        with endpoint.lock:
            endpoint.at_once -= 1
        (fault or says())(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def free_port() -> int:
    """A port where nothing answers."""
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


def send(handler: _Handler, status: int, text: str, **headers: str) -> None:
    handler.send_response(status)
    sent = {"Content-Type": "application/json", "Content-Length": str(len(text.encode()))} | headers
    for name, value in sent.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(text.encode())


def reply(**changes: Any) -> dict[str, Any]:
    """A sound chat completion; `changes` go to the choice, its message, the usage or the reply, by name."""
    message = {"role": "assistant", "content": "Answer: 5", "refusal": None, "tool_calls": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24}
    whole = {"id": "c", "object": "chat.completion", "model": "org/tiny:1-of-today", "system_fingerprint": "fp_1"}
    whole |= {"choices": [choice], "usage": usage}
    for name, value in changes.items():
        next(part for part in (message, choice, usage, whole) if name in part or part is whole)[name] = value
    return whole


def says(**changes: Any) -> Fault:
    """A reply with status 200, which `changes` may spoil."""
    return lambda handler: send(handler, 200, json.dumps(reply(**changes)))


def writes(text: str) -> Fault:
    """Any text at all, with status 200."""
    return lambda handler: send(handler, 200, text)


def fails(status: int, message: str = "no", code: str | None = None, **headers: str) -> Fault:
    """An error; `KEY` in the message becomes the key that was sent, as some endpoints have it."""

    def act(handler: _Handler) -> None:
        told = message.replace("KEY", handler.headers["Authorization"].removeprefix("Bearer "))
        send(handler, status, json.dumps({"error": {"message": told, "code": code}}), **headers)

    return act


def after(seconds: float, fault: Fault) -> Fault:
    """The fault, or the reply, some time later."""

    def act(handler: _Handler) -> None:
        handler.endpoint.over.wait(seconds)
        fault(handler)

    return act


def hangs(handler: _Handler) -> None:
    """Say nothing until the test is over."""
    handler.endpoint.over.wait(60)


def cuts(handler: _Handler) -> None:
    """Hang up in the middle of a reply."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True
