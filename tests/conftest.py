"""Fixtures that several test modules share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.answered import answered_project
from tests.closure import ROOT
from tests.disk import full_disk

_PREPARE = "import sys, orca2.recipe.models as m; print(m.prepare(sys.argv[1]).folder)"


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory):
    """What orca2 keeps for a machine, kept for this run of the tests alone."""
    os.environ["ORCA2_CACHE"] = str(tmp_path_factory.mktemp("cache"))


_ENGINES = {"ray", "packaged", "two_nodes", "base_url", "reference", "killed", "two_ranks"}
"""Fixtures that start vLLM, Ray, DeepSpeed or the whole pipeline; `make quick` leaves out what needs one."""


def pytest_collection_modifyitems(items):
    for item in items:
        if _ENGINES & set(getattr(item, "fixturenames", ())):
            item.add_marker("engine")


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder on a disk that is full as soon as a file grows above 64 KiB."""
    with full_disk():
        yield tmp_path


@pytest.fixture(scope="module")
def ray():
    """One Ray for all tests of a module."""
    from orca2.core.cluster import ray_session

    with ray_session() as ray:
        yield ray


@pytest.fixture(scope="session")
def packaged(tmp_path_factory):
    """The embedded model, prepared twice at once: by a process that may ask the hub, and by one that may not."""
    root = tmp_path_factory.mktemp("packaged")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PREPARE, "package:smollm2-135m-instruct"],
            env=os.environ
            | {"HF_HUB_OFFLINE": offline, "PYTHONPATH": str(ROOT), "ORCA2_CACHE": str(root / f"cache-{offline}")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for offline in "01"
    ]
    folders = [Path(process.communicate()[0].splitlines()[-1]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    return folders


@pytest.fixture(scope="session")
def answered(tmp_path_factory):
    return answered_project(tmp_path_factory.mktemp("answered"))


@pytest.fixture
def project(answered):
    """A project that is built up to `pack` from stored answers; whatever a test does to it is undone."""
    store, kept = answered.root / ".orca2" / "store", answered.root / ".orca2" / "kept"
    built = answered.run("git", "rev-parse", "HEAD").stdout.strip()
    shutil.copytree(store, kept)
    yield answered
    answered.run("git", "reset", "-q", "--hard", built)
    answered.run("git", "clean", "-qfd", "templates")
    answered.run("dvc", "checkout", "-q", "--force", "--allow-missing")
    shutil.rmtree(store)
    kept.rename(store)
