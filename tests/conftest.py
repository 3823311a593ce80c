"""Fixtures that several test modules share."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.answered import answered_project
from tests.closure import ROOT

_PREPARE = "import sys, pathlib, orca2.recipe.models as m; m.prepare(sys.argv[1], pathlib.Path(sys.argv[2]))"


@pytest.fixture
def tiny_disk(tmp_path):
    """A real file system of 64 KiB, to be full of; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs to fill: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


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
            [sys.executable, "-c", _PREPARE, "package:smollm2-135m-instruct", str(root / offline)],
            env=os.environ | {"HF_HUB_OFFLINE": offline, "PYTHONPATH": str(ROOT)},
        )
        for offline in "01"
    ]
    assert [process.wait() for process in running] == [0, 0]
    return [folder for offline in "01" for folder in (root / offline).iterdir()]


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
