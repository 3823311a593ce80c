"""How many tokens a request typically costs, by the artifacts as they lie there."""

from pathlib import Path

from orca2.core.rows import Request
from orca2.project.shards import read_columns


class Typical:
    """Mean tokens of prompt and answer by task and strategy, in the artifacts as they lie there."""

    _ARTIFACTS = (
        "data/probe/graded",
        "data/generations",
        *(f"data/evaluation/{r}" for r in ("base", "student", "teacher")),
    )
    _CHARACTERS_PER_TOKEN = 4
    """Of a prompt that nothing is known of."""

    def __init__(self) -> None:
        sums: dict[tuple[str, str], list[int]] = {}
        for folder in map(Path, self._ARTIFACTS):
            if any(folder.glob("rows-*.parquet")):
                columns = read_columns(folder, ["task", "strategy", "prompt_tokens", "completion_tokens"]).to_pydict()
                for task, strategy, prompt, new in zip(*columns.values(), strict=True):
                    total = sums.setdefault((task, strategy), [0, 0, 0])
                    total[0], total[1], total[2] = total[0] + 1, total[1] + prompt, total[2] + new
        self._means = {place: (prompt / n, new / n) for place, (n, prompt, new) in sums.items()}

    def of(self, request: Request) -> tuple[float, float]:
        characters = sum(len(message.content) for message in request.messages)
        unknown = (characters / self._CHARACTERS_PER_TOKEN, float(request.sampling.max_tokens))
        prompt, new = self._means.get((request.task, request.strategy), unknown)
        return prompt, min(new, request.sampling.max_tokens)
