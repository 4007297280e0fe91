"""The base of all losses: from labels and predictions to one number to minimize."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core import dtype_policy, tree
from kerasmagic.core.attribute_config import attribute_config, attribute_values
from kerasmagic.core.masking import get_keras_mask
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.naming import auto_name
from kerasmagic.numerics.weighting import match_ranks, reduce_weighted

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)
_BASE = ("name", "reduction", "dtype")


class Loss:
    """A function from labels and predictions to a number to minimize.

    A subclass computes one loss a sample in ``call(y_true, y_pred)``.

    Args:
        name: Its name; made up when ``None``.
        reduction: How the losses of the samples become one: ``"sum_over_batch_size"`` (their mean),
            ``"mean"``, ``"sum"``, ``"mean_with_sample_weight"`` (divided by the sum of the weights),
            ``"none"`` or ``None``.
        dtype: The type to compute in, or a dtype policy; the default float type when ``None``.

    Raises:
        InvalidArgument: If there is no such reduction or type.

    Example:

    >>> class Distance(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return jnp.sum(jnp.abs(y_true - y_pred), axis=-1)
    >>> float(Distance()(jnp.zeros((4, 2)), jnp.ones((4, 2))))
    2.0
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ):
        self.name = name or auto_name(type(self).__name__)
        self.reduction = one_of("reduction", reduction, REDUCTIONS)
        self._dtype_policy = dtype_policy.get(dtype or floatx())

    @property
    def dtype(self) -> str:
        """The type in which the loss computes."""
        return self._dtype_policy.compute_dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss.

        Args:
            y_true: Labels ``(batch, ...)``, or a structure of them.
            y_pred: Predictions ``(batch, ...)``, in the same structure. A mask that they carry is respected.
            sample_weight: One weight for each sample, or one for each loss that ``call`` returns.

        Raises:
            ShapeMismatch: If the labels or the weights do not fit.
        """
        masks = [get_keras_mask(y_pred)]
        losses = self.call(_to_arrays(y_true, self.dtype), _to_arrays(y_pred, self.dtype))
        masks = [mask for mask in (*masks, get_keras_mask(losses)) if mask is not None]
        mask = functools.reduce(jnp.logical_and, masks) if masks else None
        return reduce_weighted(losses, sample_weight, mask, self.reduction, self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return one loss a sample: ``(batch, ...)``."""
        raise NotImplementedError(f"Loss {type(self).__name__} does not implement `call(y_true, y_pred)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again, as plain data."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        return config if self.dtype == floatx() else {**config, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a loss from what ``get_config`` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _to_arrays(structure: Any, dtype: str) -> Any:
    """Convert the leaves; nested lists of plain numbers are one array."""
    if all(isinstance(leaf, numbers.Number) for leaf in tree.flatten(structure)):
        return jnp.asarray(structure, dtype)
    return tree.map_structure(lambda leaf: jnp.asarray(leaf, dtype), structure)


def _match_structures(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    if not tree.is_nested(y_pred):
        return match_ranks(y_true, y_pred)
    pairs = [match_ranks(*pair) for pair in zip(tree.flatten(y_true), tree.flatten(y_pred), strict=True)]
    first, second = zip(*pairs, strict=True)
    return tree.pack_sequence_as(y_true, list(first)), tree.pack_sequence_as(y_pred, list(second))


class FunctionLoss(Loss):
    """A loss of the library: a pure function, and its options as attributes of their names."""

    function: ClassVar[Callable[..., Any]]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = _match_structures(y_true, y_pred)
        return type(self).function(y_true, y_pred, **attribute_values(self, omit=_BASE))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again, as plain data."""
        return {**super().get_config(), **attribute_config(self, omit=_BASE)}


class LossFunctionWrapper(Loss):
    """Any function ``(y_true, y_pred) -> losses`` as a loss.

    Args:
        fn: The function; ``(batch, ...), (batch, ...) -> (batch, ...)``.
        reduction: As for ``Loss``.
        name: As for ``Loss``.
        dtype: As for ``Loss``.
        kwargs: More arguments of the function.

    Example:

    >>> loss = LossFunctionWrapper(lambda y_true, y_pred, power: jnp.abs(y_true - y_pred) ** power, power=3)
    >>> float(loss(jnp.zeros((2, 1)), 2 * jnp.ones((2, 1))))
    8.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = _match_structures(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again, as plain data."""
        return {**super().get_config(), **serialize_keras_object({"fn": self.fn, **self._fn_kwargs})}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a loss from what ``get_config`` returned."""
        return cls(**deserialize_keras_object(config))
