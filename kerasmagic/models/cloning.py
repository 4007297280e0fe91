"""A second model of the same architecture, with weights of its own."""

from __future__ import annotations

from typing import Any


def clone_model(model: Any) -> Any:
    """Return a model like ``model``, with new initial weights and not compiled.

    Args:
        model: A functional or sequential model, or one whose class has ``get_config``.

    Raises:
        NotSerializable: If the model cannot say how to make it again.

    Example:

    >>> import kerasmagic as keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> clone = clone_model(model)
    >>> clone.output_shape, clone.weights[0] is model.weights[0]
    ((None, 3), False)
    """
    return type(model).from_config(model.get_config())
