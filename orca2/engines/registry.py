"""The engines there are, by the kind of the reference of the model that they run.

A further one is a module with an `Answering` in it (see `engines.base`), and its line here.
"""

from orca2.engines.base import Answering
from orca2.engines.http import answering_over_http
from orca2.engines.ray_pool import answering_on_ray
from orca2.recipe.models import Model

ENGINES: dict[str, Answering] = {
    "package": answering_on_ray,
    "hub": answering_on_ray,
    "path": answering_on_ray,
    "http": answering_over_http,
}


def engine_of(model: Model) -> Answering:
    """What answers the requests of a model."""
    return ENGINES[model.reference.partition(":")[0]]
