"""Equal as lists: item by item, in the same order."""

from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.items import items_in


def list_of(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """The same items in the same order: `a, b, c`, `["a", "b", "c"]` and three bullets agree."""
    wanted = items_in(expected)
    return bool(wanted) and wanted == items_in(given)


def _all_of_it(text: str) -> str | None:
    return text.strip() or None


GRADER = Grader(judge=list_of, read=_all_of_it, takes_lines=True, longest=20_000)
