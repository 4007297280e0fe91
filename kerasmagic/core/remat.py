"""Rematerialization: intermediate values are computed again on the way back instead of being kept.

``jax.checkpoint`` wants a pure function. What a call writes besides its result - state of
variables, losses, masks - is therefore carried out of it as further results.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from kerasmagic.core import scope, tree
from kerasmagic.core.masking import get_keras_mask, set_keras_mask
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument

MODES = ("full", "activations", "larger_than", "list_of_layers", None)


@dataclasses.dataclass(frozen=True)
class RematMode:
    """Which layers compute their intermediate values again, as ``RematScope`` says it."""

    mode: str | None
    output_size_threshold: int
    layer_names: tuple[str, ...]


_MODE: contextvars.ContextVar[RematMode | None] = contextvars.ContextVar("remat", default=None)


def current_mode() -> RematMode | None:
    """Return the mode of the innermost open ``RematScope``; ``None`` outside of any."""
    return _MODE.get()


class RematScope:
    """Layers made in the ``with`` block compute their intermediate values again for the gradient.

    That takes less memory and more time. The gradients are the same.

    Args:
        mode: ``"full"`` for all layers, ``"activations"`` for activation functions only, ``"larger_than"``
            for layers with more output values than the threshold, ``"list_of_layers"`` for those that are
            named, ``None`` for no layer.
        output_size_threshold: The number of output values for ``"larger_than"``.
        layer_names: The names for ``"list_of_layers"``.

    Raises:
        InvalidArgument: If there is no such mode.

    Example:

    >>> import jax.numpy as jnp
    >>> import kerasmagic as keras
    >>> with keras.RematScope(mode="larger_than", output_size_threshold=100):
    ...     layer = keras.layers.Dense(64, activation="relu")
    >>> layer(jnp.ones((8, 3))).shape
    (8, 64)
    """

    def __init__(
        self,
        mode: str | None = "full",
        output_size_threshold: int = 1024,
        layer_names: Sequence[str] | None = None,
    ):
        if mode not in MODES:
            raise InvalidArgument(
                f"Invalid mode '{mode}'. Supported modes are: 'full', 'activations', 'larger_than', "
                "'list_of_layers', or None."
            )
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = list(layer_names or [])

    def __enter__(self) -> RematScope:
        mode = RematMode(self.mode, self.output_size_threshold, tuple(self.layer_names))
        self._token = _MODE.set(mode)
        return self

    def __exit__(self, *exc: object) -> None:
        _MODE.reset(self._token)


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``f`` so that its intermediate values are computed again for the gradient.

    Args:
        f: A function of tensors, and of anything else. It may read and assign variables.

    Example:

    >>> import jax
    >>> import jax.numpy as jnp
    >>> double_sine = remat(lambda x: jnp.sin(jnp.sin(x)))
    >>> float(jax.grad(double_sine)(0.0)), float(double_sine(0.0))
    (1.0, 0.0)
    """

    @functools.wraps(f, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return _checkpointed(f, args, kwargs)

    return wrapper


def _checkpointed(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    structure = [list(args), kwargs]
    leaves = tree.flatten(structure)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
    masks = [get_keras_mask(leaves[i]) for i in places]
    seen: dict[str, Any] = {}

    def pure(arrays: list[Any]) -> Any:
        filled = list(leaves)
        for i, array, mask in zip(places, arrays, masks, strict=True):
            filled[i] = array
            if mask is not None:
                set_keras_mask(array, mask)
        call_args, call_kwargs = tree.pack_sequence_as(structure, filled)
        with _own_scope() as (inner, touched):
            outputs = f(*call_args, **call_kwargs)
        flat = tree.flatten(outputs)
        found = [i for i, leaf in enumerate(flat) if isinstance(leaf, jax.Array)]
        seen.update(
            outputs=outputs,
            flat=flat,
            found=found,
            touched=[variable for variable, _ in touched()],
            owners=[owner for owner, _ in inner.losses],
        )
        return (
            [flat[i] for i in found],
            [get_keras_mask(flat[i]) for i in found],
            [value for _, value in touched()],
            [value for _, value in inner.losses],
        )

    arrays, out_masks, values, losses = jax.checkpoint(pure)([leaves[i] for i in places])
    for variable, value in zip(seen["touched"], values, strict=True):
        variable.assign(value)
    for owner, loss in zip(seen["owners"], losses, strict=True):
        owner.add_loss(loss)
    flat = list(seen["flat"])
    for i, array, mask in zip(seen["found"], arrays, out_masks, strict=True):
        flat[i] = array
        if mask is not None:
            set_keras_mask(array, mask)
    return tree.pack_sequence_as(seen["outputs"], flat)


@contextlib.contextmanager
def _own_scope() -> Iterator[tuple[scope.StatelessScope, Callable[[], list[tuple[Variable, Any]]]]]:
    """Open a scope that reads as the one outside and keeps what is written; yield it and what tells that."""
    outer = scope.get_stateless_scope()
    inner = scope.StatelessScope(collect_losses=True, abstract=outer is not None and outer.abstract)
    known = {} if outer is None else dict(outer.state_mapping)
    inner.state_mapping.update(known)

    def touched() -> list[tuple[Variable, Any]]:
        written = {id(variable): variable for variable in inner._kept_alive}
        return [(variable, inner.state_mapping[key]) for key, variable in written.items()]

    with inner:
        yield inner, touched


def rematerialized(layer: Any, mode: RematMode) -> Callable[..., Any]:
    """Return the ``call`` of ``layer`` as the mode it was made under wants it."""
    if mode.mode == "full" or (mode.mode == "list_of_layers" and layer.name in mode.layer_names):
        return remat(layer.call)
    if mode.mode == "activations" and getattr(layer, "activation", None) is not None:
        return functools.partial(_with_remat_activation, layer)
    if mode.mode == "larger_than":
        return functools.partial(_if_large, layer, mode.output_size_threshold)
    return layer.call


def _with_remat_activation(layer: Any, *args: Any, **kwargs: Any) -> Any:
    activation = layer.activation
    # Past the tracking of attributes: nothing new is owned.
    object.__setattr__(layer, "activation", remat(activation))
    try:
        return layer.call(*args, **kwargs)
    finally:
        object.__setattr__(layer, "activation", activation)


def _if_large(layer: Any, threshold: int, *args: Any, **kwargs: Any) -> Any:
    again = remat(layer.call)

    def outputs() -> list[Any]:
        with _own_scope():
            return [x for x in tree.flatten(layer.call(*args, **kwargs)) if isinstance(x, jax.Array)]

    sizes = [_size(x.shape) for x in jax.eval_shape(outputs)]
    return (again if sum(sizes) > threshold else layer.call)(*args, **kwargs)


def _size(shape: tuple[Any, ...]) -> int:
    """Return how many values there are; an open size counts once."""
    size = 1
    for dimension in shape:
        size *= dimension if isinstance(dimension, int) else 1
    return size
