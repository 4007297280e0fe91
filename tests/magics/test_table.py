"""The table of a model where it is asked for: in a cell, by `show`, in a terminal."""

from __future__ import annotations

import pytest

import kerasmagic as keras
from kerasmagic.foundation import options
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.magics.table import LIMIT_VARIABLE, limit, table_of
from tests.widgets.markup import Tags

TEXT = """
block skip(n):
    dense n relu
    + in
input 8
(skip 8) * 3
x = dense 4
y = dense 4
x + y -> dense 2 softmax
compile adam, mse
"""


@pytest.fixture(autouse=True)
def sixteen_gigabytes(monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "16G")


def test_show_prints_where_nothing_displays(capsys):
    keras.define(TEXT, name="net").show(batch=8)
    shown = capsys.readouterr().out
    assert shown.startswith("net\n")
    assert "at batch 8 = parameters" in shown
    assert shown.endswith("fits in 16.0 GiB\n")


def test_show_displays_in_a_shell(ip, capsys):
    ip.run_cell_magic("model", "net --quiet", TEXT)
    ip.run_cell("net.show()")
    assert "multiply-adds" in capsys.readouterr().out


@pytest.mark.parametrize("batch", [0, -1, 2.5, "8"])
def test_a_batch_is_a_positive_integer(batch):
    with pytest.raises(InvalidArgument, match="batch"):
        keras.define(TEXT).show(batch=batch)


def test_two_runs_show_the_same():
    first, second = (table_of(keras.define(TEXT, name="net")) for _ in range(2))
    assert first._repr_mimebundle_() == second._repr_mimebundle_()
    Tags(first.html())


def test_the_optimizer_of_the_model_is_counted():
    adam, sgd = (table_of(keras.define(TEXT.replace("adam", name))).memory for name in ("adam", "sgd 0.1"))
    assert adam is not None
    assert sgd is not None
    assert adam.slots - sgd.slots == 2 * adam.gradients


@pytest.mark.parametrize(("text", "size"), [("16G", 2**34), ("512 MiB", 2**29), ("100", 100), ("none", None)])
def test_a_limit_can_be_said(monkeypatch, text, size):
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    assert limit() == size


def test_without_one_it_is_that_of_the_machine(monkeypatch):
    monkeypatch.delenv(LIMIT_VARIABLE)
    found = limit()
    assert found is None or found > 2**20


def test_deterministic_output_says_nothing_of_the_machine(monkeypatch):
    monkeypatch.delenv(LIMIT_VARIABLE)
    with options.scoped(deterministic=True):
        assert "limit" not in table_of(keras.define(TEXT)).text()


def test_live_is_a_table_where_there_is_no_kernel(ip, capsys):
    ip.run_cell_magic("model", "net --live", TEXT)
    assert "multiply-adds" in capsys.readouterr().out
    assert ip.user_ns["net"].output_shape == (None, 2)


def test_a_model_that_has_seen_no_data_says_what_it_knows(capsys):
    keras.Sequential([keras.layers.Dense(3)], name="open").show()
    shown = capsys.readouterr().out
    assert "?" in shown
    assert "training step" not in shown


def test_a_fixed_batch_is_no_sample():
    x = keras.Input(batch_shape=(8, 4))
    text = table_of(keras.Model(x, keras.layers.Dense(2)(x))).text()
    assert "multiply-adds  64 a call" in text
    assert "= parameters" in text
    assert " at batch" not in text
