"""What `dvc repro` would do now: which stages run and why, what is asked of models, at what cost (DESIGN section 1).

The requests come from the very functions that the stages call, and are looked up in the very store, so that plan and
run agree row for row. Nothing is started and nothing is written. Where a stage depends on one that has not run yet, the
plan goes on from what it can work out, and else says what it assumed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from orca2.core import config
from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example, Request
from orca2.engines import speeds
from orca2.engines.generation import GenerationCluster, generations, most_new_tokens, places
from orca2.plan.causes import Causes, Earlier
from orca2.plan.estimate import Typical
from orca2.project.pipeline import StageState, stage_states
from orca2.project.shards import read_rows
from orca2.recipe import models
from orca2.recipe.erasure import EraseConfig
from orca2.recipe.evaluation import EvaluateConfig
from orca2.recipe.grading import check_grader, grade
from orca2.recipe.prompts import Templates
from orca2.recipe.requests import GenerateConfig, ProbeConfig, evaluation_requests, probe_requests, teaching_requests
from orca2.recipe.strategies import read_choices, require_choices, select
from orca2.recipe.tasks import TasksConfig, collect
from orca2.store.store import Store

CHOICES = Path("data/strategies.yaml")
_UNKNOWN = "not known yet: "
"""Begins what stands in place of the digest of a model that is still to be made: no stored answer can be its."""
_TRAINED = _UNKNOWN + "the student"


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What a plan reads of params.yaml: all that decides a request."""

    seed: int
    models: models.ModelsConfig
    tasks: TasksConfig
    probe: ProbeConfig
    generate: GenerateConfig
    erase: EraseConfig
    evaluate: EvaluateConfig
    cluster: GenerationCluster


class Wanted(NamedTuple):
    """A request that an engine must answer."""

    request: Request
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What one stage asks of models."""

    cached: int
    """Distinct requests that the store answers."""
    wanted: tuple[Wanted, ...]
    """Distinct requests that an engine must answer."""
    dropped: Counter[str]
    """Requests of the artifact as it lies there that are not asked any more, by cause."""
    assumed: tuple[str, ...]
    prompt_tokens: int
    """About; from the same task and strategy in earlier runs, else from the length of the text."""
    new_tokens: int
    """About; from the same task and strategy in earlier runs, else the limit."""
    most_new_tokens: int
    """What the limits allow."""
    seconds: tuple[float, float] | None
    """By the fastest and the slowest of earlier runs of these models; None without such runs."""

    @property
    def causes(self) -> Counter[str]:
        """How many requests each cause sends to an engine."""
        return Counter(wanted.cause for wanted in self.wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every stage, and what those that ask models will ask."""

    states: tuple[StageState, ...]
    asking: dict[str, Asking]
    max_new_tokens: int | None
    """The budget of cluster.generation, for each stage."""

    @property
    def running(self) -> dict[str, Asking]:
        """What is asked by the stages that run or may run."""
        fresh = {state.name for state in self.states if state.state == "fresh"}
        return {name: asking for name, asking in self.asking.items() if name not in fresh}

    @property
    def has_work(self) -> bool:
        """Whether `dvc repro` would run anything."""
        return any(state.state != "fresh" for state in self.states)


def make_plan(store: Store, max_new_tokens: int | None = None) -> Plan:
    """Plan the project in the current folder, under another budget than that of params.yaml if one is given.

    Raises:
        InputErrors: parameters, templates or questions are wrong, as the stages would say.
    """
    params = config.load(Params)
    states = tuple(stage_states())
    planner = _Planner(params=params, store=store, states={s.name: s.state for s in states})
    _require_sound(params, planner.templates)
    asking = {"probe": planner.probe(), "generate": planner.generate(), "evaluate": planner.evaluate()}
    budget = params.cluster.generation.max_new_tokens if max_new_tokens is None else max_new_tokens
    return Plan(states=states, asking=asking, max_new_tokens=budget)


def require_budget(plan: Plan) -> None:
    """Raise for every stage that could generate more than the budget; the stage itself would stop there too."""
    if plan.max_new_tokens is not None:
        raise_all(
            Orca2Error(
                f"could generate {asking.most_new_tokens} tokens, above the budget of {plan.max_new_tokens}",
                f"stage {name}",
                "ask less, or raise cluster.generation.max_new_tokens",
            )
            for name, asking in plan.running.items()
            if asking.most_new_tokens > plan.max_new_tokens
        )


def _require_sound(params: Params, templates: Templates) -> None:
    """What the stages check before they ask."""
    templates.check_strategies(params.probe.strategies, "params.yaml: probe.strategies")
    templates.check_student(params.erase.student_template, "params.yaml: erase.student_template")
    for name, source in params.tasks.sources.items():
        check_grader(source.grader, f"params.yaml: tasks.sources.{name}.grader")


