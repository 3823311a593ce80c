"""Encode every conversation with the student's tokenizer and pack them into training sequences, nothing cut.

    python -m stages.pack

Reads data/chats and models/. Writes data/packed, data/rejected/pack and metrics/pack.json.
"""

from pathlib import Path

from orca2 import config, models
from orca2.chat import load_tokenizer
from orca2.counts import write_counts
from orca2.errors import exit_on_error
from orca2.packing import PackConfig, pack, pack_metrics
from orca2.rows import Chat, PackedSequence, Rejected
from orca2.shards import read_rows, write_rows


def main() -> None:
    params = config.load(pack=PackConfig)
    tokenizer = load_tokenizer(models.read_index()["student"].on_disk)
    chats = read_rows(Path("data/chats"), Chat)
    sequences, rejected = pack(chats, tokenizer, params.pack)
    packed = [segment for sequence in sequences for segment in sequence.segments]
    write_rows(Path("data/packed"), PackedSequence, sequences)
    write_rows(Path("data/rejected/pack"), Rejected, rejected)
    write_counts("pack", len(chats), packed, rejected, **pack_metrics(sequences, params.pack))


if __name__ == "__main__":
    exit_on_error(main)
