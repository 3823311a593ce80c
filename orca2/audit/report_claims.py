"""What the report claims in words: by how much the student is ahead or behind, and every task where it loses.

A claim is the paired interval of a difference. Where that holds zero, nothing is called equal: the sentence gives the
largest difference that the interval leaves room for.
"""

from collections.abc import Iterator

from orca2.audit.report_figures import EXTRACTIONS, name, whole
from orca2.audit.report_inputs import Evaluation, Extraction, Inputs
from orca2.recipe.evaluation.comparison import Comparison, Difference

OTHERS = {"base": "its base model", "teacher": "its teacher"}
_READ: dict[Extraction, str] = {"strict": "", "lenient": "read leniently"}


def headline(inputs: Inputs) -> str:
    """The comparison of macro averages in one sentence."""
    evaluation = inputs.evaluation
    if not evaluation:
        return "No model was examined."
    if "student" not in evaluation:
        return f"No student was examined, only {' and '.join(evaluation)}."
    claims = [_standing(found, OTHERS[other]) for other, found in inputs.against.items()]
    if not claims:
        score = evaluation["student"]["macro"]["strict"]["accuracy"]
        return f"The student is right in {whole(score)} % of its answers; no other was examined."
    return f"The student {', and '.join(claims)}."


def losses(inputs: Inputs) -> str:
    """Every task on which the student is significantly worse than another model, with both scores."""
    found = {
        OTHERS[other]: _listed([_loss(inputs.evaluation, other, task, how) for task, how in _lost(against)])
        for other, against in inputs.against.items()
    }
    told = [f"to {whom} on {tasks}" for whom, tasks in found.items() if tasks]
    if told:
        return f"It loses {', and '.join(told)}."
    return "On no task is it shown to lose." if found else ""


def _standing(against: Comparison, whom: str) -> str:
    """By strict extraction, and by lenient where that says another thing."""
    strict, lenient = (against["macro"][how] for how in EXTRACTIONS)
    side, points = _claim(strict)
    claim = f"{side.format(f' {whom}', f' of {whom}', f' from {whom}')} {points}"
    if lenient == strict:
        return claim
    other, points = _claim(lenient)
    if other == side:
        return f"{claim}, read leniently {points}"
    return f"{claim}, but read leniently {other.format('', '', '')} {points}"


def _claim(found: Difference) -> tuple[str, str]:
    """What one difference shows, with blanks for against whom; and by how much, or within how much."""
    low, ahead, high = (100 * found[end] for end in ("low", "ahead", "high"))
    if low > 0:
        return "is ahead{1}", f"by {ahead:.1f} points ({low:.1f} to {high:.1f})"
    if high < 0:
        return "is behind{0}", f"by {-ahead:.1f} points ({-high:.1f} to {-low:.1f})"
    return "shows no difference{2}", f"larger than {max(-low, high):.1f} points"


def _lost(against: Comparison) -> Iterator[tuple[str, Extraction]]:
    """Each lost task once, by the strictest extraction that shows it."""
    for task, found in against["tasks"].items():
        shown: list[Extraction] = [how for how in EXTRACTIONS if found[how]["verdict"] == "behind"]
        yield from ((task, how) for how in shown[:1])


def _loss(evaluation: Evaluation, other: str, task: str, how: Extraction) -> str:
    student, better = (whole(evaluation[role]["tasks"][task][how]["accuracy"]) for role in ("student", other))
    return f"{name(task).lower()} ({', '.join(filter(None, (f'{student} % against {better} %', _READ[how])))})"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
