"""Layers that look vectors up by number."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core.dtypes import is_int_dtype
from kerasmagic.core.masking import set_keras_mask
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import positive_integer
from kerasmagic.foundation.registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.layers.base import on_tensors
from kerasmagic.layers.kernel import KernelLayer
from kerasmagic.numerics.contraction import dense


class Embedding(KernelLayer):
    """Turns numbers from 0 to ``input_dim - 1`` into vectors.

    Input shape ``(...)`` of integers, output shape ``(..., output_dim)``.

    Args:
        input_dim: How many vectors there are.
        output_dim: Their size.
        embeddings_initializer: Initial values of ``embeddings`` ``(input_dim, output_dim)``.
        embeddings_regularizer: Penalty on them.
        embeddings_constraint: Constraint on them.
        mask_zero: Whether 0 stands for a missing entry and is masked.
        weights: The values to begin with.
        lora_rank: The rank of a trained update of frozen vectors; none when ``None``.
        lora_alpha: The update is scaled by ``lora_alpha / lora_rank``.
        quantization_config: Kept in the config.

    Raises:
        InvalidArgument: If a size is no positive integer.

    Example:

    >>> import jax.numpy as jnp
    >>> Embedding(100, 8)(jnp.array([[1, 2, 3]])).shape
    (1, 3, 8)
    """

    kernel_name: ClassVar[str] = "embeddings"
    config_includes: ClassVar[tuple[str, ...]] = ("activity_regularizer",)
    config_omits: ClassVar[frozenset[str]] = KernelLayer.config_omits | {"weights"}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("Argument `input_length` is deprecated. Just remove it.", stacklevel=2)
        super().__init__(lora_rank=lora_rank, lora_alpha=lora_alpha, **kwargs)
        self.quantization_config = quantization_config
        self.input_dim = positive_integer("input_dim", input_dim)
        self.output_dim = positive_integer("output_dim", output_dim)
        self.embeddings_initializer = resolve(INITIALIZERS, embeddings_initializer)
        self.embeddings_regularizer = resolve(REGULARIZERS, embeddings_regularizer)
        self.embeddings_constraint = resolve(CONSTRAINTS, embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        # Numbers that come as floats must not lose digits before they are numbers.
        self.autocast = False
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        self.make_kernel((self.input_dim, self.output_dim))
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    @property
    def embeddings(self) -> Any:
        """The vectors, ``(input_dim, output_dim)``: a variable, or an array where LoRA changes it."""
        return self.form.public

    def call(self, inputs: Any) -> Any:
        indices = inputs if is_int_dtype(inputs.dtype) else inputs.astype("int32")
        return jnp.take(self.form.value, indices, axis=0).astype(self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return on_tensors(jnp.not_equal, inputs, 0) if self.mask_zero else None


class ReversibleEmbedding(Embedding):
    """An embedding that also works backwards: vectors to a score for each number.

    Input shape ``(...)``, output shape ``(..., output_dim)``; with ``reverse=True`` input shape
    ``(..., output_dim)``, output shape ``(..., input_dim)``.

    Args:
        input_dim: How many vectors there are.
        output_dim: Their size.
        tie_weights: Whether both directions use the same vectors.
        embeddings_initializer: Initial values of the vectors.
        embeddings_regularizer: Penalty on them.
        embeddings_constraint: Constraint on them.
        mask_zero: Whether 0 stands for a missing entry and is masked.
        reverse_dtype: The type in which the scores are computed; the compute type when ``None``.
        logit_soft_cap: Bounds the scores to this number on both sides, smoothly.

    Raises:
        InvalidArgument: If a size is no positive integer.

    Example:

    >>> import jax.numpy as jnp
    >>> layer = ReversibleEmbedding(100, 8)
    >>> layer(layer(jnp.array([[1, 2, 3]])), reverse=True).shape
    (1, 3, 100)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
                name="reverse_embeddings",
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if reverse:
            return self._scores(inputs)
        outputs = super().call(inputs)
        mask = super().compute_mask(inputs)
        if mask is not None:
            set_keras_mask(outputs, mask)
        return outputs

    def _scores(self, inputs: Any) -> Any:
        kernel = jnp.transpose(self.form.value) if self.tie_weights else self.reverse_embeddings.value
        if self.reverse_dtype is not None:
            inputs, kernel = inputs.astype(self.reverse_dtype), kernel.astype(self.reverse_dtype)
        scores = dense(inputs, kernel)
        cap = self.logit_soft_cap
        return scores if cap is None else jnp.tanh(scores / cap) * cap

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        # `call` sets the mask: backwards there is none.
        return None
