"""Operations with windows that slide over an image or a sequence: pooling, convolution, blocks of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasmagic.core.symbolic import operation
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.numerics import convolution, patches, pooling
from kerasmagic.ops.forms import as_array

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "conv", "conv_transpose"]
__all__ += ["depth_to_space", "depthwise_conv", "fold", "max_pool", "separable_conv", "space_to_depth"]
__all__ += ["unfold"]


def _pool(name: str, function: Callable[..., Any], what: str) -> Callable[..., Any]:
    def form(
        inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: Any = None
    ) -> Any:
        layout = standardize_data_format(data_format)
        return function(as_array(inputs), pool_size, strides, padding.lower(), layout)

    form.__name__ = form.__qualname__ = name
    form.__doc__ = f"""Return the {what} of each window.

    Args:
        inputs: ``(batch, *spatial, channels)``.
        pool_size: The size of the window.
        strides: Distance between windows; ``pool_size`` when ``None``.
        padding: ``"valid"`` or ``"same"``.
        data_format: Where the channels are; the default place when ``None``.

    Raises:
        ShapeMismatch: If no window fits into ``inputs``.
    """
    return operation(form)


max_pool = _pool("max_pool", pooling.max_pool, "maximum")
average_pool = _pool("average_pool", pooling.average_pool, "mean")


@operation
def adaptive_average_pool(inputs: Any, output_size: Any, data_format: Any = None) -> Any:
    """Return the means of ``output_size`` evenly spread windows: ``-> (batch, *output_size, channels)``."""
    layout = standardize_data_format(data_format)
    return pooling.adaptive_average_pool(as_array(inputs), output_size, layout)


@operation
def adaptive_max_pool(inputs: Any, output_size: Any, data_format: Any = None) -> Any:
    """Return the maxima of ``output_size`` evenly spread windows: ``-> (batch, *output_size, channels)``."""
    return pooling.adaptive_max_pool(as_array(inputs), output_size, standardize_data_format(data_format))


def _sliding(padding: str, strides: Any, dilation_rate: Any, data_format: Any) -> dict[str, Any]:
    layout = standardize_data_format(data_format)
    return {
        "strides": strides,
        "padding": padding.lower(),
        "dilation": dilation_rate,
        "data_format": layout,
    }


@operation
def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    """Return the cross-correlation of ``inputs`` with ``kernel``.

    Args:
        inputs: ``(batch, *spatial, channels)``.
        kernel: ``(*window, channels / groups, filters)``.
        strides: Distance between windows.
        padding: ``"valid"`` or ``"same"``.
        data_format: Where the channels are; the default place when ``None``.
        dilation_rate: Distance between the elements of a window.

    Returns:
        ``(batch, *windows, filters)`` in the type of ``kernel``.

    Raises:
        ShapeMismatch: If the channels don't fit or no window does.

    >>> import numpy as np
    >>> conv(np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 8)), padding="same").shape
    (1, 5, 5, 8)
    """
    sliding = _sliding(padding, strides, dilation_rate, data_format)
    return convolution.convolution(as_array(inputs), as_array(kernel), **sliding)


@operation
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    """Return ``inputs`` convolved channel by channel; ``kernel`` is ``(*window, channels, multiplier)``."""
    sliding = _sliding(padding, strides, dilation_rate, data_format)
    return convolution.depthwise_convolution(as_array(inputs), as_array(kernel), **sliding)


@operation
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    """Return a depthwise convolution mixed across channels by a kernel of window 1."""
    sliding = _sliding(padding, strides, dilation_rate, data_format)
    kernels = (as_array(depthwise_kernel), as_array(pointwise_kernel))
    return convolution.separable_convolution(as_array(inputs), *kernels, **sliding)


@operation
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    """Return the gradient of a convolution with respect to its input, as an operation of its own.

    ``kernel`` is ``(*window, filters, channels)``; ``output_padding`` says how much longer the result is.
    """
    sliding = _sliding(padding, strides, dilation_rate, data_format)
    return convolution.transposed_convolution(
        as_array(inputs), as_array(kernel), output_padding=output_padding, **sliding
    )


def _of_rank(x: Any, rank: int) -> Any:
    x = as_array(x)
    if x.ndim != rank:
        raise ShapeMismatch(f"Input must be a {rank}D tensor. Received: input.shape={x.shape}")
    return x


@operation
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Return every window as a column: ``(n, c, h, w) -> (n, c * kernel_size, windows)``.

    Raises:
        ShapeMismatch: If ``x`` has not four axes.
    """
    return patches.unfold(_of_rank(x, 4), kernel_size, dilation, padding, stride)


@operation
def fold(
    x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """Return the sum of columns put back as windows: ``(n, c * kernel_size, windows) -> (n, c, h, w)``.

    Raises:
        ShapeMismatch: If ``x`` has not three axes or its sizes don't fit.
    """
    return patches.fold(_of_rank(x, 3), output_size, kernel_size, dilation, padding, stride)


def _check_block(block_size: int) -> None:
    if block_size < 2:
        raise InvalidArgument(f"`block_size` must be at least 2. Received: block_size={block_size}")


@operation
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Return channels laid out as blocks of pixels: ``(n, h, w, c) -> (n, h * b, w * b, c / b**2)``."""
    _check_block(block_size)
    return patches.depth_to_space(as_array(x), block_size, standardize_data_format(data_format))


@operation
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Return blocks of pixels stacked as channels: ``(n, h, w, c) -> (n, h / b, w / b, c * b**2)``."""
    _check_block(block_size)
    return patches.space_to_depth(as_array(x), block_size, standardize_data_format(data_format))
