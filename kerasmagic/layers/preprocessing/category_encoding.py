"""Category numbers as vectors that say which categories occur."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from kerasmagic.foundation.arguments import one_of, positive_integer
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics import encoding


class CategoryEncoding(LibraryLayer):
    """Encodes integers as vectors of length ``num_tokens``: which of them occur, or how often.

    Args:
        num_tokens: How many categories there are; inputs are in ``[0, num_tokens)``. A number outside, as -1 for a
            missing one, adds nothing to the vector; it is no error.
        output_mode: ``"one_hot"``: a vector for each number with 1 at its place. ``"multi_hot"``: a vector for each
            sample with 1 at the place of every number that occurs. ``"count"``: how often each one occurs.
        sparse: Only ``False``: there are no sparse tensors here.

    Call arguments:
        inputs: Integers, or whole numbers of a float type.
        count_weights: What each number counts in mode ``"count"``, in the shape of ``inputs``; 1 without.

    Shapes:
        ``"one_hot"``: ``(..., n) -> (..., n, num_tokens)``, but ``(..., 1) -> (..., num_tokens)`` for inputs of more
        than one axis. Else ``(n,) -> (num_tokens,)`` and ``(batch, n, ...) -> (batch, ..., num_tokens)``. A scalar
        is a sample of one number. The output is in the compute type.

    Raises:
        InvalidArgument: If ``num_tokens`` is missing or not positive, the mode is none of these, ``sparse`` is
            set, or weights come in another mode than ``"count"``.
        ShapeMismatch: If the weights do not have the shape of the inputs.

    Example:

    >>> CategoryEncoding(4)([[0, 1], [3, 3]]).tolist()
    [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    >>> weigh = CategoryEncoding(4, output_mode="count")
    >>> weigh([[0, 1], [3, 3]], count_weights=[[0.5, 2.0], [1.0, 1.0]]).tolist()
    [[0.5, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]]
    """

    config_omits = frozenset({"sparse"})

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._allow_non_tensor_positional_args = True
        # Category numbers of a float type would be rounded to others.
        self._convert_input_args = False
        if num_tokens is None:
            raise InvalidArgument(
                "num_tokens must be set to use this layer.",
                hint="Where it is not known, `IntegerLookup` finds it in data.",
            )
        self.num_tokens = positive_integer("num_tokens", num_tokens)
        # Files of old versions say "binary".
        self.output_mode = one_of(
            "output_mode", "multi_hot" if output_mode == "binary" else output_mode, encoding.MODES
        )
        self.sparse = refuse_sparse(sparse)

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise InvalidArgument(
                "`count_weights` is not used when `output_mode` is not 'count'. "
                f"Received: output_mode={self.output_mode!r}"
            )
        weights = None if count_weights is None else jnp.asarray(count_weights, self.compute_dtype)
        return encoding.encode(
            jnp.asarray(inputs), self.num_tokens, self.output_mode, self.compute_dtype, weights
        )


def refuse_sparse(sparse: bool) -> bool:
    """Return ``sparse`` if it is ``False``.

    Raises:
        InvalidArgument: If it is not.
    """
    if sparse:
        raise InvalidArgument(
            "`sparse=True` is not supported: there are no sparse tensors here. Received: sparse=True",
            hint="Leave it out: the output is then a dense array of the same values.",
        )
    return False
