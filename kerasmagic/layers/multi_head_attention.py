"""Attention of several heads, each on its own projections of query, key and value."""

from __future__ import annotations

import contextlib
import math
import string
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasmagic.core.masking import get_keras_mask, set_keras_mask
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import fraction, positive_integer
from kerasmagic.foundation.config import is_flash_attention_enabled
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.foundation.signature import handed_on
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.layers.dense import EinsumDense
from kerasmagic.layers.dropout import Dropout
from kerasmagic.numerics.attention import (
    causal_mask,
    fused_attention,
    insert_axes,
    multi_head_attention,
    window_mask,
)


class _ProjectedAttention(LibraryLayer):
    """What both layers share: options, masks, and the way from projections to the output."""

    config_omits: ClassVar[frozenset[str]] = frozenset({"flash_attention"})
    config_includes: ClassVar[tuple[str, ...]] = ("activity_regularizer",)
    _children: ClassVar[dict[str, str]]
    """The attributes of the projections by their names."""

    def __init__(
        self,
        *,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        use_gate: bool,
        seed: int | None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.dropout = fraction("dropout", dropout)
        self.use_bias = use_bias
        self.use_gate = use_gate
        self.sliding_window = (
            None if sliding_window is None else positive_integer("sliding_window", sliding_window)
        )
        self.flash_attention = flash_attention
        if flash_attention and self.dropout > 0:
            raise InvalidArgument(
                "Dropout is not supported when flash attention is enabled. "
                "Please set dropout to 0.0 to use flash attention."
            )
        self.kernel_initializer = resolve(INITIALIZERS, kernel_initializer)
        self.bias_initializer = resolve(INITIALIZERS, bias_initializer)
        self.kernel_regularizer = resolve(REGULARIZERS, kernel_regularizer)
        self.bias_regularizer = resolve(REGULARIZERS, bias_regularizer)
        self.kernel_constraint = resolve(CONSTRAINTS, kernel_constraint)
        self.bias_constraint = resolve(CONSTRAINTS, bias_constraint)
        self.seed = seed
        self.supports_masking = True

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras writes none: it is kept only where there is one to lose.
        return config if self.flash_attention is None else {**config, "flash_attention": self.flash_attention}

    def _project(
        self, name: str, equation: str, output_shape: Sequence[int | None], shape: Any, **more: Any
    ) -> None:
        """Make the projection ``name`` for inputs of ``shape``."""
        output = equation.partition("->")[2]
        fixed = output[-len([d for d in output_shape if d is not None]) :]
        layer = EinsumDense(
            equation,
            output_shape=output_shape,
            bias_axes=fixed if self.use_bias else None,
            name=name,
            kernel_initializer=_again(self.kernel_initializer),
            bias_initializer=_again(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            **more,
        )
        setattr(self, self._children[name], layer)
        layer.build(shape)

    def _child(self, name: str) -> Any:
        return getattr(self, self._children[name])

    def _make_dropout(self) -> None:
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        # A fused kernel looks back faster by itself than by a mask.
        causal = use_causal_mask and self._fuses(query.ndim + 1, return_attention_scores)
        attention_mask = self._compute_attention_mask(
            query,
            value,
            query_mask=query_mask,
            value_mask=value_mask,
            key_mask=key_mask,
            attention_mask=attention_mask,
            use_causal_mask=use_causal_mask and not causal,
        )
        # The masks have done their work: the projections don't know what to do with them.
        with _without_masks(query, value, key):
            gate = self._child("gate")(query) if self.use_gate else None
            projected = [
                self._child(name)(x) for name, x in (("query", query), ("key", key), ("value", value))
            ]
        outputs, weights = self._compute_attention(
            *projected,
            attention_mask=attention_mask,
            training=training,
            return_attention_scores=return_attention_scores,
            **({"use_causal_mask": True} if causal else {}),
        )
        outputs = self._child("attention_output")(outputs if gate is None else outputs * gate)
        return (outputs, weights) if return_attention_scores else outputs

    def _compute_attention_mask(
        self,
        query: Any,
        value: Any,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return where queries may look, ``(batch, queries, keys)``, or ``None`` for everywhere."""
        masks = [] if query_mask is None else [query_mask.astype(bool)[..., None]]
        masks += [mask.astype(bool)[..., None, :] for mask in (value_mask, key_mask) if mask is not None]
        sizes = query.shape[1], value.shape[1]
        if use_causal_mask:
            masks.append(causal_mask(*sizes))
        if self.sliding_window is not None:
            masks.append(window_mask(*sizes, self.sliding_window))
        if attention_mask is not None:
            masks.append(jnp.asarray(attention_mask).astype(bool))
        combined = None
        for mask in masks:
            combined = mask if combined is None else combined & mask
        return combined

    def _needs_no_weights(self, rank: int, scores: bool) -> bool:
        return rank == 4 and not scores and not self.dropout

    def _fuses(self, rank: int, scores: bool) -> bool:
        """Whether the library's own ``_compute_attention`` leaves the work to JAX's kernel."""
        own = type(self)._compute_attention is _ProjectedAttention._compute_attention
        pays = jax.default_backend() != "cpu" and is_flash_attention_enabled() is not False
        fast = self.flash_attention or pays
        return own and bool(fast) and self._needs_no_weights(rank, scores)

    def _axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes that are attended over, of projections of ``rank``."""
        return (1,)

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """Return what the heads return, and their weights or ``None``; for subclasses to override.

        Args:
            query: ``(batch, queries, heads, key_dim)``.
            key: ``(batch, keys, heads, key_dim)``.
            value: ``(batch, keys, heads, value_dim)``.
            attention_mask: ``(batch, queries, keys)``.
            training: Whether weights are dropped.
            return_attention_scores: Whether the weights are wanted.
            use_causal_mask: Whether queries look back only, beside what the mask says.
        """
        if self.flash_attention and return_attention_scores:
            raise InvalidArgument(
                f"Layer {self.name!r}: returning attention scores is not supported when flash attention is "
                "enabled. Please disable flash attention to access attention scores."
            )
        mask, rank, scale = attention_mask, query.ndim, 1.0 / math.sqrt(query.shape[-1])
        if self._fuses(rank, return_attention_scores):
            mask = None if mask is None else insert_axes(mask, 4)
            flash = bool(self.flash_attention)
            return fused_attention(
                query, key, value, mask, scale=scale, causal=use_causal_mask, flash=flash
            ), None
        if use_causal_mask:
            looks_back = causal_mask(query.shape[1], key.shape[1])
            mask = looks_back if mask is None else mask & looks_back
        drop = (lambda weights: self._dropout_layer(weights, training=training)) if self.dropout else None
        # Of a query that may look nowhere Keras makes the mean of all values, or zero where it needs the weights.
        zero = not self._needs_no_weights(rank, return_attention_scores)
        axes = self._axes(rank)
        return multi_head_attention(
            query, key, value, mask, axes=axes, scale=scale, zero_masked=zero, drop=drop
        )

    def _check_lengths(self, value_shape: Any, key_shape: Any) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ShapeMismatch(
                f"Layer {self.name!r}: all dimensions of `value` and `key`, except the last one, must be equal. "
                f"Received: value_shape={value_shape} and key_shape={key_shape}"
            )


class MultiHeadAttention(_ProjectedAttention):
    """Attention of several heads, each on its own projections.

    Inputs ``query`` ``(batch, queries, n)``, ``value`` ``(batch, keys, m)`` and ``key`` ``(batch, keys, k)``, which is
    ``value`` when it is missing; there may be more axes between the first and the last. Output
    ``(batch, queries, n)``, or ``(batch, queries, *output_shape)``; with ``return_attention_scores`` a tuple of
    it and the weights ``(batch, heads, queries, keys)``.

    The masks of the inputs, an ``attention_mask`` ``(batch, queries, keys)``, ``use_causal_mask`` and the
    sliding window all hold at once.

    Args:
        num_heads: The number of heads.
        key_dim: Size of each head for query and key.
        value_dim: Size of each head for value; ``key_dim`` when ``None``.
        dropout: The part of the weights that is dropped in training.
        use_bias: Whether the projections have a bias.
        output_shape: Sizes of the output in place of the query's last one.
        attention_axes: The axes that are attended over; all but batch, heads and features when ``None``.
        sliding_window: How far a query looks to either side, itself included.
        flash_attention: Whether the kernel must be cuDNN's where there is a GPU.
        kernel_initializer, bias_initializer: Initial values of the projections.
        kernel_regularizer, bias_regularizer: Penalties on the projections.
        activity_regularizer: Penalty on what each projection returns.
        kernel_constraint, bias_constraint: Constraints on the projections.
        use_gate: Whether a sigmoid of the query scales what the heads return.
        seed: Fixes what is dropped.

    Raises:
        InvalidArgument: If a size is no positive integer, the rate no fraction, or flash attention goes with
            dropout or with scores.
        ShapeMismatch: If ``value`` and ``key`` have different lengths.

    Example:

    >>> import jax.numpy as jnp
    >>> MultiHeadAttention(num_heads=2, key_dim=4)(jnp.ones((2, 5, 3)), jnp.ones((2, 7, 6))).shape
    (2, 5, 3)
    """

    _children = {
        "query": "query_dense",
        "key": "key_dense",
        "gate": "_gate_dense",
        "value": "value_dense",
        "attention_output": "output_dense",
    }

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        own = ("num_heads", "key_dim", "value_dim", "output_shape", "attention_axes")
        super().__init__(**handed_on(locals(), "own", *own))
        self.num_heads = positive_integer("num_heads", num_heads)
        self.key_dim = positive_integer("key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive_integer("value_dim", value_dim)
        self.output_shape = _sizes("output_shape", output_shape)
        self.attention_axes = _sizes("attention_axes", attention_axes)

    def build(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_lengths(value_shape, key_shape)
        self._project_heads("query", query_shape, self.key_dim)
        self._project_heads("key", key_shape, self.key_dim)
        if self.use_gate:
            self._project_heads("gate", query_shape, self.value_dim, activation="sigmoid")
        self._project_heads("value", value_shape, self.value_dim)
        self._make_dropout()
        output_shape = self.output_shape or (query_shape[-1],)
        free = len(query_shape) - 1
        letters = iter(string.ascii_lowercase)
        axes, bound, made = ("".join(next(letters) for _ in range(n)) for n in (free, 2, len(output_shape)))
        shape = (*query_shape[:-1], self.num_heads, self.value_dim)
        open_sizes = [None] * (free - 1)
        self._project(
            "attention_output",
            f"{axes}{bound},{bound}{made}->{axes}{made}",
            [*open_sizes, *output_shape],
            shape,
        )

    def _project_heads(self, name: str, shape: Any, size: int, **more: Any) -> None:
        axes = string.ascii_lowercase[: len(shape) - 1]
        n, heads, dim = string.ascii_lowercase[len(shape) - 1 : len(shape) + 2]
        output_shape = [*(None for _ in axes[1:]), self.num_heads, size]
        self._project(name, f"{axes}{n},{n}{heads}{dim}->{axes}{heads}{dim}", output_shape, shape, **more)

    def _add_activity_loss(self, outputs: Any) -> None:
        """Add nothing: each projection has its own penalty."""

    def _axes(self, rank: int) -> tuple[int, ...]:
        last = rank - 2
        axes = self.attention_axes or tuple(range(1, last))
        return tuple(axis if axis >= 0 else last + 1 + axis for axis in axes)


class GroupQueryAttention(_ProjectedAttention):
    """Attention in which several heads of the query share one head of key and value.

    Inputs ``query`` ``(batch, queries, n)``, ``value`` ``(batch, keys, n)`` and ``key`` ``(batch, keys, k)``, which is
    ``value`` when it is missing. Output ``(batch, queries, n)``; with ``return_attention_scores`` a tuple of it
    and the weights ``(batch, num_query_heads, queries, keys)``. Masks as ``MultiHeadAttention``.

    Args:
        head_dim: Size of each head.
        num_query_heads: The number of heads of the query.
        num_key_value_heads: The number of heads of key and value; divides ``num_query_heads``.
        dropout: The part of the weights that is dropped in training.
        use_bias: Whether the projections have a bias.
        sliding_window: How far a query looks to either side, itself included.
        flash_attention: Whether the kernel must be cuDNN's where there is a GPU.
        kernel_initializer, bias_initializer: Initial values of the projections.
        kernel_regularizer, bias_regularizer: Penalties on the projections.
        activity_regularizer: Penalty on what each projection and the layer return.
        kernel_constraint, bias_constraint: Constraints on the projections.
        use_gate: Whether a sigmoid of the query scales what the heads return.
        seed: Fixes what is dropped.

    Raises:
        InvalidArgument: If a number is no positive integer, the heads do not divide, the rate is no fraction, or
            flash attention goes with dropout or with scores.
        ShapeMismatch: If ``value`` and ``key`` have different lengths.

    Example:

    >>> import jax.numpy as jnp
    >>> GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)(
    ...     jnp.ones((2, 5, 3)), jnp.ones((2, 7, 3))
    ... ).shape
    (2, 5, 3)
    """

    _children = {name: f"_{name.removeprefix('attention_')}_dense" for name in MultiHeadAttention._children}

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        own = ("head_dim", "num_query_heads", "num_key_value_heads")
        super().__init__(**handed_on(locals(), "own", *own))
        self.head_dim = positive_integer("head_dim", head_dim)
        self.num_query_heads = positive_integer("num_query_heads", num_query_heads)
        self.num_key_value_heads = positive_integer("num_key_value_heads", num_key_value_heads)
        if num_query_heads % num_key_value_heads != 0:
            raise InvalidArgument(
                "`num_query_heads` must be divisible by `num_key_value_heads`. "
                f"Received: num_query_heads={num_query_heads}, num_key_value_heads={num_key_value_heads}"
            )
        self.num_repeats = num_query_heads // num_key_value_heads

    def build(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_lengths(value_shape, key_shape)
        queries = [None, self.num_query_heads, self.head_dim]
        keys = [None, self.num_key_value_heads, self.head_dim]
        self._project("query", "bqm,muh->bquh", queries, query_shape)
        self._project("key", "bkm,mvh->bkvh", keys, key_shape)
        if self.use_gate:
            self._project("gate", "bqm,muh->bquh", queries, query_shape, activation="sigmoid")
        self._project("value", "bkm,mvh->bkvh", keys, value_shape)
        self._make_dropout()
        shape = (None, None, self.num_query_heads, self.head_dim)
        self._project("attention_output", "bquh,uhm->bqm", [None, query_shape[-1]], shape)


def _sizes(name: str, value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (int, list, tuple)) or isinstance(value, bool):
        raise InvalidArgument(f"`{name}` must be an int, list or tuple. Received: {name}={value!r}")
    return (value,) if isinstance(value, int) else tuple(value)


def _again(initializer: Any) -> Any:
    """Return an initializer of the same config, which draws values of its own unless a seed fixes them."""
    return (
        type(initializer).from_config(initializer.get_config())
        if hasattr(initializer, "get_config")
        else initializer
    )


@contextlib.contextmanager
def _without_masks(*tensors: Any) -> Iterator[None]:
    masks = [(x, get_keras_mask(x)) for x in tensors]
    for x, mask in masks:
        if mask is not None:
            set_keras_mask(x, None)
    try:
        yield
    finally:
        for x, mask in masks:
            if mask is not None:
                set_keras_mask(x, mask)
