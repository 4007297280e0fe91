"""Every loss against Keras: values, gradients, reductions, weights, masks; and what is said when labels do not fit."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import losses
from kerasmagic.core.masking import set_keras_mask
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnknownName
from kerasmagic.foundation.registry import LOSSES

RNG = np.random.default_rng(0)


def probabilities(*shape: int) -> np.ndarray:
    """Return positive values that sum to 1 over the last axis."""
    x = RNG.uniform(0.05, 1.0, shape)
    return (x / x.sum(-1, keepdims=True)).astype("float32")


def one_hot(*shape: int) -> np.ndarray:
    """Return a one at a random place of the last axis."""
    return np.eye(shape[-1], dtype="float32")[RNG.integers(0, shape[-1], shape[:-1])]


def data(kind: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and predictions of a kind that a loss is made for."""
    if kind == "real":
        return RNG.normal(size=shape).astype("float32"), RNG.normal(size=shape).astype("float32")
    if kind == "positive":
        return RNG.uniform(0.1, 3, shape).astype("float32"), RNG.uniform(0.1, 3, shape).astype("float32")
    if kind == "binary":
        return RNG.integers(0, 2, shape).astype("float32"), RNG.uniform(0.01, 0.99, shape).astype("float32")
    if kind == "one_hot":
        return one_hot(*shape), probabilities(*shape)
    if kind == "distribution":
        return probabilities(*shape), probabilities(*shape)
    if kind == "logits":
        return one_hot(*shape), RNG.normal(size=shape).astype("float32")
    if kind == "binary_logits":
        return RNG.integers(0, 2, shape).astype("float32"), RNG.normal(size=shape).astype("float32")
    if kind == "sparse":
        return RNG.integers(0, shape[-1], shape[:-1]), probabilities(*shape)
    assert kind == "sparse_logits"
    return RNG.integers(0, shape[-1], shape[:-1]), RNG.normal(size=shape).astype("float32")


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("MeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsolutePercentageError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("CosineSimilarity", {}, "real"),
    ("CosineSimilarity", {"axis": 1}, "real"),
    ("Huber", {"delta": 0.7}, "real"),
    ("LogCosh", {}, "real"),
    ("KLDivergence", {}, "distribution"),
    ("Poisson", {}, "positive"),
    ("Hinge", {}, "binary"),
    ("Hinge", {}, "real"),
    ("SquaredHinge", {}, "binary"),
    ("CategoricalHinge", {}, "one_hot"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, "binary_logits"),
    ("BinaryFocalCrossentropy", {}, "binary"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "from_logits": True}, "binary_logits"),
    ("CategoricalCrossentropy", {}, "one_hot"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("CategoricalFocalCrossentropy", {"gamma": 1.5}, "one_hot"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "sparse_logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "sparse"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, "sparse"),
    ("Dice", {}, "binary"),
    ("Dice", {"axis": (1,)}, "binary"),
    ("Tversky", {"alpha": 0.3, "beta": 0.7}, "binary"),
]
IDS = [f"{name}-{kind}-{'-'.join(options)}" for name, options, kind in CASES]


def value_and_gradient(loss: Any, y_true: Any, y_pred: Any, weight: Any = None) -> tuple[Any, Any]:
    def total(y: Any) -> Any:
        value = loss(y_true, y, weight)
        return jnp.sum(value), value

    gradient, value = jax.grad(total, has_aux=True)(jnp.asarray(y_pred))
    return value, gradient


def assert_alike(ours: Any, theirs: Any) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("shape", [(6, 4), (3, 5, 4)], ids=str)
@pytest.mark.parametrize(("name", "options", "kind"), CASES, ids=IDS)
def test_value_and_gradient_equal_keras(
    keras: ModuleType, name: str, options: dict[str, Any], kind: str, shape: tuple[int, ...]
) -> None:
    y_true, y_pred = data(kind, shape)
    ours = value_and_gradient(getattr(losses, name)(**options), y_true, y_pred)
    theirs = value_and_gradient(getattr(keras.losses, name)(**options), y_true, y_pred)
    assert_alike(ours, theirs)


@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None]
)
@pytest.mark.parametrize("weight_shape", [None, (6,), (6, 1), ()], ids=str)
@pytest.mark.parametrize("name", ["MeanSquaredError", "SparseCategoricalCrossentropy"])
def test_reductions_with_weights_equal_keras(
    keras: ModuleType, name: str, weight_shape: tuple[int, ...] | None, reduction: str | None
) -> None:
    y_true, y_pred = data("sparse" if "Sparse" in name else "real", (6, 4))
    weight = None if weight_shape is None else RNG.uniform(0, 2, weight_shape).astype("float32")
    options = {"reduction": reduction}
    if "Sparse" in name:
        options["ignore_class"] = 2
    ours = value_and_gradient(getattr(losses, name)(**options), y_true, y_pred, weight)
    theirs = value_and_gradient(getattr(keras.losses, name)(**options), y_true, y_pred, weight)
    assert_alike(ours, theirs)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
