"""Put the results on one page that works offline, with its figures.

    python -m stages.report

Reads metrics/, data/strategies.yaml, data/chats, data/requests and plots/train. Writes report/index.html,
report/accuracy.svg, report/accuracy.png, plots/accuracy.json and plots/strategies.json.
"""

from pathlib import Path

from orca2.audit import report, report_claims
from orca2.core.errors import exit_on_error
from orca2.project.metrics import write_json


def main() -> None:
    inputs = report.read_inputs()
    report.write(inputs, Path("report"))
    write_json(Path("plots/accuracy.json"), report.accuracy_points(inputs.evaluation))
    write_json(Path("plots/strategies.json"), report.strategy_points(inputs.evidence))
    print(f"report: {len(inputs.samples)} sample rows, {len(inputs.loss)} training steps: report/index.html")
    told = [report_claims.headline(inputs), report_claims.compared(inputs), report_claims.losses(inputs)]
    further = [report_claims.on_benchmarks(inputs), *map(" ".join, report_claims.again(inputs).values())]
    for line in filter(None, (" ".join(filter(None, told)), *further)):
        print(f"report: {line}".rstrip())


if __name__ == "__main__":
    exit_on_error(main)
