"""Quantizers: objects that turn floats into small integers with scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasmagic.core.attribute_config import attribute_config
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.numerics.quantized import EPSILON, abs_max_quantize


class Quantizer:
    """The base of quantizers: called on floats, it returns their quantized form.

    Args:
        output_dtype: The type of the quantized values.
    """

    def __init__(self, output_dtype: str = "int8"):
        self.output_dtype = output_dtype

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the quantized form of ``x``; ``x`` itself unless overridden."""
        return x

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a quantizer from what ``get_config`` returned."""
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this quantizer again; overridden by every quantizer."""
        raise NotImplementedError(f"{self} does not implement get_config()")


class AbsMaxQuantizer(Quantizer):
    """Scales by the largest magnitude along some axes, and rounds.

    Args:
        axis: The axes that share a scale, when the call names none; the last one when ``None``.
        value_range: The smallest and the largest quantized value.
        epsilon: Added to the largest magnitude against division by zero.
        output_dtype: The type of the quantized values.

    Raises:
        InvalidArgument: If the range does not fit into the type.

    Example:

    >>> import jax.numpy as jnp
    >>> values, scale = AbsMaxQuantizer(axis=0)(jnp.array([[1.0], [-2.0]]))
    >>> values.tolist(), scale.tolist()
    ([[64], [-127]], [[63.5]])
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = None,
        value_range: Sequence[float] = (-127, 127),
        epsilon: float = EPSILON,
        output_dtype: str = "int8",
    ):
        super().__init__(output_dtype)
        self.axis = (axis,) if isinstance(axis, int) else None if axis is None else tuple(axis)
        self.value_range = tuple(value_range)
        self.epsilon = epsilon
        if output_dtype == "int8" and (value_range[0] < -128 or value_range[1] > 127):
            raise InvalidArgument(
                "Quantizer with output_dtype='int8' requires value_range to be within the interval [-128, 127]. "
                f"Received: value_range={value_range}"
            )

    def __call__(self, x: Any, axis: Any = None, to_numpy: bool = False) -> Any:
        """Return the quantized values and their scales.

        Args:
            x: Floats of any shape.
            axis: The axes that share a scale; those of the constructor when ``None``.
            to_numpy: Whether to compute on the host.

        Returns:
            Integers of the shape of ``x``, and scales with 1 along the axes.
        """
        axes = axis if axis is not None else -1 if self.axis is None else self.axis
        return abs_max_quantize(x, axes, self.value_range, self.output_dtype, self.epsilon, to_numpy)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this quantizer again."""
        return attribute_config(self, omit=["axis"] if self.axis is None else [])
