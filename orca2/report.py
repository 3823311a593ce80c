"""One self-contained page about a run: what was won, why each technique was chosen, where rows went, what they look like.

    metrics, strategies, loss curve, sample rows  ->  report/index.html, report/accuracy.{svg,png}, plots/*.json

Everything on it was read from an artifact: equal inputs give equal bytes, with no clock, host or path. What a model wrote
is escaped by the template (autoescape), and the page's own policy forbids scripts and the network. The wording is in
`report.html.j2`; this module reads, compares and draws.
"""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orca2.errors import Orca2Error, raise_all
from orca2.hashing import digest
from orca2.rows import Chat, Request
from orca2.shards import read_rows
from orca2.strategies import read_choices

MODELS = ("base", "student", "teacher")
EXTRACTIONS = {"strict": "the last Answer: line counts", "lenient": "any clear statement counts"}
STAGES = ("prepare_tasks", "probe", "generate", "grade", "erase", "pack")
SAMPLES_PER_GROUP = 2
"""Sample rows shown for each task and strategy."""
COLOURS = {
    "base": "#8b95a5", "student": "#0072b2", "teacher": "#e69f00",
    "ink": "#1b1f24", "muted": "#5f6b7a", "rule": "#e3e7ec", "paper": "#fefefe",
}  # fmt: skip
"""Light palette of the figures, blue and orange of Okabe and Ito; in the page each is the CSS variable of its name."""
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_RC = {"svg.hashsalt": "orca2", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 9.0}
_NO_METADATA = {"svg": dict.fromkeys(("Date", "Creator", "Format", "Type")), "png": {"Software": None}}
_AGAIN = "run `dvc repro`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One training conversation beside the request whose instruction it no longer shows."""

    chat: Chat
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything the page is made from, as the stages wrote it."""

    evaluation: dict[str, Any]
    """Model to its macro average and tasks, as `evaluation.summarise` has them."""
    chosen: dict[str, str]
    """Task to strategy, as training used it, after any edit by a person."""
    evidence: dict[str, Any]
    """Task to verdict, p value, runner-up and the scores of all strategies."""
    loss: Sequence[tuple[int, float]]
    """Training step and its loss, in nats per supervised token."""
    counts: dict[str, dict[str, Any]]
    """Stage to rows in, rows out, and rejected by reason."""
    samples: Sequence[Sample]


def read_inputs(root: Path = Path()) -> Inputs:
    """Read what the stages wrote under `root`.

    Raises:
        InputErrors: every artifact that is missing or is not what its stage writes, at once.
    """
    errors: list[Orca2Error] = []

    def attempt(read: Callable[..., Any], *names: str) -> Any:
        try:
            return read(*(root / name for name in names))
        except Orca2Error as error:
            errors.append(error)

    inputs = Inputs(
        evaluation=attempt(_read_evaluation, "metrics/evaluate.json"),
        chosen=attempt(read_choices, "data/strategies.yaml"),
        evidence=attempt(_read_evidence, "data/strategies.yaml"),
        loss=attempt(_read_loss, "plots/train"),
        counts={stage: attempt(_read_counts, f"metrics/{stage}.json") for stage in STAGES},
        samples=attempt(_read_samples, "data/chats", "data/requests"),
    )
    raise_all(errors)
    return inputs


def write(inputs: Inputs, folder: Path = Path("report"), plots: Path = Path("plots")) -> None:
    """Write the page, its picture for a README, and the tables that `dvc plots` draws."""
    _publish(folder / "index.html", page(inputs).encode())
    for kind in ("svg", "png"):
        _publish(folder / f"accuracy.{kind}", accuracy_figure(inputs.evaluation, kind))
    _publish(plots / "accuracy.json", _json(accuracy_points(inputs.evaluation)))
    _publish(plots / "strategies.json", _json(strategy_points(inputs.evidence)))


def page(inputs: Inputs) -> str:
    """The whole page, as HTML that needs nothing beside itself."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"percent": percent, "name": _name}
    return environment.get_template("report.html.j2").render(
        inputs=inputs, models=MODELS, extractions=EXTRACTIONS, headline=headline(inputs.evaluation),
        compare=compare, heat=heat_rows(inputs.chosen, inputs.evidence), landmarks=_landmarks(inputs.loss),
        accuracy_figure=_inline(accuracy_figure(inputs.evaluation, "svg"), "Accuracy by task and model, as in the table"),
        loss_figure=_inline(loss_figure(inputs.loss), "Training loss by step, as in the table"),
    )  # fmt: skip


