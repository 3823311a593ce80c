"""One self-contained page about a run: what was won, by which techniques, where the rows went, what they look like.

This module reads, compares and draws; the wording is in `report.html.j2`. Everything was read from an artifact: equal
inputs give equal bytes, with no clock, host or path. What a model wrote is escaped by the template (autoescape), and
the page's own policy forbids scripts and the network.
"""

import csv
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, islice
from pathlib import Path
from textwrap import fill
from typing import Any

import yaml

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.hashing import digest
from orca2.core.rows import Chat, Request
from orca2.project.shards import read_rows
from orca2.recipe.strategies import read_choices

MODELS = ("base", "student", "teacher")
EXTRACTIONS = {"strict": "the last Answer: line counts", "lenient": "any clear statement counts"}
STAGES = ("prepare_tasks", "probe", "render_prompts", "generate", "grade", "erase", "pack")
COUNTS = ("rows_in", "rows_out", "rejected")
COLOURS = {
    "base": "#8b95a5", "student": "#0072b2", "teacher": "#e69f00",
    "ink": "#1b1f24", "muted": "#5f6b7a", "rule": "#e3e7ec", "paper": "#fefefe",
}  # fmt: skip
"""Light palette of the figures, blue and orange of Okabe and Ito; in the page each is the CSS variable of its name."""
_STYLE = {
    "svg.hashsalt": "orca2", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 8,
    "text.color": COLOURS["ink"], "grid.color": COLOURS["rule"], "figure.facecolor": COLOURS["paper"],
    "axes.facecolor": "none", "axes.axisbelow": True, "axes.labelcolor": COLOURS["muted"], "text.parse_math": False,
    **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    **{f"{axis}tick.major.size": 0 for axis in "xy"}, **{f"{axis}tick.color": COLOURS["muted"] for axis in "xy"},
}  # fmt: skip
_METADATA = {"svg": dict.fromkeys(("Date", "Creator", "Format", "Type")), "png": {"Software": None}}
_AGAIN = "run `dvc repro`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything the page is made from, as the stages wrote it: models, tasks and stages are named by the keys."""

    evaluation: dict[str, Any]
    chosen: dict[str, str]
    """Task to strategy, as training used it, after any edit by a person."""
    evidence: dict[str, Any]
    loss: Sequence[tuple[int, float]]
    """Training step and its loss, in nats per supervised token."""
    counts: dict[str, dict[str, Any]]
    samples: Sequence[tuple[Chat, Request]]
    """Training conversations, each beside the request whose instruction it no longer shows."""


def read_inputs(root: Path = Path()) -> Inputs:
    """Read what the stages wrote under `root`; every artifact that is missing or spoilt is named in one error."""
    errors: list[Orca2Error] = []

    def attempt(read: Callable[..., Any], *names: str, **options: Any) -> Any:
        try:
            return read(*(root / name for name in names), **options)
        except Orca2Error as error:
            errors.append(error)

    chosen, evidence = attempt(_read_strategies, "data/strategies.yaml") or ({}, {})
    inputs = Inputs(
        evaluation=attempt(_read_json, "metrics/evaluate.json", keys=MODELS),
        chosen=chosen,
        evidence=evidence,
        loss=attempt(_read_loss, "plots/train"),
        counts={stage: attempt(_read_json, f"metrics/{stage}.json", keys=COUNTS) for stage in STAGES},
        samples=attempt(_read_samples, "data/chats", "data/requests"),
    )
    raise_all(errors)
    return inputs


def write(inputs: Inputs, folder: Path = Path("report")) -> None:
    """Write the page, and its first figure for a README."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "index.html": page(inputs).encode(),
        "accuracy.svg": accuracy_figure(inputs.evaluation, "svg"),
        "accuracy.png": accuracy_figure(inputs.evaluation, "png"),
    }
    for name, content in files.items():
        temporary = folder / f".{name}.{os.getpid()}.tmp"
        temporary.write_bytes(content)
        temporary.replace(folder / name)


def page(inputs: Inputs) -> str:
    """The whole page, as HTML that needs nothing beside itself."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"whole": whole, "name": _name}
    return environment.get_template("report.html.j2").render(
        inputs=inputs, models=MODELS, extractions=EXTRACTIONS, headline=headline(inputs.evaluation), compare=compare,
        heat=heat_rows(inputs.chosen, inputs.evidence),
        accuracy_figure=_inline(accuracy_figure(inputs.evaluation, "svg"), "Accuracy by task and model; table below"),
        loss_figure=_inline(loss_figure(inputs.loss), "Training loss by step; table below"),
    )  # fmt: skip


def whole(share: float) -> str:
    """`0.4375` as `44`: per cent to the nearest whole number, halves up."""
    return str(math.floor(100 * share + 0.5 + 1e-9))