@dataclass(kw_only=True)
class _Planner:
    """The stages in their order, each going on from what is known of the ones before it."""

    params: Params
    store: Store
    states: dict[str, str]
    templates: Templates = field(default_factory=Templates)
    planned: set[tuple[str, int]] = field(default_factory=set)
    """Key and limit of what earlier stages will have answered."""
    asks_the_same: bool = False
    """Whether `generate` asks what it asked last time, and has all the answers."""
    _digests: dict[str, str] = field(default_factory=dict)

    def probe(self) -> Asking:
        earlier = Earlier(Path("data/probe/requests"), by_strategy=True)
        return self._asking(self._probed, earlier, self._model_notes("teacher"))

    def generate(self) -> Asking:
        chosen, notes = self.choices
        requests = teaching_requests(
            self.examples, self.templates, chosen, self.params.generate, self._digest("teacher"), self.params.seed
        )
        earlier = Earlier(Path("data/requests"), by_strategy=False)
        asking = self._asking(requests, earlier, (*self._model_notes("teacher"), *notes))
        self.asks_the_same = not asking.wanted and earlier.keys == {request.key for request in requests}
        return asking

    def evaluate(self) -> Asking:
        chosen, notes = self.choices
        trained = self._trained()
        digests = {"base": self._digest("student"), "student": trained, "teacher": self._digest("teacher")}
        if trained.startswith(_UNKNOWN):
            notes = (*notes, "the student is trained anew, so none of its answers is stored")
        elif self.states["train"] != "fresh":
            notes = (*notes, "what the student learns from does not change, so it is not trained anew")
        requests = evaluation_requests(
            self.examples, self.templates, chosen, self.params.erase.student_template, digests,
            self.params.evaluate.sampling,
        )  # fmt: skip
        return self._asking(requests, Earlier(Path("data/evaluation/requests"), by_strategy=True), notes)

    @cached_property
    def examples(self) -> list[Example]:
        if self.states["prepare_tasks"] == "fresh":
            examples: list[Example] = read_rows(Path("data/examples"), Example)
            return examples
        return collect(self.params.tasks, self.params.seed)[0]

    @cached_property
    def _probed(self) -> list[Request]:
        teacher = self._digest("teacher")
        return probe_requests(self.examples, self.templates, self.params.probe, teacher, self.params.seed)

    @cached_property
    def choices(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """The strategy of each task: as chosen, as it will be chosen from stored answers, or as it must be assumed."""
        if self.states["select_strategies"] == "fresh":
            return read_choices(CHOICES), ()
        found = self.store.find(self._probed)
        if all(request.key in found for request in self._probed):
            graded = grade(self.examples, generations(self._probed, found))
            chosen = {choice.task: choice.strategy for choice in select(graded)}
            require_choices(chosen, {example.task for example in self.examples}, CHOICES)
            return chosen, ()
        written = read_choices(CHOICES) if CHOICES.is_file() else {}
        before = {task: strategy for task, strategy in written.items() if strategy in self.templates.strategies}
        first = self.params.probe.strategies[0]
        tasks = sorted({example.task for example in self.examples})
        new = [task for task in tasks if task not in before]
        notes = [f"the probe chooses as {CHOICES} says now"] if before else []
        notes += [f"{first} for {', '.join(new)}, which has no strategy yet"] if new else []
        return {task: before.get(task, first) for task in tasks}, tuple(notes)

    @cached_property
    def _index(self) -> dict[str, models.Model]:
        return models.read_index() if models.INDEX.is_file() else {}

    def _digest(self, role: str) -> str:
        """Of the prepared model; where it must be prepared again, what that will give, or gave last time."""
        reference = getattr(self.params.models, role)
        if reference not in self._digests:
            known = {model.reference: model.digest for model in self._index.values()}
            found = None if self.states["prepare_models"] == "fresh" else models.identify(reference)
            self._digests[reference] = found or known.get(reference, _UNKNOWN + reference)
        return self._digests[reference]

    def _model_notes(self, role: str) -> tuple[str, ...]:
        reference = getattr(self.params.models, role)
        if self._digest(role).startswith(_UNKNOWN):
            return (f"{reference} is not prepared yet, so none of its answers is stored",)
        sure = self.states["prepare_models"] == "fresh" or not reference.startswith(("package:", "hub:"))
        return () if sure else (f"{reference} is prepared as it was before",)

    def _trained(self) -> str:
        """Digest of the student, where training will not run again: nothing changes in or before `data/packed`."""
        learning = ("grade", "erase", "pack", "train")
        sure = not self.choices[1]
        same = sure and self.asks_the_same and all(self.states[stage] != "stale" for stage in learning)
        if (self.states["train"] == "fresh" or same) and Path("trained").is_dir():
            return models.from_folder(Path("trained")).digest
        return _TRAINED

    def _asking(self, requests: list[Request], earlier: Earlier, assumed: Sequence[str]) -> Asking:
        missing = [r for r in self.store.missing(requests) if (r.key, r.sampling.max_tokens) not in self.planned]
        self.planned |= {(r.key, r.sampling.max_tokens) for r in missing}
        causes = Causes(earlier, self.templates, self.store)
        tokens = [self._typical.of(request) for request in missing]
        return Asking(
            cached=len({(r.key, r.sampling.max_tokens) for r in requests}) - len(missing),
            wanted=tuple(Wanted(request, causes.of(request)) for request in missing),
            dropped=earlier.dropped(requests),
            assumed=tuple(assumed),
            prompt_tokens=round(sum(prompt for prompt, _ in tokens)),
            new_tokens=round(sum(new for _, new in tokens)),
            most_new_tokens=most_new_tokens(missing),
            seconds=self._seconds(missing),
        )

    def _seconds(self, missing: list[Request]) -> tuple[float, float] | None:
        """Over all models that must answer, one after the other."""
        total = (0.0, 0.0)
        for model in sorted({request.model for request in missing}):
            # The student has the speed of the model that it is trained from.
            known = self._digest("student") if model == _TRAINED else model
            tokens = sum(self._typical.of(request)[1] for request in missing if request.model == model)
            runs = speeds.recent(self.store.root, known, places(self.params.cluster.generation))
            taken = speeds.seconds(runs, tokens)
            if taken is None:
                return None
            total = (total[0] + taken[0], total[1] + taken[1])
        return total

    @cached_property
    def _typical(self) -> Typical:
        return Typical()
