"""The forms of a large weight in few bits: 8-bit and 4-bit integers, 8-bit floats.

What they have in common: a variable of the kernel's own name, further ones for the scales, and the
same products and rows that a plain ``Kernel`` has. Gradients pass through rounding as if it were not there.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.variable import Variable
from kerasmagic.layers.kernel import Kernel, Product
from kerasmagic.numerics import quantized
from kerasmagic.numerics.contraction import align
from kerasmagic.quantizers.base import AbsMaxQuantizer


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the values of a kernel and their scales lie.

    Args:
        shape: The shape of the kernel.
        axes: A letter per axis.
        scale_axes: The letters of a scale that is stored, as it is broadcast against the outputs.
            The axes of the kernel that are not among them share a scale.
        groups_last: Whether a 4-bit matrix has the axis that shares a scale last.
        packed_axis: The axis of a 4-bit matrix of which neighbours share a byte.
    """

    shape: tuple[int, ...]
    axes: str
    scale_axes: str
    groups_last: bool = False
    packed_axis: int = -1

    @property
    def summed(self) -> tuple[int, ...]:
        """The axes that share a scale."""
        return tuple(i for i, letter in enumerate(self.axes) if letter not in self.scale_axes)

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """The shape of a stored scale."""
        sizes = dict(zip(self.axes, self.shape, strict=True))
        return tuple(sizes.get(letter, 1) for letter in self.scale_axes)

    @property
    def matrix(self) -> tuple[int, int]:
        """The shape as a matrix, of what shares a scale and the rest."""
        together = math.prod(self.shape[i] for i in self.summed)
        rest = math.prod(self.shape) // together
        return (rest, together) if self.groups_last else (together, rest)

    @property
    def group_axis(self) -> int:
        """The axis of the matrix that shares a scale."""
        return 1 if self.groups_last else 0


class Float8Kernel(Kernel):
    """A trained variable whose products are computed with 8-bit floats.

    Args:
        variable: The weight.
        inputs: Scale ``()`` and history of maxima ``(n,)`` of the inputs.
        kernel: The same of the kernel.
        gradient: The same of the gradient of the outputs.
    """

    mode: ClassVar[str | None] = "float8"
    has_low_rank: ClassVar[bool] = False

    def __init__(
        self,
        variable: Variable,
        inputs: tuple[Variable, Variable],
        kernel: tuple[Variable, Variable],
        gradient: tuple[Variable, Variable],
    ):
        super().__init__(variable)
        self.statistics = (inputs, kernel, gradient)

    @property
    def variables(self) -> list[Variable]:
        return [self.variable, *(v for pair in self.statistics for v in pair)]

    def product(self, product: Product, x: Any, training: bool | None = None) -> Any:
        inputs, kernel, gradient = ([v.value for v in pair] for pair in self.statistics)
        if not training:
            inputs, kernel = jax.lax.stop_gradient((inputs, kernel))
        y = product.multiply(
            quantized.round_trip_float8(x, *inputs), quantized.round_trip_float8(self.value, *kernel)
        )
        return quantized.round_gradient_float8(y, *gradient)

    def bias(self, value: Any) -> Any:
        # XLA fuses a 16-bit bias into an 8-bit product, not a 32-bit one.
        return value.astype("bfloat16").astype(value.dtype) if value.dtype == jnp.float32 else value


class _IntegerKernel(Kernel):
    """What integers with scales have in common.

    Args:
        variable: The integers.
        scale: Their scales.
        layout: How they lie.
        quantizers: What quantizes new values, and the inputs of products if anything does.
        compute_dtype: The type of the results.
    """

    def __init__(
        self,
        variable: Variable,
        scale: Variable,
        layout: Layout,
        quantizers: tuple[Any, Any],
        compute_dtype: str,
    ):
        super().__init__(variable)
        self.scale = scale
        self.layout = layout
        self.weight_quantizer, self.inputs_quantizer = quantizers
        self.compute_dtype = compute_dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.shape

    @property
    def variables(self) -> list[Variable]:
        return [self.variable, self.scale]

    def _quantized(self, floats: Any, default: AbsMaxQuantizer) -> tuple[Any, Any]:
        return (self.weight_quantizer or default)(floats, to_numpy=True)


