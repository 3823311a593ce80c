"""The stages that ask models, in their order, each going on from what is known of the ones before it.

A stage is known by what it writes; one that the pipeline lacks is passed over, and what it would have written is taken
as it lies there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orca2.core import config
from orca2.core.errors import Orca2Error, raise_all
from orca2.engines import speeds
from orca2.engines.config import GenerationCluster
from orca2.engines.generation import arrangement
from orca2.plan.asking import Asker, Asking
from orca2.plan.causes import Causes
from orca2.plan.judging import StoredVerdicts, together
from orca2.plan.probing import Probing
from orca2.plan.questions import Collected, Written
from orca2.plan.states import States
from orca2.project import git
from orca2.project.artifacts import CHOICES, EVALUATION_REQUESTS, REQUESTS, TRAINED
from orca2.recipe import models
from orca2.recipe.erasure import EraseConfig
from orca2.recipe.evaluation import EvaluateConfig, is_student, student_lines
from orca2.recipe.graders.judged import is_judged
from orca2.recipe.models import ModelsConfig
from orca2.recipe.requests import Asks, GenerateConfig, ProbeConfig, examining, teaching
from orca2.recipe.strategies import read_choices, require_choices
from orca2.recipe.tasks import TasksConfig, collect
from orca2.recipe.templates import Templates
from orca2.store.store import Store

_TECHNIQUES = "templates/strategies"
_UNKNOWN = "not known yet: "
"""Begins what stands in place of the digest of a model that is still to be made: no stored answer can be its."""
_TRAINED = _UNKNOWN + "the student"
_READS = {
    "prepare_tasks": ("tasks", "seed"),
    "probe": ("models", "probe", "seed", "cluster"),
    "generate": ("models", "generate", "seed", "cluster"),
    "evaluate": ("models", "evaluate", "erase", "cluster"),
}
"""Sections of params.yaml that a plan cannot do without where the pipeline has the step."""


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What a plan reads of params.yaml: all that decides a request, as far as the pipeline has the step."""

    seed: int | None = None
    models: ModelsConfig | None = None
    tasks: TasksConfig | None = None
    probe: ProbeConfig | None = None
    generate: GenerateConfig | None = None
    erase: EraseConfig | None = None
    evaluate: EvaluateConfig | None = None
    cluster: GenerationCluster | None = None

    def require(self, states: States) -> None:
        """Raise for every section that a step of this pipeline needs and that is missing."""
        needed = dict.fromkeys(name for step, names in _READS.items() if states.has(step) for name in names)
        raise_all(
            Orca2Error(f"section `{name}` is missing", str(config.PARAMS_FILE), "see the shipped params.yaml")
            for name in needed
            if getattr(self, name) is None
        )


