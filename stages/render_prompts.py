"""Render and key every request to the teacher, before any engine starts.

    python -m stages.render_prompts

Reads data/examples, data/strategies.yaml, models/models.json and templates/. Writes data/requests.
"""

from pathlib import Path

from orca2 import config, models
from orca2.counts import write_counts
from orca2.errors import exit_on_error
from orca2.prompts import Templates
from orca2.requests import GenerateConfig, build_request
from orca2.rows import Example, Request
from orca2.shards import read_rows, write_rows
from orca2.strategies import read_choices, require_choices

CHOICES = Path("data/strategies.yaml")


def main() -> None:
    params = config.load(generate=GenerateConfig, seed=int)
    templates = Templates()
    chosen = read_choices(CHOICES)
    templates.check_strategies(chosen.values(), str(CHOICES))
    examples = [e for e in read_rows(Path("data/examples"), Example) if e.split == "train"]
    require_choices(chosen, {e.task for e in examples}, CHOICES)
    teacher = models.read_index()["teacher"]
    conversations = [(e, templates.teacher(e, chosen[e.task])) for e in examples]
    requests = [
        build_request(
            row_id=example.row_id,
            sample_index=sample_index,
            task=example.task,
            strategy=chosen[example.task],
            template=conversation.template,
            model=teacher.digest,
            messages=conversation.messages,
            sampling=params.generate.sampling,
            seed=params.seed,
        )
        for example, conversation in conversations
        for sample_index in range(params.generate.samples)
    ]
    write_rows(Path("data/requests"), Request, requests)
    write_counts("render_prompts", len(examples) * params.generate.samples, requests, [])


if __name__ == "__main__":
    exit_on_error(main)
