"""Matching and comparing rows, against a naive reference: nested loops over two lists."""

import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.core.tables import shard_of
from orca2.diff.comparison import Part, compare, parts
from orca2.project import cells
from orca2.project.revisions import Shard

IDENTITY = ("row_id", "sample_index")
TEXT = (
    st.none()
    | st.sampled_from(["", "1", "null", "true", "é", "e\u0301", "\u2028", "a\x00b", "1.0"])
    | st.text(max_size=3)
)
KINDS = {
    "string": (pa.string(), TEXT),
    "int": (pa.int64(), st.none() | st.integers(-2, 2)),
    "int32": (pa.int32(), st.none() | st.integers(-2, 2)),
    "float": (pa.float64(), st.none() | st.sampled_from([0.0, -0.0, 1.0, 1.5, float("inf"), float("nan")])),
    "bool": (pa.bool_(), st.none() | st.booleans()),
    "list": (pa.list_(pa.string()), st.none() | st.lists(TEXT, max_size=2)),
    "turns": (
        pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
        st.lists(st.fixed_dictionaries({"role": st.sampled_from("su"), "content": TEXT}), max_size=2),
    ),
}


@st.composite
def versions(draw):
    """Columns and rows of one side. Few ids, so that both sides share some, and some stand twice."""
    columns = draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from(sorted(KINDS)), max_size=3))
    ids = draw(st.lists(st.tuples(st.sampled_from(["x", "y", "ü", "z1", "z2"]), st.integers(0, 1)), max_size=7))
    rows = [
        {"row_id": i, "sample_index": n, **{name: draw(KINDS[kind][1]) for name, kind in columns.items()}}
        for i, n in ids
    ]
    return (
        columns,
        rows,
        draw(st.sampled_from([1, 1, 2, 4])),
        draw(st.booleans()),
        draw(st.sampled_from([1, 2, 100])),
    )


def stored(folder: Path, version):
    """The side as shards, its rows in any order, with or without digests beside them."""
    columns, rows, count, has_digests, group = version
    schema = pa.schema(
        [("row_id", pa.string()), ("sample_index", pa.int64()), *((n, KINDS[k][0]) for n, k in columns.items())]
    )
    folder.mkdir()
    shards = []
    for index in range(count):
        file = folder / f"rows-{index:02d}-of-{count:02d}.parquet"
        mine = [row for row in rows if shard_of(row["row_id"], count) == index]
        table = pa.Table.from_pylist(mine, schema=schema)
        pq.write_table(table, file, row_group_size=group)
        beside = cells.beside(file) if has_digests else None
        if beside:
            cells.write(file, table)
        shards.append(Shard(name=file.name, rows=file, digests=beside, md5=""))
    return shards


def cell(row, name):
    return json.dumps(row[name], sort_keys=True)


def by_identity(rows):
    """The rows with how often their identity stood before."""
    seen = Counter()
    for row in rows:
        identity = (row["row_id"], row["sample_index"])
        yield (*identity, seen[identity]), row
        seen[identity] += 1


def reference(left, right):
    """(removed, added, changed with its fields), by nested loops."""
    shared = [name for name in left[0] if name in right[0]]
    ours, theirs = list(by_identity(left[1])), list(by_identity(right[1]))
    removed = sorted(i for i, _ in ours if all(i != j for j, _ in theirs))
    added = sorted(j for j, _ in theirs if all(i != j for i, _ in ours))
    changed = {}
    for (i, a), (j, b) in itertools.product(ours, theirs):
        if i == j and (fields := [name for name in shared if cell(a, name) != cell(b, name)]):
            changed[i] = sorted(fields)
    return removed, added, changed


def found_in(left, right):
    """The same from the comparison, part by part."""
    removed, added, changed = [], [], {}
    for _, before, after in parts(left, right):
        found = compare(before, after, IDENTITY)
        names = [numbered(before), numbered(after)]
        removed += [names[0][position] for position in found.removed]
        added += [names[1][position] for position in found.added]
        for n, (i, j) in enumerate(found.changed):
            assert names[0][i] == names[1][j]
            changed[names[0][i]] = sorted(name for name, mask in found.fields.items() if mask[n])
    return sorted(removed), sorted(added), changed


def numbered(part: Part):
    table = part.take(np.arange(len(part.cells("row_id"))), IDENTITY)
    return [identity for identity, _ in by_identity(table.to_pylist() if table else [])]


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(left=versions(), right=versions())
def test_the_same_as_nested_loops_over_two_lists(tmp_path_factory, left, right):
    folder = tmp_path_factory.mktemp("case")
    assert found_in(stored(folder / "left", left), stored(folder / "right", right)) == reference(left, right)


@settings(max_examples=60)
@given(version=versions(), count=st.sampled_from([1, 2, 8]), chance=st.randoms(use_true_random=False))
def test_other_shards_and_another_order_of_rows_that_stand_once_are_no_difference(
    tmp_path_factory, version, count, chance
):
    columns, rows, *rest = version
    rows = list({(row["row_id"], row["sample_index"]): row for row in rows}.values())
    folder = tmp_path_factory.mktemp("case")
    left = stored(folder / "left", (columns, rows, *rest))
    right = stored(folder / "right", (columns, chance.sample(rows, len(rows)), count, True, 100))
    assert found_in(left, right) == ([], [], {})


@pytest.mark.parametrize("missing", ["left", "right", "both"])
def test_a_side_without_any_shard_has_no_rows(tmp_path, missing):
    rows = [{"row_id": "x", "sample_index": 0, "a": "1"}]
    version = ({"a": "string"}, rows, 2, True, 100)
    sides = {side: [] if missing in (side, "both") else stored(tmp_path / side, version) for side in ("left", "right")}
    removed, added, changed = found_in(sides["left"], sides["right"])
    assert (len(removed), len(added), changed) == (missing == "right", missing == "left", {})


def test_equal_shards_are_known_by_dvcs_digest_and_not_opened(tmp_path):
    shards = [
        Shard(name=f"rows-{i:02d}-of-02.parquet", rows=tmp_path / "none", digests=None, md5=f"{i}") for i in range(2)
    ]
    assert list(parts(shards, shards)) == []


def test_a_spoilt_shard_is_an_error_that_names_it(tmp_path):
    version = ({"a": "string"}, [{"row_id": "x", "sample_index": 0, "a": "1"}], 1, True, 100)
    (shard,) = stored(tmp_path / "left", version)
    for file in (shard.rows, shard.digests):
        kept = file.read_bytes()
        file.write_bytes(kept[: len(kept) // 2])
        with pytest.raises(Orca2Error, match=r"rows-00-of-01\.parquet: cannot be read"):
            for _, before, after in parts([shard], [shard]):
                numbered(before)
                compare(before, after, IDENTITY)
        file.write_bytes(kept)


def test_rows_are_taken_in_the_order_that_was_asked_for_from_any_shard(tmp_path):
    ids = [f"r{i}" for i in range(40)]
    rows = [{"row_id": i, "sample_index": 0, "a": i} for i in ids]
    part = Part(stored(tmp_path / "left", ({"a": "string"}, rows, 4, True, 100)))
    every = part.take(range(40), ["a"])["a"].to_pylist()
    positions = [7, 39, 0, 7, 20]
    assert sorted(every) == sorted(ids)
    assert part.take(np.array(positions), ["a"])["a"].to_pylist() == [every[position] for position in positions]