def test_masks_equal_keras(keras: ModuleType, reduction: str, weighted: bool) -> None:
    y_true, y_pred = data("real", (3, 5, 4))
    mask = RNG.integers(0, 2, (3, 5)).astype(bool)
    weight = RNG.uniform(0, 2, (3, 5)).astype("float32") if weighted else None
    results = []
    for module, attach in ((losses, set_keras_mask), (keras.losses, keras.src.backend.set_keras_mask)):
        array = jnp.array(y_pred)
        attach(array, jnp.asarray(mask))
        results.append([module.MeanSquaredError(reduction=reduction)(y_true, array, weight)])
    assert_alike(*results)


def test_a_mask_hides_what_it_covers() -> None:
    y_pred = jnp.array([[1.0], [9.0]])
    set_keras_mask(y_pred, jnp.array([True, False]))
    assert float(losses.MeanSquaredError()(jnp.zeros((2, 1)), y_pred)) == 1.0


def test_a_fully_masked_batch_costs_nothing() -> None:
    y_pred = jnp.ones((2, 1))
    set_keras_mask(y_pred, jnp.array([False, False]))
    assert float(losses.MeanSquaredError()(jnp.zeros((2, 1)), y_pred)) == 0.0


def test_sample_weights_apply_to_every_time_step() -> None:
    y_pred = jnp.ones((2, 3, 1))
    weighted = losses.MeanSquaredError(reduction="none")(jnp.zeros((2, 3, 1)), y_pred, jnp.array([1.0, 2.0]))
    assert weighted.tolist() == [[1.0] * 3, [2.0] * 3]


def test_circle_equals_keras(keras: ModuleType) -> None:
    labels = np.array([0, 1, 0, 1, 2, 2])
    embeddings = RNG.normal(size=(6, 3)).astype("float32")
    embeddings /= np.linalg.norm(embeddings, axis=-1, keepdims=True)
    for options in ({}, {"gamma": 4.0, "margin": 0.2}, {"remove_diagonal": False, "reduction": "sum"}):
        ours = value_and_gradient(losses.Circle(**options), labels, embeddings)
        assert_alike(ours, value_and_gradient(keras.losses.Circle(**options), labels, embeddings))


def test_ctc_equals_keras(keras: ModuleType) -> None:
    labels = np.array([[1, 2, 2, 0], [3, 1, 0, 0]])
    logits = RNG.normal(size=(2, 7, 5)).astype("float32")
    ours = value_and_gradient(losses.CTC(), labels, logits)
    assert_alike(ours, value_and_gradient(keras.losses.CTC(), labels, logits))


def test_functions_equal_keras(keras: ModuleType) -> None:
    for name, options, kind in CASES:
        function = LOSSES.name_of(type(getattr(losses, name)(**options)).function)
        if function is None:
            continue
        y_true, y_pred = data(kind, (6, 4))
        mine = getattr(losses, function)(y_true, y_pred, **options)
        theirs = getattr(keras.losses, function)(y_true, y_pred, **options)
        np.testing.assert_allclose(
            np.asarray(mine), np.asarray(theirs), rtol=2e-5, atol=2e-6, err_msg=function
        )


