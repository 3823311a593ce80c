"""What the report claims in words: by how much the student is ahead or behind, and every task where it loses.

A claim is the paired interval of a difference. Where that holds zero, nothing is called equal: the sentence gives the
largest difference that the interval leaves room for.
"""

from collections.abc import Iterator

from orca2.audit.report_figures import EXTRACTIONS, name, whole
from orca2.audit.report_inputs import Against, Evaluation, Extraction, Inputs
from orca2.recipe.evaluation import is_student
from orca2.recipe.evaluation.benchmarks import AVERAGE, TAUGHT
from orca2.recipe.evaluation.comparison import Comparison, Difference, MacroDifference

_OTHERS = {"base": "its base model", "teacher": "its teacher"}
_TOLD = 0.05
"""Least share of near copies for which a task is named."""
_READ: dict[Extraction, str] = {"strict": "", "lenient": "read leniently"}


def others(inputs: Inputs) -> dict[str, str]:
    """What each role that the student is compared with is to it."""
    return {role: _whom(role, inputs) for role in inputs.against}


def headline(inputs: Inputs) -> str:
    """The comparison of macro averages with base and teacher, in one sentence."""
    evaluation = inputs.evaluation
    if not evaluation:
        return "No model was examined."
    if "student" not in evaluation:
        return f"No student was examined, only {' and '.join(evaluation)}."
    claims = _claims({other: found for other, found in inputs.against.items() if other in _OTHERS}, inputs)
    if not claims:
        score = evaluation["student"]["macro"]["strict"]["accuracy"]
        return f"The student is right in {whole(score)} % of its answers; no other was examined."
    return f"The student {', and '.join(claims)}."


def compared(inputs: Inputs) -> str:
    """The same with every model that params.yaml names to compare; nothing where it names none."""
    further = {role: found for role, found in inputs.against.items() if role not in _OTHERS and not is_student(role)}
    return f"It {', and '.join(_claims(further, inputs))}." if further else ""


def near_copies(inputs: Inputs) -> str:
    """How many of the held-out questions have a near copy in training, and of which tasks; empty if nobody counted."""
    found = inputs.near_copies
    held_out = sum(of["evaluation"] for of in found.values())
    if not held_out:
        return ""
    but_names = sum(of["but_names"] for of in found.values())
    but_numbers = sum(of["but_names_and_numbers"] for of in found.values())
    told = (
        f"Unseen means that no training question says the same. Of {held_out:,}, {_of(but_names, held_out)} equal one"
        f" but for names or the order of words, {_of(but_numbers, held_out)} but for names, order and numbers"
    )
    tasks = [
        f"{name(task).lower()} {of['but_names']:,} of {of['evaluation']:,}"
        for task, of in found.items()
        if of["but_names"] >= _TOLD * of["evaluation"]
    ]
    return f"{told}; but for names or order {', '.join(tasks)}." if tasks else f"{told}."


def _of(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / total:.1f} %)" if count else "none"


def on_benchmarks(inputs: Inputs) -> str:
    """The same on the average over benchmarks, or on the only one; nothing where there are none."""
    found = {name: figure for name, figure in inputs.benchmarks.items() if name != TAUGHT}
    name = AVERAGE if AVERAGE in found else next(iter(found), "")
    against = found[name]["student_against"] if name else {}
    claims = [_standing(macro, _whom(other, inputs)) for other, macro in against.items() if not is_student(other)]
    where = f"the {name}" if name == AVERAGE else f"the benchmark {name}"
    return f"On {where} the student {', and '.join(claims)}." if claims else ""


def losses(inputs: Inputs) -> str:
    """Every task on which the student is significantly worse than another model, with both scores."""
    return _losses("student", inputs.against, inputs)


def again(inputs: Inputs) -> dict[str, tuple[str, str]]:
    """The student under each further template, by that role: how it stands, also to itself; and where it loses."""
    told = {}
    for role, against in inputs.again.items():
        itself = [_standing(_turned(inputs.against[role]["macro"]), "itself")] if role in inputs.against else []
        claims = [*itself, *_claims(against, inputs)]
        asked = f"Asked under `{inputs.roles[role]['template']}` instead, the student {', and '.join(claims)}."
        told[role] = asked, _losses(role, against, inputs)
    return told


def in_short(inputs: Inputs) -> str:
    """How many tasks `losses` names, where they are too many for a title."""
    lost = {other: len(list(_lost(found))) for other, found in inputs.against.items()}
    told = [f"to {_whom(other, inputs)} on {n} task{'s' * (n > 1)}" for other, n in lost.items() if n]
    return f"It loses {', and '.join(told)}, each named below." if told else losses(inputs)


def _claims(against: Against, inputs: Inputs) -> list[str]:
    return [_standing(found["macro"], _whom(other, inputs)) for other, found in against.items()]


def _losses(student: str, against: Against, inputs: Inputs) -> str:
    found = {
        _whom(other, inputs): _listed([_loss(inputs.evaluation, (student, other), *lost) for lost in _lost(compared)])
        for other, compared in against.items()
    }
    told = [f"to {whom} on {tasks}" for whom, tasks in found.items() if tasks]
    if told:
        return f"It loses {', and '.join(told)}."
    return "On no task is it shown to lose." if found else ""


def _whom(role: str, inputs: Inputs) -> str:
    if is_student(role):
        return f"itself under `{inputs.roles[role]['template']}`"
    return _OTHERS.get(role, f"`{role}`")


def _turned(macro: MacroDifference) -> MacroDifference:
    """As the second model sees it."""
    strict, lenient = (
        Difference(ahead=-macro[how]["ahead"], low=-macro[how]["high"], high=-macro[how]["low"]) for how in EXTRACTIONS
    )
    return {"strict": strict, "lenient": lenient}


def _standing(macro: MacroDifference, whom: str) -> str:
    """By strict extraction, and by lenient where that says another thing."""
    strict, lenient = (macro[how] for how in EXTRACTIONS)
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


def _loss(evaluation: Evaluation, roles: tuple[str, str], task: str, how: Extraction) -> str:
    student, better = (whole(evaluation[role]["tasks"][task][how]["accuracy"]) for role in roles)
    return f"{name(task).lower()} ({', '.join(filter(None, (f'{student} % against {better} %', _READ[how])))})"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
