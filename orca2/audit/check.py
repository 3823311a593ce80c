"""Look at everything a user writes before anything runs: parameters, templates, sources, models, Ray.

`orca2 check` reports all that is wrong at once; `make repro` runs it first. Each stage also checks what it reads.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

from orca2.core import config
from orca2.core.cluster import check_address
from orca2.core.errors import Orca2Error, raise_all
from orca2.engines.config import GenerationCluster
from orca2.engines.http import check_endpoint
from orca2.project.dvc_files import require_declared, stages, watched_sections
from orca2.recipe.erasure import EraseConfig, check_erased_names, check_lines
from orca2.recipe.evaluation import EvaluateConfig
from orca2.recipe.filtering import GradeConfig, load_filters
from orca2.recipe.grading import check_grader, check_judges
from orca2.recipe.models import ModelsConfig, check_reference
from orca2.recipe.packing import PackConfig
from orca2.recipe.requests import GenerateConfig, ProbeConfig
from orca2.recipe.sources import kind_of
from orca2.recipe.sources.files import files_of
from orca2.recipe.tasks import TasksConfig
from orca2.recipe.templates import Templates
from orca2.recipe.templates.proofs import teacher_faults
from orca2.training.earlier import check_student
from orca2.training.loop import TrainConfig
from orca2.training.run import TrainingCluster


@dataclass(frozen=True, kw_only=True)
class ClusterConfig(GenerationCluster, TrainingCluster):
    """The whole of `cluster:`: speed only."""


_T = TypeVar("_T")
SECTIONS: dict[str, type] = {
    "seed": int,
    "models": ModelsConfig,
    "tasks": TasksConfig,
    "probe": ProbeConfig,
    "generate": GenerateConfig,
    "grade": GradeConfig,
    "erase": EraseConfig,
    "pack": PackConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "cluster": ClusterConfig,
}
"""Every section of params.yaml and the dataclass that owns it."""


def check(params_file: Path = config.PARAMS_FILE, templates_root: Path = Path("templates")) -> None:
    """Check all that can be judged without loading a model or a dataset.

    Raises:
        InputErrors: everything that is wrong.
    """
    errors: list[Orca2Error] = []
    own = watched_sections(_attempt(errors, stages) or ())
    unknown = _attempt(errors, lambda: config.unknown_sections(SECTIONS, also=own, file=params_file))
    errors += unknown or []
    # Section by section, so that a fault in one does not hide what is wrong with the names in another.
    names = () if unknown is None else tuple(SECTIONS)
    sections = {name: _attempt(errors, partial(_load, params_file, name)) for name in names}
    templates = _attempt(errors, lambda: Templates(templates_root))
    _attempt(errors, lambda: check_address(os.environ.get("RAY_ADDRESS", "")))
    params = SimpleNamespace(**{name: sections.get(name) for name in SECTIONS})
    _check_params(errors, params, params_file)
    _check_lengths(errors, params, params_file)
    if templates:
        _check_names(errors, params, templates, params_file)
    raise_all(errors)


def _load(file: Path, name: str) -> object:
    return config.load_section(name, SECTIONS[name], file)


def _check_params(errors: list[Orca2Error], params: SimpleNamespace, file: Path) -> None:
    for reference in params.models.all_references if params.models else ():
        _attempt(errors, partial(check_reference, reference))
        _attempt(errors, partial(check_student, reference))
        if reference.startswith("path:"):
            _attempt(errors, partial(require_declared, reference.removeprefix("path:"), "prepare_models"))
    if params.models and params.cluster and any(r.startswith("http:") for r in params.models.all_references):
        _attempt(errors, lambda: check_endpoint(params.cluster.generation.http))
    if params.grade:
        _attempt(errors, partial(load_filters, params.grade, f"{file}: grade.filters"))
    for name, source in params.tasks.sources.items() if params.tasks else ():
        _attempt(errors, partial(kind_of, name, source))
        _attempt(errors, partial(check_grader, source.grader, f"{file}: tasks.sources.{name}.grader"))
        if source.is_local and _attempt(errors, partial(files_of, source.name, f"{file}: tasks.sources.{name}.name")):
            _attempt(errors, partial(require_declared, source.watched, "prepare_tasks"))


def _check_lengths(errors: list[Orca2Error], params: SimpleNamespace, file: Path) -> None:
    """An answer of the longest that is asked for must leave room for a question in the context of an engine."""
    if not (params.models and params.cluster):
        return
    # The student never stands behind an endpoint, whose context nobody knows here.
    asked = ["evaluate"] if params.models.teacher.startswith("http:") else ["probe", "generate", "evaluate"]
    asked += ["probe"] * (len(asked) == 1 and params.probe is not None and "student" in params.probe.judges)
    context = params.cluster.generation.engine.max_model_len
    for name in asked:
        config_of = getattr(params, name)
        if config_of and config_of.sampling.max_tokens >= context:
            problem = f"{config_of.sampling.max_tokens} leaves no room for a question: the context holds {context}"
            hint = "lower it, or raise cluster.generation.engine.max_model_len if the model allows it"
            errors.append(Orca2Error(problem, f"{file}: {name}.sampling.max_tokens", hint))


def _check_names(errors: list[Orca2Error], params: SimpleNamespace, templates: Templates, file: Path) -> None:
    sources = params.tasks.sources if params.tasks else {}
    about = sorted({(source.task or name, source.category) for name, source in sources.items()})
    probed = params.probe.strategies if params.probe else ()
    categories = {source.category for source in sources.values()}
    # The tasks that a column names are known when the source is read: `orca2 check --sources` looks then.
    if params.tasks and params.tasks.names_all:
        _attempt(errors, lambda: templates.check_tasks(params.tasks.tasks, categories, f"{file}: tasks.sources"))
    _attempt(errors, lambda: templates.check_strategies(probed, f"{file}: probe.strategies", about))
    _attempt(errors, lambda: raise_all(teacher_faults(templates, set(templates.strategies) - {*probed}, about)))
    judge = params.models.judge if params.models else ""
    graders = {name: source.grader for name, source in sources.items()}
    _attempt(errors, lambda: check_judges(graders, templates, judge, f"{file}: tasks.sources"))
    if params.evaluate and params.tasks and params.tasks.tasks != params.tasks.taught:
        named = [params.evaluate.teacher_strategy]
        _attempt(errors, lambda: templates.check_strategies(named, f"{file}: evaluate.teacher_strategy"))
    if params.erase:
        _attempt(errors, lambda: check_lines(params.erase, templates, f"{file}: erase", about))
    if params.erase and params.tasks and params.tasks.names_all:
        known = [*params.tasks.tasks, *categories]
        _attempt(errors, lambda: check_erased_names(params.erase, known, f"{file}: erase"))
    for name in params.evaluate.student_templates if params.evaluate else ():
        _attempt(errors, partial(templates.check_student, name, f"{file}: evaluate.student_templates", about))


def _attempt(errors: list[Orca2Error], action: Callable[[], _T]) -> _T | None:
    """The action's result, or None with its error collected."""
    try:
        return action()
    except Orca2Error as error:
        errors.append(error)
        return None
