"""Layers that make one tensor of several; each has a function of the same name in lower case.

All but ``Concatenate`` and ``Dot`` are a fold over the inputs with ``combine``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core.masking import get_keras_mask
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument
from kerasmagic.layers.base import LibraryLayer, on_tensors
from kerasmagic.numerics.contraction import batch_dot
from kerasmagic.numerics.normalization import unit_normalization

Shape = Sequence[Any]


class _Merge(LibraryLayer):
    """A layer that is called on a list of tensors."""

    combine: ClassVar[Callable[[Any, Any], Any]]

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape)
        batches = {shape[0] for shape in input_shape if shape} - {None}
        if len(batches) > 1:
            raise ShapeMismatch(
                f"Cannot merge tensors with different batch sizes in layer {self.name!r}. "
                f"Received tensors with shapes {input_shape}"
            )
        functools.reduce(self._joint_shape, [shape[1:] for shape in input_shape])

    def _check_list(self, shapes: Any, exactly: int | None = None) -> None:
        what = (
            f"a `{type(self).__name__}` layer should be called on a list of {exactly or 'at least 1'} inputs"
        )
        if not shapes or not isinstance(shapes[0], (list, tuple)):
            raise InvalidArgument(
                f"Layer {self.name!r}: {what}. Received: input_shape={shapes} (not a list of shapes)"
            )
        if exactly is not None and len(shapes) != exactly:
            raise InvalidArgument(f"Layer {self.name!r}: {what}. Received: input_shape={shapes}")

    def _joint_shape(self, a: Shape, b: Shape) -> Shape:
        long, short = (a, b) if len(a) >= len(b) else (b, a)
        pairs = list(zip(long[len(long) - len(short) :], short, strict=True))
        if any(None not in (i, j) and 1 not in (i, j) and i != j for i, j in pairs):
            raise ShapeMismatch(
                f"Inputs of layer {self.name!r} have incompatible shapes. Received shapes {tuple(a)} and {tuple(b)} "
                "behind the batch."
            )
        joint = [i if j in (1, None) and i != 1 else j for i, j in pairs]
        return (*long[: len(long) - len(short)], *joint)

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)):
            raise InvalidArgument(
                f"Layer {self.name!r}: a merge layer should be called on a list of inputs. Received: inputs={inputs} "
                "(not a list of tensors)"
            )
        rank = max(x.ndim for x in inputs)
        if all(x.ndim == rank for x in inputs):
            return self.merge(list(inputs), [get_keras_mask(x) for x in inputs])
        # A vector of features stands for the same vector at every step.
        inputs = [jnp.expand_dims(x, tuple(range(1, 1 + rank - x.ndim))) for x in inputs]
        return self.merge(inputs, [None] * len(inputs))

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        """Return the result for tensors of equal rank."""
        return functools.reduce(type(self).combine, inputs)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, (list, tuple)) and all(isinstance(x, KerasTensor) for x in inputs):
            agreed = self._agree([list(x.dims) for x in inputs])
            inputs = [KerasTensor(dims, x.dtype) for dims, x in zip(agreed, inputs, strict=True)]
        return super().compute_output_spec(inputs, *args, **kwargs)

    def _agree(self, shapes: list[list[Any]]) -> list[list[Any]]:
        """Return the shapes with the open sizes that must be equal made equal, those of the batch at least."""
        batches = [shape[0] for shape in shapes]
        aligned = zip(*(reversed(shape[1:]) for shape in shapes), strict=False)
        rest = [_agreed(sizes) for sizes in aligned]
        for shape, batch in zip(shapes, _agreed(batches), strict=True):
            shape[0] = batch
        for back, sizes in enumerate(rest, start=1):
            for shape, size in zip(shapes, sizes, strict=True):
                shape[-back] = size
        return shapes

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = self._check_masks(inputs, previous_mask)
        if masks is None or any(mask is None for mask in masks):
            return None
        return functools.reduce(lambda a, b: on_tensors(jnp.logical_or, a, b), masks)

    def _check_masks(self, inputs: Any, masks: Any) -> Any:
        if masks is None:
            return None
        for name, value in (("mask", masks), ("inputs", inputs)):
            if not isinstance(value, (list, tuple)):
                raise InvalidArgument(f"`{name}` should be a list. Received: {name}={value}")
        if len(masks) != len(inputs):
            raise InvalidArgument(
                "The lists `inputs` and `mask` should have the same length. "
                f"Received: {len(inputs)} inputs and {len(masks)} masks."
            )
        return masks


def _agreed(sizes: Sequence[Any]) -> list[Any]:
    """Return the sizes with every open one equal to the first closed one above 1, else to the first open one.

    >>> _agreed([1, 4]), _agreed([4, 4])
    ([1, 4], [4, 4])
    """
    closed = next((s for s in sizes if isinstance(s, int) and s != 1), None)
    opened = next((s for s in sizes if not isinstance(s, int)), None)
    chosen = opened if closed is None else closed
    return [s if isinstance(s, int) else chosen for s in sizes]


class Add(_Merge):
    """Adds its inputs, shapes that broadcast to one another.

    Raises:
        ShapeMismatch: If the shapes do not fit.
        InvalidArgument: If it is not called on a list.

    Example:

    >>> import jax.numpy as jnp
    >>> Add()([jnp.ones((2, 3)), jnp.ones((2, 3))]).shape
    (2, 3)
    """

    combine: ClassVar[Callable[[Any, Any], Any]] = staticmethod(jnp.add)


class Subtract(_Merge):
    """Subtracts the second of its two inputs from the first.

    Raises:
        ShapeMismatch: If the shapes do not fit.
        InvalidArgument: If it is not called on a list of two.

    Example:

    >>> import jax.numpy as jnp
    >>> Subtract()([jnp.array([3.0]), jnp.array([1.0])]).tolist()
    [2.0]
    """

    combine: ClassVar[Callable[[Any, Any], Any]] = staticmethod(jnp.subtract)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self._check_list(input_shape, exactly=2)


class Multiply(_Merge):
    """Multiplies its inputs, shapes that broadcast to one another; a masked factor counts as 1.

    Raises:
        ShapeMismatch: If the shapes do not fit.
        InvalidArgument: If it is not called on a list.

    Example:

    >>> import jax.numpy as jnp
    >>> Multiply()([jnp.array([3.0]), jnp.array([2.0])]).tolist()
    [6.0]
    """

    combine: ClassVar[Callable[[Any, Any], Any]] = staticmethod(jnp.multiply)

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        wide: list[Any] = [_spread(mask, x) for mask, x in zip(masks, inputs, strict=True)]
        one = [
            x if m is None else jnp.where(m, x, jnp.ones((), x.dtype))
            for m, x in zip(wide, inputs, strict=True)
        ]
        product = super().merge(one, masks)
        if any(m is None for m in wide):
            return product
        return jnp.where(functools.reduce(jnp.logical_or, wide), product, jnp.zeros((), product.dtype))


class Average(_Merge):
    """Averages its inputs, shapes that broadcast to one another.

    Raises:
        ShapeMismatch: If the shapes do not fit.
        InvalidArgument: If it is not called on a list.

    Example:

    >>> import jax.numpy as jnp
    >>> Average()([jnp.array([3.0]), jnp.array([1.0])]).tolist()
    [2.0]
    """

    combine: ClassVar[Callable[[Any, Any], Any]] = staticmethod(jnp.add)

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        return super().merge(inputs, masks) / len(inputs)


class _Extreme(_Merge):
    """A fold in which a masked entry loses against any other."""

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        output, known = inputs[0], _spread(masks[0], inputs[0])
        for x, mask in zip(inputs[1:], masks[1:], strict=True):
            mask = _spread(mask, x)
            x = x if mask is None else jnp.where(mask, x, output)
            output = output if known is None else jnp.where(known, output, x)
            known = None if mask is None or known is None else jnp.logical_or(known, mask)
            output = type(self).combine(output, x)
        return output


class Maximum(_Extreme):
    """Takes the largest of its inputs, entry by entry; masked entries do not count.

    Raises:
        ShapeMismatch: If the shapes do not fit.
        InvalidArgument: If it is not called on a list.

    Example:

    >>> import jax.numpy as jnp
    >>> Maximum()([jnp.array([3.0, 0.0]), jnp.array([1.0, 1.0])]).tolist()
    [3.0, 1.0]
    """

    combine: ClassVar[Callable[[Any, Any], Any]] = staticmethod(jnp.maximum)


class Minimum(_Extreme):
    """Takes the smallest of its inputs, entry by entry; masked entries do not count.

    Raises:
        ShapeMismatch: If the shapes do not fit.
        InvalidArgument: If it is not called on a list.

    Example:

    >>> import jax.numpy as jnp
    >>> Minimum()([jnp.array([3.0, 0.0]), jnp.array([1.0, 1.0])]).tolist()
    [1.0, 0.0]
    """

    combine: ClassVar[Callable[[Any, Any], Any]] = staticmethod(jnp.minimum)


def _spread(mask: Any, x: Any) -> Any:
    return None if mask is None else jnp.broadcast_to(mask[..., None], x.shape)


class Concatenate(_Merge):
    """Puts its inputs one behind the other along an axis; their other sizes are equal.

    Args:
        axis: The axis.

    Raises:
        ShapeMismatch: If the other sizes differ.
        InvalidArgument: If it is not called on a list.

    Example:

    >>> import jax.numpy as jnp
    >>> Concatenate()([jnp.ones((2, 3)), jnp.ones((2, 4))]).shape
    (2, 7)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape)
        ranks = {len(shape) for shape in input_shape}
        if len(ranks) == 1 and -min(ranks) <= self.axis < min(ranks):
            others = [
                [s for i, s in enumerate(shape) if i != self.axis % len(shape)] for shape in input_shape
            ]
            if all(len({s for s in sizes if s is not None}) <= 1 for sizes in zip(*others, strict=True)):
                return
        raise ShapeMismatch(
            f"Layer {self.name!r}: a `Concatenate` layer requires inputs with matching shapes except for the "
            f"concatenation axis {self.axis}. Received: input_shape={input_shape}"
        )

    def call(self, inputs: Any) -> Any:
        return jnp.concatenate(list(inputs), axis=self.axis)

    def _agree(self, shapes: list[list[Any]]) -> list[list[Any]]:
        rank = len(shapes[0])
        for axis in set(range(rank)) - {self.axis % rank}:
            for shape, size in zip(shapes, _agreed([shape[axis] for shape in shapes]), strict=True):
                shape[axis] = size
        return shapes

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = self._check_masks(inputs, previous_mask)
        if masks is None or all(mask is None for mask in masks):
            return None
        return on_tensors(self._concatenate_masks, list(inputs), list(masks))

    def _concatenate_masks(self, inputs: list[Any], masks: list[Any]) -> Any:
        def full(x: Any, mask: Any) -> Any:
            if mask is None:
                return jnp.ones(x.shape, bool)
            return mask if mask.ndim == x.ndim else jnp.broadcast_to(mask[..., None], x.shape)

        whole = [full(x, mask) for x, mask in zip(inputs, masks, strict=True)]
        return jnp.any(jnp.concatenate(whole, axis=self.axis), axis=-1)


