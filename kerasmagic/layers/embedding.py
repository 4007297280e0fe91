"""Layers that look vectors up by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from kerasmagic.core.dtypes import is_int_dtype
from kerasmagic.core.masking import set_keras_mask
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import deprecated, positive_integer
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.layers.base import on_tensors
from kerasmagic.layers.kernel import Kernel, Product
from kerasmagic.layers.quantizable import QuantizableLayer
from kerasmagic.layers.quantized_kernel import Layout
from kerasmagic.numerics.contraction import dense
from kerasmagic.quantizers.base import AbsMaxQuantizer


class Embedding(QuantizableLayer):
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
        quantization_config: How a quantized dtype policy is carried out.

    Raises:
        InvalidArgument: If a size is no positive integer.

    Example:

    >>> import jax.numpy as jnp
    >>> Embedding(100, 8)(jnp.array([[1, 2, 3]])).shape
    (1, 3, 8)
    """

    kernel_name: ClassVar[str] = "embeddings"
    quantization_modes: ClassVar[tuple[str, ...]] = ("int8", "int4")
    config_includes: ClassVar[tuple[str, ...]] = ("activity_regularizer",)
    config_omits: ClassVar[frozenset[str]] = QuantizableLayer.config_omits | {"weights"}

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
            deprecated("Argument `input_length` is deprecated. Just remove it.")
        super().__init__(
            lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config, **kwargs
        )
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
        """The vectors, ``(input_dim, output_dim)``: a variable, or an array made of several."""
        return self.form.public

    def _refuse_data(self, values: Any) -> None:
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu" or values.size == 0:
            return
        low, high = values.min(), values.max()
        # What lies below 0 is counted from the end; only the rest has no vector, and makes NaN of everything.
        if high >= self.input_dim or low < -self.input_dim:
            raise InvalidArgument(
                f"The data has numbers from {low} to {high}, but layer {self.name!r} has {self.input_dim} vectors, "
                f"for 0 to {self.input_dim - 1}. Make it with input_dim={high + 1}, or leave out larger numbers."
            )

    def call(self, inputs: Any) -> Any:
        indices = inputs if is_int_dtype(inputs.dtype) else inputs.astype("int32")
        return self.form.rows(indices).astype(self.compute_dtype)

    def quantized_layout(self, shape: tuple[int, ...]) -> Layout:
        # A scale for each vector: there are more numbers than sizes, so the error is smaller.
        return Layout(shape, "vd", "v", groups_last=True)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return on_tensors(jnp.not_equal, inputs, 0) if self.mask_zero else None


def _low_rank_transposed(multiply: Callable[..., Any], x: Any, a: Any, b: Any) -> Any:
    return multiply(multiply(x, b), a)


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

    int4_inputs_quantizer: ClassVar[AbsMaxQuantizer | None] = AbsMaxQuantizer()

    _reverse_form: Kernel | None = None

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
        if self.tie_weights or self._reverse_form is not None:
            return
        mode = self.quantization_mode
        if mode is not None:
            self._set_reverse(self._integers(mode, "reverse_embeddings", self._reverse_layout()))
            return
        variable = self.add_weight(
            shape=(self.output_dim, self.input_dim),
            initializer=self.embeddings_initializer,
            name="reverse_embeddings",
        )
        self._set_reverse(Kernel(variable))

    def _set_reverse(self, form: Kernel) -> None:
        self._reverse_form = form
        self.reverse_embeddings = form.variable

    def _reverse_layout(self) -> Layout:
        return Layout((self.output_dim, self.input_dim), "dv", "v", packed_axis=0)

    def _forms(self) -> list[Kernel]:
        return [*super()._forms(), *([] if self._reverse_form is None else [self._reverse_form])]

    def _replace_kernels(self, mode: str) -> None:
        super()._replace_kernels(mode)
        if self._reverse_form is not None:
            layout = self._reverse_layout()
            self._set_reverse(self._converted(mode, "reverse_embeddings", self._reverse_form, layout))

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if reverse:
            return self._scores(inputs)
        outputs = super().call(inputs)
        mask = super().compute_mask(inputs)
        if mask is not None:
            set_keras_mask(outputs, mask)
        return outputs

    def _scores(self, inputs: Any) -> Any:
        tied, dtype = self._reverse_form is None, self.reverse_dtype

        def multiply(x: Any, kernel: Any, accumulate: Any = None) -> Any:
            kernel = jnp.transpose(kernel) if tied else kernel
            return dense(x, kernel if accumulate or dtype is None else kernel.astype(dtype), accumulate)

        inputs = inputs if dtype is None else inputs.astype(dtype)
        form = self._reverse_form or self.form
        scores = form.product(Product(multiply, low_rank=_low_rank_transposed), inputs)
        cap = self.logit_soft_cap
        return scores if cap is None else jnp.tanh(scores / cap) * cap

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        # `call` sets the mask: backwards there is none.
        return None
