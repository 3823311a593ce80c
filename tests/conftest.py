"""Fixtures that several test modules share."""

import shutil
import subprocess

import pytest

from tests.answered import answered_project


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


@pytest.fixture(scope="session")
def answered(tmp_path_factory):
    return answered_project(tmp_path_factory.mktemp("answered"))


@pytest.fixture
def project(answered):
    """A project that is built up to `pack` from stored answers; whatever a test does to it is undone."""
    store, kept = answered.root / ".orca2" / "store", answered.root / ".orca2" / "kept"
    shutil.copytree(store, kept)
    yield answered
    answered.run("git", "reset", "-q", "--hard")
    answered.run("git", "clean", "-qfd", "templates")
    answered.run("dvc", "checkout", "-q", "--force", "--allow-missing")
    shutil.rmtree(store)
    kept.rename(store)
