"""What stops a run: before anything is paid, or when too much of it came to nothing."""

from collections.abc import Iterable, Sequence

from orca2.core.errors import Orca2Error
from orca2.core.rows import Request
from orca2.engines.config import GenerationConfig
from orca2.engines.runs import GenerationRun
from orca2.recipe.models import Model
from orca2.store.store import Store

_SHOWN = 20
"""Rows without an answer that an error names; the others lie beside them on disk."""


def most_new_tokens(requests: Iterable[Request]) -> int:
    """What these requests could generate, were every answer as long as its limit."""
    return sum(request.sampling.max_tokens for request in requests)


def require_model(digests: Iterable[str], model: Model) -> None:
    """An answer must be that of the model its key names: requests of another one are older than the model folder."""
    if any(digest != model.digest for digest in digests):
        hint = "run `dvc repro`, which renders the requests for it"
        raise Orca2Error("requests name another model than the one prepared", model.reference, hint)


def require_budget(requests: Sequence[Request], store: Store, config: GenerationConfig, later: int = 0) -> None:
    """Raise when those of the requests that the store does not answer could generate more than `max_new_tokens`.

    A stage that asks several models calls this with all its requests before the first one is asked. So many `later`
    ones, of the same limit, count where any is missing: what is stored decides what they are.
    """
    if config.max_new_tokens is None:
        return
    missing = store.missing(requests)
    following = later * missing[0].sampling.max_tokens if missing else 0
    require_within_budget(len(missing) + (later if missing else 0), most_new_tokens(missing) + following, config)


def require_within_budget(missing: int, most: int, config: GenerationConfig) -> None:
    """Raise when so many requests could generate `most` tokens, more than `max_new_tokens`."""
    if config.max_new_tokens is not None and most > config.max_new_tokens:
        message = f"{missing} requests could generate {most} tokens, above max_new_tokens {config.max_new_tokens}"
        hint = "see `orca2 plan` for what they are; then ask less, raise the budget, or set it to null"
        raise Orca2Error(message, "params.yaml: cluster.generation.max_new_tokens", hint)


def require_answers(run: GenerationRun, config: GenerationConfig) -> None:
    """Raise, and name the rows, when more of them have no answer than `max_failure_share` allows."""
    failures, total = run.failures, len(run.failures) + run.num_answered
    if len(failures) <= config.http.max_failure_share * total:
        return
    stage = failures[0].stage
    rows = [f"row {f.row_id[:12]}, sample {f.sample_index}, {f.strategy}: {f.reason}: {f.detail}" for f in failures]
    more = [f"and {len(rows) - _SHOWN} more, all in data/rejected/{stage}"] if len(rows) > _SHOWN else []
    listed = "\n    ".join(rows[:_SHOWN] + more)
    message = f"{len(failures)} of {total} requests have no answer, more than max_failure_share allows\n    {listed}"
    hint = "run it again, which asks for these alone; or raise cluster.generation.http.max_failure_share to go without"
    raise Orca2Error(message, f"stage {stage}", hint)
