"""Two recurrent layers over one sequence, one from each end."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import custom_object_scope
from kerasmagic.layers.base import LibraryLayer

_MERGES: dict[str | None, Any] = {
    "concat": lambda y, z: jnp.concatenate([y, z], axis=-1),
    "sum": jnp.add,
    "mul": jnp.multiply,
    "ave": lambda y, z: (y + z) / 2,
    None: lambda y, z: (y, z),
}


class Bidirectional(LibraryLayer):
    """Walks a sequence from both ends and merges the outputs.

    Inputs as those of the layer inside. Outputs too, but with ``merge_mode="concat"`` twice as
    many units, with ``None`` both outputs; with ``return_state`` the forward states and
    then the backward states follow. An ``initial_state`` is a list in the same order.

    Args:
        layer: A recurrent layer, or another with ``go_backwards``, ``return_sequences``,
            ``return_state`` and ``stateful``. New layers are made from its config.
        merge_mode: ``"concat"``, ``"sum"``, ``"mul"``, ``"ave"``, or ``None`` to return both.
        weights: First values of the weights, the forward ones first.
        backward_layer: The layer that begins at the end; made from ``layer`` when ``None``.

    Raises:
        InvalidArgument: If a layer is none, the mode is unknown, or the layers do not fit each other.

    Example:

    >>> import jax.numpy as jnp
    >>> from kerasmagic.layers import LSTM
    >>> Bidirectional(LSTM(4, return_sequences=True))(jnp.ones((2, 5, 3))).shape
    (2, 5, 8)
    """

    config_omits: ClassVar[frozenset[str]] = frozenset({"weights"})

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and not (name == "backward_layer" and value is None):
                raise InvalidArgument(
                    f"Please initialize `Bidirectional` with a `keras.layers.Layer` instance. Received: {name}={value}"
                )
            if value is not None and not hasattr(value, "go_backwards"):
                raise InvalidArgument(
                    f"`Bidirectional` runs a recurrent layer in both directions, such as LSTM, GRU or SimpleRNN. "
                    f"Received: {name}={type(value).__name__}"
                )
        super().__init__(**kwargs)
        self.merge_mode = one_of("merge_mode", merge_mode, _MERGES)
        self.forward_layer: Any = _copy(layer, name=f"forward_{layer.name.removeprefix('forward_')}")
        if backward_layer is None:
            name = f"backward_{layer.name.removeprefix('backward_')}"
            backward_layer = _copy(layer, name=name, go_backwards=True)
        self.backward_layer: Any = backward_layer
        self._check_layers()
        for each in (self.forward_layer, self.backward_layer):
            if hasattr(layer, "use_cudnn"):
                each.use_cudnn = layer.use_cudnn
            # A repeated output at masked times would make the two directions disagree about them.
            if hasattr(each, "zero_output_for_mask"):
                each.zero_output_for_mask = each.return_sequences
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec
        object.__setattr__(self, "_first_weights", weights)

    def _check_layers(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise InvalidArgument(
                "Forward layer and backward layer should have different `go_backwards` value. Received: "
                f"forward_layer.go_backwards={forward.go_backwards}, "
                f"backward_layer.go_backwards={backward.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            values = getattr(forward, name), getattr(backward, name)
            if values[0] != values[1]:
                raise InvalidArgument(
                    f"Forward layer and backward layer are expected to have the same value for attribute {name!r}, "
                    f"got {values[0]!r} for forward layer and {values[1]!r} for backward layer"
                )

    @property
    def layer(self) -> Any:
        """The forward layer."""
        return self.forward_layer

    def build(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> None:
        for each in (self.forward_layer, self.backward_layer):
            if not each.built:
                each.build(sequences_shape)
        weights = self.__dict__["_first_weights"]
        if weights:
            self.set_weights(weights)

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None
    ) -> Any:
        half = 0 if initial_state is None else len(initial_state) // 2
        forward, *forward_states = self._run(
            self.forward_layer, sequences, initial_state and initial_state[:half], mask, training
        )
        backward, *backward_states = self._run(
            self.backward_layer, sequences, initial_state and initial_state[half:], mask, training
        )
        if self.return_sequences:
            backward = jnp.flip(backward, axis=1)
        merged = _MERGES[self.merge_mode](
            forward.astype(self.compute_dtype), backward.astype(self.compute_dtype)
        )
        if not self.return_state:
            return merged
        outputs = merged if self.merge_mode is None else (merged,)
        return (*outputs, *forward_states, *backward_states)

    def _run(self, layer: Any, sequences: Any, states: Any, mask: Any, training: Any) -> tuple[Any, ...]:
        parameters = layer._call_signature.parameters
        options = {
            name: value for name, value in (("mask", mask), ("training", training)) if name in parameters
        }
        if states is not None:
            options["initial_state"] = states
        outputs = layer(sequences, **options)
        return tuple(outputs) if self.return_state else (outputs,)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        mask = tree.flatten(previous_mask)[0] if self.return_sequences else None
        return (mask, mask) if self.merge_mode is None else mask

    @property
    def states(self) -> tuple[Any, ...] | None:
        """The states of a stateful layer, the forward ones first."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zero.

        Raises:
            AttributeError: If the layer is not stateful.
        """
        if not self.stateful:
            raise AttributeError(f"Layer {self.name!r} must be stateful to reset its state.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """Set the states of a stateful layer to zero."""
        self.reset_state()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the wrapper and the layers inside."""
        inside = {name: config[name] for name in ("layer", "backward_layer") if name in config}
        return super().from_config({**config, **deserialize_keras_object(inside)})


def _copy(layer: Layer, **changes: Any) -> Layer:
    """Return a new layer of the same config but for ``changes``, and with weights of its own."""
    # The classes of a live layer may be the user's own, which no file could name.
    classes = {type(each).__name__: type(each) for each in layer._flatten_layers()}
    known = {name: cls for name, cls in classes.items() if not cls.__module__.startswith("kerasmagic.")}
    with custom_object_scope(known):
        return type(layer).from_config({**layer.get_config(), **changes})
