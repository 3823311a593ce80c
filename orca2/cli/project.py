"""The commands that write a project: `orca2 init` and `orca2 upgrade`."""

import argparse
from pathlib import Path

from orca2.cli.command import DECLINED, Commands, add, agreed

_WORDS = {
    "add": "new",
    "replace": "not edited here, to be replaced",
    "merge": "edited here; your edits are kept",
    "remove": "not edited here, written no longer",
    "yours": "edited here in the same lines: left as it is",
}


def add_commands(commands: Commands) -> None:
    """Add these commands to those of `orca2`."""
    init = add(commands, "init", _init, "write a project of your own: dvc.yaml, params.yaml, stages/, templates/")
    init.add_argument("folder", type=Path, metavar="DIR", help="where; may be inside a repository of your own")
    # Spelt out, so that `--help` reads no file; a test compares it with what there is.
    init.add_argument(
        "--example",
        choices=("embedded", "gsm8k", "quiz"),
        default="embedded",
        help="what it starts with: the embedded example, GSM8K from the hub, or a file of your own questions",
    )
    upgrade = add(commands, "upgrade", _upgrade, "what a newer tool means for this project; then renew its files")
    upgrade.add_argument("--yes", action="store_true", help="do not ask")


def _init(arguments: argparse.Namespace) -> int:
    from orca2.project.scaffold import init

    written = init(arguments.folder, arguments.example)
    print(f"orca2 init: {len(written)} files in {arguments.folder}")
    print(f"    -> cd {arguments.folder}, edit params.yaml and templates/, then `orca2 check` and `dvc repro`")
    return 0


def _upgrade(arguments: argparse.Namespace) -> int:
    from orca2.project.upgrade import changed_steps, upgrade
    from orca2.training.adopted import adopt

    found, root = upgrade(), Path()
    for change in found.changes:
        print(f"{change.path}: {_WORDS[change.kind]}")
        if change.kind == "yours":
            _show(change.path, change.content)
    for path in found.leftovers(root):
        print(f"{path}: no stage writes it any longer, to be removed")
    steps = changed_steps(root, found)
    print(f"steps whose code means something else: {', '.join(steps) or 'none'}")
    # The plan of a pipeline that is about to change would be of no use.
    renewed = any(change.path == "dvc.yaml" for change in found.changes)
    if not renewed:
        _print_plan()
    if not found.changes:
        print("orca2 upgrade: every file is as this version writes it, or as you have edited it")
        return 0
    if not arguments.yes and not agreed("renew these files?"):
        print("nothing changed")
        return DECLINED
    if student := adopt():
        print(f"the student is kept in {student}: it is not trained again")
    found.apply(root)
    if renewed:
        _print_plan()
    print("orca2 upgrade: done; look at it with `git diff`, then `dvc repro`")
    return 0


def _print_plan() -> None:
    from orca2.cli import store
    from orca2.plan.output import as_text
    from orca2.plan.plan import make_plan

    print(as_text(make_plan(store.open_store())), end="")


def _show(path: str, new: bytes) -> None:
    """The lines in which a file differs from what the tool would write."""
    import difflib

    from orca2.core.text import printable

    now, then = (text.decode("utf-8", "replace").splitlines() for text in (Path(path).read_bytes(), new))
    for line in difflib.unified_diff(now, then, f"{path} (yours)", f"{path} (this version)", lineterm="", n=1):
        print(f"    {printable(line)}")
