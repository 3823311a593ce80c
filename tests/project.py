"""A project of one's own, as `orca2 init` writes it, away from any clone. Not a test module."""

import os
import subprocess
from contextlib import chdir
from pathlib import Path

import yaml

from orca2.core.rows import Answer
from orca2.plan.plan import make_plan
from orca2.project import scaffold
from orca2.store.store import Store
from tests.closure import ROOT
from tests.tiny import make_tiny_model

IDENTITY = ("-c", "user.name=orca2 tests", "-c", "user.email=tests@example.invalid")


def run(folder: Path, *command: str, code: Path = ROOT, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command there with the tool of this repository, or with the one in `code`."""
    base = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "ORCA2_STORE")}
    base |= {"PYTHONPATH": str(code), "DVC_NO_ANALYTICS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=base, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", *IDENTITY, "commit", "-qm", message)


def use_tiny_model(project: Path, model: Path) -> None:
    """Make a tiny model, if there is none yet, and let a project's teacher and student be it."""
    if not model.is_dir():
        make_tiny_model(model)
    path = os.path.relpath(model, project)
    params, pipeline = project / "params.yaml", project / "dvc.yaml"
    params.write_text(params.read_text("utf-8").replace("package:smollm2-135m-instruct", f"path:{path}"), "utf-8")
    pipeline.write_text(scaffold.watching(pipeline.read_text("utf-8"), "prepare_models", path), "utf-8")


def answer(project: Path, store: Path, stage: str) -> int:
    """Store an answer to whatever a plan says the stage still wants; return how many."""
    with chdir(project):
        wanted = make_plan(Store(store), None).asking[stage].wanted
        limit = yaml.safe_load(Path("params.yaml").read_text("utf-8"))[stage]["sampling"]["max_tokens"]
    with Store(store).writer('{"engine": "test"}') as writer:
        writer.add([
            Answer(
                key=request.key,
                text="Answer: 7",
                finish_reason="stop",
                max_tokens=limit,
                prompt_tokens=20,
                completion_tokens=4,
            )
            for request in wanted
        ])  # fmt: skip
    return len(wanted)
