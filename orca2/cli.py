"""The `orca2` command: parse, call, print."""

import argparse
import sys

from orca2.errors import exit_on_error


def main() -> None:
    """Entry point of the `orca2` console script."""
    exit_on_error(_main)


def _main() -> int:
    parser = argparse.ArgumentParser(prog="orca2", description="Build training data by the Orca 2 recipe.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("check", help="look at parameters, templates, sources and models before anything runs")
    parser.parse_args()
    return _check()


def _check() -> int:
    from orca2.check import check

    check()
    print("orca2 check: nothing wrong", file=sys.stderr)
    return 0


if __name__ == "__main__":
    main()
