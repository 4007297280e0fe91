"""Amounts: sums of products of open dimensions, as text and as numbers."""

from __future__ import annotations

import pytest

from kerasmagic.foundation.amount import ONE, ZERO, Amount, evaluate, symbols, total


def test_products_and_sums():
    amount = Amount.product(3, "batch", 5) + Amount.product("batch", 2) + Amount.product(7)
    assert amount == Amount({("batch",): 17, (): 7})
    assert amount.times(2, "t").text() == "14*t + 34*batch*t"
    assert amount.at({"batch": 4}) == 75
    assert amount.at(2) == 41


def test_a_product_of_dimensions_is_taken_apart():
    assert Amount.product("4*batch*time", 2) == Amount.product(8, "time", "batch")
    assert Amount.product("4*t + 1", "b").terms == {("4*t + 1", "b"): 1}
    assert Amount.product("4*t + 1", "b").text() == "(4*t + 1)*b"


def test_nothing_and_one():
    assert not ZERO
    assert ZERO.text() == "0"
    assert ZERO.at({}) == 0
    assert Amount.product() == ONE
    assert Amount.product("t", 0) == ZERO
    assert total([]) == ZERO
    assert total([ONE, ONE, Amount.product("t")]).at({"t": 5}) == 7
    assert (ONE + ZERO) is ONE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("floordiv(t - 3, 2)", 2),
        ("mod(t, 5) + max(t, n)", 13),
        ("t^2", 64),
        ("min(t, n) * -1", -8),
        ("12", 12),
    ],
)
def test_expressions_of_jax(text, value):
    assert evaluate(text, {"t": 8, "n": 10}) == value


def test_names():
    assert symbols("max(0, floordiv(größe - 1, 2)) + t") == ["größe", "t"]
    assert Amount.product("t", "batch", "max(a, 1)").names() == ("batch", "a", "t")


def test_a_text_runs_nothing():
    with pytest.raises(NameError):
        evaluate("__import__('os').getcwd()", {})
