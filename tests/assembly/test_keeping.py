"""Running a definition again: what keeps its weights, and what that looks like."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.assembly import keep_weights

FIRST = "input 6\ndense 5 relu\ndense 4\ndense 2\ncompile adam, mse"


def _trained(text: str = FIRST) -> km.Model:
    model = km.define(text)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(8, 6)), rng.normal(size=(8, 2)), verbose=0)
    return model


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        (FIRST, {"dense": "kept", "dense_1": "kept", "dense_2": "kept"}),
        (
            FIRST.replace("dense 4", "dense 3"),
            {"dense": "kept", "dense_1": "changed", "dense_2": "changed"},
        ),
        (FIRST.replace("relu", "tanh"), {"dense": "changed", "dense_1": "kept", "dense_2": "kept"}),
        (
            FIRST.replace("dense 4", "dense 4\ndropout 0.5"),
            {"dense": "kept", "dense_1": "kept", "dropout": "new", "dense_2": "kept"},
        ),
        (
            FIRST.replace("dense 4", "dense 5\ndense 4"),
            {"dense": "kept", "dense_1": "new", "dense_2": "kept", "dense_3": "kept"},
        ),
        (
            FIRST.replace("dense 4", "hidden = dense 4"),
            {"dense": "kept", "hidden": "kept", "dense_1": "kept"},
        ),
        (FIRST.replace("dense 4", "dense 4 !trainable"), {f"dense{i}": "kept" for i in ("", "_1", "_2")}),
    ],
)
def test_what_did_not_change_is_kept(text, statuses):
    old, new = _trained(), km.define(text)
    found = keep_weights(old, new)
    # A layer with the name of another is known by that name.
    assert {n: s.replace("changed", "new") for n, s in found.items()} == {
        n: s.replace("changed", "new") for n, s in statuses.items()
    }
    assert [row.status for row in new.rows() if row.status] == list(found.values())


def test_a_layer_put_in_between_is_new_and_not_another_one_changed():
    old, new = _trained(), km.define(FIRST.replace("dense 4", "dense 5\ndense 4"))
    assert keep_weights(old, new)["dense_1"] == "new"
    old, new = _trained(), km.define(FIRST.replace("dense 4", "dense 7"))
    assert keep_weights(old, new)["dense_1"] == "changed"


def test_kept_layers_have_the_values_and_the_slots():
    old = _trained()
    new = km.define(FIRST.replace("dense 2", "dense 2 softmax"))
    keep_weights(old, new)
    for mine, theirs in zip(new.layers[1].weights, old.layers[1].weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    assert np.any(new.layers[3].get_weights()[0] != old.layers[3].get_weights()[0])
    kernel, before = new.layers[1].kernel, old.layers[1].kernel
    slot = new.optimizer._slots["momentum"][new.optimizer._get_variable_index(kernel)]
    theirs = old.optimizer._slots["momentum"][old.optimizer._get_variable_index(before)]
    np.testing.assert_array_equal(slot.numpy(), theirs.numpy())
    assert np.any(slot.numpy() != 0)
    assert int(new.optimizer.iterations.numpy()) == int(old.optimizer.iterations.numpy()) == 1
    changed = new.optimizer._slots["momentum"][new.optimizer._get_variable_index(new.layers[3].kernel)]
    assert not np.any(changed.numpy())


def test_both_models_train_on():
    old = _trained()
    new = km.define(FIRST.replace("dense 2", "dense 3"))
    keep_weights(old, new)
    before = old.layers[1].get_weights()[0]
    new.fit(np.ones((4, 6)), np.ones((4, 3)), verbose=0)
    np.testing.assert_array_equal(old.layers[1].get_weights()[0], before)
    old.fit(np.ones((4, 6)), np.ones((4, 2)), verbose=0)


def test_models_inside_keep_theirs():
    text = "model inner:\n    input 4\n    dense 3\n    dense 2\ninput 4\ninner\ndense 1"
    old = km.define(text)
    old.set_weights([np.full(w.shape, 0.5, "float32") for w in old.weights])
    new = km.define(text.replace("dense 2", "dense 5"))
    assert keep_weights(old, new) == {"inner": "changed", "dense": "changed"}
    np.testing.assert_array_equal(new.layers[1].layers[1].get_weights()[0], np.full((4, 3), 0.5))
