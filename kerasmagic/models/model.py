"""The base of models: a layer that is trained, saved and summarized as a whole."""

from __future__ import annotations

from typing import Any

from kerasmagic import saving
from kerasmagic.core.layer import Layer
from kerasmagic.foundation.errors import InvalidArgument, UnknownName, did_you_mean
from kerasmagic.models import summary as summaries
from kerasmagic.training.trainer import Trainer


class Model(Trainer):
    """A layer that learns.

    Made in one of three ways: ``Model(inputs, outputs)`` from symbolic tensors,
    ``Sequential([...])`` from a stack of layers, or by subclassing with ``call``.

    Args:
        inputs: A structure of symbolic tensors.
        outputs: A structure of symbolic tensors made from them.
        name: Its name.

    Example:

    >>> import kerasmagic as keras
    >>> inputs = keras.Input((4,))
    >>> model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    >>> model.count_params(), model.output_shape
    (10, (None, 2))
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and (len(args) >= 2 or "outputs" in kwargs or {"inputs", "outputs"} <= set(kwargs)):
            return Model._functional_class.__new__(Model._functional_class, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    # `functional.py` builds on this file and names itself here.
    _functional_class: Any = None

    def __init__(self, *args: Any, **kwargs: Any):
        functional = self._functional_class
        if args and functional is not None and not isinstance(self, functional):
            # A subclass that calls `super().__init__(inputs, outputs)` is a graph by inheritance.
            _inject_base(type(self), functional)
            self.__class__ = type(self)
            functional.__init__(self, *args, **kwargs)
            return
        super().__init__(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; overridden by models that are no graphs."""
        raise NotImplementedError(
            f"Model {type(self).__name__} does not have a `call()` method implemented. "
            "Implement it, or make the model from `inputs` and `outputs`."
        )

    @property
    def _call_has_training(self) -> bool:
        parameters = self._call_signature.parameters
        return "training" in parameters or "training" in self._call_context_args

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside the model."""
        return list(self._flatten_layers(include_self=False, recursive=False))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place.

        Raises:
            InvalidArgument: If not exactly one of the two is given, or the place does not exist.
            UnknownName: If no layer has the name.
        """
        if (name is None) == (index is None):
            raise InvalidArgument("Provide either a layer name or layer index at `get_layer`, and not both.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise InvalidArgument(
                    f"Was asked to retrieve layer at index {index} but model has {len(layers)} layers."
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        raise UnknownName(
            f"No such layer: {name}. Existing layers are: {names}.", hint=did_you_mean(str(name), names)
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers with their output shapes and numbers of parameters.

        Args:
            line_length: Accepted for compatibility; columns are as wide as they need.
            positions: Accepted for compatibility.
            print_fn: Takes the text instead of standard output.
            expand_nested: Whether to list the layers of models inside.
            show_trainable: Whether to mark the layers that training changes.
            layer_range: First and last layer name to list.
        """
        text = summaries.text(self, expand_nested, show_trainable, layer_range)
        if print_fn is None:
            summaries.show(text)
        else:
            print_fn(text)

    def rows(self, expand_nested: bool = True) -> list[summaries.Row]:
        """Return one row per layer, for tables."""
        return summaries.rows(self, expand_nested)

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Write the model to a ``.keras`` file: architecture, weights and optimizer."""
        saving.save_model(self, filepath, overwrite=overwrite, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights to a ``.weights.h5`` file."""
        saving.save_weights(self, filepath, overwrite=overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Set the weights from a ``.weights.h5`` or ``.keras`` file."""
        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch)


def _inject_base(cls: type, functional: type) -> None:
    """Put ``functional`` in the place of ``Model`` among the bases of ``cls``."""
    if cls in (object, Layer) or issubclass(cls, functional):
        return
    cls.__bases__ = tuple(functional if base is Model else base for base in cls.__bases__)
    for base in cls.__bases__:
        _inject_base(base, functional)
