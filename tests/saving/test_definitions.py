"""Layers of ``%%layer`` in files: their text goes with them, and runs only where the reader consents."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.assembly import define_layer
from tests.saving.audit import Watch

# What reading a first file imports must have been imported before it is watched.
pytestmark = pytest.mark.usefixtures("genuine")

SCALED = """input (..., n)
weight kernel (n, units) glorot_uniform
x @ kernel * jnp.float32(scale)"""
X = np.arange(8, dtype="float32").reshape(2, 4)


@pytest.fixture
def saved(tmp_path):
    """Return a model of a layer of layers in a file, as it would come from another notebook."""
    scaled = define_layer("Scaled(units, scale=2.0)", SCALED)
    block = define_layer("Block(units)", "Scaled units -> relu -> dense 3", {"Scaled": scaled})
    inputs = km.Input((4,))
    model = km.Model(inputs, block(5)(scaled(6, scale=0.5)(inputs)))
    model.compile("adam", "mse")
    model.fit(X, np.ones((2, 3)), verbose=0)
    model.save(tmp_path / "m.keras")
    forget()
    yield model, tmp_path / "m.keras"
    forget()


def forget():
    for name in ("notebook>Scaled", "notebook>Block"):
        km.saving.get_custom_objects().pop(name, None)


@pytest.mark.parametrize("options", [{}, {"safe_mode": True}, {"safe_mode": None}, {"safe_mode": 0}])
def test_a_definition_does_not_run_by_default(saved, options):
    with (
        Watch(saved[1]) as watch,
        pytest.raises(ValueError, match=r"definition of the layer.*safe_mode=False"),
    ):
        km.models.load_model(saved[1], **options)
    assert watch.touched == []


def test_a_definition_runs_with_consent(saved):
    model, path = saved
    again = km.models.load_model(path, safe_mode=False)
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)
    again.fit(X, np.ones((2, 3)), verbose=0)
    # What was read can be written and read again.
    again.save(path)
    forget()
    third = km.models.load_model(path, safe_mode=False)
    np.testing.assert_allclose(third.predict(X, verbose=0), again.predict(X, verbose=0), rtol=1e-6)


def test_a_layer_that_the_notebook_has_needs_no_consent(saved):
    model, path = saved
    scaled = define_layer("Scaled(units, scale=2.0)", SCALED)
    block = define_layer("Block(units)", "Scaled units -> relu -> dense 3", {"Scaled": scaled})
    again = km.models.load_model(path)
    assert [type(each) for each in again.layers[1:]] == [scaled, block]
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)
    # The definition in the file does not take the place of the notebook's own.
    assert type(km.models.load_model(path, safe_mode=False).layers[1]) is scaled


def test_a_definition_reads_without_its_neighbours(saved):
    path = saved[1]
    objects = {"notebook>Block": define_layer("Block(units)", "dense units -> relu -> dense 3")}
    forget()
    with pytest.raises(ValueError, match="weights do not fit"):
        km.models.load_model(path, custom_objects=objects, safe_mode=False)


def test_python_in_a_definition_has_no_names(tmp_path):
    layer = define_layer("Scaled(units)", "dense {size}", {"size": 3})
    model = km.Sequential([km.Input((4,)), layer(2)])
    model.save(tmp_path / "m.keras")
    forget()
    with pytest.raises(ValueError, match="size"):
        km.models.load_model(tmp_path / "m.keras", safe_mode=False)
    forget()
