"""Equal as text, but for what does not count."""

from orca2.recipe.extraction import normal
from orca2.recipe.graders.base import Grader


def exact(expected: str, given: str, metadata: str) -> bool:  # noqa: ARG001  (every judge takes the three)
    """Equal after trimming, case folding, and dropping quotation marks and a final full stop."""
    return normal(expected) == normal(given) != ""


GRADER = Grader(judge=exact)
