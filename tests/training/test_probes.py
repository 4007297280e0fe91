"""Measuring many arrays at once: against NumPy, samples that are fair, and what moved."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic.training.probes import (
    BINS,
    SAMPLE,
    SAMPLES,
    OnDevice,
    Places,
    Probe,
    Program,
    histograms,
    stride_of,
)


def test_histograms_are_those_of_numpy():
    random = np.random.default_rng(0)
    arrays = [random.normal(size=shape).astype("float32") for shape in ((20, 30), (7,), (), (3, 4, 5))]
    found = histograms([str(i) for i in range(4)], [jnp.asarray(a) for a in arrays])
    for array, one in zip(arrays, found.values(), strict=True):
        assert (one.low, one.high) == (array.min(), array.max())
        assert one.counts.sum() == array.size
        if array.size > 1:
            # A value on an edge may fall to either side.
            assert np.abs(one.counts - np.histogram(array, BINS)[0]).sum() <= 4


def test_values_that_are_not_finite_are_counted_apart():
    odd = jnp.array([jnp.nan, jnp.inf, -jnp.inf, 1.0, 2.0])
    seen = histograms(["odd", "none", "huge", "empty"], [odd, odd[:2], jnp.array([-3e38, 3e38]), odd[:0]])
    assert (seen["odd"].bad, seen["odd"].low, seen["odd"].high, seen["odd"].counts.sum()) == (3, 1.0, 2.0, 2)
    assert (seen["none"].bad, seen["none"].low, seen["none"].counts.sum()) == (2, 0.0, 0)
    assert [seen["huge"].counts[0], seen["huge"].counts[-1]] == [1, 1]
    assert seen["empty"].counts.sum() == 0


def test_a_large_array_is_sampled_from_all_columns():
    shape = (3000, 128)
    stride = stride_of(shape, SAMPLE)
    columns = np.arange(0, math.prod(shape), stride) % shape[1]
    counts = np.bincount(columns, minlength=shape[1])
    assert counts.min() > 0.9 * counts.max()
    value = jnp.broadcast_to(jnp.arange(128.0), shape)
    one = histograms(["large"], [value])["large"]
    assert (one.low, one.high, one.stride) == (0.0, 127.0, stride)
    assert SAMPLE / 2 < one.counts.sum() <= SAMPLE


def test_a_hundred_million_values_cost_a_small_sample():
    places = Places.of([(10_000, 10_000), (10_000,)])
    assert sum(places.sizes) <= 2 * SAMPLE


def test_a_thousand_variables_stay_a_bounded_sample():
    places = Places.of([(256, 256), (256,)] * 500)
    assert sum(places.sizes) <= SAMPLES


def test_movement_finds_the_units_that_rest():
    probe = Probe(["kernel", "bias"], [jnp.ones((40, 4)), jnp.zeros(4)])
    before = jnp.ones((40, 4))
    assert probe([before, jnp.zeros(4)])[1] is None
    after = before.at[:, :3].add(0.1)
    _, moved = probe([after, jnp.zeros(4)])
    assert moved is not None
    expected = np.linalg.norm(after - before) / np.linalg.norm(after)
    assert np.asarray(moved.distance) == pytest.approx([expected, 0.0], rel=1e-5)
    assert np.asarray(moved.still)[0] == 0.25
    assert np.isnan(np.asarray(moved.still)[1])
    _, moved = probe([after, jnp.zeros(4)])
    assert moved is not None
    assert np.asarray(moved.still)[0] == 1.0


def test_a_compiled_probe_does_the_same():
    values = [jnp.arange(12.0).reshape(3, 4), jnp.ones(4)]
    plain, compiled = Probe("ab", values), Probe("ab", values)
    assert plain.program is compiled.program
    compiled.program = Program((((3, 4), "float32"), ((4,), "float32")))
    compiled.program.prepared()()
    assert not hasattr(compiled.program.run, "lower")
    for one in (plain, compiled):
        one([value * 2 for value in values])
    (seen, moved), (again, moved_again) = plain(values), compiled(values)
    for name in "ab":
        assert seen[name].counts.tolist() == again[name].counts.tolist()
    jax.tree.map(np.testing.assert_array_equal, moved, moved_again)


def test_values_stay_on_the_device_until_one_is_read():
    read = []
    found = OnDevice(
        ["a", "b"], {"x": jnp.arange(2.0)}, lambda host, place: read.append(type(host["x"])) or place
    )
    assert (list(found), len(found), "a" in found, read) == (["a", "b"], 2, True, [np.ndarray])
    assert found["b"] == 1
    with pytest.raises(KeyError):
        found["c"]
