"""Fixtures that several test modules share."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.answered import answered_project, built_project
from tests.closure import ROOT
from tests.disk import full_disk

# Two processes of tests share two processors. Engines are no less than others here: as the least of all, with several
# threads that spin while they wait for each other, they would take minutes for seconds of work.
os.environ |= {"RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"}
hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")
_PREPARE = """
import sys
from pathlib import Path
from orca2.recipe.models import prepare, read_prepared, write_prepared
lock = Path(sys.argv[1])
if not lock.is_file():
    write_prepared({"teacher": prepare("package:smollm2-135m-instruct")}, lock)
print(read_prepared(lock)["teacher"].on_disk)
"""


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory):
    """What orca2 keeps for a machine, kept for this run of the tests alone."""
    os.environ["ORCA2_CACHE"] = str(tmp_path_factory.mktemp("cache"))


_ENGINES = {"in_process", "ray", "packaged", "two_nodes", "base_url", "reference", "killed", "two_ranks"}
"""Fixtures that start vLLM, Ray, DeepSpeed or the whole pipeline; `make quick` leaves out what needs one."""
_SLOW = {"answered", "built", "monorepo", "revisions"}
"""Fixtures that run the stages of a project, from stored answers; `make quick` leaves them out too."""
_TOGETHER = {
    "engines": ["cluster", "generation", "http", "regenerate", "training"],
    "packaged": ["models", "pipeline"],
    "answered": ["compared", "dataset_commands", "dvc_files", "plan", "rebuilds", "replay", "verify"],
}
"""Modules that one process runs: what they share is started or built once. Two may start engines, one thread each."""


class _Together(LoadScopeScheduling):
    """A process a module, but for those that stay together."""

    def _split_scope(self, nodeid):
        module = nodeid.partition("::")[0]
        names = {f"tests/test_{name}.py": group for group, names in _TOGETHER.items() for name in names}
        return names.get(module, module)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return _Together(config, log)


def pytest_collection_modifyitems(items):
    """The longest come first, so that no process waits for another at the end."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        kinds = [kind for kind, names in (("engine", _ENGINES), ("slow", _SLOW)) if fixtures & names]
        for kind in kinds:
            item.add_marker(kind)
        shared = next((name for name in _TOGETHER if name in fixtures), "")
        if shared and item.path.stem.removeprefix("test_") not in _TOGETHER[shared]:
            raise pytest.UsageError(f"{item.nodeid} must run with others: add its module to {shared!r} of _TOGETHER")
    items.sort(key=lambda item: [item.get_closest_marker(kind) is None for kind in ("engine", "slow")])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """In CI nothing is skipped: what a test looks for outside the repository must be there."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
    return report


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder on a disk that is full as soon as a file grows above 64 KiB."""
    with full_disk():
        yield tmp_path


@pytest.fixture(scope="session")
def ray():
    """One Ray for all tests."""
    from orca2.core.cluster import ray_session

    with ray_session() as ray:
        yield ray


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A tiny model, by the reference `path:`."""
    from orca2.recipe.models import from_folder
    from tests.tiny import make_tiny_model

    return from_folder(make_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(scope="session")
def in_process(tiny):
    """The same model, answered by one engine in this process for all tests."""
    from orca2.engines.registry import ENGINES
    from tests.in_process import answering_in_process

    ENGINES["here"] = answering_in_process
    return replace(tiny, reference=f"here:{tiny.folder}")


@pytest.fixture(scope="session")
def packaged(tmp_path_factory):
    """The embedded model of two machines: prepared where the hub may be asked, made anew by its lock where it may not.

    Half a minute of processor each.
    """
    root = tmp_path_factory.mktemp("packaged")
    folders = []
    for offline in "01":
        environment = {
            "HF_HUB_OFFLINE": offline,
            "PYTHONPATH": str(ROOT),
            "ORCA2_CACHE": str(root / f"cache-{offline}"),
        }
        command = [sys.executable, "-c", _PREPARE, str(root / "models.json")]
        done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True)
        folders.append(Path(done.stdout.splitlines()[-1]))
    return folders


@pytest.fixture(scope="session")
def answered(tmp_path_factory):
    return answered_project(tmp_path_factory.mktemp("answered"))


@pytest.fixture(scope="session")
def whole(answered, tmp_path_factory):
    """The same, built to its end from a student that is finished already."""
    return built_project(answered, tmp_path_factory.mktemp("whole"))


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