class Dot(_Merge):
    """Sums the products of two inputs over one axis of each, example by example.

    Input shapes ``(batch, ...)``; the output has the axes of both but the summed ones, at least ``(batch, 1)``.

    Args:
        axes: The axis in both, or one for each.
        normalize: Whether to divide by the norms first: the result is the cosine of the angle.

    Raises:
        UnexpectedArgument: If ``axes`` is no integer and no list.
        InvalidArgument: If it is no pair of integers, or the layer is not called on two inputs.
        ShapeMismatch: If the sizes of the axes differ.

    Example:

    >>> import jax.numpy as jnp
    >>> Dot(axes=(1, 2))([jnp.ones((2, 5, 3)), jnp.ones((2, 4, 5))]).shape
    (2, 3, 4)
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(axes, (int, list, tuple)):
            raise UnexpectedArgument(
                f"Invalid type for argument `axes`: it should be a list or an int. Received: axes={axes!r}"
            )
        if not isinstance(axes, int) and (len(axes) != 2 or not all(isinstance(axis, int) for axis in axes)):
            raise InvalidArgument(f"`axes` should contain two integers. Received: axes={axes!r}")
        self.axes = axes
        self.normalize = normalize

    def _axes_in(self, a: Shape, b: Shape) -> tuple[int, int]:
        first, second = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return (first % len(a) if first < 0 else first, second % len(b) if second < 0 else second)

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape, exactly=2)
        self._check_fit(*input_shape)

    def _check_fit(self, a: Shape, b: Shape) -> None:
        axes = self._axes_in(a, b)
        if 0 in axes or len(a) <= axes[0] or len(b) <= axes[1]:
            raise InvalidArgument(
                f"Layer {self.name!r} cannot sum over axes {axes}: they count from 1, the batch is axis 0. "
                f"Full input shapes: {a}, {b}"
            )
        for i, j in ((0, 0), axes):
            # Open sizes may turn out to fit.
            if isinstance(a[i], int) and isinstance(b[j], int) and a[i] != b[j]:
                raise ShapeMismatch(
                    f"Incompatible input shapes in layer {self.name!r}: axis values {a[i]} (at axis {i}) != "
                    f"{b[j]} (at axis {j}). Full input shapes: {a}, {b}"
                )

    def call(self, inputs: Any) -> Any:
        a, b = inputs
        self._check_fit(a.shape, b.shape)
        axes = self._axes_in(a.shape, b.shape)
        if self.normalize:
            a, b = (unit_normalization(x, axis, epsilon()) for x, axis in zip((a, b), axes, strict=True))
        return batch_dot(a, b, axes)

    def _agree(self, shapes: list[list[Any]]) -> list[list[Any]]:
        a, b = shapes
        for i, j in ((0, 0), self._axes_in(a, b)):
            a[i], b[j] = _agreed([a[i], b[j]])
        return shapes

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


def add(inputs: Any, **kwargs: Any) -> Any:
    """Return the sum of a list of tensors, as the layer ``Add`` does."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """Return the difference of two tensors, as the layer ``Subtract`` does."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """Return the product of a list of tensors, as the layer ``Multiply`` does."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """Return the average of a list of tensors, as the layer ``Average`` does."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """Return the largest of a list of tensors, as the layer ``Maximum`` does."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """Return the smallest of a list of tensors, as the layer ``Minimum`` does."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Return a list of tensors one behind the other, as the layer ``Concatenate`` does."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Return the products of two tensors over an axis of each, as the layer ``Dot`` does."""
    return Dot(axes=axes, **kwargs)(inputs)
