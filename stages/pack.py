"""Encode every conversation with the student's tokenizer and pack them into training sequences, nothing cut.

    python -m stages.pack

Reads data/chats and models/. Writes data/packed, data/rejected/pack and metrics/pack.json.
"""

from dataclasses import dataclass
from pathlib import Path

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.core.rows import Chat, PackedSequence, Rejected
from orca2.project.metrics import write_counts
from orca2.project.shards import read_rows, write_rows
from orca2.recipe import models
from orca2.recipe.chat import load_tokenizer
from orca2.recipe.packing import PackConfig, pack, pack_metrics


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    pack: PackConfig


def main() -> None:
    params = config.load(Params)
    tokenizer = load_tokenizer(models.read_index()["student"].on_disk)
    chats = read_rows(Path("data/chats"), Chat)
    sequences, rejected = pack(chats, tokenizer, params.pack)
    packed = [segment for sequence in sequences for segment in sequence.segments]
    write_rows(Path("data/packed"), PackedSequence, sequences)
    write_rows(Path("data/rejected/pack"), Rejected, rejected)
    write_counts("pack", len(chats), packed, rejected, **pack_metrics(sequences, params.pack))


if __name__ == "__main__":
    exit_on_error(main)