class Int8Kernel(_IntegerKernel):
    """8-bit integers, and a scale for all that is summed into one output: ``integers / scale``."""

    mode: ClassVar[str | None] = "int8"

    @property
    def value(self) -> Any:
        return self._floats(self.variable.value, self.scale.value)

    def _floats(self, values: Any, scale: Any) -> Any:
        return values.astype(self.compute_dtype) / align(scale, self.layout.scale_axes, self.layout.axes)

    def product(self, product: Product, x: Any, training: bool | None = None) -> Any:
        @jax.custom_jvp
        def multiply(x: Any, values: Any, scale: Any) -> Any:
            if self.inputs_quantizer is None:
                y = product.multiply(x, values.astype(x.dtype))
            else:
                x, x_scale = self.inputs_quantizer(x, axis=product.input_axes)
                y, scale = product.multiply(x, values, jnp.int32), scale * product.align(x_scale)
            return y.astype(self.compute_dtype) / scale

        @multiply.defjvp
        def _(primals: Any, tangents: Any) -> Any:
            y = multiply(*primals)
            return y, product.multiply(tangents[0], self._floats(*primals[1:])).astype(y.dtype)

        return multiply(x, self.variable.value, self.scale.value)

    def rows(self, indices: Any) -> Any:
        values, scale = (jnp.take(v.value, indices, axis=0) for v in (self.variable, self.scale))
        return values.astype(self.compute_dtype) / scale[..., None]

    def pack(self, floats: Any) -> list[Any]:
        layout = self.layout
        values, scale = self._quantized(floats, AbsMaxQuantizer(layout.summed))
        return [values, align(scale, layout.axes, layout.scale_axes)]


class Int4Kernel(_IntegerKernel):
    """4-bit integers, two in a byte: ``integers / scale``, or ``(integers - zero) * scale`` in groups.

    Args:
        args: As of the integers in general.
        zero: The zero points of groups; ``None`` without groups.
        groups: The group of each entry along the axis that shares scales.
        block_size: How many entries are a group.
    """

    mode: ClassVar[str | None] = "int4"

    def __init__(
        self,
        *args: Any,
        zero: Variable | None = None,
        groups: Variable | None = None,
        block_size: int | None = None,
        owns_groups: bool = True,
    ):
        super().__init__(*args)
        self.zero = zero
        self.groups = groups
        self.block_size = block_size
        self.owns_groups = owns_groups

    @property
    def variables(self) -> list[Variable]:
        extra = [self.zero, self.groups if self.owns_groups else None]
        return [*super().variables, *(v for v in extra if v is not None)]

    @property
    def public(self) -> Any:
        return jnp.reshape(self._unpacked(self.variable.value), self.shape)

    def _unpacked(self, values: Any) -> Any:
        axis = self.layout.packed_axis
        return quantized.unpack_int4(values, self.layout.matrix[axis], axis)

    def _floats(self, values: Any, scale: Any, zero: Any, axis: int) -> Any:
        """Return integers as floats, their scales along ``axis``."""
        values = values.astype(self.compute_dtype)
        if self.groups is None:
            return values / jnp.expand_dims(scale, axis)
        floats = quantized.dequantize_groups(values, scale, zero, self.groups.value, axis)
        return floats.astype(self.compute_dtype)

    @property
    def value(self) -> Any:
        values = self._unpacked(self.variable.value)
        zero = None if self.zero is None else self.zero.value
        return jnp.reshape(self._floats(values, self.scale.value, zero, self.layout.group_axis), self.shape)

    def product(self, product: Product, x: Any, training: bool | None = None) -> Any:
        if self.inputs_quantizer is not None:
            values, scale = self.inputs_quantizer(x, axis=product.input_axes)
            x = quantized.straight_through(x, (values / scale).astype(x.dtype))
        return product.multiply(x, self.value)

    def rows(self, indices: Any) -> Any:
        packed, scale, zero = (
            None if v is None else jnp.take(v.value, indices, axis=0)
            for v in (self.variable, self.scale, self.zero)
        )
        return self._floats(self._unpacked(packed), scale, zero, -1)

    def pack(self, floats: Any) -> list[Any]:
        matrix = np.reshape(np.asarray(floats), self.layout.matrix)
        axis = self.layout.group_axis
        if self.block_size is None:
            default = AbsMaxQuantizer(axis, value_range=quantized.INT4_RANGE)
            values, scale = self._quantized(matrix, default)
            rest = [jnp.squeeze(scale, axis)]
        else:
            # Groups are counted along the first axis.
            values, *rest = (
                jnp.moveaxis(part, 0, axis)
                for part in quantized.abs_max_quantize_grouped_with_zero_point(
                    np.moveaxis(matrix, axis, 0), self.block_size, to_numpy=True
                )
            )
            rest += [self.groups.value] if self.groups is not None and self.owns_groups else []
        return [quantized.pack_int4(values, self.layout.packed_axis)[0], *rest]
