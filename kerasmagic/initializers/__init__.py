"""How the first values of variables are made: ``keras.initializers``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from kerasmagic.core.serialization import resolve, serialize_keras_object
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.foundation.registry import INITIALIZERS, custom_object_scope
from kerasmagic.initializers.base import Initializer as Initializer
from kerasmagic.initializers.base import concrete_dtype
from kerasmagic.initializers.constant import STFT as STFT
from kerasmagic.initializers.constant import Constant as Constant
from kerasmagic.initializers.constant import Identity as Identity
from kerasmagic.initializers.constant import Ones as Ones
from kerasmagic.initializers.constant import Zeros as Zeros
from kerasmagic.initializers.drawn import GlorotNormal as GlorotNormal
from kerasmagic.initializers.drawn import GlorotUniform as GlorotUniform
from kerasmagic.initializers.drawn import HeNormal as HeNormal
from kerasmagic.initializers.drawn import HeUniform as HeUniform
from kerasmagic.initializers.drawn import LecunNormal as LecunNormal
from kerasmagic.initializers.drawn import LecunUniform as LecunUniform
from kerasmagic.initializers.drawn import Orthogonal as Orthogonal
from kerasmagic.initializers.drawn import RandomNormal as RandomNormal
from kerasmagic.initializers.drawn import RandomUniform as RandomUniform
from kerasmagic.initializers.drawn import TruncatedNormal as TruncatedNormal
from kerasmagic.initializers.drawn import VarianceScaling as VarianceScaling

IdentityInitializer = identity = Identity
OrthogonalInitializer = orthogonal = Orthogonal
STFTInitializer = stft = STFT
constant = Constant
zeros = Zeros
ones = Ones
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
lecun_normal = LecunNormal
lecun_uniform = LecunUniform


def get(identifier: Any) -> Any:
    """Return the initializer that ``identifier`` stands for.

    Args:
        identifier: A name, a config, a class, a function ``(shape, dtype=None)``, or an array: the
            initial value itself. ``None`` stands for ``None``.

    Raises:
        UnknownName: If a name stands for nothing.
        InvalidArgument: If it is none of these.

    Example:

    >>> import numpy as np
    >>> get("zeros")((2,)).tolist(), get(np.float32([1, 2]))((2,)).tolist()
    ([0.0, 0.0], [1.0, 2.0])
    """
    if isinstance(identifier, (jax.Array, np.ndarray, np.generic, Variable)):
        return _fixed(np.asarray(identifier))
    return resolve(INITIALIZERS, identifier)


def serialize(initializer: Any) -> Any:
    """Return plain data from which ``deserialize`` makes the initializer again.

    >>> serialize(Zeros())["class_name"]
    'Zeros'
    """
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make an initializer from what ``serialize`` returned.

    Raises:
        UnknownName: If the config names no public or registered initializer.

    >>> deserialize(serialize(Constant(2.0))).value
    2.0
    """
    with custom_object_scope(custom_objects or {}):
        return get(config)


def _fixed(value: np.ndarray) -> Any:
    def initialize(shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        if tuple(shape) != value.shape:
            raise ShapeMismatch(
                f"Expected `shape` to be {value.shape} for direct tensor as initializer. "
                f"Received shape={shape}"
            )
        return value.astype(concrete_dtype(dtype))

    return initialize
