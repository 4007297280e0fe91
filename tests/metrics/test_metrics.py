"""Every metric against Keras: results over several batches, weights, masks, state, configs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import metrics
from kerasmagic.core.masking import set_keras_mask
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnknownName
from kerasmagic.foundation.registry import METRICS

Batch = tuple[np.ndarray, np.ndarray]
RNG = np.random.default_rng(0)


def probabilities(*shape: int) -> np.ndarray:
    x = RNG.uniform(0.05, 1.0, shape)
    return (x / x.sum(-1, keepdims=True)).astype("float32")


def real(n: int = 6) -> Batch:
    return RNG.normal(size=(n, 4)).astype("float32"), RNG.normal(size=(n, 4)).astype("float32")


def positive(n: int = 6) -> Batch:
    return RNG.uniform(0.1, 3, (n, 4)).astype("float32"), RNG.uniform(0.1, 3, (n, 4)).astype("float32")


def binary(n: int = 6) -> Batch:
    return RNG.integers(0, 2, (n, 4)).astype("float32"), RNG.uniform(size=(n, 4)).round(2).astype("float32")


def flat_binary(n: int = 6) -> Batch:
    return RNG.integers(0, 2, n).astype("float32"), RNG.uniform(size=n).astype("float32")


def extreme(n: int = 6) -> Batch:
    """Scores that lie on thresholds, and at both ends."""
    return RNG.integers(0, 2, n).astype("float32"), RNG.integers(0, 5, n).astype("float32") / 4


def one_hot(n: int = 6) -> Batch:
    return np.eye(4, dtype="float32")[RNG.integers(0, 4, n)], probabilities(n, 4)


def sparse(n: int = 6) -> Batch:
    return RNG.integers(0, 4, n), probabilities(n, 4)


def sparse_column(n: int = 6) -> Batch:
    return RNG.integers(0, 4, (n, 1)), probabilities(n, 4)


def sparse_sequence(n: int = 6) -> Batch:
    return RNG.integers(0, 4, (n, 3)), probabilities(n, 3, 4)


def labels(n: int = 6) -> Batch:
    return RNG.integers(0, 4, n), RNG.integers(0, 4, n)


def ranked(n: int = 6) -> Batch:
    return RNG.integers(0, 4, n), np.stack([RNG.permutation(4) for _ in range(n)])


def logits(n: int = 6) -> Batch:
    return RNG.integers(0, 2, (n, 4)).astype("float32"), RNG.normal(size=(n, 4)).astype("float32")


CASES: list[tuple[str, dict[str, Any], Callable[..., Batch]]] = [
    ("Accuracy", {}, labels),
    ("BinaryAccuracy", {}, binary),
    ("BinaryAccuracy", {"threshold": 0.3}, flat_binary),
    ("CategoricalAccuracy", {}, one_hot),
    ("SparseCategoricalAccuracy", {}, sparse),
    ("SparseCategoricalAccuracy", {}, sparse_column),
    ("SparseCategoricalAccuracy", {}, sparse_sequence),
    ("TopKCategoricalAccuracy", {"k": 2}, one_hot),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse_sequence),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, ranked),
    ("MeanSquaredError", {}, real),
    ("MeanAbsoluteError", {}, real),
    ("MeanAbsolutePercentageError", {}, positive),
    ("MeanSquaredLogarithmicError", {}, positive),
    ("RootMeanSquaredError", {}, real),
    ("CosineSimilarity", {}, real),
    ("LogCoshError", {}, real),
    ("R2Score", {}, real),
    ("R2Score", {"class_aggregation": None}, real),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, real),
    ("Hinge", {}, real),
    ("SquaredHinge", {}, binary),
    ("CategoricalHinge", {}, one_hot),
    ("KLDivergence", {}, one_hot),
    ("Poisson", {}, positive),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, binary),
    ("CategoricalCrossentropy", {"from_logits": True}, one_hot),
    ("SparseCategoricalCrossentropy", {}, sparse),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, sparse),
    ("PearsonCorrelation", {}, real),
    ("ConcordanceCorrelation", {}, real),
    ("TruePositives", {}, binary),
    ("FalsePositives", {"thresholds": [0.3, 0.9]}, binary),
    ("TrueNegatives", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, extreme),
    ("FalseNegatives", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, extreme),
    ("Precision", {}, binary),
    ("Precision", {"thresholds": [0.2, 0.8]}, flat_binary),
    ("Precision", {"top_k": 2}, binary),
    ("Precision", {"class_id": 1}, binary),
    ("Recall", {}, binary),
    ("Recall", {"top_k": 2, "class_id": 2}, binary),
    ("Recall", {"thresholds": [0.0, 0.5, 1.0]}, extreme),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, flat_binary),
    ("SensitivityAtSpecificity", {"specificity": 0.4, "num_thresholds": 1}, flat_binary),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4, "num_thresholds": 20}, flat_binary),
    ("PrecisionAtRecall", {"recall": 0.4}, flat_binary),
    ("RecallAtPrecision", {"precision": 0.4}, binary),
    ("RecallAtPrecision", {"precision": 0.4, "num_thresholds": 2}, binary),
    ("AUC", {}, flat_binary),
    ("AUC", {"num_thresholds": 5}, extreme),
    ("AUC", {"curve": "PR"}, flat_binary),
    ("AUC", {"curve": "PRGAIN"}, flat_binary),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, binary),
    ("AUC", {"summation_method": "minoring"}, binary),
    ("AUC", {"thresholds": [0.1, 0.7, 0.5]}, binary),
    ("AUC", {"thresholds": [0.25, 0.5, 0.75]}, extreme),
    ("AUC", {"multi_label": True}, binary),
    ("AUC", {"multi_label": True, "curve": "PR", "label_weights": [1.0, 2.0, 0.5, 1.0]}, binary),
    ("AUC", {"multi_label": True, "num_labels": 4, "thresholds": [0.3, 0.6]}, binary),
    ("AUC", {"label_weights": [1.0, 2.0, 0.5, 1.0]}, binary),
    ("AUC", {"from_logits": True}, logits),
    ("FBetaScore", {"beta": 2.0, "threshold": 0.5}, binary),
    ("FBetaScore", {"average": "weighted"}, one_hot),
    ("F1Score", {}, one_hot),
    ("F1Score", {"average": "micro", "threshold": 0.4}, binary),
    ("F1Score", {"average": "macro"}, one_hot),
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, labels),
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2], "sparse_y_pred": False}, sparse),
    ("BinaryIoU", {"threshold": 0.3}, binary),
    ("MeanIoU", {"num_classes": 4}, labels),
    ("MeanIoU", {"num_classes": 3, "ignore_class": 1}, labels),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1]}, one_hot),
    ("OneHotMeanIoU", {"num_classes": 4}, one_hot),
]
IDS = [f"{name}-{data.__name__}-{'-'.join(options)}" for name, options, data in CASES]


def assert_alike(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-6)


# The oracle counts in a type that JAX does not have by default.
KERAS_WARNS = pytest.mark.filterwarnings("ignore:Explicitly requested dtype")


@KERAS_WARNS
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(("name", "options", "data"), CASES, ids=IDS)
def test_results_over_batches_equal_keras(
    keras: ModuleType, name: str, options: dict[str, Any], data: Callable[..., Batch], weighted: bool
) -> None:
    whole = "IoU" in name
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    for n in (6, 6):
        batch = data(n)
        weight: Any = None
        if weighted:
            shape = batch[0].shape if name in ("IoU", "MeanIoU", "BinaryIoU") else (n,)
            weight = RNG.integers(0, 3, shape) if whole else RNG.uniform(0, 2, n).astype("float32")
        ours.update_state(*batch, sample_weight=weight)
        theirs.update_state(*batch, sample_weight=weight)
        assert_alike(ours.result(), theirs.result())
    described = [[(v.path, v.shape, v.dtype) for v in metric.variables] for metric in (ours, theirs)]
    theirs_name, ours_name = theirs.name, ours.name
    assert [(p.replace(ours_name, "m", 1), *rest) for p, *rest in described[0]] == [
        (p.replace(theirs_name, "m", 1), *rest) for p, *rest in described[1]
    ]
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        assert_alike(a.value, b.value)


@pytest.mark.parametrize(("name", "options", "data"), CASES, ids=IDS)
def test_the_state_may_be_kept_outside(
    name: str, options: dict[str, Any], data: Callable[..., Batch]
) -> None:
    metric = getattr(metrics, name)(**options)
    batches = [data(), data()]
    for batch in batches:
        metric.update_state(*batch)
    expected, before = metric.result(), [np.asarray(v.value) for v in metric.variables]
    state = metric.stateless_reset_state()
    update = jax.jit(metric.stateless_update_state)
    for batch in batches:
        state = update(state, *batch)
    assert_alike(jax.jit(metric.stateless_result)(state), expected)
    assert all(np.array_equal(a, v.value) for a, v in zip(before, metric.variables, strict=True))
    metric.reset_state()
    assert all(not np.any(np.asarray(v.value)) for v in metric.variables)
    with pytest.raises(InvalidArgument, match="one array for each"):
        metric.stateless_result([*state, 0.0])


@KERAS_WARNS
@pytest.mark.parametrize(("name", "options", "data"), CASES, ids=IDS)
def test_configs_go_to_keras_and_back(
    keras: ModuleType, name: str, options: dict[str, Any], data: Callable[..., Batch]
) -> None:
    ours = getattr(metrics, name)(**options, name="mine")
    there = keras.saving.deserialize_keras_object(metrics.serialize(ours))
    assert type(there).__name__ == name
    # Keras' own configs of these do not hold plain data.
    back = metrics.serialize(ours) if "label_weights" in options else keras.metrics.serialize(there)
    again = metrics.deserialize(back)
    assert again.get_config() == {
        **ours.get_config(),
        **{k: v for k, v in again.get_config().items() if k == "axis"},
    }
    batch = data()
    assert_alike(again(*batch), ours(*batch))
    assert_alike(there(*batch), ours.result())


@pytest.mark.parametrize(
    "weight", [None, [1.0, 0.5], [[1.0, 0.0, 2.0], [0.5, 1.0, 1.0]]], ids=["", "samples", "all"]
)
def test_means_and_sums_equal_keras(keras: ModuleType, weight: Any) -> None:
    values = RNG.normal(size=(2, 3)).astype("float32")
    for name in ("Mean", "Sum"):
        ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
        for _ in range(2):
            ours.update_state(values, sample_weight=weight)
            theirs.update_state(values, sample_weight=weight)
        assert_alike(ours.result(), theirs.result())
    single = metrics.Mean()
    single.update_state(3.0)
    single.update_state(5.0)
    assert float(single.result()) == 4.0
    assert float(metrics.Mean().result()) == 0.0


@pytest.mark.parametrize("weighted", [False, True])
def test_masks_equal_keras(keras: ModuleType, weighted: bool) -> None:
    y_true, y_pred = sparse_sequence(4)
    mask = RNG.integers(0, 2, (4, 3)).astype(bool)
    weight = RNG.uniform(size=(4, 3)).astype("float32") if weighted else None
    results = []
    for module, attach in ((metrics, set_keras_mask), (keras.metrics, keras.src.backend.set_keras_mask)):
        array = jnp.array(y_pred)
        attach(array, jnp.asarray(mask))
        metric = module.SparseCategoricalCrossentropy(ignore_class=2)
        metric.update_state(y_true, array, sample_weight=weight)
        results.append(metric.result())
    assert_alike(*results)


def test_functions_become_metrics(keras: ModuleType) -> None:
    from kerasmagic import losses

    y_true, y_pred = binary()
    for fn in (metrics.binary_accuracy, losses.MeanSquaredError(), losses.huber):
        metric = metrics.MeanMetricWrapper(fn, name="mine")
        again = metrics.deserialize(metrics.serialize(metric))
        assert_alike(metric(y_true, y_pred), again(y_true, y_pred))
        assert metric._direction == (None if fn is metrics.binary_accuracy else "down")
    theirs = keras.metrics.MeanMetricWrapper(keras.metrics.binary_accuracy, threshold=0.2)
    ours = metrics.MeanMetricWrapper(metrics.binary_accuracy, threshold=0.2)
    assert_alike(ours(y_true, y_pred), theirs(y_true, y_pred))


def test_better_is_the_same_direction_as_in_keras(keras: ModuleType) -> None:
    for name, options, _ in CASES:
        ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
        expected = getattr(theirs, "_direction", None)
        assert expected in (None, ours._direction), name


def test_names_stand_for_what_they_stand_for_in_keras(keras: ModuleType) -> None:
    from keras.src.metrics import ALL_OBJECTS_DICT

    for name, obj in ALL_OBJECTS_DICT.items():
        assert METRICS.find(name).__name__ == obj.__name__
    public = {n for n in dir(keras.metrics) if not n.startswith("_")}
    assert {n for n in public if not hasattr(metrics, n)} == set()
    assert metrics.get(metrics.binary_accuracy) is metrics.binary_accuracy
    with pytest.raises(UnknownName, match="accuracy"):
        metrics.get("acuracy")


def test_a_metric_of_ones_own_with_another_inside() -> None:
    class Both(metrics.Metric):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.mean = metrics.Mean(name="inner")
            self.steps = self.add_weight(name="steps")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.mean.update_state(jnp.abs(y_true - y_pred), sample_weight)
            self.steps.assign_add(1)

        def result(self) -> Any:
            return {"error": self.mean.result(), "steps": self.steps.value}

    metric = Both(name="a/b")
    assert metric._is_metric
    assert [v.path for v in metric.variables] == ["a>b/steps", "inner/total", "inner/count"]
    metric.update_state(jnp.ones(2), jnp.zeros(2))
    assert {k: float(v) for k, v in metric.result().items()} == {"error": 1.0, "steps": 1.0}
    state = metric.stateless_update_state(metric.stateless_reset_state(), jnp.ones(2), jnp.zeros(2))
    assert [float(x) for x in state] == [1.0, 2.0, 2.0]


def test_forgetting_the_base_constructor_is_explained() -> None:
    class Bare(metrics.Metric):
        def __init__(self) -> None:
            self.total = 0

    with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
        Bare()


def test_wrong_arguments_and_shapes_are_explained() -> None:
    for make, says in [
        (lambda: metrics.Precision(thresholds=1.5), "Threshold"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds"),
        (lambda: metrics.AUC(curve="roq"), "curve"),
        (lambda: metrics.AUC(num_labels=2), "multi_label"),
        (lambda: metrics.SensitivityAtSpecificity(1.5), "specificity"),
        (lambda: metrics.FBetaScore(beta=-1.0), "beta"),
        (lambda: metrics.F1Score(average="mean"), "average"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors"),
        (lambda: metrics.IoU(2, [2]), "out of range"),
    ]:
        with pytest.raises(InvalidArgument, match=says):
            make()
    for metric, y_true, y_pred, says in [
        (metrics.SparseCategoricalAccuracy(), (4, 3), (4, 3), "one-hot"),
        (metrics.CategoricalAccuracy(), (4,), (4, 3), "sparse_categorical_accuracy"),
        (metrics.Precision(), (4,), (4, 3), "do not fit"),
        (metrics.Precision(class_id=1), (4,), (4,), "class_id"),
        (metrics.AUC(multi_label=True), (4,), (4,), "multi_label"),
        (metrics.F1Score(), (4,), (4,), "classes"),
        (metrics.R2Score(), (4,), (4,), "outputs"),
    ]:
        with pytest.raises(ShapeMismatch, match=says):
            metric.update_state(np.zeros(y_true), np.zeros(y_pred))
    with pytest.warns(UserWarning, match="whole numbers"):
        metrics.MeanIoU(2).update_state([0, 1], [0, 1], sample_weight=np.array([0.5, 1.0], "float32"))


def test_too_few_samples_for_an_adjusted_score_warn() -> None:
    metric = metrics.R2Score(num_regressors=5)
    metric.update_state(*(x[:, :1] for x in real(4)))
    plain = metrics.R2Score()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adjusted = metric.result()
    with pytest.warns(UserWarning, match="adjusted R2"):
        metric.result()
    assert np.isfinite(float(adjusted))
    assert plain.num_regressors == 0


def test_weights_of_zero_leave_padding_out() -> None:
    weight = np.array([1.0] * 4 + [0.0] * 2, "float32")
    for name, options, data in CASES:
        if "IoU" in name:
            continue
        batch, other = data(), data()
        changed = tuple(np.concatenate([x[:4], y[4:]]) for x, y in zip(batch, other, strict=True))
        results = [getattr(metrics, name)(**options)(*b, sample_weight=weight) for b in (batch, changed)]
        np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6, err_msg=name)
