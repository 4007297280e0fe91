"""``keras.losses``: what training minimizes, as classes and as functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.core.serialization import deserialize_keras_object, resolve, serialize_keras_object
from kerasmagic.foundation.registry import LOSSES, custom_object_scope
from kerasmagic.losses.configured import BinaryCrossentropy as BinaryCrossentropy
from kerasmagic.losses.configured import BinaryFocalCrossentropy as BinaryFocalCrossentropy
from kerasmagic.losses.configured import CategoricalCrossentropy as CategoricalCrossentropy
from kerasmagic.losses.configured import CategoricalFocalCrossentropy as CategoricalFocalCrossentropy
from kerasmagic.losses.configured import (
    CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy,
)
from kerasmagic.losses.configured import Circle as Circle
from kerasmagic.losses.configured import CosineSimilarity as CosineSimilarity
from kerasmagic.losses.configured import Dice as Dice
from kerasmagic.losses.configured import Huber as Huber
from kerasmagic.losses.configured import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from kerasmagic.losses.configured import Tversky as Tversky
from kerasmagic.losses.functions import circle as circle
from kerasmagic.losses.functions import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from kerasmagic.losses.loss import Loss as Loss
from kerasmagic.losses.loss import LossFunctionWrapper as LossFunctionWrapper
from kerasmagic.losses.plain import CTC as CTC
from kerasmagic.losses.plain import CategoricalHinge as CategoricalHinge
from kerasmagic.losses.plain import Hinge as Hinge
from kerasmagic.losses.plain import KLDivergence as KLDivergence
from kerasmagic.losses.plain import LogCosh as LogCosh
from kerasmagic.losses.plain import MeanAbsoluteError as MeanAbsoluteError
from kerasmagic.losses.plain import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from kerasmagic.losses.plain import MeanSquaredError as MeanSquaredError
from kerasmagic.losses.plain import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from kerasmagic.losses.plain import Poisson as Poisson
from kerasmagic.losses.plain import SquaredHinge as SquaredHinge
from kerasmagic.numerics.losses import binary_crossentropy as binary_crossentropy
from kerasmagic.numerics.losses import binary_focal_crossentropy as binary_focal_crossentropy
from kerasmagic.numerics.losses import categorical_crossentropy as categorical_crossentropy
from kerasmagic.numerics.losses import categorical_focal_crossentropy as categorical_focal_crossentropy
from kerasmagic.numerics.losses import (
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from kerasmagic.numerics.losses import cosine_similarity as cosine_similarity
from kerasmagic.numerics.losses import huber as huber
from kerasmagic.numerics.losses import kl_divergence as kl_divergence
from kerasmagic.numerics.losses import log_cosh as log_cosh
from kerasmagic.numerics.losses import mean_absolute_error as mean_absolute_error
from kerasmagic.numerics.losses import mean_absolute_percentage_error as mean_absolute_percentage_error
from kerasmagic.numerics.losses import mean_squared_error as mean_squared_error
from kerasmagic.numerics.losses import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from kerasmagic.numerics.losses import poisson as poisson
from kerasmagic.numerics.margin_losses import categorical_hinge as categorical_hinge
from kerasmagic.numerics.margin_losses import ctc as ctc
from kerasmagic.numerics.margin_losses import dice as dice
from kerasmagic.numerics.margin_losses import hinge as hinge
from kerasmagic.numerics.margin_losses import squared_hinge as squared_hinge
from kerasmagic.numerics.margin_losses import tversky as tversky

_CLASSES = (
    Loss,
    LossFunctionWrapper,
    KLDivergence,
    Poisson,
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    SparseCategoricalCrossentropy,
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    CosineSimilarity,
    LogCosh,
    Huber,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    Dice,
    Tversky,
    Circle,
    CTC,
)
# After the classes: the snake-case name of a class stands for the function of that name.
_FUNCTIONS = {
    kl_divergence: ("kld", "KLD", "kullback_leibler_divergence"),
    poisson: (),
    binary_crossentropy: ("bce", "BCE"),
    binary_focal_crossentropy: (),
    categorical_crossentropy: (),
    categorical_focal_crossentropy: (),
    categorical_generalized_cross_entropy: (),
    sparse_categorical_crossentropy: (),
    mean_squared_error: ("mse", "MSE"),
    mean_absolute_error: ("mae", "MAE"),
    mean_absolute_percentage_error: ("mape", "MAPE"),
    mean_squared_logarithmic_error: ("msle", "MSLE"),
    cosine_similarity: (),
    log_cosh: ("logcosh",),
    huber: (),
    hinge: (),
    squared_hinge: (),
    categorical_hinge: (),
    dice: (),
    tversky: (),
    circle: (),
    ctc: (),
}

LOSSES.add_all(_CLASSES)
for _function, _aliases in _FUNCTIONS.items():
    LOSSES.add(_function, *_aliases)


def get(identifier: Any) -> Any:
    """Return the loss that ``identifier`` stands for: a name, a class, a config, an object or ``None``.

    Raises:
        UnknownName: If a name stands for no loss; with the nearest right spelling.
        InvalidArgument: If it is nothing that could stand for a loss.

    >>> get("mse").__name__, get("MeanSquaredError").name, get("logcosh") is log_cosh
    ('mean_squared_error', 'mean_squared_error', True)
    """
    return resolve(LOSSES, identifier)


def serialize(loss: Any) -> Any:
    """Return plain data from which ``deserialize`` makes ``loss`` again."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the loss that plain data stand for: a name or what ``serialize`` returned.

    Raises:
        UnknownName: If they name no loss.

    >>> deserialize(serialize(Huber(delta=2.0))).delta
    2.0
    """
    if isinstance(name, Mapping):
        full = {"module": LOSSES.module, "registered_name": None, **name}
        return deserialize_keras_object(full, custom_objects)
    with custom_object_scope(custom_objects or {}):
        return resolve(LOSSES, name)