def headline(evaluation: dict[str, Any]) -> str:
    """The macro result in one sentence that claims only what both extractions show with intervals apart."""
    student, claims = evaluation["student"]["macro"], []
    for other, whom in (("base", "its base model"), ("teacher", "its teacher")):
        strict, lenient = (compare(student[name], evaluation[other]["macro"][name])["verdict"] for name in EXTRACTIONS)
        split = f" by strict extraction but {lenient} it by lenient" if lenient != strict else ""
        claims.append(f"{strict} {whom}{split}")
    return f"The student is {', and '.join(claims)}."


def compare(one: dict[str, float], other: dict[str, float]) -> dict[str, Any]:
    """Two results: `points` that the first is ahead, whether the intervals `overlap`, and the `verdict` in words."""
    overlap = one["low"] <= other["high"] and other["low"] <= one["high"]
    points = round(100 * (one["accuracy"] - other["accuracy"]), 1)
    verdict = "not clearly apart from" if overlap else "clearly ahead of" if points > 0 else "clearly behind"
    return {"points": points, "overlap": overlap, "verdict": verdict}


def accuracy_points(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Strict accuracy as rows for `dvc plots`: the macro average, then every task, for each model."""
    results = [(task, model, result[model]) for task, result in _results(evaluation).items() for model in MODELS]
    return [{"task": task, "model": model, **result["strict"]} for task, model, result in results]


def strategy_points(evidence: dict[str, Any]) -> list[dict[str, Any]]:
    """Probe accuracy as rows for `dvc plots`: every task and strategy."""
    scores = sorted((task, s["strategy"], s["accuracy"]) for task, found in evidence.items() for s in found["scores"])
    return [{"task": task, "strategy": strategy, "accuracy": accuracy} for task, strategy, accuracy in scores]


def heat_rows(chosen: dict[str, str], evidence: dict[str, Any]) -> list[dict[str, Any]]:
    """For each task its score by strategy, the choice, and how clear that was or that a person made it."""
    rows = []
    for task, strategy in sorted(chosen.items()):
        found = evidence.get(task) or {"verdict": "", "p_value": None, "runner_up": None, "scores": []}
        scores = {score["strategy"]: score for score in found["scores"]}
        verdict = found["verdict"] if next(iter(scores), None) == strategy else "chosen by hand"
        rows.append(found | {"task": task, "strategy": strategy, "verdict": verdict, "scores": scores})
    return rows


def choose_samples(chats: Iterable[Chat], per_group: int = 2) -> list[Chat]:
    """A few chats of each task and strategy, drawn by the hash of their identity: the same ones on any day."""
    ordered = sorted(chats, key=lambda c: (c.task, c.strategy, digest("report sample", [c.row_id, c.sample_index])))
    groups = groupby(ordered, key=lambda chat: (chat.task, chat.strategy))
    return [chat for _, group in groups for chat in islice(group, per_group)]


def accuracy_figure(evaluation: dict[str, Any], kind: str) -> bytes:
    """Bars with 95 % intervals: macro average and tasks in rows, the extractions side by side; `svg` or `png`."""
    from matplotlib import figure, rc_context

    results = _results(evaluation)
    height = 0.6 * len(results) + 1.1
    margins = {"left": 0.165, "right": 0.99, "top": 1 - 0.6 / height, "bottom": 0.5 / height, "wspace": 0.06}
    with rc_context(_STYLE):
        canvas = figure.Figure(figsize=(9, height))
        panels = canvas.subplots(1, len(EXTRACTIONS), sharey=True, gridspec_kw=margins)
        for axes, extraction in zip(panels, EXTRACTIONS, strict=True):
            _draw_panel(axes, extraction, [{m: result[m][extraction] for m in MODELS} for result in results.values()])
        for row, task in enumerate(results):
            weight = "normal" if row else "bold"
            panels[0].text(-0.05, row, fill(_name(task), 18), ha="right", va="center", fontsize=9, weight=weight)
        canvas.text(0.165, 0.12 / height, "Accuracy on unseen questions, with 95 % intervals", color=COLOURS["muted"])
        return _saved(canvas, kind)


def loss_figure(loss: Sequence[tuple[int, float]]) -> bytes:
    """The training loss of every step, and its mean over a twentieth of the steps around each, as SVG."""
    from matplotlib import figure, rc_context

    steps, values = [step for step, _ in loss], [value for _, value in loss]
    means = _running_means(values, len(values) // 40)
    with rc_context(_STYLE):
        canvas = figure.Figure(figsize=(9, 2.8))
        axes = canvas.subplots(gridspec_kw={"left": 0.06, "right": 0.93, "top": 0.96, "bottom": 0.18})
        axes.plot(steps, values, color=COLOURS["student"], linewidth=0.8, alpha=0.4)
        axes.plot(steps, means, color=COLOURS["student"], linewidth=1.8)
        label, end = f"{means[-1]:.3g}", (steps[-1], means[-1])
        axes.annotate(label, end, (7, 0), textcoords="offset points", va="center", weight="bold")
        axes.grid(axis="y")
        axes.set(xlabel="step", xmargin=0.01, ymargin=0.12)
        return _saved(canvas, "svg")


def _draw_panel(axes: Any, extraction: str, results: list[dict[str, Any]]) -> None:
    for row, result in enumerate(results):
        for place, model in enumerate(MODELS):
            y, score = row + 0.26 * (place - 1), result[model]
            label = whole(score["accuracy"]) + ("" if row else f"  {model}")
            axes.barh(y, score["accuracy"], height=0.22, color=COLOURS[model], linewidth=0)
            axes.plot([score["low"], score["high"]], [y, y], color=COLOURS["ink"], linewidth=1)
            axes.text(score["high"] + 0.015, y, label, va="center", weight="normal" if row else "bold")
    axes.set(xlim=(0, 1.22), ylim=(len(results) - 0.4, -0.6), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels(["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x")
    axes.axhline(0.5, color=COLOURS["rule"], linewidth=1.2)
    above = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(extraction.capitalize(), (0, 1), (0, 20), weight="bold", fontsize=11, **above)
    axes.annotate(EXTRACTIONS[extraction], (0, 1), (0, 7), color=COLOURS["muted"], **above)


def _saved(figure: Any, kind: str) -> bytes:
    """The figure's bytes; an SVG without ids that could clash in a page, and with the reader's own fonts."""
    sink = io.BytesIO()
    figure.savefig(sink, format=kind, dpi=200, metadata=_METADATA[kind])
    if kind != "svg":
        return sink.getvalue()
    svg = re.sub(r"<!DOCTYPE[^>]*>\n", "", re.sub(r' id="[a-z][\w.]*_\d+"', "", sink.getvalue().decode()))
    return re.sub(r"font-family: [^;\"]*", "font-family: system-ui, 'Segoe UI', sans-serif", svg).encode()


def _inline(svg: bytes, label: str) -> str:
    """An SVG as part of the page: named for those who cannot see it, its colours those of the page."""
    text = "<svg" + svg.decode().partition("<svg")[2]
    text = re.sub(r'width="[^"]*pt" height="[^"]*pt"', f'role="img" aria-label="{label}"', text, count=1)
    for name, colour in COLOURS.items():
        text = text.replace(f": {colour}", f": var(--{name})")
    return text


def _results(evaluation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Row of the figure to model to its result."""
    rows = {task: {m: evaluation[m]["tasks"][task] for m in MODELS} for task in evaluation["base"]["tasks"]}
    return {"macro average": {m: evaluation[m]["macro"] for m in MODELS}} | rows


def _name(identifier: str) -> str:
    return identifier[:1].upper() + identifier[1:].replace("_", " ")


def _running_means(values: Sequence[float], reach: int) -> list[float]:
    """The mean of each value and its neighbours, `reach` to either side where there are as many."""
    sums = [0.0, *accumulate(values)]
    ends = [(max(0, i - reach), min(len(values), i + reach + 1)) for i in range(len(values))]
    return [(sums[end] - sums[start]) / (end - start) for start, end in ends]


def _read_json(file: Path, keys: Sequence[str]) -> Any:
    if not file.is_file():
        raise Orca2Error("artifact is missing", str(file), _AGAIN)
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Orca2Error(f"is not JSON: {error}", str(file), _AGAIN) from error
    lacking = [key for key in keys if not isinstance(value, dict) or key not in value]
    if lacking:
        raise Orca2Error(f"lacks {', '.join(lacking)}", str(file), f"it was written by another version: {_AGAIN}")
    return value


def _read_strategies(file: Path) -> tuple[dict[str, str], dict[str, Any]]:
    chosen = read_choices(file)
    return chosen, yaml.safe_load(file.read_text(encoding="utf-8")).get("evidence") or {}


def _read_loss(folder: Path) -> list[tuple[int, float]]:
    """The `loss` series that DVCLive wrote, wherever in its folder."""
    file = next(iter(sorted(folder.rglob("loss.tsv"))), None)
    if file is None:
        raise Orca2Error("has no loss.tsv: no training was logged", str(folder), _AGAIN)
    try:
        lines = csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t")
        loss = [(int(line["step"]), float(line["loss"])) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise Orca2Error(f"is not a series of `step` and `loss`: {error}", str(file), _AGAIN) from error
    if not loss:
        raise Orca2Error("holds no step", str(file), _AGAIN)
    return loss


def _read_samples(chats: Path, requests: Path) -> list[tuple[Chat, Request]]:
    chosen = choose_samples(read_rows(chats, Chat))
    asked = {(r.key, r.row_id, r.sample_index): r for r in read_rows(requests, Request)}
    for chat in chosen:
        if (chat.key, chat.row_id, chat.sample_index) not in asked:
            raise Orca2Error(f"has no request {chat.key[:12]} of row {chat.row_id[:12]}", str(requests), _AGAIN)
    return [(chat, asked[chat.key, chat.row_id, chat.sample_index]) for chat in chosen]
