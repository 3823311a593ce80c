"""How long the stages without an engine take, and a `dvc repro` that finds nothing to do.

    python benchmarks/stages.py [--rounds 3]

Run it in a project that was built: it forces each engine-less stage alone, which rewrites its outputs with the same
bytes. Claims: at most 60 s together, at most 5 s for the no-op.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_ENGINE = [
    "prepare_models", "prepare_tasks", "select_strategies", "render_prompts", "grade", "erase", "pack", "report",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    total = 0.0
    for stage in WITHOUT_ENGINE:
        seconds = statistics.median(_timed("python", "-m", f"stages.{stage}") for _ in range(rounds))
        total += seconds
        print(f"{stage:18} {seconds:6.1f} s")
    noop = statistics.median(_timed("dvc", "repro") for _ in range(rounds))
    print(f"stages without an engine: {total:.1f} s together (claim: 60), no-op dvc repro: {noop:.1f} s (claim: 5)")


def _timed(*command: str) -> float:
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
