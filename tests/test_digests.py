"""Digests of cells: equal for equal values and for no others, and never believed of other rows than their own."""

import itertools

import pyarrow as pa
import pyarrow.parquet as pq

from orca2.project import cells

LOOKALIKES = [
    1,
    1.0,
    "1",
    True,
    "true",
    None,
    "null",
    0,
    0.0,
    -0.0,
    False,
    "",
    [],
    [[]],
    ["1"],
    [1],
    [None],
    "é",
    "e\u0301",
]


def test_values_that_look_alike_have_different_digests():
    assert len({cells.of(value) for value in LOOKALIKES}) == len(LOOKALIKES)


def test_a_column_has_the_digests_of_its_values_whatever_its_physical_type():
    columns = {
        "text": pa.array(["a", None, "a", ""]),
        "large": pa.array(["a", None, "a", ""], pa.large_string()),
        "dictionary": pa.array(["a", None, "a", ""]).dictionary_encode(),
        "int32": pa.array([1, None, 2, 1], pa.int32()),
        "numbers": pa.array([[1, None, -3], [], None, [4]], pa.list_(pa.int32())),
        "mixed": pa.array([{"b": 1.5, "a": [True]}, None, {"b": None, "a": []}, {"b": 2.0, "a": None}]),
        "marks": pa.array([[{"role": 'a"\\\n', "é": "∑"}], [], [{"role": "", "é": None}] * 2, [None]]),
        "sliced": pa.array([[["x"]], [["a"], []], None, [], [["b", None]]]).slice(1),
        "map": pa.array([[("k", 1)], [], None, [("k", 2)]], pa.map_(pa.string(), pa.int8())),
        "turns": pa.array([[{"role": "user"}], None, [], [{"role": None}]]),
    }
    made = cells.of_table(pa.table(columns)).to_pydict()
    for name, column in columns.items():
        assert made[name] == [cells.of(value) for value in column.to_pylist()]
    assert made["text"] == made["large"] == made["dictionary"]


def test_digests_are_read_where_they_are_of_these_rows_and_made_anew_where_not(tmp_path):
    rows = tmp_path / "rows-00-of-01.parquet"
    for values, other in itertools.pairwise([["a", "b"], ["a", "c"], ["a"], ["a", "b"]]):
        table = pa.table({"text": values})
        pq.write_table(table, rows)
        cells.write(rows, table)
        assert cells.read(cells.beside(rows), rows)["text"].to_pylist() == [cells.of(v) for v in values]
        pq.write_table(pa.table({"text": other}), rows)
        assert cells.read(cells.beside(rows), rows)["text"].to_pylist() == [cells.of(v) for v in other]
    assert cells.read(None, rows)["text"].to_pylist() == [cells.of(v) for v in other]
