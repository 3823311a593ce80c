"""Identity: canonical, tagged, versioned digests (docs/design.md, 6).

A digest is the SHA-256, in hex, of a canonical JSON preimage `[scheme, tag, value]`. The tag keeps records of
different kinds apart; the scheme number makes a later change of rules visible. Only plain data can be hashed: any other
type raises, because a silent fallback would give two different values one name.
"""

import hashlib
import json
import math
from json.encoder import encode_basestring as _text
from pathlib import Path
from typing import cast

SCHEME = 1
_CHUNK_BYTES = 1 << 20
_SCALARS = frozenset({str, bool, int, type(None)})
_SEQUENCES = frozenset({list, tuple})
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
)


def canonical(value: object) -> str:
    """The one JSON spelling of plain data: sorted keys, no spaces, no NaN; `1`, `1.0`, `"1"` and `true` all differ.

    Raises:
        TypeError: for anything but dict with str keys, list, tuple, str, int, finite float, bool and None.
    """
    if not _surely_plain(value):
        _require_plain(value, "value")
    return _ENCODER.encode(value)


def digest(tag: str, value: object) -> str:
    """64 hex digits naming `value` as a record of kind `tag`."""
    preimage = canonical([SCHEME, tag, value])
    return hashlib.sha256(preimage.encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def derive_seed(seed: int, purpose: str, row_id: str, sample_index: int = 0) -> int:
    """A 63-bit seed for one purpose, row and sample; by hashing, so that neighbouring seeds share nothing."""
    if type(seed) is type(sample_index) is int:
        # Of known types, the record is spelt out: `digest` would ask each value of a million rows what it is.
        preimage = f'[{SCHEME},"seed",[{seed},{_text(purpose)},{_text(row_id)},{sample_index}]]'
        name = hashlib.sha256(preimage.encode("utf-8", "surrogatepass")).hexdigest()
    else:
        name = digest("seed", [seed, purpose, row_id, sample_index])
    return int(name[:16], 16) >> 1


def unit_interval(seed: int, purpose: str, row_id: str) -> float:
    """A number in [0, 1) that depends on these three alone: for splits that do not move when rows are added."""
    return derive_seed(seed, purpose, row_id) / 2**63


def _surely_plain(value: object) -> bool:
    """Whether nothing but the plain types is in it, level by level: a third of the time of asking each value."""
    level: list[object] = [value]
    while level:
        containers = [item for item in level if type(item) not in _SCALARS]
        level = []
        for held in containers:
            if type(held) in _SEQUENCES:
                level += cast(list[object], held)
            elif type(held) is dict and set(map(type, held)) <= {str}:
                level += held.values()
            elif not (type(held) is float and math.isfinite(held)):
                return False
    return True


def _require_plain(value: object, where: str) -> None:
    """Raise for what cannot be hashed, naming where it is."""
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{where}: {value} cannot be hashed")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _require_plain(item, f"{where}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where}: key {key!r} is not a string")
            _require_plain(item, f"{where}.{key}")
    else:
        raise TypeError(f"{where}: {type(value).__name__} cannot be hashed")
