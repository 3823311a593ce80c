"""Equal as sets: the order and the number of times do not count."""

from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.items import items_in


def set_of(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """The same items: `a, b and c`, `{c, b, a}`, `["a", "b", "c"]` and three bullets agree."""
    wanted = set(items_in(expected))
    return bool(wanted) and wanted == set(items_in(given))


def _all_of_it(text: str) -> str | None:
    return text.strip() or None


GRADER = Grader(judge=set_of, read=_all_of_it, takes_lines=True, longest=20_000)
