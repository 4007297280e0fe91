"""Convolutions that treat each channel by itself, and mix the channels afterwards if at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from kerasmagic.foundation.arguments import positive_integer
from kerasmagic.layers.convolution import SlidingKernel
from kerasmagic.numerics import convolution as numerics


class _DepthwiseConvolution(SlidingKernel):
    """A convolution channel by channel with ``rank`` spatial axes."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        """Set the options.

        Args:
            kernel_size: Size of the window; one integer for all axes.
            strides: Distance between windows.
            padding: ``"valid"`` or ``"same"``.
            depth_multiplier: The number of outputs of each input channel.
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            dilation_rate: Distance between the elements of a window.
            activation: A function or its name; none when ``None``.
            use_bias: Whether a bias ``(channels * depth_multiplier,)`` is added.
            depthwise_initializer: Initial values of ``(*kernel_size, channels, depth_multiplier)``.
            bias_initializer: Initial values of the bias.
            depthwise_regularizer: Penalty on the kernel.
            bias_regularizer: Penalty on the bias.
            activity_regularizer: Penalty on the output.
            depthwise_constraint: Constraint on the kernel.
            bias_constraint: Constraint on the bias.
            kwargs: ``name``, ``dtype``, ``trainable``.

        Raises:
            InvalidArgument: If a number is not positive or a word unknown.
        """
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = positive_integer("depth_multiplier", depth_multiplier)
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._set_options(
            activation,
            use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Any) -> None:
        channels = self._input_channels(input_shape)
        self._require_room(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self._add("kernel", shape, role="depthwise")
        self._add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        self._require_room(inputs.shape)
        outputs = numerics.depthwise_convolution(
            inputs,
            self.kernel.value,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            data_format=self.data_format,
        )
        return self._activate(outputs)


class DepthwiseConv1D(_DepthwiseConvolution):
    """Convolves each channel of a sequence with kernels of its own.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, windows, channels * depth_multiplier)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> DepthwiseConv1D(3, depth_multiplier=2)(jnp.ones((2, 10, 3))).shape
    (2, 8, 6)
    """

    rank: ClassVar[int] = 1


class DepthwiseConv2D(_DepthwiseConvolution):
    """Convolves each channel of an image with kernels of its own.

    Input shape ``(batch, height, width, channels)``, output shape
    ``(batch, *windows, channels * depth_multiplier)``; channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> DepthwiseConv2D(3, padding="same")(jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    rank: ClassVar[int] = 2


class _SeparableConvolution(SlidingKernel):
    """A convolution channel by channel and then across channels, with ``rank`` spatial axes."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        """Set the options.

        Args:
            filters: The number of output channels.
            kernel_size: Size of the window; one integer for all axes.
            strides: Distance between windows.
            padding: ``"valid"`` or ``"same"``.
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            dilation_rate: Distance between the elements of a window.
            depth_multiplier: The number of outputs of each input channel before they are mixed.
            activation: A function or its name; none when ``None``.
            use_bias: Whether a bias ``(filters,)`` is added.
            depthwise_initializer: Initial values of ``(*kernel_size, channels, depth_multiplier)``.
            pointwise_initializer: Initial values of ``(1, ..., channels * depth_multiplier, filters)``.
            bias_initializer: Initial values of the bias.
            depthwise_regularizer: Penalty on the first kernel.
            pointwise_regularizer: Penalty on the second kernel.
            bias_regularizer: Penalty on the bias.
            activity_regularizer: Penalty on the output.
            depthwise_constraint: Constraint on the first kernel.
            pointwise_constraint: Constraint on the second kernel.
            bias_constraint: Constraint on the bias.
            kwargs: ``name``, ``dtype``, ``trainable``.

        Raises:
            InvalidArgument: If a number is not positive or a word unknown.
        """
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_integer("filters", filters)
        self.depth_multiplier = positive_integer("depth_multiplier", depth_multiplier)
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._set_options(
            activation,
            use_bias,
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Any) -> None:
        channels = self._input_channels(input_shape)
        self._require_room(input_shape)
        each = (*self.kernel_size, channels, self.depth_multiplier)
        across = (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        self.depthwise_kernel = self._add("depthwise_kernel", each, role="depthwise")
        self.pointwise_kernel = self._add("pointwise_kernel", across, role="pointwise")
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        self._require_room(inputs.shape)
        outputs = numerics.separable_convolution(
            inputs,
            self.depthwise_kernel.value,
            self.pointwise_kernel.value,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            data_format=self.data_format,
        )
        return self._activate(outputs)


class SeparableConv1D(_SeparableConvolution):
    """Convolves each channel of a sequence by itself, then mixes the channels step by step.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, windows, filters)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> SeparableConv1D(4, 3)(jnp.ones((2, 10, 3))).shape
    (2, 8, 4)
    """

    rank: ClassVar[int] = 1


class SeparableConv2D(_SeparableConvolution):
    """Convolves each channel of an image by itself, then mixes the channels pixel by pixel.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, *windows, filters)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> SeparableConv2D(4, 3, depth_multiplier=2, padding="same")(jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 4)
    """

    rank: ClassVar[int] = 2


# The same classes by their other names.
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
