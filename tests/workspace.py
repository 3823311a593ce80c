"""A copy of this project in an empty folder, small enough to build in a test. Not a test module."""

import json
import os
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.closure import ROOT

REVERSAL = {
    "kind": "reasoning_gym",
    "name": "word_sequence_reversal",
    "size": 60,
    "category": "text",
    "grader": "exact",
}
SUM = {"kind": "reasoning_gym", "name": "chain_sum", "size": 60, "category": "arithmetic", "grader": "numeric"}
SMALL = {
    "tasks": {
        "splits": {"probe_limit": 2, "train_limit": 4, "evaluation_limit": 2},
        "sources": {
            "reversal": REVERSAL | {"config": {"min_words": 2, "max_words": 2}, "licence": "Apache-2.0"},
            "sum_of_two": SUM | {"config": {"max_terms": 2, "max_digits": 1}, "licence": "Apache-2.0"},
        },
    },
    "grade": {"keep": "all"},
    "pack": {"max_tokens": 256},
}


class Workspace:
    """A git and DVC repository with small parameters and an answer store of its own."""

    def __init__(self, root: Path, changes: dict[str, Any] = SMALL) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, root / name)
        for leftover in ("dvc.lock", "data/strategies.yaml", "models/models.json"):
            (root / leftover).unlink(missing_ok=True)
        shutil.rmtree(root / "metrics", ignore_errors=True)
        self.set_params(changes)
        self.run("git", "init", "-q", "-b", "main")
        self.commit("start")

    def copy(self, root: Path) -> "Workspace":
        """The same workspace, with all that was built in it, in another folder."""
        shutil.copytree(self.root, root, symlinks=True, dirs_exist_ok=True)
        other = object.__new__(Workspace)
        other.root = root
        return other

    def run(
        self, *command: str, check: bool = True, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command at the root (or in `cwd`), with the workspace's own code and store."""
        base = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "ORCA2_STORE")}
        base |= {"PYTHONPATH": str(self.root), "DVC_NO_ANALYTICS": "1", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            command, cwd=cwd or self.root, env=base | environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def repro(self, *targets: str, **environment: str) -> str:
        """`dvc repro`; its output."""
        return self.run("dvc", "repro", *targets, **environment).stdout

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        identity = ("-c", "user.name=orca2 tests", "-c", "user.email=tests@example.invalid")
        self.run("git", *identity, "commit", "-qm", message)

    def add_dep(self, stage: str, path: str) -> None:
        """Make a stage of dvc.yaml depend on one more path."""
        command = f"    cmd: python -m stages.{stage}\n"
        text = (self.root / "dvc.yaml").read_text("utf-8")
        if f"{command}    deps:\n" not in text:
            self.edit("dvc.yaml", command, f"{command}    deps:\n")
        self.edit("dvc.yaml", f"{command}    deps:\n", f"{command}    deps:\n      - {path}\n")

    def set_params(self, changes: dict[str, Any]) -> None:
        """Merge changes into params.yaml, section by section."""
        file = self.root / "params.yaml"
        params = yaml.safe_load(file.read_text("utf-8"))
        for section, values in changes.items():
            params[section] = params.get(section, {}) | values if isinstance(values, dict) else values
        file.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")

    def params(self) -> dict[str, Any]:
        return yaml.safe_load((self.root / "params.yaml").read_text("utf-8"))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in one file; the text must be there."""
        text = (self.root / name).read_text("utf-8")
        assert old in text, f"{name} has no {old!r}"
        (self.root / name).write_text(text.replace(old, new), "utf-8")

    def speed(self, stage: str) -> dict[str, Any]:
        return json.loads((self.root / ".orca2" / "speed" / f"{stage}.json").read_text("utf-8"))

    def lock(self) -> dict[str, str]:
        """Digest of every output, by path, as dvc.lock has it."""
        stages = yaml.safe_load((self.root / "dvc.lock").read_text("utf-8"))["stages"]
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}

    def stages(self) -> list[str]:
        """The names of the stages, in the order of dvc.yaml."""
        return list(yaml.safe_load((self.root / "dvc.yaml").read_text("utf-8"))["stages"])


def children_s() -> float:
    """Seconds of processor of the processes that this one has waited for; the load of other tests is no part of it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
