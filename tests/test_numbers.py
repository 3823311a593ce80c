"""Numbers: every spelling of one is that one, and what is no number alone states none."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca2.recipe.graders.numbers import last_number, number_in, ratio_in, stated_number
from orca2.recipe.graders.numeric import numeric
from orca2.recipe.graders.spelling import plain

SPELT = {
    "1000": ["1,000", "1 000", "1\u202f000", "1\u00a0000", "1\u2009000", "1{,}000", r"1\,000", "1'000", "1’000",
             "1_000",
             "1e3", "10^3", "10³", r"10^{3}", "1 thousand", "one thousand", "$1,000.00", r"\$1,\!000", "１０００"],
    "1500": ["1.5 thousand", r"1.5 \times 10^{3}", "1.5 × 10³", "1.5*10^3", "1.5e3", "1,500", "1.5E+3"],
    "3/2": ["1 1/2", "1½", "1 ½", r"1\frac{1}{2}", r"1\frac12", r"\frac{3}{2}", r"\dfrac32", "3/2", "6/4", "1.5",
            "3⁄2"],
    "1/2": ["½", r"\frac12", r"\frac{1}{2}", r"\tfrac 1 2", ".5", "0.5", "2^-1", r"2^{-1}", "1/2 of a mile"],
    "16": ["2^4", "2**4", "2⁴", "16 = 4 * 4", "4 * 4 = 16", "sixteen"],
    "-42": ["−42", "‑42", "–42", "- 42", "-42", "minus 42", "negative 42", "－42", "-$42", r"\text{-42}"],
    "5": ["5", "five", "Five apples", "5 cm^2", "5 (2 apples and 3 pears)", "5 [see 7]", "5 (five)", "(5)", "[5]", "5%",
          "5 percent", r"5\%", "5 km/h", "5 m/s^2", "x = 5", "5 = 2 + 3", "about 5", "≈ 5", "5!",
          "5, because 2 + 3 = 5",
          "5 since 10/2 = 5", "**5**", "She has **5** apples.", "$5", "5 $", "5°", "5 °C", r"5^\circ", "5th",
          "n = 5 apples",
          "5 (not 6)", r"5\text{ hours}", r"5 \text{ cm}^2", "5 more apples", "5.", "٥", "=> 5", "→ 5", "“5”", "5 🎉"],
    "20": ["twenty", "twenty dollars"],
    "0": ["zero", "0", "-0", "0.00"],
}  # fmt: skip
NONE = [
    "", "none", r"\sqrt{2}", r"2\pi", "2x", "x^2", "2 x", r"\log_3(x)", "log_3(x)", "not 42", "less than 42",
    "at least 42",
    "at most 42", "more than 42", "42 or more", "42 or 43", "between 42 and 43", "42-43", "41 to 43", "over 42", "<42",
    "≤ 42", "42 ± 1", r"42 \pm 1", "42+", "Room B3", "B3", "17_8", "12:30", "1,2,3", "1 0", "1.2.3", "2 + 3", "2 * 3",
    "1/0", r"\frac{1}{0}", r"\frac{x}{2}", "12/25/1937", "5 of 10", "5 apples and 3 pears", "5 ft 3 in", "5k", "$5M",
    "3 dozen", "three quarters", "two thirds", "twenty-one", "half", "infinity", "NaN", "9" * 500, "10^9999999",
    "1e999999", "9^9^9", "no 5", "5 isn't it", "x + 1", "y - 1",
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), [(value, text) for value, texts in SPELT.items() for text in texts])
def test_every_spelling_of_a_number_is_that_number(value, text):
    assert number_in(text) == Fraction(value)
    assert numeric(value, text, "{}")
    assert numeric(text, value, "{}")


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_number_alone_states_none_and_is_never_right(text):
    assert number_in(text) is None
    assert not any(numeric(value, text, "{}") for value in ("42", "2", "3", "5", "10", "1000", "0", "1"))


def test_times_of_day_and_ratios_are_equal_part_by_part():
    assert ratio_in("12:30.") == (12, 30)
    assert numeric("12:30", "12:30", "{}")
    assert not numeric("12:30", "12:31", "{}")
    assert not numeric("12:30", "12.5", "{}")


WHOLE = st.integers(-(10**12), 10**12)
FORMS = [
    "{:,}", "{}", "{}.0", "${:,}", "{} apples", "{:,} km^2", "x = {}", "about {:,}", "({:,})", "{} (see above)",
    "**{}**", "{} because of 7", "the total is {:,} dollars", "{}%", "{}.", "`{}`"[1:-1],
]  # fmt: skip


@given(number=WHOLE, other=WHOLE, form=st.sampled_from(FORMS))
def test_a_number_equals_itself_in_every_form_and_no_other_number(number, other, form):
    text = form.format(number)
    assert numeric(str(number), text, "{}")
    assert numeric(str(other), text, "{}") is (number == other)


@given(over=st.integers(1, 999), under=st.integers(1, 999), whole=st.integers(1, 99))
def test_a_fraction_is_exact_however_it_is_written(over, under, whole):
    value = Fraction(over, under)
    assert number_in(f"{over}/{under}") == number_in(rf"\frac{{{over}}}{{{under}}}") == value
    assert number_in(f"{whole} {over}/{under}") in (whole + value, None)  # `1 500/2` may be a thousand and a half.
    assert not numeric(f"{over}/{under}", f"{over}/{under + 1}", "{}")


@given(mantissa=st.integers(1, 999), power=st.integers(-30, 30))
def test_a_power_of_ten_is_what_python_takes_it_for(mantissa, power):
    value = Fraction(mantissa) * Fraction(10) ** power
    texts = (f"{mantissa}e{power}", f"{mantissa} * 10^{power}", rf"{mantissa} \times 10^{{{power}}}")
    assert {number_in(text) for text in texts} == {value}


@given(st.text() | st.text("0123456789.,/-^e$%()= x"))
def test_any_text_states_at_most_one_number_and_reading_it_out_changes_nothing(text):
    value, stated = number_in(text), stated_number(text)
    assert (value is None) == (stated is None)
    assert stated is None or number_in(stated) == value
    assert last_number(text) is None or any(sign.isnumeric() for sign in text) or value is not None


@given(st.text("ab 01½×−·{}\\^*"))
def test_what_is_spelt_plainly_stays_as_it_is(text):
    assert plain(plain(text)) == plain(text) or "\\" in plain(text) or "^" in plain(text)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("6 boxes of 7 make 42", "42"),
        ("It is 5.\nGoodbye.", "5"),
        ("I have B3 and 7", "7"),
        ("none", None),
        ("-5", "-5"),
    ],
)
def test_the_last_number_of_a_text_is_read_as_it_stands_there(text, last):
    assert last_number(text) == last
