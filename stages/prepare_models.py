"""Find the models and lock each by a digest of its content, without a copy of the weights.

    python -m stages.prepare_models

Reads the references in params.yaml. Writes models/models.json and, of models that are only examined,
models/compared.json; weights stay where they are.
"""

from dataclasses import dataclass

from orca2.core import config
from orca2.core.errors import exit_on_error
from orca2.project.dvc_files import require_declared
from orca2.recipe.models import COMPARED, ModelsConfig, prepare, write_prepared
from orca2.training import earlier


@dataclass(frozen=True, kw_only=True)
class Params(config.Sections):
    """What this stage reads of params.yaml."""

    models: ModelsConfig


def main() -> None:
    params = config.load(Params)
    recipe = params.models.references
    for reference in params.models.all_references:
        if reference.startswith("path:"):
            require_declared(reference.removeprefix("path:"), "prepare_models")
        earlier.bring_student(reference)
    prepared = {reference: prepare(reference) for reference in params.models.all_references}
    write_prepared({role: prepared[reference] for role, reference in recipe.items()})
    write_prepared({name: prepared[reference] for name, reference in params.models.compared.items()}, COMPARED)
    for role, reference in (recipe | params.models.compared).items():
        print(f"prepare_models: {role} is {reference}, digest {prepared[reference].digest[:12]}")


if __name__ == "__main__":
    exit_on_error(main)
