"""Attention of one head on tensors as they are: by products, or by sums."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core.random import SeedGenerator
from kerasmagic.foundation.arguments import fraction, one_of
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics import noise
from kerasmagic.numerics.attention import additive_scores, causal_mask, masked_softmax


class Attention(LibraryLayer):
    """Takes a mean of the values for each query, weighted by the softmax of scores of query and key.

    Inputs ``[query, value]`` or ``[query, value, key]`` of shapes ``(batch, queries, dim)``,
    ``(batch, keys, value_dim)`` and ``(batch, keys, dim)``. Output ``(batch, queries, value_dim)``; with
    ``return_attention_scores`` a tuple of it and the weights ``(batch, queries, keys)``.
    The mask is ``[query_mask, value_mask]``, of ``(batch, queries)`` and ``(batch, keys)``.

    Args:
        use_scale: Whether scores are scaled by a weight.
        score_mode: ``"dot"`` for the product of query and key, ``"concat"`` for ``sum(tanh(query + key))``.
        dropout: The part of the weights that is dropped in training.
        seed: Fixes what is dropped.

    Raises:
        InvalidArgument: If ``score_mode`` is unknown, the rate no fraction, or the inputs or masks no list of
            two or three.

    Example:

    >>> import jax.numpy as jnp
    >>> Attention()([jnp.ones((2, 5, 3)), jnp.ones((2, 7, 3))]).shape
    (2, 5, 3)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = one_of("score_mode", score_mode, ("dot", "concat"))
        self.dropout = fraction("dropout", dropout)
        self.seed = seed
        if self.dropout > 0:
            self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        self.concat_score_weight = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def scores(self, query: Any, key: Any) -> Any:
        """Return the scores ``(batch, queries, keys)``."""
        scale = 1.0 if self.scale is None else self.scale.value
        if self.concat_score_weight is None:
            return jnp.matmul(query, jnp.swapaxes(key, -1, -2)) * scale
        return self.concat_score_weight.value * additive_scores(scale * query, scale * key)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs, mask)
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        self._check_fit(query.shape, value.shape, key.shape)
        query_mask, value_mask = mask[:2] if mask else (None, None)
        scores = self.scores(query, key)
        weights = self._weights(scores, value_mask, use_causal_mask)
        if training and self.dropout > 0:
            weights = noise.dropout(self.seed_generator.next(), weights, self.dropout, weights.shape)
        outputs = jnp.matmul(weights, value)
        if query_mask is not None:
            outputs = jnp.where(query_mask[..., None], outputs, jnp.zeros((), outputs.dtype))
        return (outputs, weights) if return_attention_scores else outputs

    def _weights(self, scores: Any, value_mask: Any, use_causal_mask: bool) -> Any:
        allowed = None if value_mask is None else value_mask.astype(bool)[..., None, :]
        if use_causal_mask:
            causal = causal_mask(*scores.shape[-2:])
            allowed = causal if allowed is None else allowed & causal
        if allowed is not None:
            # Lowered rather than replaced, so that a row that is masked throughout keeps its order.
            lowered = 65504.0 if scores.dtype == jnp.float16 else 1e9
            scores = jnp.where(allowed, scores, scores - jnp.asarray(lowered, scores.dtype))
        return masked_softmax(scores, None)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        self._check(inputs, previous_mask)
        return previous_mask[0] if previous_mask else None

    def _check_fit(self, query: Any, value: Any, key: Any) -> None:
        pairs = [("last sizes", query[-1], key[-1]), ("numbers of keys", value[-2], key[-2])]
        pairs += [("batches", query[0], other[0]) for other in (value, key)]
        # Open sizes may turn out to fit.
        closed = [(what, a, b) for what, a, b in pairs if isinstance(a, int) and isinstance(b, int)]
        wrong = [what for what, a, b in closed if a != b and (what != "batches" or 1 not in (a, b))]
        if wrong:
            raise ShapeMismatch(
                f"The inputs of layer {self.name!r} do not fit: query and key need equal last sizes, value and key "
                f"as many keys, all of them one batch. What differs: {', '.join(wrong)}. "
                f"Received: query {query}, value {value}, key {key}"
            )

    def _check(self, inputs: Any, mask: Any = None) -> None:
        name = type(self).__name__
        if not isinstance(inputs, list):
            raise InvalidArgument(
                f"{name} layer {self.name!r} must be called on a list of inputs, namely [query, value] or "
                f"[query, value, key]. Received: inputs={inputs}."
            )
        if len(inputs) not in (2, 3):
            raise InvalidArgument(
                f"{name} layer {self.name!r} accepts inputs list of length 2 or 3, namely [query, value] or "
                f"[query, value, key]. Received length: {len(inputs)}."
            )
        if mask is not None and not isinstance(mask, list):
            raise InvalidArgument(
                f"{name} layer {self.name!r} mask must be a list, namely [query_mask, value_mask]. "
                f"Received: mask={mask}."
            )
        if mask is not None and len(mask) not in (2, 3):
            raise InvalidArgument(
                f"{name} layer {self.name!r} accepts mask list of length 2 or 3. Received length: {len(mask)}."
            )


class AdditiveAttention(Attention):
    """Attention with the scores ``sum(scale * tanh(query + key))``; inputs, masks and outputs as ``Attention``.

    Args:
        use_scale: Whether there is a weight ``scale`` of shape ``(dim,)``; else it is 1.
        dropout: The part of the weights that is dropped in training.

    Raises:
        InvalidArgument: If the rate is no fraction, or the inputs or masks no list of two or three.

    Example:

    >>> import jax.numpy as jnp
    >>> AdditiveAttention()([jnp.ones((2, 5, 3)), jnp.ones((2, 7, 3))]).shape
    (2, 5, 3)
    """

    fills_in: ClassVar[frozenset[str]] = frozenset({"score_mode"})

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = None
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def scores(self, query: Any, key: Any) -> Any:
        return additive_scores(query, key, 1.0 if self.scale is None else self.scale.value)