@dataclass(kw_only=True)
class Planner:
    """Plans one project; each step is asked about once."""

    params: Params
    store: Store
    states: States
    templates: Templates
    causes: Causes
    _digests: dict[str, str] = field(default_factory=dict)
    _same: bool = False
    """Whether `generate` asks what it asked last time, and has all the answers."""

    def asking(self) -> Iterator[tuple[str, Asking]]:
        """What each stage asks, by its name; of the steps that the pipeline has."""
        p = self.params
        if p.probe and p.models and self.states.has("probe"):
            notes = {role: self._notes(getattr(p.models, role)) for role in p.probe.judges}
            yield self.states.name("probe"), self._probing.asking(self._asker, notes)
        if p.generate and p.models and self.states.has("generate"):
            yield self.states.name("generate"), self._generate(p.models.teacher)
            if self._verdicts and self.states.has("grade"):
                judging = self._verdicts.about(self._teaching, self.questions.examples("train"))
                self._same = self._same and judging.same
                yield self.states.name("grade"), judging
        if p.evaluate and p.erase and p.models and self.states.has("evaluate"):
            yield self.states.name("evaluate"), self._evaluate(p.evaluate, p.erase, p.models)

    def _generate(self, teacher: str) -> Asking:
        asking = self._asker.ask(self._teaching, REQUESTS, (*self._notes(teacher), *self.choices[1]))
        self._same = not asking.wanted and asking.same
        return asking

    def _evaluate(self, evaluate: EvaluateConfig, erase: EraseConfig, named: ModelsConfig) -> Asking:
        chosen, notes = self.choices
        trained = self._trained()
        students = student_lines(evaluate, erase.asked, named.compared)
        digests = {
            role: trained if is_student(role) else self._digest(named.compared.get(role, named.student))
            for role in students
        }
        digests["teacher"] = self._digest(named.teacher)
        for reference in sorted(set(named.compared.values())):
            notes = (*notes, *(note for note in self._notes(reference) if note not in notes))
        if trained.startswith(_UNKNOWN):
            trains = self.states.has("train")
            anew = "the student is trained anew" if trains else f"nothing trains a student, and {TRAINED} is not here"
            notes = (*notes, f"{anew}, so none of its answers is stored")
        elif not self.states.stays("train"):
            notes = (*notes, "what the student learns from does not change, so it is not trained anew")
        chosen = dict.fromkeys(self.questions.tasks.examined, evaluate.teacher_strategy) | chosen
        asks = examining(self.templates, chosen, students, digests, evaluate.sampling)
        asking = self._asker.ask(asks, EVALUATION_REQUESTS, notes)
        if not self._verdicts:
            return asking
        return together([asking, self._verdicts.about(asks, self.questions.examples("evaluation"))])

    @cached_property
    def _teaching(self) -> Asks:
        assert self.params.generate and self.params.models  # noqa: S101  (asked for by a step that needs both)
        teacher = self._digest(self.params.models.teacher)
        return teaching(self.templates, self.choices[0], self.params.generate, teacher, self.params.seed or 0)

    @cached_property
    def _verdicts(self) -> StoredVerdicts | None:
        """Where a model judges the answers to any question."""
        sources = self.params.tasks.sources.values() if self.params.tasks else ()
        if not self.params.models or not any(is_judged(source.grader) for source in sources):
            return None
        return StoredVerdicts(
            model=self._digest(self.params.models.judge),
            templates=self.templates,
            store=self.store,
            seconds=self._seconds,
        )

    @cached_property
    def _asker(self) -> Asker:
        return Asker(
            templates=self.templates,
            store=self.store,
            questions=self.questions,
            causes=self.causes,
            seconds=self._seconds,
        )

    @cached_property
    def questions(self) -> Written | Collected:
        """What `prepare_tasks` wrote, or will write."""
        if self.states.stays("prepare_tasks") or not self.params.tasks:
            return Written()
        examples, left_out, _ = collect(self.params.tasks, self.params.seed or 0)
        return Collected(examples, left_out)

    @cached_property
    def _probing(self) -> Probing:
        assert self.params.probe and self.params.models  # noqa: S101  (asked for by steps that need both)
        return Probing(
            config=self.params.probe,
            models={role: self._digest(getattr(self.params.models, role)) for role in self.params.probe.judges},
            seed=self.params.seed or 0,
            questions=self.questions,
            templates=self.templates,
            store=self.store,
            verdicts=self._verdicts,
        )

    @cached_property
    def choices(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """The strategy of each task: as chosen, as it will be chosen from stored answers, or as it must be assumed."""
        if self.states.stays("select_strategies") or not self.params.probe:
            return read_choices(CHOICES), ()
        choices = self._probing.choices()
        if choices is not None:
            chosen = {choice.task: choice.strategy for choice in choices}
            require_choices(chosen, self.questions.tasks.taught, CHOICES)
            return chosen, ()
        return self._assumed(self.params.probe.strategies[0])

    def _assumed(self, first: str) -> tuple[dict[str, str], tuple[str, ...]]:
        """As chosen last time, and a first strategy for the others."""
        written = read_choices(CHOICES) if CHOICES.is_file() else {}
        before = {task: strategy for task, strategy in written.items() if strategy in self.templates.strategies}
        new = [task for task in self.questions.tasks.taught if task not in before]
        notes = [f"the probe chooses as {CHOICES} says now"] if before else []
        notes += [f"{first} for {', '.join(new)}, which has no strategy yet"] if new else []
        return {task: before.get(task, first) for task in self.questions.tasks.taught}, tuple(notes)

    @cached_property
    def _prepared(self) -> dict[str, models.Model]:
        return (models.read_prepared() if models.PREPARED.is_file() else {}) | models.read_compared()

    def _digest(self, reference: str) -> str:
        """Of the prepared model; where it must be prepared again, what that will give, or gave last time."""
        if reference not in self._digests:
            known = {model.reference: model.digest for model in self._prepared.values()}
            found = None if self.states.stays("prepare_models") and reference in known else models.identify(reference)
            self._digests[reference] = found or known.get(reference, _UNKNOWN + reference)
        return self._digests[reference]

    def _notes(self, reference: str) -> tuple[str, ...]:
        """What had to be assumed of a model."""
        if self._digest(reference).startswith(_UNKNOWN):
            return (f"{reference} is not prepared yet, so none of its answers is stored",)
        sure = self.states.stays("prepare_models") or not reference.startswith(("package:", "hub:"))
        return () if sure else (f"{reference} is prepared as it was before",)

    def _trained(self) -> str:
        """Digest of the student, where training will not run again: nothing changes in or before `data/packed`."""
        learning = ("grade", "erase", "pack", "train")
        sure = not self.choices[1]
        same = sure and self._same and all(self._teaches_the_same(step) for step in learning)
        if (self.states.stays("train") or same) and TRAINED.is_dir():
            return models.from_folder(Path(TRAINED)).digest
        return _TRAINED

    def _teaches_the_same(self, step: str) -> bool:
        """Whether nothing of its own changed but templates of techniques, of which all that counts is asked."""
        if self.states.of(step) != "stale":
            return True
        edited = {Path(file).stem for file in git.edited_files(Path(), _TECHNIQUES)}
        probed = self.params.probe.strategies if self.params.probe else ()
        return self.states.reads_anew_only(step, _TECHNIQUES) and bool(edited) and edited <= {*probed}

    def _seconds(self, tokens: Mapping[str, float]) -> tuple[float, float] | None:
        """Over all models that must answer, one after the other."""
        total = (0.0, 0.0)
        for model in sorted(tokens):
            known = model
            if model == _TRAINED and self.params.models:
                # The student has the speed of the model that it is trained from.
                known = self._digest(self.params.models.student)
            cluster = self.params.cluster
            runs = speeds.recent(self.store.root, known, arrangement(cluster.generation)) if cluster else []
            taken = speeds.seconds(runs, tokens[model])
            if taken is None:
                return None
            total = (total[0] + taken[0], total[1] + taken[1])
        return total
