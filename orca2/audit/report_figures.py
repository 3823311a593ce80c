"""The figures of the report: bars with intervals, and the loss curve; equal inputs give equal bytes."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from textwrap import fill
from typing import TYPE_CHECKING

from orca2.audit.report_inputs import MODELS, Evaluation, Extraction, TaskResult, in_order
from orca2.recipe.evaluation.summary import Interval, Macro

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXTRACTIONS: dict[Extraction, str] = {
    "strict": "the last Answer: line counts",
    "lenient": "any clear statement counts",
}
COLOURS = {
    "base": "#8b95a5",
    "student": "#0072b2",
    "teacher": "#e69f00",
    "ink": "#1b1f24",
    "muted": "#5f6b7a",
    "rule": "#e3e7ec",
    "paper": "#fefefe",
    "more1": "#009e73",
    "more2": "#cc79a7",
    "more3": "#56b4e9",
    "more4": "#d55e00",
    "more5": "#7b6fd0",
    "more6": "#8c6d1f",
}
"""Light palette of the figures, after Okabe and Ito; in the page each is the CSS variable of its name."""
Bars = Mapping[str, Mapping[Extraction, Interval]]
"""One row of a figure: by model and extraction."""
LONG = 24
"""Rows of a table beyond which it scrolls, and of a figure beyond which it shows averages alone."""
_BAR = 0.26
"""Of a row, a bar and the space around it."""
_STYLE = {
    "svg.hashsalt": "orca2", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 8,
    "text.color": COLOURS["ink"], "grid.color": COLOURS["rule"], "figure.facecolor": COLOURS["paper"],
    "axes.facecolor": "none", "axes.axisbelow": True, "axes.labelcolor": COLOURS["muted"], "text.parse_math": False,
    **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    **{f"{axis}tick.major.size": 0 for axis in "xy"}, **{f"{axis}tick.color": COLOURS["muted"] for axis in "xy"},
}  # fmt: skip
_METADATA = {"svg": dict.fromkeys(("Date", "Creator", "Format", "Type")), "png": {"Software": None}}


def accuracy_figure(evaluation: Evaluation, kind: str, benchmarks: Mapping[str, Bars] = {}) -> bytes:
    """Bars with 95 % intervals, the extractions side by side; `svg` or `png`.

    Its rows are the macro average, the benchmarks, and the tasks; of very many there are only the averages.
    """
    from matplotlib import figure, rc_context

    rows: dict[str, Bars] = dict(results(evaluation))
    averages = {"macro average": rows["macro average"], **(benchmarks if len(benchmarks) <= LONG else {})}
    rows = averages | (rows if len(rows) <= LONG else {})
    pitch = max(1.0, _BAR * len(evaluation) + 0.22)
    height = 0.6 * pitch * len(rows) + 1.1
    margins = {"left": 0.165, "right": 0.99, "top": 1 - 0.6 / height, "bottom": 0.5 / height, "wspace": 0.06}
    with rc_context(_STYLE):
        canvas = figure.Figure(figsize=(9, height))
        panels = canvas.subplots(1, len(EXTRACTIONS), sharey=True, gridspec_kw=margins)
        for axes, extraction in zip(panels, EXTRACTIONS, strict=True):
            shown = [{model: found[extraction] for model, found in row.items()} for row in rows.values()]
            _draw_panel(axes, extraction, in_order(evaluation), shown, pitch)
        for row, task in enumerate(rows):
            weight = "normal" if row else "bold"
            panels[0].text(-0.05, pitch * row, fill(name(task), 18), ha="right", va="center", fontsize=9, weight=weight)
        canvas.text(0.165, 0.12 / height, "Accuracy on unseen questions, with 95 % intervals", color=COLOURS["muted"])
        return _saved(canvas, kind)


def loss_figure(loss: Sequence[tuple[int, float]]) -> bytes:
    """The training loss of every step, and its mean over a twentieth of the steps around each, as SVG."""
    from matplotlib import figure, rc_context

    steps, values = [step for step, _ in loss], [value for _, value in loss]
    means = running_means(values, len(values) // 40)
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


def _draw_panel(
    axes: Axes, extraction: Extraction, models: Sequence[str], results: Sequence[dict[str, Interval]], pitch: float
) -> None:
    colours = colour_of(models)
    for row, result in enumerate(results):
        for position, model in enumerate(models):
            if model not in result:
                continue
            y, score = pitch * row + _BAR * (position - (len(models) - 1) / 2), result[model]
            label = whole(score["accuracy"]) + ("" if row else f"  {model}")
            axes.barh(y, score["accuracy"], height=0.22, color=COLOURS[colours[model]], linewidth=0)
            axes.plot([score["low"], score["high"]], [y, y], color=COLOURS["ink"], linewidth=1)
            axes.text(score["high"] + 0.015, y, label, va="center", weight="normal" if row else "bold")
    ends = (pitch * (len(results) - 0.4), -0.6 * pitch)
    axes.set(xlim=(0, 1.22), ylim=ends, yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels(["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x")
    axes.axhline(0.5 * pitch, color=COLOURS["rule"], linewidth=1.2)
    above = partial(axes.annotate, xycoords="axes fraction", textcoords="offset points")
    above(extraction.capitalize(), (0, 1), (0, 20), weight="bold", fontsize=11)
    above(EXTRACTIONS[extraction], (0, 1), (0, 7), color=COLOURS["muted"])


def _saved(figure: Figure, kind: str) -> bytes:
    """The figure's bytes; an SVG without ids that could clash in a page, and with the reader's own fonts."""
    sink = io.BytesIO()
    figure.savefig(sink, format=kind, dpi=200, metadata=_METADATA[kind])
    if kind != "svg":
        return sink.getvalue()
    svg = re.sub(r"<!DOCTYPE[^>]*>\n", "", re.sub(r' id="[a-z][\w.]*_\d+"', "", sink.getvalue().decode()))
    return re.sub(r"font-family: [^;\"]*", "font-family: system-ui, 'Segoe UI', sans-serif", svg).encode()


def colour_of(models: Sequence[str]) -> dict[str, str]:
    """The name of each model's colour: those of the recipe have their own, six more are shared by the others."""
    further = [model for model in models if model not in MODELS]
    return {model: model for model in models} | {m: f"more{i % 6 + 1}" for i, m in enumerate(further)}


