"""How a dataset moved as a whole: another strategy with its scores, accuracy and length of the teacher's answers."""

import pytest
import yaml

from orca2.core.errors import Orca2Error
from orca2.diff.diff import Diff
from orca2.diff.output import Shifts, as_markdown, as_text
from orca2.diff.shifts import Quality, StrategyShift, quality, strategy_shifts
from orca2.project.revisions import WORKSPACE, Revision
from tests.dataset import Recipe, build, right


def revision(folder, **strategies):
    """A workspace that holds nothing but the choice of strategies, each with what it and the others scored."""
    (folder / "data").mkdir(parents=True)
    evidence = {
        task: {"scores": [{"strategy": s, "accuracy": a} for s, a in scores.items()]}
        for task, (_, scores) in strategies.items()
    }
    chosen = {"strategies": {task: name for task, (name, _) in strategies.items()}, "evidence": evidence}
    (folder / "data" / "strategies.yaml").write_text(yaml.safe_dump(chosen))
    return Revision(WORKSPACE, folder)


def test_another_strategy_is_told_with_the_scores_of_both_in_both_versions(tmp_path):
    before = revision(
        tmp_path / "a", sums=("direct", {"direct": 0.3, "steps": 0.2}), gone=("direct", {}), same=("steps", {})
    )
    after = revision(tmp_path / "b", sums=("steps", {"steps": 0.8}), new=("steps", {}), same=("steps", {}))
    expected = StrategyShift(
        task="sums", before="direct", after="steps", scores=(("direct", 0.3, None), ("steps", 0.2, 0.8))
    )
    assert strategy_shifts(before, after) == [expected]
    shifts = Shifts(strategies=[expected], quality=({}, {}))
    text = as_text(Diff(before="a", after="b", stage="erase"), shifts)
    assert "sums    direct → steps  direct 0.3 → -; steps 0.2 → 0.8" in text
    assert "| sums | direct → steps |" in as_markdown(Diff(before="a", after="b", stage="erase"), shifts)


@pytest.mark.parametrize("text", ["strategies: [a", "strategies: [1]", "- a"])
def test_a_torn_choice_of_strategies_names_its_revision(tmp_path, text):
    other = revision(tmp_path / "b")
    (tmp_path / "b" / "data" / "strategies.yaml").write_text(text)
    with pytest.raises(Orca2Error, match=r"data/strategies\.yaml of workspace: is torn"):
        strategy_shifts(other, other)


def test_quality_counts_what_is_right_and_kept_of_all_that_was_answered(tmp_path):
    half = Recipe(says=lambda r: right(r) if r.task == "reversal" or r.row_id.endswith("-0") else "no idea", keep="all")
    build(tmp_path, half)
    assert quality(Revision(WORKSPACE, tmp_path)) == {
        "": Quality(answers=8, accuracy=5 / 8, tokens=5),
        "reversal": Quality(answers=4, accuracy=1, tokens=5),
        "sum_of_two": Quality(answers=4, accuracy=1 / 4, tokens=5),
    }


def test_without_answers_there_is_no_quality(tmp_path):
    assert quality(Revision(WORKSPACE, tmp_path)) == {}
