"""Functions between layers: ``keras.activations``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.activations.functions import celu as celu
from kerasmagic.activations.functions import elu as elu
from kerasmagic.activations.functions import exponential as exponential
from kerasmagic.activations.functions import gelu as gelu
from kerasmagic.activations.functions import glu as glu
from kerasmagic.activations.functions import hard_shrink as hard_shrink
from kerasmagic.activations.functions import hard_sigmoid as hard_sigmoid
from kerasmagic.activations.functions import hard_silu as hard_silu
from kerasmagic.activations.functions import hard_tanh as hard_tanh
from kerasmagic.activations.functions import leaky_relu as leaky_relu
from kerasmagic.activations.functions import linear as linear
from kerasmagic.activations.functions import log_sigmoid as log_sigmoid
from kerasmagic.activations.functions import log_softmax as log_softmax
from kerasmagic.activations.functions import mish as mish
from kerasmagic.activations.functions import relu as relu
from kerasmagic.activations.functions import relu6 as relu6
from kerasmagic.activations.functions import selu as selu
from kerasmagic.activations.functions import sigmoid as sigmoid
from kerasmagic.activations.functions import silu as silu
from kerasmagic.activations.functions import soft_shrink as soft_shrink
from kerasmagic.activations.functions import softmax as softmax
from kerasmagic.activations.functions import softplus as softplus
from kerasmagic.activations.functions import softsign as softsign
from kerasmagic.activations.functions import sparse_plus as sparse_plus
from kerasmagic.activations.functions import sparse_sigmoid as sparse_sigmoid
from kerasmagic.activations.functions import sparsemax as sparsemax
from kerasmagic.activations.functions import squareplus as squareplus
from kerasmagic.activations.functions import tanh as tanh
from kerasmagic.activations.functions import tanh_shrink as tanh_shrink
from kerasmagic.activations.functions import threshold as threshold
from kerasmagic.core.addresses import place
from kerasmagic.core.serialization import identifier_of, resolve
from kerasmagic.foundation.registry import ACTIVATIONS, custom_object_scope

swish = silu
hard_swish = hard_silu

# The activations that files name otherwise than the operation of the same name.
_ELSEWHERE = {relu: ("keras.src.activations.activations", "ReLU"), mish: ("keras.activations", "Mish")}
_ELSEWHERE |= {exponential: ("keras.src.ops.numpy", "Exp"), tanh: ("keras.src.ops.numpy", "Tanh")}
for _each in ACTIVATIONS.public_names().values():
    place(_each, *_ELSEWHERE.get(_each, ("keras.src.ops.nn", None)), reads=_each in (relu, mish))


def get(identifier: Any) -> Any:
    """Return the activation that ``identifier`` stands for.

    Args:
        identifier: A name, a config, or a function; ``None`` stands for ``linear``.

    Raises:
        UnknownName: If a name stands for nothing.
        InvalidArgument: If it is none of these.

    Example:

    >>> get("relu") is relu, get(None) is linear
    (True, True)
    """
    if identifier is None:
        return linear
    return identifier if isinstance(identifier, type) else resolve(ACTIVATIONS, identifier)


def serialize(activation: Any) -> Any:
    """Return the name of an activation of the library, and a config of any other.

    Raises:
        NotSerializable: If it is a ``lambda`` or has no ``get_config``.

    >>> serialize(swish)
    'silu'
    """
    return identifier_of(ACTIVATIONS, activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the activation of which ``serialize`` returned ``config``.

    Raises:
        UnknownName: If it names no public or registered function.

    >>> deserialize("hard_swish") is hard_silu
    True
    """
    with custom_object_scope(custom_objects or {}):
        return None if config is None else get(config)
