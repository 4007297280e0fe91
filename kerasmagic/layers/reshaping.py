"""Layers that move values without changing them: ``Flatten``, ``Reshape``, ``Permute``, ``RepeatVector``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.arguments import positive_integer
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument, WrongType
from kerasmagic.layers.base import LibraryLayer


class Flatten(LibraryLayer):
    """Makes one axis of all but the batch.

    Input shape ``(batch, ...)``, output shape ``(batch, features)``; ``(batch,)`` becomes ``(batch, 1)``.

    Args:
        data_format: ``"channels_first"`` moves axis 1 to the end before, so that both formats give the same.

    Raises:
        InvalidArgument: If there is no such format.

    Example:

    >>> import jax.numpy as jnp
    >>> Flatten()(jnp.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and inputs.ndim > 1:
            inputs = jnp.moveaxis(inputs, 1, -1)
        return jnp.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))


class Reshape(LibraryLayer):
    """Gives the values of each example another shape.

    Input shape ``(batch, ...)``, output shape ``(batch, *target_shape)``.

    Args:
        target_shape: Sizes without the batch; one of them may be -1: what is left.

    Raises:
        InvalidArgument: If there are several -1 or other negative sizes.
        ShapeMismatch: When called, if the number of values differs.

    Example:

    >>> import jax.numpy as jnp
    >>> Reshape((3, -1))(jnp.ones((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.target_shape = _sizes("target_shape", target_shape)
        sizes = [size for size in self.target_shape if size is not None]
        if any(not hasattr(size, "__index__") or size < -1 for size in sizes) or sizes.count(-1) > 1:
            raise InvalidArgument(
                "Each dimension in `target_shape` must be a non-negative integer, and at most one may be `-1`: "
                f"what is left. Received: target_shape={target_shape}."
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        return jnp.reshape(inputs, (inputs.shape[0], *self._sizes(inputs.shape[1:])))

    def compute_output_spec(self, inputs: Any) -> Any:
        # An open size divides by nothing that JAX could prove, and yet `(None, 4) -> (-1, 8)` is right.
        return KerasTensor((inputs.dims[0], *self._sizes(inputs.dims[1:])), inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.compute_output_spec(KerasTensor(input_shape)).shape

    def _sizes(self, sizes: Sequence[Any]) -> tuple[Any, ...]:
        """Return the target with a number, or an expression of open sizes, in place of -1."""
        total = math.prod(sizes)
        target = [-1 if size is None else size for size in self.target_shape]
        known = math.prod(size for size in target if size != -1)
        closed = isinstance(total, int)
        fits = (known > 0 and total % known == 0) if -1 in target else total == known
        if closed and not fits:
            raise ShapeMismatch(
                f"The total size of the input of layer {self.name!r} must be unchanged. "
                f"Received: input_shape={tuple(sizes)} with {total} values, target_shape={self.target_shape}"
            )
        return tuple(total // known if size == -1 else size for size in target)


class Permute(LibraryLayer):
    """Changes the order of the axes behind the batch.

    Args:
        dims: The axes of the input in the order of the output, from 1.

    Raises:
        InvalidArgument: If they are no permutation.

    Example:

    >>> import jax.numpy as jnp
    >>> Permute((2, 1))(jnp.ones((2, 3, 4))).shape
    (2, 4, 3)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = _sizes("dims", dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise InvalidArgument(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in `dims` must be "
                f"consecutive and start from 1. Received dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return jnp.transpose(inputs, (0, *self.dims))


class RepeatVector(LibraryLayer):
    """Repeats each example ``n`` times: ``(batch, features)`` becomes ``(batch, n, features)``.

    Args:
        n: How often.

    Raises:
        UnexpectedArgument: If it is no integer.
        InvalidArgument: If it is not above zero.

    Example:

    >>> import jax.numpy as jnp
    >>> RepeatVector(3)(jnp.ones((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(n, int) or isinstance(n, bool):
            raise UnexpectedArgument(
                f"Expected an integer value for `n`. Received: n={n!r} (of type {type(n)})"
            )
        self.n = positive_integer("n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return jnp.repeat(inputs[:, None], self.n, axis=1)


def _sizes(name: str, sizes: Any) -> tuple[Any, ...]:
    if isinstance(sizes, Iterable):
        return tuple(sizes)
    one = f", such as ({sizes},)" if isinstance(sizes, int) else ""
    raise WrongType(f"`{name}` must be a tuple of integers{one}. Received: {name}={sizes!r}")
