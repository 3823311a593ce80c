"""The ablation that the paper lacks: the same answers, the instruction erased in several ways, one student each.

    python benchmarks/erasure.py [generic empty keep one_of] [--store FOLDER]

In a copy of this project, `erase.instruction` takes each value in turn (the first is what the others are compared
with), and `dvc repro` trains a student and examines it twice: under the generic line and under none. The teacher's
answers come from a copy of the store, so an arm costs one training and two examinations. Prints for each arm its rows,
its macro averages, and by how much it is ahead of the first on the same held-out questions under the same line, with
paired 95 % intervals; then the tasks where the two differ.
"""

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orca2.core.rows import Graded
from orca2.project.artifacts import EVALUATED, FURTHER
from orca2.project.shards import read_rows
from orca2.recipe.evaluation.comparison import Difference, compare
from orca2.recipe.evaluation.summary import summarise
from orca2.store.root import default_root
from tests.workspace import Workspace

EXTRACTIONS = ("strict", "lenient")
MODES = ("generic", "empty", "keep", "one_of")
LINES = ["generic", "empty"]
"""Student templates that every student is asked under."""


class Arm(NamedTuple):
    """One way to erase, and what became of it."""

    rows: int
    student: dict[str, list[Graded]]
    """By the line that held-out questions were asked under."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modes", nargs="*", metavar="MODE", help=f"of {', '.join(MODES)}; default: the first three")
    parser.add_argument("--store", type=Path, default=default_root())
    parser.add_argument("--folder", type=Path, help="where the project is copied to; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        shutil.copytree(arguments.store, Path(folder) / "store")
        os.environ["ORCA2_STORE"] = str(Path(folder) / "store")
        (Path(folder) / "project").mkdir()
        project = Workspace(Path(folder) / "project", {"evaluate": {"student_templates": LINES}})
        report({mode: arm(project, mode) for mode in arguments.modes or MODES[:3]})


def arm(project: Workspace, mode: str) -> Arm:
    """Train and examine one student."""
    project.set_params({"erase": {"instruction": mode}})
    project.repro("evaluate", ORCA2_STORE=os.environ["ORCA2_STORE"])
    with chdir(project.root):
        student = {LINES[0]: read_rows(EVALUATED["student"].path, Graded)}
        student[LINES[1]] = read_rows(FURTHER.path, Graded)
    taught = json.loads((project.root / "metrics/pack.json").read_text("utf-8"))["rows_out"]
    print(f"{mode}: done", file=sys.stderr, flush=True)
    return Arm(taught, student)


def report(arms: dict[str, Arm]) -> None:
    """The table, in Markdown."""
    (first, reference), *others = arms.items()
    print(f"| erase.instruction | rows | asked under | strict | lenient | strict, ahead of {first} | lenient, ahead |")
    print("|---|---|---|---|---|---|---|")
    for mode, line in itertools.product(arms, LINES):
        student = arms[mode].student[line]
        found: Any = summarise(student)["macro"]
        shares = [f"{found[e]['accuracy']:.1%} ({found[e]['low']:.1%} to {found[e]['high']:.1%})" for e in EXTRACTIONS]
        against = compare(student, reference.student[line])["macro"]
        ahead = [points(against["strict"]), points(against["lenient"])] if mode != first else ["", ""]
        print(f"| `{mode}` | {arms[mode].rows} | `{line}` | {' | '.join((*shares, *ahead))} |")
    for (mode, arm_), line in itertools.product(others, LINES):
        for task, by in compare(arm_.student[line], reference.student[line])["tasks"].items():
            one: Any = by["strict"]
            p = f"p = {one['p_value']:.2g}" if one["p_value"] >= 1e-4 else "p < 0.0001"
            if one["verdict"] != "not apart":
                counts = f"{one['only_first']} : {one['only_second']} questions, {p}"
                print(f"{mode} against {first} on {task}, asked under {line}, strict: {one['verdict']} ({counts})")


def points(ahead: Difference) -> str:
    return f"{100 * ahead['ahead']:+.1f} points ({100 * ahead['low']:+.1f} to {100 * ahead['high']:+.1f})"


if __name__ == "__main__":
    main()
