"""What the model that judges will be asked: about the answers that are stored by name, about the others by number."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orca2.core.rows import Example, Generation, Graded, Request
from orca2.diff.causes import Cause
from orca2.engines.limits import most_new_tokens
from orca2.engines.runs import generations
from orca2.plan.asking import Asking, Wanted
from orca2.recipe.graders.judged import ORDERS, is_judged
from orca2.recipe.grading import JUDGES, grade, opinions, verdicts_of
from orca2.recipe.requests import Asks
from orca2.recipe.templates import Templates
from orca2.store.store import Store

_NOT_JUDGED = Cause("answer", "not judged yet")
_CHARACTERS_PER_TOKEN = 4


@dataclass(kw_only=True)
class StoredVerdicts:
    """What is stored of one judge."""

    model: str
    """Its digest."""
    templates: Templates
    store: Store
    seconds: Callable[[Mapping[str, float]], tuple[float, float] | None]
    """Shortest and longest time for so many new tokens of each model."""

    def known(
        self, examples: Sequence[Example], answers: Sequence[Generation], role: str = ""
    ) -> tuple[list[Graded], list[Request]]:
        """Of these answers those whose verdict is known, graded, and what the judge is asked about all of them."""
        asked = list(opinions(examples, answers, self.templates, self.model, role))
        requests = [opinion.request for opinion in asked]
        replies = {key: answer.text for key, answer in self.store.find(requests).items()}
        open_ = {opinion.about for opinion in asked if opinion.request.key not in replies}
        told = [row for row in answers if (row.row_id, row.sample_index, row.strategy) not in open_]
        return grade(examples, told, verdicts_of(asked, replies)), requests

    def about(self, asks: Asks, examples: Iterable[Example]) -> Asking:
        """What it is asked about the answers to these questions, as far as it judges them."""
        mine = [example for example in examples if is_judged(example.grader)]
        requests = asks.requests(mine, self.templates)
        found = self.store.find(requests)
        _, asked = self.known(mine, generations(requests, found))
        return self.asking(asked, len(ORDERS) * sum(request.key not in found for request in requests))

    def asking(self, requests: Sequence[Request], later: int) -> Asking:
        """Those of these requests that are not stored, and so many later ones at most."""
        missing = self.store.missing(requests)
        tokens = most_new_tokens(missing) + later * JUDGES.max_tokens
        return Asking(
            requests=len(requests),
            cached=len({request.key for request in requests}) - len(missing),
            wanted=tuple(Wanted(r.key, r.row_id, r.sample_index, r.task, r.strategy, _NOT_JUDGED) for r in missing),
            dropped=Counter(),
            assumed=(),
            prompt_tokens=sum(len(turn.content) for r in missing for turn in r.messages) // _CHARACTERS_PER_TOKEN,
            new_tokens=tokens,
            most_new_tokens=tokens,
            seconds=self.seconds({self.model: float(tokens)} if tokens else {}),
            same=not missing and not later,
            later=later,
        )


def together(askings: Sequence[Asking]) -> Asking:
    """What a stage asks of several models."""
    if len(askings) == 1:
        return askings[0]
    times = [asking.seconds for asking in askings]
    known = [time for time in times if time]
    return Asking(
        requests=sum(asking.requests for asking in askings),
        cached=sum(asking.cached for asking in askings),
        wanted=tuple(wanted for asking in askings for wanted in asking.wanted),
        dropped=sum((asking.dropped for asking in askings), Counter()),
        assumed=tuple(dict.fromkeys(note for asking in askings for note in asking.assumed)),
        prompt_tokens=sum(asking.prompt_tokens for asking in askings),
        new_tokens=sum(asking.new_tokens for asking in askings),
        most_new_tokens=sum(asking.most_new_tokens for asking in askings),
        seconds=(sum(t[0] for t in known), sum(t[1] for t in known)) if len(known) == len(times) else None,
        same=all(asking.same for asking in askings),
        later=sum(asking.later for asking in askings),
        instead=next((asking.instead for asking in askings if asking.instead), None),
    )
