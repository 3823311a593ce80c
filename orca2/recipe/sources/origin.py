"""What a row says of where it comes from: its own id, and the group that it belongs to, such as its passage.

They stand in the metadata of its question under one name, and only what a source gives:

    {"origin": {"group": "passage 7", "id": "train-113"}}
"""

import json
from typing import NamedTuple

from orca2.core.hashing import digest

_KEY = "origin"
_LONGEST_GROUP = 80
"""Characters of a group that is kept as it is written; a longer one, such as a whole passage, is told by its digest."""


class Origin(NamedTuple):
    """Where a question comes from, in the words of its source."""

    id: str = ""
    group: str = ""
    """Questions of one group belong together: they share a passage, a table, a story. Empty: it stands alone."""


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
    # reasoning-gym and readers of one's own may have said something else by this name.
    return Origin(*(str(facts.get(name, "")) for name in Origin._fields)) if isinstance(facts, dict) else Origin()


def group_of(metadata: str) -> str:
    """The group of a question; empty where it stands alone."""
    return origin_of(metadata).group
