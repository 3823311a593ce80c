"""Questions of a dataset on the Hugging Face hub, at a pinned commit."""

import re
from collections.abc import Iterator
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.recipe.sources.base import Kind, Record, Source

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LOCAL = "a local file needs a suffix, a folder a `/` at its end"


def _rules(source: Source) -> dict[str, bool]:
    pinned = _COMMIT.fullmatch(source.revision) is not None
    return {
        f"revision: hub dataset {source.name!r} needs a 40-hex commit ({_LOCAL})": pinned,
        f"name: {source.name!r} lies here, and is no set of the hub ({_LOCAL})": not Path(source.name).exists(),
        "size: is for reasoning_gym; limit other sources with `limit`": not source.size,
    }


def _read(name: str, source: Source, seed: int) -> Iterator[Record]:  # noqa: ARG001  (every reader takes the three)
    import datasets
    from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

    datasets.disable_progress_bars()
    try:
        table = datasets.load_dataset(source.name, **source.config, revision=source.revision, split=source.hub_split)
    except (DatasetGenerationError, DatasetNotFoundError, ValueError, OSError) as error:
        reason, where = error.__cause__ or error, f"{source.name}@{source.revision}"
        raise Orca2Error(f"cannot be read: {reason}", where, "check the id, the revision and the network") from error
    yield from map(Record, table)


KIND = Kind(read=_read, rules=_rules)
