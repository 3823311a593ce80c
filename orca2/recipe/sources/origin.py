"""What a row says of where it comes from: its own id, its group, such as its passage, and what is shown before it.

They stand in the metadata of its question under one name, and only what a source gives:

    {"origin": {"group": "passage 7", "id": "train-113", "shots": ["0d3f…", "9a41…"]}}
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from orca2.core.hashing import canonical, digest

_KEY = "origin"
_LONGEST_GROUP = 80
"""Characters of a group that is kept as it is written; a longer one, such as a whole passage, is told by its digest."""


class Origin(NamedTuple):
    """Where a question comes from, in the words of its source."""

    id: str = ""
    group: str = ""
    """Questions of one group belong together: they share a passage, a table, a story. Empty: it stands alone."""
    shots: tuple[str, ...] = ()
    """The names of the questions that stand before it (see `name_of_shot`)."""

    def words(self) -> dict[str, str]:
        """What there is to say to a person, by name."""
        return {name: said for name, said in (("id", self.id), ("group", self.group)) if said}


def origin_facts(*, own_id: str = "", group: str = "") -> dict[str, object]:
    """What to add to the metadata of a question; nothing where there is nothing to say."""
    if len(group) > _LONGEST_GROUP:
        group = digest("group", group)
    said = {name: value for name, value in (("id", own_id), ("group", group)) if value}
    return {_KEY: said} if said else {}


def origin_of(metadata: str) -> Origin:
    """What a question's metadata, as JSON, says of its origin."""
    if f'"{_KEY}"' not in metadata:
        return Origin()
    facts = json.loads(metadata).get(_KEY)
    if not isinstance(facts, dict):
        # reasoning-gym and readers of one's own may say something else by this name.
        return Origin()
    own_id, group = (str(facts.get(name, "")) for name in ("id", "group"))
    return Origin(own_id, group, tuple(facts.get("shots", ())))


def with_shots(metadata: str, shots: Sequence[str]) -> str:
    """The metadata of a question that is shown behind others, which have these names."""
    facts = json.loads(metadata)
    return canonical({**facts, _KEY: {**facts.get(_KEY, {}), "shots": list(shots)}})


def group_of(metadata: str) -> str:
    """The group of a question; empty where it stands alone."""
    return origin_of(metadata).group


def name_of_shot(question: str) -> str:
    """The name of a question that stands before another, whatever its task and its answer."""
    return digest("shot", question)
