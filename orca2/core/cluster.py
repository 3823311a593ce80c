"""The Ray that work runs on: the cluster at `RAY_ADDRESS`, else one on this machine.

Everything here is speed only. Nothing of it enters an artifact or a key.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from orca2.core.errors import Orca2Error, raise_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Result = TypeVar("_Result")

QUIET = {
    "DO_NOT_TRACK": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Environment of every process that is started: no usage statistics, no noise."""


@contextmanager
def ray_session() -> Iterator[ModuleType]:
    """A connected `ray` module; a Ray that was started here is stopped at the end.

    Raises:
        Orca2Error: `RAY_ADDRESS` is malformed or nothing answers there.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    check_address(address)
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    import ray

    if ray.is_initialized():
        yield ray
        return
    environment = {"env_vars": {name: os.environ[name] for name in QUIET}}
    local = {} if address else {"include_dashboard": False}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level="ERROR", runtime_env=environment, **local
        )
    except ConnectionError as error:
        hint = "if that Ray wants a token (it does by itself where one was ever made), set RAY_AUTH_MODE=token"
        raise Orca2Error(f"Ray lets nobody in: {error}", f"RAY_ADDRESS={address}", hint) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def each(function: Callable[[int], _Result], indices: Iterable[int], *, here: bool) -> Iterator[_Result]:
    """What a function makes of each index: in this process, or by Ray Data, in any order.

    Elsewhere the function finds the same working directory, which all nodes must see.

    Raises:
        InputErrors: all that the function raised. Otherwise errors pass as they are.
    """
    if here:
        yield from map(function, indices)
        return
    with ray_session() as ray:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        items = [{"index": index} for index in indices]
        results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            partial(_call_there, function, Path.cwd()), batch_size=None, num_cpus=1
        )
        errors: list[Orca2Error] = []
        for batch in results.iter_batches(batch_size=None, prefetch_batches=0):
            for pickled in batch["result"]:
                result = pickle.loads(pickled)  # noqa: S301  (our own, from a worker of ours)
                if isinstance(result, Orca2Error):
                    errors.append(result)
                elif isinstance(result, OSError):
                    raise result
                else:
                    yield result
        raise_all(errors)


def _call_there(
    function: Callable[[int], object], folder: Path, batch: dict[str, NDArray[np.int64]]
) -> dict[str, list[bytes]]:
    """Errors are results, because Ray would wrap them up."""
    results: list[object] = []
    try:
        with chdir(folder):
            results += map(function, batch["index"].tolist())
    except (Orca2Error, OSError) as error:
        results.append(error)
    return {"result": [pickle.dumps(result) for result in results]}


def require_slots(ray: ModuleType, workers: int, cpus: float, gpus: float, where: str) -> None:
    """Raise when the cluster's nodes cannot hold so many workers at once; Ray itself would wait for ever.

    `cpus` and `gpus` are those of one worker, which lie on one node; `where` is the part of params.yaml that asks.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    slots = sum(int(min(_fit(node, "CPU", cpus), _fit(node, "GPU", gpus))) for node in nodes)
    if slots < workers:
        have = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        message = f"{workers} worker(s) of {cpus:g} CPUs and {gpus:g} GPUs do not fit: the nodes have {have}"
        raise Orca2Error(message, where, "ask for fewer or smaller workers, or set RAY_ADDRESS to a larger cluster")


def _fit(node: dict[str, float], kind: str, amount: float) -> float:
    return node.get(kind, 0) // amount if amount else float("inf")


def check_address(address: str) -> None:
    """Fail at once when `RAY_ADDRESS` names an address that answers nothing; Ray itself would wait for minutes."""
    if address in ("", "auto", "local"):
        return
    where = f"RAY_ADDRESS={address}"
    host, _, port = address.removeprefix("ray://").rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if in_brackets else host
    if not bare or (":" in bare) != in_brackets or not port.isdecimal() or int(port) > 65535:
        hint = "name the address that `ray start --head` printed (an IPv6 one in brackets), or unset it"
        raise Orca2Error("is not HOST:PORT", where, hint)
    try:
        socket.create_connection((bare, int(port)), timeout=5).close()
    except (OSError, UnicodeError) as error:
        hint = "start the head with `ray start --head`, or unset RAY_ADDRESS to run on this machine"
        raise Orca2Error(f"nothing answers there: {error}", where, hint) from error
