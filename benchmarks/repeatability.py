"""How many greedy answers change when the store is wiped and the batch size is another one.

    python benchmarks/repeatability.py [--requests 64]

Generates the same requests into empty stores with 64, 64 again, 16 and 8 sequences at a time and compares the texts.
This is a measurement of one machine, not a promise: what is stored is what counts.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.generate import build_requests
from orca2.engines.config import GenerationConfig
from orca2.engines.generation import answer
from orca2.engines.vllm import EngineConfig
from orca2.recipe.models import Model
from orca2.store.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=64)
    teacher, requests = build_requests(parser.parse_args().requests)
    reference = _texts(teacher, requests, 64)
    for max_num_seqs in (64, 16, 8):
        texts = _texts(teacher, requests, max_num_seqs)
        differing = sum(a != b for a, b in zip(reference, texts, strict=True))
        print(f"max_num_seqs {max_num_seqs:2}: {differing} of {len(texts)} answers differ from the first run")


def _texts(teacher: Model, requests: list, max_num_seqs: int) -> list[str]:
    config = GenerationConfig(batch_size=8, engine=replace(EngineConfig(), max_num_seqs=max_num_seqs))
    with tempfile.TemporaryDirectory() as store:
        return [g.text for g in answer(requests, teacher, Store(Path(store)), config).generations]


if __name__ == "__main__":
    main()
