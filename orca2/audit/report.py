"""One self-contained page about a run: what was won, by which techniques, where the rows went, what they look like.

`report_inputs` reads, `report_figures` draws, `report_claims` says who is ahead, this module puts it on the page; the
rest of the wording is in `report.html.j2`. Everything was read from an artifact: equal inputs give equal bytes, with no
clock, host or path. What is absent is said to be, and no figure stands for it. What a model wrote is escaped by the
template (autoescape), and the page's own policy forbids scripts and the network.
"""

import os
from pathlib import Path
from typing import Any

from orca2.audit.report_claims import again, compared, headline, in_short, losses, near_copies, on_benchmarks, others
from orca2.audit.report_figures import (
    EXTRACTIONS,
    LONG,
    Bars,
    accuracy_figure,
    colour_of,
    inline,
    loss_figure,
    name,
    results,
    whole,
)
from orca2.audit.report_inputs import Evaluation, Evidence, Inputs, in_order, read_inputs
from orca2.recipe.evaluation.benchmarks import AVERAGE, TAUGHT, Figure
from orca2.recipe.strategies import Used

__all__ = ["Inputs", "read_inputs", "write"]


def write(inputs: Inputs, folder: Path = Path("report")) -> None:
    """Write the page, and its first figure for a README."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"index.html": page(inputs).encode()}
    for kind in ("svg", "png") if inputs.evaluation else ():
        files[f"accuracy.{kind}"] = accuracy_figure(inputs.evaluation, kind, benchmark_bars(inputs))
    for file, content in files.items():
        temporary = folder / f".{file}.{os.getpid()}.tmp"
        temporary.write_bytes(content)
        temporary.replace(folder / file)


def page(inputs: Inputs) -> str:
    """The whole page, as HTML that needs nothing beside itself."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"whole": whole, "name": name}
    accuracy = accuracy_figure(inputs.evaluation, "svg", benchmark_bars(inputs)) if inputs.evaluation else b""
    loss = loss_figure(inputs.loss) if inputs.loss else b""
    return environment.get_template("report.html.j2").render(
        inputs=inputs,
        models=in_order(inputs.evaluation),
        colour_of=colour_of,
        long=LONG,
        extractions=EXTRACTIONS,
        results=results(inputs.evaluation),
        benchmarks=benchmarks(inputs),
        headline=headline(inputs),
        compared=compared(inputs),
        losses=losses(inputs),
        on_benchmarks=on_benchmarks(inputs),
        in_short=in_short(inputs),
        near=near_copies(inputs),
        again=again(inputs),
        others=others(inputs),
        matrix=matrix_rows(inputs.techniques),
        heat=heat_rows(inputs.chosen, inputs.evidence),
        accuracy_figure=inline(accuracy, "Accuracy by task and model; table below") if accuracy else "",
        loss_figure=inline(loss, "Training loss by step; table below") if loss else "",
    )


def benchmarks(inputs: Inputs) -> dict[str, Figure]:
    """The average over benchmarks, each benchmark by name, and what was taught, as far as there are any."""
    ends = {AVERAGE: 0, TAUGHT: 2}
    return dict(sorted(inputs.benchmarks.items(), key=lambda item: (ends.get(item[0], 1), item[0])))


def benchmark_bars(inputs: Inputs) -> dict[str, Bars]:
    """The same as rows of the figure."""
    return {name: figure["models"] for name, figure in benchmarks(inputs).items()}


def accuracy_points(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Strict accuracy as rows for `dvc plots`: the macro average, then every task, for each model."""
    rows = results(evaluation) if evaluation else {}
    return [
        {"task": task, "model": model, **found["strict"]}
        for task, by_model in rows.items()
        for model, found in by_model.items()
    ]


def strategy_points(evidence: Evidence) -> list[dict[str, Any]]:
    """Probe accuracy as rows for `dvc plots`: every task and strategy."""
    scores = sorted((task, s["strategy"], s["accuracy"]) for task, found in evidence.items() for s in found["scores"])
    return [{"task": task, "strategy": strategy, "accuracy": accuracy} for task, strategy, accuracy in scores]


def matrix_rows(techniques: Used) -> list[dict[str, Any]]:
    """For each task the technique taught, and how many answers of the student show which."""
    return [
        {"task": task, "taught": taught, "used": used, "answers": sum(used.values())}
        for task, by_taught in techniques["models"].get("student", {}).items()
        for taught, used in by_taught.items()
    ]


def heat_rows(chosen: dict[str, str], evidence: Evidence) -> list[dict[str, Any]]:
    """For each task its score by strategy, the choice, and how clear that was or that a person made it."""
    rows = []
    for task, strategy in sorted(chosen.items()):
        found = evidence.get(task) or {"verdict": "", "p_value": None, "scores": []}
        scores = {score["strategy"]: score for score in found["scores"]}
        verdict = found["verdict"] if next(iter(scores), None) == strategy else "chosen by hand"
        rows.append(
            {"smallest_lead": None, **found, "task": task, "strategy": strategy, "verdict": verdict, "scores": scores}
        )
    return rows
