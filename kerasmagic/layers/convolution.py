"""Convolutions and transposed convolutions over one, two or three spatial axes.

A layer of a rank adds nothing but its rank. The depthwise and separable ones are in
``separable``; the arithmetic is in ``numerics.convolution``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import one_of, positive_integer, standardize_tuple
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.layers.kernel import KernelLayer
from kerasmagic.numerics import convolution as numerics
from kerasmagic.numerics.contraction import add_bias
from kerasmagic.numerics.windows import channel_axis, reach, require_room, spatial_axes

_FAMILIES = {"initializer": INITIALIZERS, "regularizer": REGULARIZERS, "constraint": CONSTRAINTS}


class SlidingKernel(LibraryLayer):
    """What all convolutions share: a window, weights by role, a bias, an activation."""

    config_includes: ClassVar[tuple[str, ...]] = ("activity_regularizer",)
    rank: ClassVar[int]
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")
    activation: Any
    use_bias: bool

    def _set_window(
        self, kernel_size: Any, strides: Any, padding: Any, data_format: str | None, dilation_rate: Any
    ) -> None:
        rank = self.rank
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size")
        self.strides = standardize_tuple(strides, rank, "strides")
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate")
        self.padding = one_of("padding", str(padding).lower(), self.paddings)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=rank + 2, max_ndim=rank + 2)

    def _refuse_stride_with_dilation(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise InvalidArgument(
                f"{type(self).__name__} does not support `strides > 1` in conjunction with "
                f"`dilation_rate > 1`. Received: strides={self.strides}, dilation_rate={self.dilation_rate}"
            )

    def _set_options(self, activation: Any, use_bias: bool, **weight_options: Any) -> None:
        """Resolve the activation and each ``<role>_initializer``, ``..._regularizer``, ``..._constraint``."""
        self.activation = resolve(ACTIVATIONS, activation or "linear")
        self.use_bias = use_bias
        for name, value in weight_options.items():
            setattr(self, name, resolve(_FAMILIES[name.rpartition("_")[2]], value))

    def _add(self, name: str, shape: Sequence[int], role: str | None = None) -> Any:
        """Make the weight ``name`` with the options of its role, by default called as the weight is."""
        return self.add_weight(
            shape=tuple(shape),
            name=name,
            **{option: getattr(self, f"{role or name}_{option}") for option in _FAMILIES},
        )

    def _add_bias(self, size: int) -> None:
        self.bias = self._add("bias", (size,)) if self.use_bias else None

    def _input_channels(self, input_shape: Sequence[Any]) -> int:
        """Return the size of the channel axis, and demand it of the inputs from now on.

        Raises:
            ShapeMismatch: If the rank is wrong or the axis is open.
        """
        axis = channel_axis(self.data_format)
        if len(input_shape) != self.rank + 2:
            raise ShapeMismatch(
                f"Layer {self.name!r} ({type(self).__name__}) expects inputs with {self.rank + 2} axes, "
                f"batch and channels included. Received: input_shape={tuple(input_shape)}"
            )
        channels = input_shape[axis]
        if channels is None:
            raise ShapeMismatch(
                f"The channel axis of the inputs to layer {self.name!r} ({type(self).__name__}) must be "
                f"defined: it sizes the kernel. Received: input_shape={tuple(input_shape)}, "
                f"data_format={self.data_format!r}"
            )
        self.input_spec = InputSpec(min_ndim=self.rank + 2, max_ndim=self.rank + 2, axes={axis: channels})
        return channels

    def _require_room(self, shape: Sequence[Any]) -> None:
        spatial = [shape[axis] for axis in spatial_axes(self.rank, self.data_format)]
        who = f"Layer {self.name!r} ({type(self).__name__})"
        require_room(spatial, reach(self.kernel_size, self.dilation_rate), self.padding, who)

    def _activate(self, outputs: Any) -> Any:
        """Add the bias and apply the activation."""
        if self.bias is not None:
            bias = self.bias.value
            if self.data_format == "channels_first":
                bias = jnp.reshape(bias, (-1,) + (1,) * self.rank)
            outputs = add_bias(outputs, bias)
        return self.activation(outputs)


class _Convolution(SlidingKernel, KernelLayer):
    """A convolution with ``rank`` spatial axes."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ):
        """Set the options.

        Args:
            filters: The number of output channels.
            kernel_size: Size of the window; one integer for all axes.
            strides: Distance between windows.
            padding: ``"valid"``; ``"same"``: as many windows as inputs, divided by the stride;
                ``"causal"`` (one axis only): a window ends at its step.
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            dilation_rate: Distance between the elements of a window; not together with a stride.
            groups: Into how many groups the channels are split, each with its share of the filters.
            activation: A function or its name; none when ``None``.
            use_bias: Whether a bias ``(filters,)`` is added.
            kernel_initializer: Initial values of the kernel ``(*kernel_size, channels / groups, filters)``.
            bias_initializer: Initial values of the bias.
            kernel_regularizer: Penalty on the kernel.
            bias_regularizer: Penalty on the bias.
            activity_regularizer: Penalty on the output.
            kernel_constraint: Constraint on the kernel.
            bias_constraint: Constraint on the bias.
            lora_rank: The rank of a trained update of a frozen kernel; none when ``None``.
            lora_alpha: The update is scaled by ``lora_alpha / lora_rank``.
            kwargs: ``name``, ``dtype``, ``trainable``.

        Raises:
            InvalidArgument: If a number is not positive, a word unknown, ``filters`` not divisible by
                ``groups``, or stride and dilation both above 1.
        """
        super().__init__(
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.filters = positive_integer("filters", filters)
        self.groups = positive_integer("groups", groups)
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._refuse_stride_with_dilation()
        self._set_options(
            activation,
            use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        if self.filters % self.groups != 0:
            raise InvalidArgument(
                f"The number of filters of {type(self).__name__} must be evenly divisible by the number of "
                f"groups. Received: groups={groups}, filters={filters}"
            )

    def build(self, input_shape: Any) -> None:
        channels = self._input_channels(input_shape)
        if channels % self.groups != 0:
            raise ShapeMismatch(
                f"The number of input channels of layer {self.name!r} ({type(self).__name__}) must be evenly "
                f"divisible by the number of groups. Received: groups={self.groups} and an input with "
                f"{channels} channels (full input shape is {tuple(input_shape)})."
            )
        self._require_room(input_shape)
        self.make_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self._add_bias(self.filters)
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    @property
    def kernel(self) -> Any:
        """The weight of the windows: a variable, or an array where LoRA changes it."""
        return self.form.public

    def call(self, inputs: Any) -> Any:
        self._require_room(inputs.shape)
        outputs = numerics.convolution(
            inputs,
            self.form.value,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            data_format=self.data_format,
        )
        return self._activate(outputs)


class Conv1D(_Convolution):
    """Convolves along one axis, for example time: ``activation(convolution(inputs, kernel) + bias)``.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, windows, filters)``;
    ``(batch, channels, steps)`` and ``(batch, filters, windows)`` for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> Conv1D(4, 3, padding="causal", activation="relu")(jnp.ones((2, 10, 3))).shape
    (2, 10, 4)
    """

    rank: ClassVar[int] = 1
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same", "causal")


class Conv2D(_Convolution):
    """Convolves images: ``activation(convolution(inputs, kernel) + bias)``.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, *windows, filters)``;
    ``(batch, channels, height, width)`` and ``(batch, filters, *windows)`` for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> Conv2D(4, 3, strides=2, padding="same")(jnp.ones((2, 9, 8, 3))).shape
    (2, 5, 4, 4)
    """

    rank: ClassVar[int] = 2


class Conv3D(_Convolution):
    """Convolves volumes: ``activation(convolution(inputs, kernel) + bias)``.

    Input shape ``(batch, depth, height, width, channels)``, output shape ``(batch, *windows, filters)``;
    ``(batch, channels, depth, height, width)`` and ``(batch, filters, *windows)`` for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> Conv3D(4, (1, 2, 3))(jnp.ones((2, 4, 4, 4, 3))).shape
    (2, 4, 3, 2, 4)
    """

    rank: ClassVar[int] = 3


class _TransposedConvolution(SlidingKernel):
    """A transposed convolution with ``rank`` spatial axes."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        """Set the options.

        Args:
            filters: The number of output channels.
            kernel_size: Size of the window; one integer for all axes.
            strides: By how much each axis grows.
            padding: ``"valid"``, or ``"same"``: then a size is multiplied by its stride.
            output_padding: How much longer the output is at its end, less than the stride; what ``padding``
                needs when ``None``.
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            dilation_rate: Distance between the elements of a window; not together with a stride.
            activation: A function or its name; none when ``None``.
            use_bias: Whether a bias ``(filters,)`` is added.
            kernel_initializer: Initial values of the kernel ``(*kernel_size, filters, channels)``.
            bias_initializer: Initial values of the bias.
            kernel_regularizer: Penalty on the kernel.
            bias_regularizer: Penalty on the bias.
            activity_regularizer: Penalty on the output.
            kernel_constraint: Constraint on the kernel.
            bias_constraint: Constraint on the bias.
            kwargs: ``name``, ``dtype``, ``trainable``.

        Raises:
            InvalidArgument: If a number is not positive, a word unknown, ``output_padding`` not below
                ``strides``, or stride and dilation both above 1.
        """
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_integer("filters", filters)
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._refuse_stride_with_dilation()
        self.output_padding = self._checked_output_padding(output_padding)
        self._set_options(
            activation,
            use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def _checked_output_padding(self, output_padding: Any) -> tuple[int, ...] | None:
        if output_padding is None:
            return None
        extra = standardize_tuple(output_padding, self.rank, "output_padding", allow_zero=True)
        if any(e >= s for e, s in zip(extra, self.strides, strict=True)):
            raise InvalidArgument(
                f"`output_padding` of {type(self).__name__} must be strictly less than `strides` for all "
                f"dimensions. Received: output_padding={output_padding}, strides={self.strides}"
            )
        return extra

    def build(self, input_shape: Any) -> None:
        channels = self._input_channels(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, self.filters, channels))
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        outputs = numerics.transposed_convolution(
            inputs,
            self.kernel.value,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation_rate,
            data_format=self.data_format,
        )
        return self._activate(outputs)


class Conv1DTranspose(_TransposedConvolution):
    """Makes sequences longer: what a ``Conv1D`` would turn into the input's shape.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, new_steps, filters)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> Conv1DTranspose(4, 3, strides=2, padding="same")(jnp.ones((2, 10, 3))).shape
    (2, 20, 4)
    """

    rank: ClassVar[int] = 1


class Conv2DTranspose(_TransposedConvolution):
    """Makes images larger: what a ``Conv2D`` would turn into the input's shape.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, *new_sizes, filters)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> Conv2DTranspose(4, 3, strides=2)(jnp.ones((2, 4, 5, 3))).shape
    (2, 9, 11, 4)
    """

    rank: ClassVar[int] = 2


class Conv3DTranspose(_TransposedConvolution):
    """Makes volumes larger: what a ``Conv3D`` would turn into the input's shape.

    Input shape ``(batch, depth, height, width, channels)``, output shape ``(batch, *new_sizes, filters)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> Conv3DTranspose(4, 2, strides=2)(jnp.ones((2, 2, 3, 4, 3))).shape
    (2, 4, 6, 8, 4)
    """

    rank: ClassVar[int] = 3

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: int | Sequence[int] | None = None,
        *args: Any,
        **kwargs: Any,
    ):
        # Here the layout comes before the output padding.
        super().__init__(filters, kernel_size, strides, padding, output_padding, data_format, *args, **kwargs)


# The same classes by their other names.
Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
