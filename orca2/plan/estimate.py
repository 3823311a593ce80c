"""How many tokens a request typically costs, by the artifacts as they lie there."""

from collections.abc import Iterator
from pathlib import Path

from orca2.plan.earlier import read, shards
from orca2.project.artifacts import EVALUATED, FURTHER, GENERATIONS, PROBED

_ARTIFACTS = (PROBED, GENERATIONS, *EVALUATED.values(), FURTHER)
_CHARACTERS_PER_TOKEN = 4
"""Of a prompt that nothing is known of."""


class Typical:
    """Mean tokens of prompt and answer by task and strategy, in the artifacts as they lie there."""

    def __init__(self) -> None:
        sums: dict[tuple[str, str], tuple[int, int, int]] = {}
        for artifact in _ARTIFACTS:
            for name, (rows, prompt, new) in _sums(artifact.path):
                before = sums.get(name, (0, 0, 0))
                sums[name] = (before[0] + rows, before[1] + prompt, before[2] + new)
        self._means = {name: (prompt / rows, new / rows) for name, (rows, prompt, new) in sums.items()}

    def of(self, task: str, strategy: str, characters: int, max_tokens: int) -> tuple[float, float]:
        """Tokens of the prompt and of the answer, of a request that is so long and has this limit."""
        prompt, new = self._means.get((task, strategy), (characters / _CHARACTERS_PER_TOKEN, float(max_tokens)))
        return prompt, min(new, max_tokens)


def _sums(folder: Path) -> Iterator[tuple[tuple[str, str], tuple[int, int, int]]]:
    """By task and strategy: rows, tokens of their prompts, and of their answers."""
    import pyarrow as pa

    for part in read(shards(folder), ("task", "strategy", "prompt_tokens", "completion_tokens")):
        sums = [("prompt_tokens", "count"), ("prompt_tokens", "sum"), ("completion_tokens", "sum")]
        for group in pa.table(part).group_by(["task", "strategy"]).aggregate(sums).to_pylist():
            told = (group["prompt_tokens_count"], group["prompt_tokens_sum"], group["completion_tokens_sum"])
            yield (group["task"], group["strategy"]), told
