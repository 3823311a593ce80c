"""Questions that `reasoning-gym` makes: seeded, verifiable, offline."""

import json
from collections.abc import Iterator, Mapping

from orca2.core.errors import Orca2Error
from orca2.recipe.sources.base import Kind, Record, Source

WITHOUT_ANSWER = frozenset({"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"})
"""Datasets that know no answer to their own questions, only a judge of any."""


def _rules(source: Source) -> dict[str, bool]:
    return {
        "size: a reasoning_gym source needs how many questions to draw": source.size >= 1,
        f"name: {source.name!r} knows no answer to its own questions": source.name not in WITHOUT_ANSWER,
    }


def _read(name: str, source: Source, seed: int) -> Iterator[Record]:
    import reasoning_gym

    where = f"params.yaml: tasks.sources.{name}"
    try:
        dataset = reasoning_gym.create_dataset(source.name, size=source.size, seed=seed % 2**31, **source.config)
    except (ValueError, TypeError, AssertionError) as error:
        raise Orca2Error(f"reasoning-gym refuses {source.name!r}: {error}", where, "see its documentation") from error
    for entry in dataset:
        metadata = {"source_dataset": source.name, **_plain(entry["metadata"])}
        columns = {source.question_column: entry["question"], source.answer_column: str(entry["answer"])}
        yield Record(columns, metadata)


def _plain(metadata: Mapping[str, object]) -> dict[str, object]:
    """Metadata as JSON sees it; a set becomes a sorted list, anything else that is not plain raises."""
    plain: dict[str, object] = json.loads(json.dumps(metadata, default=sorted, sort_keys=True))
    return plain


KIND = Kind(read=_read, rules=_rules, may_be_empty=True)
