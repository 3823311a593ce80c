"""Scaling out: a Ray of two nodes, and addresses that are not one."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import ray

from orca2.core.cluster import check_address
from orca2.core.errors import Orca2Error
from orca2.core.rows import Generation
from orca2.engines.config import GenerationConfig
from orca2.engines.generation import answer
from orca2.project.shards import write_rows
from orca2.store.store import Store
from tests.endpoint import free_port
from tests.in_process import CONFIG, ENGINE
from tests.test_generation import ROOT, make_requests

# Ray gives work to the first engine that is ready; so little work would all be done before the second one is.
_GENERATE = """
import sys
from pathlib import Path
from ray.data import DataContext
from tests.test_generation import make_requests
from tests.test_cluster import TWO_ENGINES
from orca2.engines.generation import answer
from orca2.recipe.models import from_folder
from orca2.core.rows import Generation
from orca2.project.shards import write_rows
from orca2.store.store import Store
model, store, out = map(Path, sys.argv[1:])
model = from_folder(model)
DataContext.get_current().wait_for_min_actors_s = 120
run = answer(make_requests(model, 40, max_tokens=60), model, Store(store), TWO_ENGINES)
write_rows(out, Generation, run.generations)
print(run.num_nodes, run.num_generated)
"""
# A Ray that starts where an earlier one left a token asks for it.
NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
TWO_ENGINES = GenerationConfig(engines=2, cpus_per_engine=1, batch_size=2, engine=ENGINE)


@pytest.fixture
def two_nodes():
    """The address of a Ray with two nodes of one CPU each, each with a temporary folder of its own."""
    # Ray takes a loopback address for the machine's own, so the nodes must use that one too.
    address = f"{ray.util.get_node_ip_address()}:{free_port()}"
    # Ray keeps sockets in its folder, whose paths must be short.
    folders = [Path(f"/tmp/r{os.getpid()}{name}") for name in "ab"]  # noqa: S108
    common = ["--num-cpus=1", "--object-store-memory=100000000", "--block"]
    head = ["--head", f"--port={address.split(':')[1]}", "--include-dashboard=false", f"--temp-dir={folders[0]}"]
    nodes = [_ray_start(head + common)]
    try:
        _wait_for(address, nodes=1)
        nodes.append(_ray_start([f"--address={address}", f"--temp-dir={folders[1]}", *common]))
        _wait_for(address, nodes=2)
        yield address
    finally:
        for node in nodes:
            # An orderly stop takes half a minute, and nothing here is worth it.
            for process in [*psutil.Process(node.pid).children(recursive=True), node]:
                process.kill()
            node.wait()
        subprocess.run(["rm", "-rf", *folders], check=True)


def _ray_start(arguments):
    environment = os.environ | NO_TOKEN | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        ["ray", "start", *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


_COUNT = "import ray, sys; ray.init(sys.argv[1], logging_level='ERROR'); print(sum(n['Alive'] for n in ray.nodes()))"


def _wait_for(address, nodes):
    for _ in range(4):
        command = [sys.executable, "-c", _COUNT, address]
        done = subprocess.run(command, env=os.environ | NO_TOKEN, capture_output=True, text=True, check=False)
        if done.stdout.strip() == str(nodes):
            return
    raise AssertionError(done.stderr)


def test_both_nodes_of_a_cluster_generate_and_the_artifact_is_the_same_as_locally(two_nodes, tiny, tmp_path):
    store = tmp_path / "store"
    environment = os.environ | NO_TOKEN | {"RAY_ADDRESS": two_nodes, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _GENERATE, str(tiny.folder), str(store), str(tmp_path / "cluster")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.splitlines()[-1:] == ["2 40"], done.stderr
    local = answer(make_requests(tiny, 40, max_tokens=60), tiny, Store(store), CONFIG)
    assert local.num_generated == 0
    write_rows(tmp_path / "local", Generation, local.generations)
    shards = [sorted(file.read_bytes() for file in (tmp_path / side).iterdir()) for side in ("local", "cluster")]
    assert shards[0] == shards[1]


def test_an_address_where_nothing_answers_is_said_at_once():
    with pytest.raises(Orca2Error, match="ray start --head"):
        check_address(f"127.0.0.1:{free_port()}")


def test_an_address_that_is_none_is_said_at_once():
    with pytest.raises(Orca2Error, match="HOST:PORT"):
        check_address("my-cluster")
