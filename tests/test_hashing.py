"""Identity: equal plain data has one digest, different data has different ones, and anything else has none."""

import itertools
import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.core.hashing import canonical, derive_seed, digest, file_digest, unit_interval

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def typed(value):
    """The value with its types spelt out: a naive reference for what must be told apart."""
    if isinstance(value, list):
        return ("list", [typed(item) for item in value])
    if isinstance(value, dict):
        return ("dict", sorted((key, typed(item)) for key, item in value.items()))
    return (type(value).__name__, repr(value))


@given(PLAIN, PLAIN)
def test_two_values_share_a_digest_exactly_when_they_are_the_same_value_of_the_same_types(left, right):
    assert (digest("t", left) == digest("t", right)) == (repr(typed(left)) == repr(typed(right)))


@given(PLAIN)
def test_canonical_json_reads_back_as_the_value(value):
    assert repr(typed(json.loads(canonical(value)))) == repr(typed(value))


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_the_order_of_keys_does_not_matter(mapping):
    assert canonical(mapping) == canonical(dict(reversed(mapping.items())))


def test_values_that_python_or_a_lossy_hash_calls_equal_have_different_digests():
    lookalikes = [1, 1.0, "1", True, "true", None, "null", 0, 0.0, -0.0, False, "", [], {}, [[]], ["1"], [1], {"1": 1}]
    lookalikes += ["é", "e\u0301", "\ud800", ["a", "b"], ["ab"], ["a,b"], {"a": "b"}]
    assert len({digest("t", value) for value in lookalikes}) == len(lookalikes)


def test_the_tag_keeps_kinds_of_records_apart_even_when_it_looks_like_the_value():
    assert len({digest("a", ["b"]), digest("b", ["a"]), digest("a", "b"), digest('a","b', []), digest("a", [])}) == 5


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, b"bytes", {1, 2}, {1: "x"}, {None: 1}, object(), [object()], {"a": {"b": 1j}}],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_data_raises_and_is_never_hashed(value):
    with pytest.raises(TypeError, match="value"):
        digest("t", value)


def test_the_error_says_where_the_unhashable_value_stands():
    with pytest.raises(TypeError, match=r"value\[2\]\.a\[0\]: set cannot be hashed"):
        digest("t", {"a": [set()]})


@given(st.integers() | st.booleans(), st.text(), st.text() | st.just("\ud800"), st.integers(0, 9))
def test_a_seed_is_the_digest_of_its_record(seed, purpose, row_id, sample_index):
    named = digest("seed", [seed, purpose, row_id, sample_index])
    assert derive_seed(seed, purpose, row_id, sample_index) == int(named[:16], 16) >> 1


def test_golden_digests_pin_the_scheme():
    assert digest("golden", {"b": [1, 1.5, None, True], "a": "ß"}) == GOLDEN_DIGEST
    assert derive_seed(42, "sampling", "row", 3) == GOLDEN_SEED
    assert unit_interval(42, "split", "row") == derive_seed(42, "split", "row") / 2**63


def test_another_process_with_another_hash_seed_gives_the_same_digest():
    code = 'from orca2.core.hashing import digest; print(digest("golden", {"b": [1, 1.5, None, True], "a": "ß"}))'
    for hash_seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONUTF8": "1"}
        printed = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert printed.stdout.strip() == GOLDEN_DIGEST


def test_a_file_digest_is_that_of_its_bytes_across_chunks(tmp_path):
    import hashlib

    content = bytes(range(256)) * 9000
    (tmp_path / "f").write_bytes(content)
    assert file_digest(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_neighbouring_seeds_purposes_rows_and_samples_share_no_derived_seed():
    purposes = itertools.product(range(40, 46), ("a", "b"), ("r0", "r1", "r2"), range(4))
    seeds = [derive_seed(*purpose) for purpose in purposes]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_unit_intervals_fill_the_unit_evenly():
    positions = [unit_interval(7, "split", str(i)) for i in range(4000)]
    tenths = [sum(k / 10 <= p < (k + 1) / 10 for p in positions) for k in range(10)]
    assert sum(tenths) == 4000
    assert all(320 < count < 480 for count in tenths)


GOLDEN_DIGEST = "972b38dac14d06cf859c94ad313b97f0b0fe76428c5dd88fd1cd9c241175aa29"
GOLDEN_SEED = 2710916891544404801
