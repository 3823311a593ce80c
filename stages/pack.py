"""Encode every conversation with the student's tokenizer and pack them into training sequences, nothing cut.

    python -m stages.pack

Reads data/chats and models/. Writes data/packed, data/rejected/pack and metrics/pack.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.project.artifacts import CHATS, PACKED, rejected
from orca2.project.metrics import write_counts
from orca2.project.partitions import map_tables, read_aside, scratch, writing
from orca2.recipe import models
from orca2.recipe.packing import PackConfig, encode, gather, lay_out, pack_metrics, stretches, tokenizer_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    pack: PackConfig


def main() -> None:
    params, student = config.load(Params).pack, models.read_prepared()["student"].on_disk.resolve()
    with scratch("pack") as encoded, writing(PACKED) as (packed,):
        mapped = map_tables(partial(encoded_and_rejected, params, student), [CHATS], [rejected("pack")], encoded)
        layout = lay_out(read_aside(encoded), params)
        for stretch in stretches(layout, read_aside(encoded)):
            packed.add(gather(read_aside(encoded), layout, stretch))
        figures = pack_metrics(read_aside(encoded), layout, params)
    write_counts("pack", mapped.rows_in[0], len(layout.order), mapped.reasons, **figures)


def encoded_and_rejected(
    params: PackConfig, student: Path, chats: pa.Table
) -> tuple[pa.Table, pa.Table, Mapping[str, int]]:
    """One partition, as tables."""
    return *encode(chats, tokenizer_of(student), params), {}


if __name__ == "__main__":
    exit_on_error(main)
