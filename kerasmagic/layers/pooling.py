"""Pooling over windows, over everything, and over a given number of windows.

The arithmetic is in ``numerics.pooling``; a layer of a rank adds nothing but its rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.foundation.arguments import one_of, standardize_tuple
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics import pooling as numerics
from kerasmagic.numerics.windows import require_room, spatial_axes


class _WindowedPooling(LibraryLayer):
    """One number for each window and channel."""

    rank: ClassVar[int]
    pool: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        """Set the options.

        Args:
            pool_size: Size of the window; one integer for all axes.
            strides: Distance between windows; ``pool_size`` when ``None``.
            padding: ``"valid"``, or ``"same"``: then windows may hang over the edges.
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            name: Its name; made up when ``None``.
            kwargs: ``dtype``, ``trainable``.

        Raises:
            InvalidArgument: If a number is not positive or a word unknown.
        """
        super().__init__(name=name, **kwargs)
        self.pool_size = standardize_tuple(pool_size, self.rank, "pool_size")
        self.strides = standardize_tuple(pool_size if strides is None else strides, self.rank, "strides")
        self.padding = one_of("padding", str(padding).lower(), ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        spatial = [inputs.shape[axis] for axis in spatial_axes(self.rank, self.data_format)]
        require_room(spatial, self.pool_size, self.padding, f"Layer {self.name!r} ({type(self).__name__})")
        return self.pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class _MaxPooling(_WindowedPooling):
    """The largest element of each window; its gradient goes to the first of the largest."""

    pool: ClassVar[Callable[..., Any]] = staticmethod(numerics.max_pool)

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling1D(_MaxPooling):
    """Keeps the largest element of each window of steps.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, windows, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> MaxPooling1D(2)(jnp.asarray([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0].tolist()
    [3.0, 2.0]
    """

    rank: ClassVar[int] = 1


class MaxPooling2D(_MaxPooling):
    """Keeps the largest element of each window of an image.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, *windows, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> MaxPooling2D((2, 3), strides=1, padding="same")(jnp.ones((2, 9, 8, 3))).shape
    (2, 9, 8, 3)
    """

    rank: ClassVar[int] = 2


class MaxPooling3D(_MaxPooling):
    """Keeps the largest element of each window of a volume.

    Input shape ``(batch, depth, height, width, channels)``, output shape ``(batch, *windows, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> MaxPooling3D()(jnp.ones((2, 4, 6, 8, 3))).shape
    (2, 2, 3, 4, 3)
    """

    rank: ClassVar[int] = 3


class _AveragePooling(_WindowedPooling):
    """The mean of each window; what hangs over the edges does not count."""

    pool: ClassVar[Callable[..., Any]] = staticmethod(numerics.average_pool)


class AveragePooling1D(_AveragePooling):
    """Takes the mean of each window of steps; what hangs over the edges does not count.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, windows, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AveragePooling1D(2, padding="same")(jnp.asarray([[[1.0], [3.0], [2.0]]]))[0, :, 0].tolist()
    [2.0, 2.0]
    """

    rank: ClassVar[int] = 1


class AveragePooling2D(_AveragePooling):
    """Takes the mean of each window of an image; what hangs over the edges does not count.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, *windows, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AveragePooling2D(2)(jnp.ones((2, 9, 8, 3))).shape
    (2, 4, 4, 3)
    """

    rank: ClassVar[int] = 2


class AveragePooling3D(_AveragePooling):
    """Takes the mean of each window of a volume; what hangs over the edges does not count.

    Input shape ``(batch, depth, height, width, channels)``, output shape ``(batch, *windows, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AveragePooling3D(2)(jnp.ones((2, 4, 6, 8, 3))).shape
    (2, 2, 3, 4, 3)
    """

    rank: ClassVar[int] = 3


class _GlobalPooling(LibraryLayer):
    """One number for each channel."""

    rank: ClassVar[int]
    pool: ClassVar[Callable[..., Any]]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        """Set the options.

        Args:
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            keepdims: Whether the spatial axes stay, with size 1.
            kwargs: ``name``, ``dtype``, ``trainable``.

        Raises:
            InvalidArgument: If ``data_format`` is unknown.
        """
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        return self.pool(inputs, self.data_format, self.keepdims)


class _GlobalMaxPooling(_GlobalPooling):
    """The largest element of each channel."""

    pool: ClassVar[Callable[..., Any]] = staticmethod(numerics.global_max_pool)

    def call(self, inputs: Any) -> Any:
        spatial = [inputs.shape[axis] for axis in spatial_axes(self.rank, self.data_format)]
        require_room(spatial, (1,) * self.rank, "valid", f"Layer {self.name!r} ({type(self).__name__})")
        return super().call(inputs)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """Keeps the largest element of each channel of a sequence.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, channels)``, or
    ``(batch, 1, channels)`` with ``keepdims``.

    Example:

    >>> import jax.numpy as jnp
    >>> GlobalMaxPooling1D()(jnp.asarray([[[1.0], [3.0], [2.0]]])).tolist()
    [[3.0]]
    """

    rank: ClassVar[int] = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """Keeps the largest element of each channel of an image.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, channels)``, or
    ``(batch, 1, 1, channels)`` with ``keepdims``.

    Example:

    >>> import jax.numpy as jnp
    >>> GlobalMaxPooling2D(keepdims=True)(jnp.ones((2, 9, 8, 3))).shape
    (2, 1, 1, 3)
    """

    rank: ClassVar[int] = 2


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """Keeps the largest element of each channel of a volume.

    Input shape ``(batch, depth, height, width, channels)``, output shape ``(batch, channels)``, or
    ``(batch, 1, 1, 1, channels)`` with ``keepdims``.

    Example:

    >>> import jax.numpy as jnp
    >>> GlobalMaxPooling3D()(jnp.ones((2, 4, 6, 8, 3))).shape
    (2, 3)
    """

    rank: ClassVar[int] = 3


class _GlobalAveragePooling(_GlobalPooling):
    """The mean of each channel."""

    pool: ClassVar[Callable[..., Any]] = staticmethod(numerics.global_average_pool)


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """Takes the mean of each channel of a sequence, over the steps that a mask leaves.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, channels)``, or
    ``(batch, 1, channels)`` with ``keepdims``. A mask is ``(batch, steps)``.

    Example:

    >>> import jax.numpy as jnp
    >>> x = jnp.asarray([[[1.0], [3.0], [8.0]]])
    >>> GlobalAveragePooling1D()(x, mask=jnp.asarray([[True, True, False]])).tolist()
    [[2.0]]
    """

    rank: ClassVar[int] = 1

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return self.pool(inputs, self.data_format, self.keepdims, mask)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """Takes the mean of each channel of an image.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, channels)``, or
    ``(batch, 1, 1, channels)`` with ``keepdims``.

    Example:

    >>> import jax.numpy as jnp
    >>> GlobalAveragePooling2D()(jnp.ones((2, 9, 8, 3))).shape
    (2, 3)
    """

    rank: ClassVar[int] = 2


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """Takes the mean of each channel of a volume.

    Input shape ``(batch, depth, height, width, channels)``, output shape ``(batch, channels)``, or
    ``(batch, 1, 1, 1, channels)`` with ``keepdims``.

    Example:

    >>> import jax.numpy as jnp
    >>> GlobalAveragePooling3D()(jnp.ones((2, 4, 6, 8, 3))).shape
    (2, 3)
    """

    rank: ClassVar[int] = 3


class _AdaptivePooling(LibraryLayer):
    """One number for each of a given number of evenly spread windows, and each channel."""

    rank: ClassVar[int]
    pool: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any):
        """Set the options.

        Args:
            output_size: The number of windows along each spatial axis; one integer for all.
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            kwargs: ``name``, ``dtype``, ``trainable``.

        Raises:
            UnexpectedArgument: If ``output_size`` is not an integer or that many of them.
            InvalidArgument: If a size is not positive or ``data_format`` unknown.
        """
        super().__init__(**kwargs)
        if not isinstance(output_size, (int, tuple, list)) or isinstance(output_size, bool):
            raise UnexpectedArgument(
                f"`output_size` of {type(self).__name__} must be an integer or a tuple of {self.rank} "
                f"integer(s). Received: {output_size!r} of type {type(output_size)}"
            )
        if not isinstance(output_size, int) and len(output_size) != self.rank:
            # As in Keras: a wrong length is a wrong value for one axis and a wrong type for several.
            error = InvalidArgument if self.rank == 1 else UnexpectedArgument
            raise error(
                f"`output_size` of {type(self).__name__} must have length {self.rank}. "
                f"Received: {output_size!r}"
            )
        self.output_size = standardize_tuple(output_size, self.rank, "output_size")
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        return self.pool(inputs, self.output_size, self.data_format)


class _AdaptiveAveragePooling(_AdaptivePooling):
    """The mean of each window."""

    pool: ClassVar[Callable[..., Any]] = staticmethod(numerics.adaptive_average_pool)


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """Takes the means of ``output_size`` windows, whatever the number of steps.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, output_size, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AdaptiveAveragePooling1D(3)(jnp.arange(5.0).reshape(1, 5, 1))[0, :, 0].tolist()
    [0.5, 2.0, 3.5]
    """

    rank: ClassVar[int] = 1


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """Takes the means of ``output_size`` windows, whatever the size of the image.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, *output_size, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AdaptiveAveragePooling2D((3, 2))(jnp.ones((2, 9, 8, 3))).shape
    (2, 3, 2, 3)
    """

    rank: ClassVar[int] = 2


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """Takes the means of ``output_size`` windows, whatever the size of the volume.

    Input shape ``(batch, depth, height, width, channels)``, output shape ``(batch, *output_size, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AdaptiveAveragePooling3D(2)(jnp.ones((2, 4, 5, 6, 3))).shape
    (2, 2, 2, 2, 3)
    """

    rank: ClassVar[int] = 3


class _AdaptiveMaxPooling(_AdaptivePooling):
    """The largest element of each window."""

    pool: ClassVar[Callable[..., Any]] = staticmethod(numerics.adaptive_max_pool)


class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """Keeps the largest elements of ``output_size`` windows, whatever the number of steps.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, output_size, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AdaptiveMaxPooling1D(3)(jnp.arange(5.0).reshape(1, 5, 1))[0, :, 0].tolist()
    [1.0, 3.0, 4.0]
    """

    rank: ClassVar[int] = 1


class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """Keeps the largest elements of ``output_size`` windows, whatever the size of the image.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, *output_size, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AdaptiveMaxPooling2D((3, 2))(jnp.ones((2, 9, 8, 3))).shape
    (2, 3, 2, 3)
    """

    rank: ClassVar[int] = 2


class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    """Keeps the largest elements of ``output_size`` windows, whatever the size of the volume.

    Input shape ``(batch, depth, height, width, channels)``, output shape ``(batch, *output_size, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> AdaptiveMaxPooling3D(2)(jnp.ones((2, 4, 5, 6, 3))).shape
    (2, 2, 2, 2, 3)
    """

    rank: ClassVar[int] = 3


# The same classes by their other names.
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
