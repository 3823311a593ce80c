"""What `dvc repro` would do now: which stages run and why, what is asked of models, at what cost (docs/design.md, 1).

The requests come from what the stages themselves ask (`requests.Asks`), and are looked up in the very store, so that
plan and run agree row for row. Nothing is started and nothing is written. Where a stage depends on one that has not run
yet, the plan goes on from what it can work out, and else says what it assumed. A pipeline may lack any stage.
"""

from dataclasses import dataclass

from orca2.core import config
from orca2.core.errors import Orca2Error, raise_all
from orca2.plan.asking import Asking
from orca2.plan.causes import Causes
from orca2.plan.planner import Params, Planner
from orca2.plan.states import States
from orca2.project.code import STEPS_FILE, step_digests
from orca2.project.pipeline import StageState, stage_states
from orca2.recipe.erasure import check_lines
from orca2.recipe.grading import check_grader, check_judges
from orca2.recipe.templates import Templates
from orca2.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every stage, and what those that ask models will ask."""

    states: tuple[StageState, ...]
    asking: dict[str, Asking]
    """By the name of the stage."""
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
    states = tuple(stage_states(will_say={str(STEPS_FILE): step_digests()}))
    known = States(states)
    params.require(known)
    templates = Templates()
    _require_sound(params, known, templates)
    with Causes(templates, store) as causes:
        planner = Planner(params=params, store=store, states=known, templates=templates, causes=causes)
        asking = dict(planner.asking())
    budget = params.cluster.generation.max_new_tokens if params.cluster else None
    return Plan(states=states, asking=asking, max_new_tokens=budget if max_new_tokens is None else max_new_tokens)


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


def _require_sound(params: Params, states: States, templates: Templates) -> None:
    """What the stages check before they ask."""
    if params.probe and states.has("probe"):
        templates.check_strategies(params.probe.strategies, "params.yaml: probe.strategies")
    if params.erase and (states.has("erase") or states.has("evaluate")):
        check_lines(params.erase, templates, "params.yaml: erase")
    for template in params.evaluate.student_templates if params.evaluate and states.has("evaluate") else ():
        templates.check_student(template, "params.yaml: evaluate.student_templates")
    for name, source in (params.tasks.sources if params.tasks else {}).items():
        check_grader(source.grader, f"params.yaml: tasks.sources.{name}.grader")
    if params.tasks:
        graders = {name: source.grader for name, source in params.tasks.sources.items()}
        judge = params.models.judge if params.models else ""
        check_judges(graders, templates, judge, "params.yaml: tasks.sources")
