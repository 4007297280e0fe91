"""A layer at every time of a sequence."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.layer import Layer
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.layers.recurrent.carried import CarriedVariables
from kerasmagic.layers.structural import Wrapper


class TimeDistributed(Wrapper):
    """Applies a layer, with the same weights, to every time of a sequence.

    Input shape ``(batch, time, ...)``, output shape ``(batch, time, ...)``: what the layer
    makes of ``(batch, ...)``.

    Args:
        layer: The layer.

    Raises:
        InvalidArgument: If ``layer`` is none.
        ShapeMismatch: If the inputs have no time, or the mask does not fit them.

    Example:

    >>> import jax.numpy as jnp
    >>> from kerasmagic.layers import Dense
    >>> TimeDistributed(Dense(4))(jnp.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise InvalidArgument(
                "Please initialize `TimeDistributed` layer with a `keras.layers.Layer` instance. "
                f"Received: {layer}"
            )
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ShapeMismatch(
                f"`TimeDistributed` layer {self.name!r} should be passed an `input_shape` with at least 3 "
                f"dimensions, received: {input_shape}"
            )
        super().build((input_shape[0], *input_shape[2:]))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        self._check_mask(inputs, mask)
        parameters = self.layer._call_signature.parameters
        options = {"training": training} if "training" in parameters else {}
        mask = mask if "mask" in parameters else None

        def at(x: Any, m: Any) -> Any:
            return self.layer(x, **options) if m is None else self.layer(x, mask=m, **options)

        carried = CarriedVariables(self.layer)

        def every_time(inputs: Any, mask: Any) -> Any:
            values = carried.values()
            axes = (1, None if mask is None else 1)
            return jax.vmap(lambda x, m: carried.run(lambda: at(x, m), values)[0], axes, 1)(inputs, mask)

        if isinstance(inputs.shape[1], int) and carried.variables:
            jax.eval_shape(every_time, inputs, mask)
            if carried.are_assigned:
                # A moving average or a seed goes from each time to the next.
                masks = [None if mask is None else mask[:, t] for t in range(inputs.shape[1])]
                outputs = [at(inputs[:, t], m) for t, m in enumerate(masks)]
                return jax.tree.map(lambda *ys: jnp.stack(ys, axis=1), *outputs)
        return every_time(inputs, mask)

    def _check_mask(self, inputs: Any, mask: Any) -> None:
        if mask is None:
            return
        if mask.ndim < 2:
            raise ShapeMismatch(
                f"The `mask` passed to the `TimeDistributed` layer {self.name!r} must be at least 2D, "
                f"(batch_size, timesteps). Received a mask of shape {mask.shape}."
            )
        sizes = zip(mask.shape[:2], inputs.shape[:2], strict=True)
        if any(isinstance(m, int) and isinstance(n, int) and m != n for m, n in sizes):
            raise ShapeMismatch(
                f"The `mask` passed to the `TimeDistributed` layer {self.name!r} has a shape {mask.shape} that is "
                f"incompatible with the input shape {inputs.shape}: the first two dimensions must match."
            )
