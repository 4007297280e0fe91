"""What ``quantize`` is to do: the mode, and which quantizers weights and activations get."""

from __future__ import annotations

from typing import Any, ClassVar

from kerasmagic.core.dtype_policy import QUANTIZATION_MODES
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.numerics.quantized import INT4_RANGE
from kerasmagic.quantizers.base import AbsMaxQuantizer


class QuantizationConfig:
    """The base of what ``quantize(config=...)`` takes.

    Args:
        weight_quantizer: What quantizes the weights; the layer's choice when ``None``.
        activation_quantizer: What quantizes the inputs of a product; they stay floats when ``None``.
    """

    _mode: ClassVar[str | None] = None

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = None):
        self.weight_quantizer = weight_quantizer
        self.activation_quantizer = activation_quantizer

    @property
    def mode(self) -> str:
        """The quantization mode that this is a config of."""
        if self._mode is None:
            raise NotImplementedError(
                "Subclasses must implement this property. Do not instantiate QuantizationConfig directly."
            )
        return self._mode

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this config again."""
        return {
            "weight_quantizer": serialize_keras_object(self.weight_quantizer),
            "activation_quantizer": serialize_keras_object(self.activation_quantizer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a config from what ``get_config`` returned."""
        return cls(**{name: deserialize_keras_object(value) for name, value in config.items()})

    @staticmethod
    def weight_quantizer_or_default(config: Any, default: Any) -> Any:
        """Return the weight quantizer of ``config``, or ``default`` if it has none."""
        return default if config is None or config.weight_quantizer is None else config.weight_quantizer

    @staticmethod
    def activation_quantizer_or_default(config: Any, default: Any) -> Any:
        """Return the activation quantizer of ``config``, or ``default`` if there is no config."""
        return default if config is None else config.activation_quantizer


class Int8QuantizationConfig(QuantizationConfig):
    """Weights, and by default activations, as 8-bit integers.

    Args:
        weight_quantizer: What quantizes the weights; the layer's choice when ``None``.
        activation_quantizer: What quantizes the inputs of a product; ``"default"`` is an ``AbsMaxQuantizer``,
            with ``None`` they stay floats.

    Raises:
        InvalidArgument: If the weight quantizer gives another type.

    Example:

    >>> Int8QuantizationConfig(activation_quantizer=None).mode
    'int8'
    """

    _mode = "int8"

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default"):
        default = isinstance(activation_quantizer, str) and activation_quantizer == "default"
        super().__init__(weight_quantizer, AbsMaxQuantizer() if default else activation_quantizer)
        _check_int8(self)


def _check_int8(config: QuantizationConfig) -> None:
    quantizer = config.weight_quantizer
    if quantizer is not None and quantizer.output_dtype != "int8":
        raise InvalidArgument(
            f"{type(config).__name__} requires a weight_quantizer with output_dtype='int8'. "
            f"Received: output_dtype={quantizer.output_dtype}"
        )


class Int4QuantizationConfig(QuantizationConfig):
    """Weights as 4-bit integers, two in a byte; activations stay floats by default.

    Args:
        weight_quantizer: What quantizes the weights; the layer's choice when ``None``.
        activation_quantizer: What quantizes the inputs of a product; ``"default"`` and ``None`` leave them.
        block_size: How many weights of a column share a scale and a zero point; with ``None`` or -1 a column
            has one scale and no zero point.

    Raises:
        InvalidArgument: If the size is not positive, or comes with quantizers of your own, or the weight
            quantizer has another range than (-8, 7).

    Example:

    >>> Int4QuantizationConfig(block_size=64).block_size
    64
    """

    _mode = "int4"

    def __init__(
        self,
        weight_quantizer: Any = None,
        activation_quantizer: Any = "default",
        block_size: int | None = 128,
    ):
        default = isinstance(activation_quantizer, str) and activation_quantizer == "default"
        super().__init__(weight_quantizer, None if default else activation_quantizer)
        if block_size is not None and block_size != -1 and block_size <= 0:
            raise InvalidArgument(
                f"block_size must be None, -1, or a positive integer. Received: block_size={block_size}"
            )
        self.block_size = block_size
        quantizers = (self.weight_quantizer, self.activation_quantizer)
        if block_size not in (None, -1) and any(q is not None for q in quantizers):
            raise InvalidArgument(
                "Int4 sub-channel quantization (block_size > 0) does not support custom quantizers. Either set "
                "block_size to None or -1 for per-channel quantization, or remove the custom quantizer arguments. "
                f"Received: block_size={block_size}"
            )
        if self.weight_quantizer is not None and tuple(self.weight_quantizer.value_range) != INT4_RANGE:
            raise InvalidArgument(
                "Int4QuantizationConfig requires a weight_quantizer with value_range=(-8, 7). "
                f"Received: value_range={self.weight_quantizer.value_range}"
            )
        _check_int8(self)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this config again."""
        return {**super().get_config(), "block_size": self.block_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a config from what ``get_config`` returned."""
        # Files without a block size are older than blocks.
        return super().from_config({"block_size": None, **config})


class Float8QuantizationConfig(QuantizationConfig):
    """Training with products of 8-bit floats; it takes no quantizers.

    Example:

    >>> Float8QuantizationConfig().mode
    'float8'
    """

    _mode = "float8"

    def __init__(self) -> None:
        super().__init__(None, None)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this config again: none."""
        return {}


_DEFAULTS: dict[str, type[QuantizationConfig]] = {
    "int8": Int8QuantizationConfig,
    "int4": Int4QuantizationConfig,
    "float8": Float8QuantizationConfig,
}


def resolve_config(mode: Any, config: Any) -> QuantizationConfig:
    """Return the config that the arguments of ``quantize`` stand for.

    Args:
        mode: A quantization mode or ``None``.
        config: A config, or a mode, or ``None``.

    Raises:
        InvalidArgument: If there is no such mode, the two contradict each other, or both are ``None``.
    """
    if isinstance(config, str):
        mode, config = config, None
    _check_mode(mode)
    if config is None:
        if mode is None:
            raise InvalidArgument("You must provide either `mode` or `config` to `quantize`.")
        if mode not in _DEFAULTS:
            raise NotImplementedError(
                f"Calibration by {mode!r} is not part of kerasmagic. Use 'int8', 'int4' or 'float8'."
            )
        return _DEFAULTS[mode]()
    if not isinstance(config, QuantizationConfig):
        raise InvalidArgument(
            "Argument `config` must be an instance of `QuantizationConfig`. "
            f"Received: config={config!r} (of type {type(config)})"
        )
    if mode is not None and config.mode != mode:
        raise InvalidArgument(f"Contradictory arguments: mode='{mode}' but config.mode='{config.mode}'")
    _check_mode(config.mode)
    return config


def _check_mode(mode: Any) -> None:
    if mode is not None and mode not in QUANTIZATION_MODES:
        raise InvalidArgument(
            f"Invalid quantization mode. Expected one of {QUANTIZATION_MODES}. Received: mode={mode}"
        )
