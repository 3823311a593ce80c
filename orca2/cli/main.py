"""The `orca2` command: parse, call, print. Imports are inside the commands, so that `--help` waits for none of them."""

import argparse
import io
import signal
import sys
from collections.abc import Sequence

from orca2.cli import dataset, project, store
from orca2.cli.command import WORK, add, at_least
from orca2.core.errors import exit_on_error


def main() -> None:
    """Entry point of the `orca2` console script."""
    arguments = _parser().parse_args()
    # A reader that has seen enough (`| head`) ends us quietly; a terminal without the letter shows its code.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    exit_on_error(lambda: arguments.run(arguments), arguments.trouble)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="orca2", description="Build training data by the Orca 2 recipe.")
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    project.add_commands(commands)
    check = add(commands, "check", _check, "look at parameters, templates, sources and models before anything runs")
    check.add_argument(
        "--sources", action="store_true", help="read them too: an example of each, what is left out, columns unread"
    )
    plan = add(commands, "plan", _plan, "what `dvc repro` would run, generate and cost, and why; exits 3 if anything")
    plan.add_argument("--json", action="store_true", help="for machines, every request by its key")
    plan.add_argument(
        "--max-new-tokens", type=at_least(0), metavar="N", help="fail if a stage could generate more than this"
    )
    dataset.add_commands(commands)
    verify = add(commands, "verify", _verify, "rebuild and compare: from the stored answers, or by asking again")
    verify.set_defaults(trouble=2)
    kind = verify.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--replay", action="store_true", help="from the store alone, every artifact up to pack, to the byte"
    )
    kind.add_argument(
        "--regenerate", action="store_true", help="ask the teacher again, in another order and batch size"
    )
    verify.add_argument("--sample", default="1%", help="share of the requests to ask again (default: 1%%)")
    store.add_commands(commands.add_parser("store", help="the teacher's answers: what is there, is it sound, share it"))
    return parser


class _Version(argparse.Action):
    """Print the version of the installed package; looked up when asked for, because that takes a while."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="the version of the tool")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"orca2 {version('orca2')}")
        parser.exit()


def _check(arguments: argparse.Namespace) -> int:
    from orca2.audit.check import check
    from orca2.audit.sources import read_all

    check()
    for source in read_all() if arguments.sources else ():
        print(source)
    print("orca2 check: nothing wrong", file=sys.stderr)
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    import json

    from orca2.plan.output import as_json, as_text
    from orca2.plan.plan import make_plan, require_budget

    plan = make_plan(store.open_store(), arguments.max_new_tokens)
    print(json.dumps(as_json(plan), indent=2) if arguments.json else as_text(plan), end="")
    require_budget(plan)
    return WORK if plan.has_work else 0


def _verify(arguments: argparse.Namespace) -> int:
    return _replay() if arguments.replay else _regenerate(arguments.sample)


def _replay() -> int:
    from orca2.audit.verify import replay

    differing = stale = 0
    for replayed in replay(store.open_store()):
        differing, stale = differing + bool(replayed.differing), stale + bool(replayed.stale)
        same = f"differs: {', '.join(replayed.differing)}" if replayed.differing else "as dvc.lock says"
        print(f"{replayed.stage:18} {f'stale: {replayed.stale[0]}' if replayed.stale else same}", flush=True)
    parts = [f"{differing} stages differ"] * bool(differing) + [f"{stale} are stale, see `orca2 plan`"] * bool(stale)
    print(f"orca2 verify --replay: {', '.join(parts) or 'every artifact is identical'}")
    return 1 if parts else 0


def _regenerate(share: str) -> int:
    from orca2.audit.verify import regenerate, sample
    from orca2.core import config
    from orca2.core.rows import Example, Generation, Request
    from orca2.engines.config import GenerationCluster
    from orca2.project.artifacts import EXAMPLES, GENERATIONS, REQUESTS
    from orca2.project.shards import read_rows
    from orca2.recipe import models

    cluster = config.load_section("cluster", GenerationCluster)
    stored = read_rows(GENERATIONS.path, Generation)
    answered = {(row.row_id, row.sample_index) for row in stored}
    asked = read_rows(REQUESTS.path, Request)
    requests = sample([r for r in asked if (r.row_id, r.sample_index) in answered], share)
    examples = read_rows(EXAMPLES.path, Example)
    result = regenerate(requests, stored, examples, models.read_prepared()["teacher"], cluster.generation)
    for d in result.differences:
        graded = "the same grade" if d.same_grade else "ANOTHER GRADE"
        row = f"row {d.request.row_id[:12]} of {d.request.task}"
        print(f"{row}: differs from token {d.first_token} of {d.tokens}, {graded}")
    same = result.asked - len(result.differences)
    agree = result.asked - sum(not d.same_grade for d in result.differences)
    print(f"orca2 verify --regenerate: {same} of {result.asked} answers are the same, {agree} have the same grade")
    return 0


if __name__ == "__main__":
    main()
