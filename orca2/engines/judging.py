"""Grade the answers of a stage, and ask the model that judges about those that no known answer can judge."""

from collections.abc import Collection
from dataclasses import dataclass, field

from orca2.core.rows import Example, Generation, Graded, Request
from orca2.engines.config import GenerationConfig
from orca2.engines.generation import answer
from orca2.engines.limits import require_answers
from orca2.recipe.graders.judged import is_judged
from orca2.recipe.grading import Verdicts, grade, no_judge, opinions, verdicts_of
from orca2.recipe.models import Model
from orca2.recipe.templates import Templates
from orca2.store.store import Store


@dataclass(kw_only=True)
class Judging:
    """The grading of one stage."""

    stage: str
    model: Model | None
    """The one that judges; None where the project names none."""
    templates: Templates
    store: Store
    config: GenerationConfig
    requests: list[Request] = field(default_factory=list)
    """What it was asked so far."""

    def grade(self, examples: Collection[Example], generations: Collection[Generation], role: str = "") -> list[Graded]:
        """Every generation with its verdict. Errors of `verdicts` and `recipe.grading.grade`."""
        return grade(examples, generations, self.verdicts(examples, generations, role))

    def verdicts(self, examples: Collection[Example], generations: Collection[Generation], role: str = "") -> Verdicts:
        """Of the answers that a model judges; `role` as `opinions` takes it.

        Raises:
            Orca2Error: there is no such model, or it does not answer.
        """
        if not any(is_judged(example.grader) for example in examples):
            return {}
        if self.model is None:
            raise no_judge()
        asked = list(opinions(examples, generations, self.templates, self.model.digest, role))
        requests = [opinion.request for opinion in asked]
        run = answer(requests, self.model, self.store, self.config, stage=self.stage)
        require_answers(run, self.config)
        self.requests += requests
        print(f"{self.stage}: {run.num_cached} verdicts from the store, {run.num_generated} generated")
        return verdicts_of(asked, {row.key: row.text for row in run.generations})
