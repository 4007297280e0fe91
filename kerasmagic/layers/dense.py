"""Layers that multiply by a kernel: ``Dense`` along the last axis, ``EinsumDense`` along any."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import positive_integer
from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.foundation.registry import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.layers.kernel import Product
from kerasmagic.layers.quantizable import QuantizableLayer
from kerasmagic.layers.quantized_kernel import Layout
from kerasmagic.numerics.contraction import EinsumPlan, add_bias, align, dense, plan_einsum


class _KernelAndBias(QuantizableLayer):
    """The arguments and weights that both have."""

    use_bias: bool

    def __init__(
        self,
        activation: Any,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        lora_rank: int | None,
        lora_alpha: float | None,
        quantization_config: Any,
        **kwargs: Any,
    ):
        super().__init__(
            lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config, **kwargs
        )
        self.activation = resolve(ACTIVATIONS, activation or "linear")
        self.kernel_initializer = resolve(INITIALIZERS, kernel_initializer)
        self.bias_initializer = resolve(INITIALIZERS, bias_initializer)
        self.kernel_regularizer = resolve(REGULARIZERS, kernel_regularizer)
        self.bias_regularizer = resolve(REGULARIZERS, bias_regularizer)
        self.kernel_constraint = resolve(CONSTRAINTS, kernel_constraint)
        self.bias_constraint = resolve(CONSTRAINTS, bias_constraint)
        self.bias = None

    @property
    def kernel(self) -> Any:
        """The weight that inputs are multiplied by: a variable, or an array made of several."""
        return self.form.public

    def _make_weights(
        self, kernel: Sequence[int], bias: Sequence[int] | None, initializer: Any = None
    ) -> None:
        self.make_kernel(tuple(kernel), initializer)
        if bias is not None:
            self.bias = self.add_weight(
                shape=tuple(bias),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def _finish(self, product: Any) -> Any:
        bias = self.bias
        return self.activation(product if bias is None else add_bias(product, self.form.bias(bias.value)))


_ROWS = Product(dense)


class Dense(_KernelAndBias):
    """Computes ``activation(inputs @ kernel + bias)`` over the last axis.

    Input shape ``(batch, ..., n)``, output shape ``(batch, ..., units)``.

    Args:
        units: Size of the last axis of the output.
        activation: A function or its name; none when ``None``.
        use_bias: Whether a bias ``(units,)`` is added.
        kernel_initializer: Initial values of the kernel ``(n, units)``.
        bias_initializer: Initial values of the bias.
        kernel_regularizer: Penalty on the kernel.
        bias_regularizer: Penalty on the bias.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.
        lora_rank: The rank of a trained update of a frozen kernel; none when ``None``.
        lora_alpha: The update is scaled by ``lora_alpha / lora_rank``.
        quantization_config: How a quantized dtype policy is carried out.

    Raises:
        InvalidArgument: If ``units`` is no positive integer.

    Example:

    >>> import jax.numpy as jnp
    >>> Dense(4, activation="relu")(jnp.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            activation,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kernel_constraint,
            bias_constraint,
            lora_rank,
            lora_alpha,
            quantization_config,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.units = positive_integer("units", units)
        self.use_bias = use_bias
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        n = input_shape[-1]
        if n is None:
            raise ShapeMismatch(
                f"The last axis of the input of layer {self.name!r} must have a defined size. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self._make_weights((n, self.units), (self.units,) if self.use_bias else None)
        self.input_spec = InputSpec(min_ndim=2, axes={-1: n})

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._finish(self.form.product(_ROWS, inputs, training))

    def quantized_layout(self, shape: tuple[int, ...]) -> Layout:
        return Layout(shape, "xy", "y")


class EinsumDense(_KernelAndBias):
    """Computes ``activation(einsum(equation, inputs, kernel) + bias)``.

    Args:
        equation: ``"abc,cd->abd"``: letters of the inputs, the kernel and the outputs. An ellipsis at the left
            or the right of inputs and outputs stands for any number of axes.
        output_shape: Sizes of the output without the batch and the ellipsis; ``None`` is open.
        activation: A function or its name; none when ``None``.
        bias_axes: The letters of the output along which the bias differs; no bias when ``None``.
        kernel_initializer: Initial values of the kernel.
        bias_initializer: Initial values of the bias.
        kernel_regularizer: Penalty on the kernel.
        bias_regularizer: Penalty on the bias.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.
        lora_rank: The rank of a trained update of a frozen kernel; none when ``None``.
        lora_alpha: The update is scaled by ``lora_alpha / lora_rank``.
        gptq_unpacked_column_size: Kept in the config.
        quantization_config: How a quantized dtype policy is carried out.

    Raises:
        InvalidArgument: When built, if the equation has another form or a letter has no size.
        ShapeMismatch: When built, if the shapes do not fit the equation.

    Example:

    >>> import jax.numpy as jnp
    >>> layer = EinsumDense("abc,cde->abde", output_shape=(None, 8, 4), bias_axes="de")
    >>> layer(jnp.ones((2, 10, 64))).shape
    (2, 10, 8, 4)
    """

    config_includes = ("activity_regularizer",)
    config_omits = QuantizableLayer.config_omits | {"gptq_unpacked_column_size"}

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            activation,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kernel_constraint,
            bias_constraint,
            lora_rank,
            lora_alpha,
            quantization_config,
            **kwargs,
        )
        self.equation = equation
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.bias_axes = bias_axes
        self.gptq_unpacked_column_size = gptq_unpacked_column_size

    def _plan(self, input_shape: Any) -> EinsumPlan:
        return plan_einsum(self.equation, tuple(input_shape), self.output_shape, self.bias_axes)

    def build(self, input_shape: Any) -> None:
        plan = self._plan(input_shape)
        self._letters = plan.letters
        self.input_spec = InputSpec(ndim=len(input_shape))
        self._make_weights(plan.kernel_shape, plan.bias_shape, self._initializer_for(plan))

    def _initializer_for(self, plan: EinsumPlan) -> Any:
        """Return the initializer, told which axes of the kernel are inputs if it counts them."""
        initializer = self.kernel_initializer
        axes = [getattr(initializer, name, ()) for name in ("input_axes", "output_axes")]
        if None not in axes:
            return initializer
        initializer = copy.copy(initializer)
        initializer.input_axes, initializer.output_axes = list(plan.input_axes), list(plan.output_axes)
        return initializer

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._finish(self.form.product(self._product(), inputs, training))

    def _product(self) -> Product:
        x, _, y = self._letters

        def multiply(inputs: Any, kernel: Any, accumulate: Any = None) -> Any:
            return jnp.einsum(self.equation, inputs, kernel, preferred_element_type=accumulate)

        summed = tuple(i for i, letter in enumerate(x) if letter not in y)
        return Product(multiply, summed, functools.partial(align, axes=x, target=y))

    def quantized_layout(self, shape: tuple[int, ...]) -> Layout:
        return Layout(shape, *self._letters[1:])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        columns = self.gptq_unpacked_column_size
        return {**config, "gptq_unpacked_column_size": columns} if columns else config
