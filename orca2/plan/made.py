"""The requests of a stage as light records: keyed, and never rendered."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from orca2.core.rows import Sampling
from orca2.plan.questions import Question
from orca2.recipe.request_tables import Key, Keys
from orca2.recipe.requests import Asks, own_seed
from orca2.recipe.templates import Templates


class Made(NamedTuple):
    """What would be asked, without its messages."""

    key: str
    row_id: str
    sample_index: int
    strategy: str
    task: str
    category: str
    template: str
    model: str
    question: str
    asks: Asks

    @property
    def sampling(self) -> Sampling:
        """As all requests of the stage."""
        return self.asks.sampling

    @property
    def seed(self) -> int:
        """Its own."""
        return own_seed(self.asks.seed, self.row_id, self.sample_index)


class Maker:
    """Makes the requests of one stage; what is the same for a task is worked out once."""

    def __init__(self, asks: Asks, templates: Templates) -> None:
        self._asks, self._keys = asks, Keys(templates, asks.sampling)
        self._ways: dict[tuple[str, str], list[tuple[str, str, str, Key]]] = {}
        self._drawn = asks.sampling.temperature > 0

    def requests(self, questions: Iterable[Question]) -> Iterator[Made]:
        """Every request about these questions."""
        asks, ways = self._asks, self._ways
        for row_id, task, category, question in questions:
            if (task, category) not in ways:
                ways[task, category] = [
                    (*form, self._keys.under(form.template, form.model, task, category))
                    for form in asks.forms(task, category)
                ]
            for strategy, template, model, key_of in ways[task, category]:
                for n in range(asks.samples):
                    # A greedy key holds no seed, and deriving one costs more than all the rest.
                    key = key_of(question, own_seed(asks.seed, row_id, n) if self._drawn else 0, n)
                    yield Made(key, row_id, n, strategy, task, category, template, model, question, asks)
