"""Numbers in few bits, and what turns a model's weights into them; ``keras.quantizers``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.core.serialization import deserialize_keras_object, resolve
from kerasmagic.core.serialization import serialize_keras_object as serialize_keras_object
from kerasmagic.core.symbolic import lift
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import QUANTIZERS
from kerasmagic.numerics import quantized
from kerasmagic.numerics.quantized import abs_max_quantize as abs_max_quantize
from kerasmagic.numerics.quantized import (
    abs_max_quantize_grouped_with_zero_point as abs_max_quantize_grouped_with_zero_point,
)
from kerasmagic.numerics.quantized import compute_float8_amax_history as compute_float8_amax_history
from kerasmagic.numerics.quantized import compute_float8_scale as compute_float8_scale
from kerasmagic.numerics.quantized import pack_int4 as pack_int4
from kerasmagic.numerics.quantized import quantize_and_dequantize as quantize_and_dequantize
from kerasmagic.numerics.quantized import unpack_int4 as unpack_int4
from kerasmagic.quantizers.base import AbsMaxQuantizer as AbsMaxQuantizer
from kerasmagic.quantizers.base import Quantizer as Quantizer
from kerasmagic.quantizers.configs import Float8QuantizationConfig as Float8QuantizationConfig
from kerasmagic.quantizers.configs import Int4QuantizationConfig as Int4QuantizationConfig
from kerasmagic.quantizers.configs import Int8QuantizationConfig as Int8QuantizationConfig
from kerasmagic.quantizers.configs import QuantizationConfig as QuantizationConfig

fake_quant_with_min_max_vars = lift(quantized.fake_quant_with_min_max_vars)

QUANTIZERS.add_all(
    [
        Quantizer,
        AbsMaxQuantizer,
        QuantizationConfig,
        Int8QuantizationConfig,
        Int4QuantizationConfig,
        Float8QuantizationConfig,
    ]
)


def serialize(quantizer: Any) -> Any:
    """Return plain data from which ``deserialize`` makes the quantizer or config again."""
    return serialize_keras_object(quantizer)


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a quantizer or config from what ``serialize`` returned.

    Args:
        config: Plain data.
        custom_objects: Classes of the user by name.

    Raises:
        UnknownName: If the config names a class that is neither public nor registered.

    Example:

    >>> deserialize(serialize(AbsMaxQuantizer(axis=0))).axis
    (0,)
    """
    full = {"module": QUANTIZERS.module, "registered_name": None, **config}
    return deserialize_keras_object(full, custom_objects)


def get(identifier: Any, **kwargs: Any) -> Any:
    """Return the quantizer that ``identifier`` stands for: one itself, a class, a name, a config or ``None``.

    Args:
        identifier: What stands for it.
        kwargs: Arguments for a class or name.

    Raises:
        UnknownName: If a name stands for nothing.
        InvalidArgument: If it is nothing that could stand for a quantizer.

    Example:

    >>> get("abs_max_quantizer", axis=0).axis
    (0,)
    """
    if isinstance(identifier, str):
        identifier = QUANTIZERS.find(identifier)
    if isinstance(identifier, type):
        return identifier(**kwargs)
    if identifier is None or isinstance(identifier, Mapping) or callable(identifier):
        return resolve(QUANTIZERS, identifier)
    raise InvalidArgument(f"Could not interpret quantizer identifier: {identifier!r}")