def percent(share: float, digits: int = 1) -> str:
    """`0.4375` as `43.8 %`, with a space that does not break."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def headline(evaluation: dict[str, Any]) -> str:
    """The macro result in one sentence that claims only what both extractions show with intervals apart."""
    return f"The student is {_standing(evaluation, 'base')}, and {_standing(evaluation, 'teacher')}."


def compare(one: dict[str, float], other: dict[str, float]) -> dict[str, Any]:
    """Two results: `points` that the first is ahead, whether the intervals `overlap`, and the `verdict` in words."""
    overlap = one["low"] <= other["high"] and other["low"] <= one["high"]
    points = round(100 * (one["accuracy"] - other["accuracy"]), 1)
    verdict = "not clearly apart from" if overlap else "clearly ahead of" if points > 0 else "clearly behind"
    return {"points": points, "overlap": overlap, "verdict": verdict}


def accuracy_points(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Strict accuracy as rows for `dvc plots`: the macro average, then every task, for each model."""
    return [
        {"task": task, "model": model} | {name: result[model]["strict"][name] for name in ("accuracy", "low", "high")}
        for task, result in _results(evaluation).items()
        for model in MODELS
    ]


def strategy_points(evidence: dict[str, Any]) -> list[dict[str, Any]]:
    """Probe accuracy as rows for `dvc plots`: every task and strategy."""
    scores = sorted((task, s["strategy"], s["accuracy"]) for task, found in evidence.items() for s in found["scores"])
    return [dict(zip(("task", "strategy", "accuracy"), score, strict=True)) for score in scores]


def heat_rows(chosen: dict[str, str], evidence: dict[str, Any]) -> list[dict[str, Any]]:
    """For each task its score by strategy, the choice, and how clear that was or that a person made it."""
    rows = []
    for task, strategy in sorted(chosen.items()):
        found = evidence.get(task) or {"verdict": "", "p_value": None, "runner_up": None, "scores": []}
        scores = {score["strategy"]: score for score in found["scores"]}
        verdict = found["verdict"] if next(iter(scores), None) == strategy else "chosen by hand"
        rows.append(found | {"task": task, "strategy": strategy, "verdict": verdict, "scores": scores})
    return rows


def choose_samples(chats: Iterable[Chat], per_group: int = SAMPLES_PER_GROUP) -> list[Chat]:
    """A few chats of each task and strategy, drawn by the hash of their identity: the same ones on any day."""
    groups: dict[tuple[str, str], list[tuple[str, Chat]]] = {}
    for chat in chats:
        lot = digest("report sample", [chat.row_id, chat.sample_index])
        groups.setdefault((chat.task, chat.strategy), []).append((lot, chat))
    return [chat for group in sorted(groups) for _, chat in sorted(groups[group], key=lambda g: g[0])[:per_group]]


