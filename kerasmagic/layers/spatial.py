"""Layers that cut off, pad or repeat along the spatial axes; none of them has weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.foundation.arguments import one_of, standardize_tuple
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics import image
from kerasmagic.numerics.windows import over_spatial, spatial_axes

Edges = tuple[int, int]


def _edges(value: Any, rank: int, name: str) -> tuple[Edges, ...]:
    """Return how much to change before and after, per axis, from one of the three ways to write it.

    Raises:
        InvalidArgument: If it is none of them, or a number is negative.

    >>> _edges(1, 2, "padding"), _edges((1, 2), 2, "padding"), _edges(((1, 2), (0, 3)), 2, "padding")
    (((1, 1), (1, 1)), ((1, 1), (2, 2)), ((1, 2), (0, 3)))
    """
    entries = (value,) * rank if isinstance(value, int) else value
    if not isinstance(entries, Sequence) or isinstance(entries, str) or len(entries) != rank:
        raise InvalidArgument(
            f"`{name}` should be an integer, {rank} integers or {rank} pairs of integers. "
            f"Received: {name}={value!r}"
        )
    return tuple(_pair(entry, f"entry {i} of {name}") for i, entry in enumerate(entries, start=1))


def _pair(value: Any, name: str) -> Edges:
    before, after = standardize_tuple(value, 2, name, allow_zero=True)
    return before, after


class _Cropping(LibraryLayer):
    """Less at both ends of each spatial axis."""

    rank: ClassVar[int]
    cropping: Any
    data_format: str = "channels_last"

    def _crop(self, inputs: Any, edges: Sequence[Edges]) -> Any:
        for axis, (before, after) in zip(spatial_axes(self.rank, self.data_format), edges, strict=True):
            size = inputs.shape[axis]
            if isinstance(size, int) and size <= before + after:
                raise ShapeMismatch(
                    f"Layer {self.name!r} ({type(self).__name__}): `cropping` must be smaller than the input "
                    f"along each axis. Received: inputs.shape={inputs.shape}, cropping={self.cropping}"
                )
        kept = [slice(before, -after if after else None) for before, after in edges]
        return inputs[over_spatial(kept, self.data_format, slice(None))]


class Cropping1D(_Cropping):
    """Cuts off the first and the last steps.

    Input shape ``(batch, steps, features)``, output shape ``(batch, fewer_steps, features)``.

    Args:
        cropping: How many steps to cut off, or how many at the start and at the end.
        kwargs: ``name``, ``dtype``, ``trainable``.

    Raises:
        InvalidArgument: If ``cropping`` is negative or malformed.
        ShapeMismatch: In the call, if nothing would be left.

    Example:

    >>> import jax.numpy as jnp
    >>> Cropping1D((1, 2))(jnp.arange(5.0).reshape(1, 5, 1))[0, :, 0].tolist()
    [1.0, 2.0]
    """

    rank: ClassVar[int] = 1

    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs: Any):
        super().__init__(**kwargs)
        self.cropping = _pair(cropping, "cropping")
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return self._crop(inputs, (self.cropping,))


class _CroppingOfAxes(_Cropping):
    """Cropping along several axes."""

    def __init__(self, cropping: Any = 0, data_format: str | None = None, **kwargs: Any):
        """Set the options.

        Args:
            cropping: How much to cut off everywhere; or one number per axis; or, per axis, how much at the
                start and at the end.
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            kwargs: ``name``, ``dtype``, ``trainable``.

        Raises:
            InvalidArgument: If ``cropping`` is negative or malformed.
        """
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.cropping = _edges(cropping, self.rank, "cropping")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        return self._crop(inputs, self.cropping)


class Cropping2D(_CroppingOfAxes):
    """Cuts off rows and columns at the edges of images.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, less, less, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> Cropping2D(((1, 0), (2, 3)))(jnp.ones((2, 8, 8, 3))).shape
    (2, 7, 3, 3)
    """

    rank: ClassVar[int] = 2


class Cropping3D(_CroppingOfAxes):
    """Cuts off the outermost planes of volumes.

    Input shape ``(batch, depth, height, width, channels)``, output shape
    ``(batch, less, less, less, channels)``; channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> Cropping3D((1, 2, 3))(jnp.ones((2, 8, 8, 8, 3))).shape
    (2, 6, 4, 2, 3)
    """

    rank: ClassVar[int] = 3

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(cropping, data_format, **kwargs)


class _ZeroPadding(LibraryLayer):
    """Zeros at both ends of each spatial axis."""

    rank: ClassVar[int]

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        """Set the options.

        Args:
            padding: How many zeros everywhere; or one number per axis; or, per axis, how many at the start
                and at the end. For one axis, a pair is the start and the end.
            data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
            kwargs: ``name``, ``dtype``, ``trainable``.

        Raises:
            InvalidArgument: If ``padding`` is negative or malformed.
        """
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.padding: Any = self._standardize(padding)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _standardize(self, padding: Any) -> Any:
        return _edges(padding, self.rank, "padding")

    def _pairs(self) -> Sequence[Edges]:
        return self.padding

    def call(self, inputs: Any) -> Any:
        return jnp.pad(inputs, over_spatial(self._pairs(), self.data_format, (0, 0)))


class ZeroPadding1D(_ZeroPadding):
    """Puts zeros before the first and after the last step.

    Input shape ``(batch, steps, channels)``, output shape ``(batch, more_steps, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> ZeroPadding1D((1, 2))(jnp.ones((1, 2, 1)))[0, :, 0].tolist()
    [0.0, 1.0, 1.0, 0.0, 0.0]
    """

    rank: ClassVar[int] = 1

    def _standardize(self, padding: Any) -> Edges:
        return _pair(padding, "padding")

    def _pairs(self) -> Sequence[Edges]:
        return (self.padding,)


class ZeroPadding2D(_ZeroPadding):
    """Puts zeros around images.

    Input shape ``(batch, height, width, channels)``, output shape ``(batch, more, more, channels)``;
    channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> ZeroPadding2D(((1, 0), (2, 3)))(jnp.ones((2, 8, 8, 3))).shape
    (2, 9, 13, 3)
    """

    rank: ClassVar[int] = 2


class ZeroPadding3D(_ZeroPadding):
    """Puts zeros around volumes.

    Input shape ``(batch, depth, height, width, channels)``, output shape
    ``(batch, more, more, more, channels)``; channels second for ``channels_first``.

    Example:

    >>> import jax.numpy as jnp
    >>> ZeroPadding3D((1, 2, 3))(jnp.ones((2, 8, 8, 8, 3))).shape
    (2, 10, 12, 14, 3)
    """

    rank: ClassVar[int] = 3


class UpSampling1D(LibraryLayer):
    """Repeats each step.

    Input shape ``(batch, steps, features)``, output shape ``(batch, steps * size, features)``.

    Args:
        size: How often.
        kwargs: ``name``, ``dtype``, ``trainable``.

    Raises:
        UnexpectedArgument: If ``size`` is not an integer.
        InvalidArgument: If it is not positive.

    Example:

    >>> import jax.numpy as jnp
    >>> UpSampling1D(2)(jnp.asarray([[[1.0], [2.0]]]))[0, :, 0].tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(size, int) or isinstance(size, bool):
            raise UnexpectedArgument(f"`size` of UpSampling1D must be an integer. Received: {type(size)}")
        (self.size,) = standardize_tuple(size, 1, "size")
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return image.upsample(inputs, (self.size,))


class UpSampling2D(LibraryLayer):
    """Makes images larger by whole factors.

    Input shape ``(batch, height, width, channels)``, output shape
    ``(batch, height * size[0], width * size[1], channels)``; channels second for ``channels_first``.

    Args:
        size: The factors; one integer for both.
        data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
        interpolation: ``"nearest"`` (repeats), ``"bilinear"``, ``"bicubic"``, ``"lanczos3"``, ``"lanczos5"``.
        kwargs: ``name``, ``dtype``, ``trainable``.

    Raises:
        InvalidArgument: If a factor is not positive or a word unknown.

    Example:

    >>> import jax.numpy as jnp
    >>> UpSampling2D((2, 3), interpolation="bilinear")(jnp.ones((2, 4, 4, 3))).shape
    (2, 8, 12, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.size = standardize_tuple(size, 2, "size")
        self.interpolation = one_of("interpolation", str(interpolation).lower(), image.INTERPOLATIONS)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        return image.upsample(inputs, self.size, self.interpolation, self.data_format)


class UpSampling3D(LibraryLayer):
    """Repeats the elements of volumes along each axis.

    Input shape ``(batch, depth, height, width, channels)``, output shape
    ``(batch, depth * size[0], height * size[1], width * size[2], channels)``; channels second for
    ``channels_first``.

    Args:
        size: The factors; one integer for all.
        data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.
        kwargs: ``name``, ``dtype``, ``trainable``.

    Raises:
        InvalidArgument: If a factor is not positive or a word unknown.

    Example:

    >>> import jax.numpy as jnp
    >>> UpSampling3D((1, 2, 3))(jnp.ones((2, 2, 2, 2, 3))).shape
    (2, 2, 4, 6, 3)
    """

    def __init__(self, size: int | Sequence[int] = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.size = standardize_tuple(size, 3, "size")
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: Any) -> Any:
        return image.upsample(inputs, self.size, "nearest", self.data_format)