def inline(svg: bytes, label: str) -> str:
    """An SVG as part of the page: named for those who cannot see it, its colours those of the page."""
    text = "<svg" + svg.decode().partition("<svg")[2]
    text = re.sub(r'width="[^"]*pt" height="[^"]*pt"', f'role="img" aria-label="{label}"', text, count=1)
    for name, colour in COLOURS.items():
        text = text.replace(f": {colour}", f": var(--{name})")
    return text


def results(evaluation: Evaluation) -> dict[str, dict[str, dict[Extraction, Interval]]]:
    """Row of the figure to model to its scores; a model that was not asked about a task has none there."""
    tasks = list(dict.fromkeys(task for result in evaluation.values() for task in result["tasks"]))
    rows = {task: {m: r["tasks"][task] for m, r in evaluation.items() if task in r["tasks"]} for task in tasks}
    macro = {model: result["macro"] for model, result in evaluation.items()}
    scored: Mapping[str, Mapping[str, Macro | TaskResult]] = {"macro average": macro, **rows}
    return {
        row: {model: {name: found[name] for name in EXTRACTIONS} for model, found in by_model.items()}
        for row, by_model in scored.items()
    }


def whole(share: float) -> str:
    """`0.4375` as `44`: per cent to the nearest whole number, halves up."""
    return str(math.floor(100 * share + 0.5 + 1e-9))


def name(identifier: str) -> str:
    """Of a task, a technique or a model, for people."""
    return identifier[:1].upper() + identifier[1:].replace("_", " ")


def running_means(values: Sequence[float], reach: int) -> list[float]:
    """The mean of each value and its neighbours, `reach` to either side where there are as many."""
    sums = [0.0, *accumulate(values)]
    ends = [(max(0, i - reach), min(len(values), i + reach + 1)) for i in range(len(values))]
    return [(sums[end] - sums[start]) / (end - start) for start, end in ends]
