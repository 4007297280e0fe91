"""``keras.metrics``: numbers that tell how good a model is, as classes and as functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.core.serialization import deserialize_keras_object, resolve, serialize_keras_object
from kerasmagic.foundation.registry import METRICS, custom_object_scope
from kerasmagic.metrics.accuracy import Accuracy as Accuracy
from kerasmagic.metrics.accuracy import BinaryAccuracy as BinaryAccuracy
from kerasmagic.metrics.accuracy import CategoricalAccuracy as CategoricalAccuracy
from kerasmagic.metrics.accuracy import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from kerasmagic.metrics.accuracy import SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy
from kerasmagic.metrics.accuracy import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from kerasmagic.metrics.auc import AUC as AUC
from kerasmagic.metrics.confusion import FalseNegatives as FalseNegatives
from kerasmagic.metrics.confusion import FalsePositives as FalsePositives
from kerasmagic.metrics.confusion import Precision as Precision
from kerasmagic.metrics.confusion import PrecisionAtRecall as PrecisionAtRecall
from kerasmagic.metrics.confusion import Recall as Recall
from kerasmagic.metrics.confusion import RecallAtPrecision as RecallAtPrecision
from kerasmagic.metrics.confusion import SensitivityAtSpecificity as SensitivityAtSpecificity
from kerasmagic.metrics.confusion import SpecificityAtSensitivity as SpecificityAtSensitivity
from kerasmagic.metrics.confusion import TrueNegatives as TrueNegatives
from kerasmagic.metrics.confusion import TruePositives as TruePositives
from kerasmagic.metrics.f_score import F1Score as F1Score
from kerasmagic.metrics.f_score import FBetaScore as FBetaScore
from kerasmagic.metrics.iou import BinaryIoU as BinaryIoU
from kerasmagic.metrics.iou import IoU as IoU
from kerasmagic.metrics.iou import MeanIoU as MeanIoU
from kerasmagic.metrics.iou import OneHotIoU as OneHotIoU
from kerasmagic.metrics.iou import OneHotMeanIoU as OneHotMeanIoU
from kerasmagic.metrics.means import BinaryCrossentropy as BinaryCrossentropy
from kerasmagic.metrics.means import CategoricalCrossentropy as CategoricalCrossentropy
from kerasmagic.metrics.means import CategoricalHinge as CategoricalHinge
from kerasmagic.metrics.means import ConcordanceCorrelation as ConcordanceCorrelation
from kerasmagic.metrics.means import CosineSimilarity as CosineSimilarity
from kerasmagic.metrics.means import Hinge as Hinge
from kerasmagic.metrics.means import KLDivergence as KLDivergence
from kerasmagic.metrics.means import LogCoshError as LogCoshError
from kerasmagic.metrics.means import MeanAbsoluteError as MeanAbsoluteError
from kerasmagic.metrics.means import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from kerasmagic.metrics.means import MeanSquaredError as MeanSquaredError
from kerasmagic.metrics.means import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from kerasmagic.metrics.means import PearsonCorrelation as PearsonCorrelation
from kerasmagic.metrics.means import Poisson as Poisson
from kerasmagic.metrics.means import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from kerasmagic.metrics.means import SquaredHinge as SquaredHinge
from kerasmagic.metrics.metric import Metric as Metric
from kerasmagic.metrics.reduction import Mean as Mean
from kerasmagic.metrics.reduction import MeanMetricWrapper as MeanMetricWrapper
from kerasmagic.metrics.reduction import Sum as Sum
from kerasmagic.metrics.regression import R2Score as R2Score
from kerasmagic.metrics.regression import RootMeanSquaredError as RootMeanSquaredError
from kerasmagic.numerics.losses import binary_crossentropy as binary_crossentropy
from kerasmagic.numerics.losses import binary_focal_crossentropy as binary_focal_crossentropy
from kerasmagic.numerics.losses import categorical_crossentropy as categorical_crossentropy
from kerasmagic.numerics.losses import categorical_focal_crossentropy as categorical_focal_crossentropy
from kerasmagic.numerics.losses import huber as huber
from kerasmagic.numerics.losses import kl_divergence as kl_divergence
from kerasmagic.numerics.losses import log_cosh as log_cosh
from kerasmagic.numerics.losses import mean_absolute_error as mean_absolute_error
from kerasmagic.numerics.losses import mean_absolute_percentage_error as mean_absolute_percentage_error
from kerasmagic.numerics.losses import mean_squared_error as mean_squared_error
from kerasmagic.numerics.losses import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from kerasmagic.numerics.losses import poisson as poisson
from kerasmagic.numerics.losses import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from kerasmagic.numerics.margin_losses import categorical_hinge as categorical_hinge
from kerasmagic.numerics.margin_losses import hinge as hinge
from kerasmagic.numerics.margin_losses import squared_hinge as squared_hinge
from kerasmagic.numerics.metrics import binary_accuracy as binary_accuracy
from kerasmagic.numerics.metrics import categorical_accuracy as categorical_accuracy
from kerasmagic.numerics.metrics import concordance_correlation as concordance_correlation
from kerasmagic.numerics.metrics import pearson_correlation as pearson_correlation
from kerasmagic.numerics.metrics import sparse_categorical_accuracy as sparse_categorical_accuracy
from kerasmagic.numerics.metrics import (
    sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy,
)
from kerasmagic.numerics.metrics import top_k_categorical_accuracy as top_k_categorical_accuracy

# The functions that are no losses. Before the classes: a snake-case name stands for the class.
_FUNCTIONS = (
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    top_k_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    pearson_correlation,
    concordance_correlation,
)
_CLASSES = (
    Metric,
    Mean,
    Sum,
    MeanMetricWrapper,
    MeanSquaredError,
    RootMeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    CosineSimilarity,
    LogCoshError,
    R2Score,
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
    ConcordanceCorrelation,
    PearsonCorrelation,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    KLDivergence,
    Poisson,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    TopKCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    F1Score,
    FBetaScore,
    IoU,
    BinaryIoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
_ALIASES = {
    "acc": Accuracy,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
}

METRICS.add_all((*_FUNCTIONS, *_CLASSES), _ALIASES)


def get(identifier: Any) -> Any:
    """Return the metric that ``identifier`` stands for: a name, a class, a config, an object or ``None``.

    A function is returned as it is.

    Raises:
        UnknownName: If a name stands for no metric; with the nearest right spelling.
        InvalidArgument: If it is nothing that could stand for a metric.

    >>> get("mae").name, get("binary_accuracy").threshold
    ('mean_absolute_error', 0.5)
    """
    return resolve(METRICS, identifier)


def serialize(metric: Any) -> Any:
    """Return plain data from which ``deserialize`` makes a metric like this one; without its state."""
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the metric that plain data stand for: a name or what ``serialize`` returned.

    Raises:
        UnknownName: If they name no metric.

    >>> deserialize(serialize(Precision(thresholds=0.7))).thresholds
    [0.7]
    """
    if isinstance(config, Mapping):
        full = {"module": METRICS.module, "registered_name": None, **config}
        return deserialize_keras_object(full, custom_objects)
    with custom_object_scope(custom_objects or {}):
        return resolve(METRICS, config)