def test_ranks_that_differ_by_one_are_matched(keras: ModuleType) -> None:
    y_true, y_pred = data("binary", (6,))
    for name in ("BinaryCrossentropy", "MeanSquaredError"):
        for a, b in ((y_true, y_pred[:, None]), (y_true[:, None], y_pred)):
            mine, theirs = getattr(losses, name)()(a, b), getattr(keras.losses, name)()(a, b)
            np.testing.assert_allclose(float(mine), float(theirs), rtol=1e-6)


def test_a_logit_of_minus_infinity_elsewhere_is_harmless() -> None:
    logits = jnp.array([[0.0, -jnp.inf, 0.0]])
    loss = losses.sparse_categorical_crossentropy([0], logits, from_logits=True)
    assert float(loss[0]) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "says"),
    [
        ("categorical_crossentropy", (8,), (8, 10), "use 'sparse_categorical_crossentropy'"),
        ("categorical_crossentropy", (8, 1), (8, 10), "use 'sparse_categorical_crossentropy'"),
        ("categorical_crossentropy", (8, 5), (8, 10), r"\(8, 10\)"),
        ("sparse_categorical_crossentropy", (8, 10), (8, 10), "use 'categorical_crossentropy'"),
        ("sparse_categorical_crossentropy", (7,), (8, 10), r"labels of shape \(8,\)"),
        ("binary_crossentropy", (8,), (8, 10), "use 'sparse_categorical_crossentropy'"),
        ("mse", (8,), (8, 10), "needs one output"),
        ("mse", (10,), (10, 10), "needs one output"),
        ("mae", (8, 3), (8, 10), r"the shape of the predictions, \(8, 10\)"),
    ],
)
def test_labels_that_do_not_fit_are_explained(name: str, y_true: Any, y_pred: Any, says: str) -> None:
    with pytest.raises(ShapeMismatch, match=says):
        losses.LossFunctionWrapper(losses.get(name))(np.zeros(y_true), np.ones(y_pred))


def test_weights_that_do_not_fit_are_explained() -> None:
    with pytest.raises(ShapeMismatch, match="one weight a sample"):
        losses.MeanSquaredError()(np.zeros((4, 2)), np.ones((4, 2)), np.ones(3))


@pytest.mark.parametrize(("name", "options", "kind"), CASES, ids=IDS)
def test_a_config_makes_the_same_loss_here_and_in_keras(
    keras: ModuleType, name: str, options: dict[str, Any], kind: str
) -> None:
    loss = getattr(losses, name)(**options, name="mine", reduction="sum")
    config = losses.serialize(loss)
    y_true, y_pred = data(kind, (3, 5, 4))
    expected = float(loss(y_true, y_pred))
    again = losses.deserialize(config)
    assert (again.name, again.get_config()) == ("mine", loss.get_config())
    assert float(again(y_true, y_pred)) == expected
    there = keras.saving.deserialize_keras_object(config)
    assert float(there(y_true, y_pred)) == pytest.approx(expected, rel=1e-5)


def test_configs_of_keras_are_read(keras: ModuleType) -> None:
    for name, options, _ in CASES:
        theirs = keras.losses.serialize(getattr(keras.losses, name)(**options))
        mine = losses.deserialize(theirs)
        assert type(mine).__name__ == name
        assert theirs["config"].items() <= {**mine.get_config()}.items()


def test_names_stand_for_what_they_stand_for_in_keras(keras: ModuleType) -> None:
    from keras.src.losses import ALL_OBJECTS_DICT

    for name, obj in ALL_OBJECTS_DICT.items():
        assert LOSSES.find(name).__name__ == obj.__name__
    public = {n for n in dir(keras.losses) if not n.startswith("_")}
    assert {n for n in public if not hasattr(losses, n)} == set()


def test_wrong_names_and_options_are_refused() -> None:
    with pytest.raises(UnknownName, match="mean_squared_error"):
        losses.get("mean_squared_eror")
    with pytest.raises(InvalidArgument, match="reduction"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(InvalidArgument, match="q"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.0)


def test_losses_run_under_jit_and_keep_their_type() -> None:
    loss = losses.SparseCategoricalCrossentropy(ignore_class=0, dtype="bfloat16")
    value = jax.jit(loss)(jnp.array([0, 1, 2]), jnp.asarray(probabilities(3, 3)))
    assert value.dtype == jnp.bfloat16
    assert float(value) > 0
