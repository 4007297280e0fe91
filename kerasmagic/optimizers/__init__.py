"""``keras.optimizers``: how gradients change variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.core.serialization import deserialize_keras_object, resolve, serialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import OPTIMIZERS
from kerasmagic.optimizers import schedules as schedules
from kerasmagic.optimizers.adam import Adam as Adam
from kerasmagic.optimizers.adam import Adamax as Adamax
from kerasmagic.optimizers.adam import AdamW as AdamW
from kerasmagic.optimizers.adam import Lamb as Lamb
from kerasmagic.optimizers.adam import Nadam as Nadam
from kerasmagic.optimizers.adam import ScheduleFreeAdamW as ScheduleFreeAdamW
from kerasmagic.optimizers.gradient_descent import SGD as SGD
from kerasmagic.optimizers.gradient_descent import Adadelta as Adadelta
from kerasmagic.optimizers.gradient_descent import Adagrad as Adagrad
from kerasmagic.optimizers.gradient_descent import Ftrl as Ftrl
from kerasmagic.optimizers.gradient_descent import Lion as Lion
from kerasmagic.optimizers.gradient_descent import RMSprop as RMSprop
from kerasmagic.optimizers.matrix import Adafactor as Adafactor
from kerasmagic.optimizers.matrix import Muon as Muon
from kerasmagic.optimizers.optimizer import Optimizer as Optimizer
from kerasmagic.optimizers.wrappers import LossScaleOptimizer as LossScaleOptimizer
from kerasmagic.optimizers.wrappers import MultiOptimizer as MultiOptimizer
from kerasmagic.optimizers.wrappers import OptimizerMap as OptimizerMap

for _cls in (
    Optimizer,
    SGD,
    RMSprop,
    Adam,
    AdamW,
    Adadelta,
    Adagrad,
    Adamax,
    Adafactor,
    Nadam,
    Ftrl,
    Lion,
    Lamb,
    Muon,
    ScheduleFreeAdamW,
    LossScaleOptimizer,
    MultiOptimizer,
    OptimizerMap,
):
    OPTIMIZERS.add(_cls, _cls.__name__.lower())


def get(identifier: Any) -> Any:
    """Return the optimizer that ``identifier`` stands for: a name, a class, a config, an object or ``None``.

    Raises:
        UnknownName: If a name stands for no optimizer; with the nearest right spelling.
        InvalidArgument: If it is nothing that could stand for an optimizer.

    >>> get("adam").beta_1, get({"class_name": "SGD", "config": {"momentum": 0.5}}).momentum
    (0.9, 0.5)
    """
    if isinstance(identifier, str) and identifier not in OPTIMIZERS and identifier.lower() in OPTIMIZERS:
        identifier = identifier.lower()
    found = identifier if isinstance(identifier, Optimizer) else resolve(OPTIMIZERS, identifier)
    if found is not None and not isinstance(found, Optimizer):
        raise InvalidArgument(f"Could not interpret optimizer identifier: {identifier!r}")
    return found


def serialize(optimizer: Optimizer) -> Any:
    """Return plain data from which ``deserialize`` makes an optimizer like this one; without its state."""
    return serialize_keras_object(optimizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the optimizer that plain data stand for.

    Raises:
        UnknownName: If they name no optimizer.

    >>> deserialize(serialize(Adam(beta_1=0.5))).beta_1
    0.5
    """
    full = {"module": OPTIMIZERS.module, "registered_name": None, **config}
    return deserialize_keras_object(full, custom_objects)