def accuracy_figure(evaluation: dict[str, Any], kind: str) -> bytes:
    """Bars with 95 % intervals: macro average and tasks in rows, the extractions side by side; `svg` or `png`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    results = _results(evaluation)
    height = 0.6 * len(results) + 1.05
    with rc_context(_RC):
        figure = Figure(figsize=(9, height), facecolor=COLOURS["paper"])
        panels = figure.subplots(1, len(EXTRACTIONS), sharey=True)
        figure.subplots_adjust(left=0.165, right=0.965, top=1 - 0.6 / height, bottom=0.45 / height, wspace=0.12)
        for axes, extraction in zip(panels, EXTRACTIONS, strict=True):
            _draw_panel(axes, extraction, [{m: result[m][extraction] for m in MODELS} for result in results.values()])
        for row, task in enumerate(results):
            panels[0].text(-0.05, row, _name(task), ha="right", va="center", color=COLOURS["ink"], parse_math=False,
                           weight="normal" if row else "bold")  # fmt: skip
        return _saved(figure, kind)


def loss_figure(loss: Sequence[tuple[int, float]]) -> bytes:
    """The training loss of every step and its mean over the last twentieth of the steps, as SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    steps, values = [step for step, _ in loss], [value for _, value in loss]
    window = max(1, len(values) // 20)
    means = [sum(v) / len(v) for v in (values[max(0, i - window + 1) : i + 1] for i in range(len(values)))]
    with rc_context(_RC):
        figure = Figure(figsize=(9, 2.8), facecolor=COLOURS["paper"])
        axes = figure.subplots()
        figure.subplots_adjust(left=0.06, right=0.93, top=0.96, bottom=0.18)
        axes.plot(steps, values, color=COLOURS["student"], linewidth=0.8, alpha=0.4)
        axes.plot(steps, means, color=COLOURS["student"], linewidth=1.8, solid_capstyle="round")
        axes.text(steps[-1], means[-1], f"  {means[-1]:.3g}", color=COLOURS["ink"], va="center", weight="bold")
        axes.grid(axis="y", color=COLOURS["rule"], linewidth=0.8)
        axes.set_xlabel("step", color=COLOURS["muted"], fontsize=8)
        axes.margins(x=0.01, y=0.12)
        _plain(axes)
        return _saved(figure, "svg")


def _draw_panel(axes: Any, extraction: str, results: list[dict[str, Any]]) -> None:
    for row, result in enumerate(results):
        for place, model in enumerate(MODELS):
            y, score = row + 0.26 * (place - 1), result[model]
            label = f"{100 * score['accuracy']:.0f}" + ("" if row else f"  {model}")
            axes.barh(y, score["accuracy"], height=0.22, color=COLOURS[model], linewidth=0)
            axes.plot([score["low"], score["high"]], [y, y], color=COLOURS["ink"], linewidth=1, solid_capstyle="butt")
            axes.text(score["high"] + 0.015, y, label, color=COLOURS["ink"], va="center", fontsize=8,
                      weight="normal" if row else "bold")  # fmt: skip
    axes.set(xlim=(0, 1.06), ylim=(len(results) - 0.4, -0.6), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels(["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x", color=COLOURS["rule"], linewidth=0.8)
    axes.axhline(0.5, color=COLOURS["muted"], linewidth=0.6)
    heading = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom", "parse_math": False}
    axes.annotate(extraction.capitalize(), (0, 1), (0, 20), color=COLOURS["ink"], weight="bold", fontsize=11, **heading)
    axes.annotate(EXTRACTIONS[extraction], (0, 1), (0, 7), color=COLOURS["muted"], fontsize=8, **heading)
    _plain(axes)


def _plain(axes: Any) -> None:
    axes.set(facecolor="none", axisbelow=True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8, labelcolor=COLOURS["muted"])


def _saved(figure: Any, kind: str) -> bytes:
    """The figure's bytes; an SVG without ids that could clash in a page, and with the reader's own fonts."""
    sink = io.BytesIO()
    figure.savefig(sink, format=kind, dpi=200, metadata=_NO_METADATA[kind])
    if kind != "svg":
        return sink.getvalue()
    svg = sink.getvalue().decode()
    svg = re.sub(r"<!DOCTYPE.*?>\n", "", re.sub(r'<g id="[^"]*">', "<g>", svg), flags=re.DOTALL)
    return re.sub(r"font-family: [^;\"]*", f"font-family: {_FONTS}", svg).encode()


def _inline(svg: bytes, label: str) -> Any:
    """An SVG as part of the page: named for those who cannot see it, its colours those of the page."""
    from markupsafe import Markup

    text = svg.decode().partition("<svg")[2]
    text = re.sub(r'width="[^"]*pt" height="[^"]*pt"', f'role="img" aria-label="{label}"', text, count=1)
    for name, colour in COLOURS.items():
        text = text.replace(f": {colour}", f": var(--{name})")
    return Markup(f"<svg{text}")


def _results(evaluation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Row of the figure to model to its result."""
    rows = {task: {m: evaluation[m]["tasks"][task] for m in MODELS} for task in evaluation["base"]["tasks"]}
    return {"macro average": {m: evaluation[m]["macro"] for m in MODELS}} | rows


def _standing(evaluation: dict[str, Any], other: str) -> str:
    student, rival = evaluation["student"]["macro"], evaluation[other]["macro"]
    whom = "its base model" if other == "base" else "its teacher"
    strict, lenient = (compare(student[name], rival[name])["verdict"] for name in EXTRACTIONS)
    if strict == lenient:
        return f"{strict} {whom}"
    return f"{strict} {whom} by strict extraction but {lenient} it by lenient"


def _name(identifier: str) -> str:
    words = identifier.replace("_", " ")
    return words[:1].upper() + words[1:]


def _landmarks(loss: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most eleven points of the curve, evenly spread, first and last among them."""
    last = len(loss) - 1
    return [loss[i] for i in sorted({round(last * tenth / 10) for tenth in range(11)})]


def _read_json(file: Path, *keys: str) -> dict[str, Any]:
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


def _read_evaluation(file: Path) -> dict[str, Any]:
    evaluation = _read_json(file, *MODELS)
    if len({tuple(sorted(evaluation[model]["tasks"])) for model in MODELS}) > 1:
        raise Orca2Error("its models were asked different tasks", str(file), _AGAIN)
    return evaluation


def _read_counts(file: Path) -> dict[str, Any]:
    return _read_json(file, "rows_in", "rows_out", "rejected")


def _read_evidence(file: Path) -> dict[str, Any]:
    return (yaml.safe_load(file.read_text(encoding="utf-8")).get("evidence") or {}) if file.is_file() else {}


def _read_loss(folder: Path) -> list[tuple[int, float]]:
    """The `loss` series that DVCLive wrote, wherever in its folder."""
    file = next(iter(sorted(folder.rglob("loss.tsv"))), None)
    if file is None:
        raise Orca2Error("has no loss.tsv: no training was logged", str(folder), _AGAIN)
    try:
        with file.open(encoding="utf-8", newline="") as source:
            loss = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(source, delimiter="\t")]
    except (KeyError, TypeError, ValueError) as error:
        raise Orca2Error(f"is not a series of `step` and `loss`: {error}", str(file), _AGAIN) from error
    if not loss:
        raise Orca2Error("holds no step", str(file), _AGAIN)
    return loss


def _read_samples(chats: Path, requests: Path) -> list[Sample]:
    chosen = choose_samples(read_rows(chats, Chat))
    wanted = {(chat.key, chat.row_id, chat.sample_index) for chat in chosen}
    asked = {(r.key, r.row_id, r.sample_index): r for r in read_rows(requests, Request)}
    for key, row_id, sample_index in sorted(wanted - asked.keys()):
        raise Orca2Error(f"has no request {key[:12]} for row {row_id[:12]}, sample {sample_index}", str(requests), _AGAIN)
    return [Sample(chat=c, request=asked[c.key, c.row_id, c.sample_index]) for c in chosen]


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _publish(file: Path, content: bytes) -> None:
    """Write under a temporary name, then move: no half file has a good name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(file)
