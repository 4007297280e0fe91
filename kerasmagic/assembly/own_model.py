"""A model with a ``call`` of its own as what the language can say of it: its inputs, and one step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.layers import Input
from kerasmagic.models import Functional, Model, Sequential
from kerasmagic.models.rows import symbolic_arguments


@contextlib.contextmanager
def drawn(model: Any) -> Iterator[Any]:
    """Yield a model that is a graph or a stack: the model itself, or the graph of one call of it.

    Raises:
        NotSerializable: If its inputs are not known, or it cannot be called on symbolic tensors.
    """
    if isinstance(model, Sequential | Functional):
        yield model
        return
    arguments = _arguments(model)
    count = len(model._inbound_nodes)
    try:
        yield _graph(model, arguments)
    finally:
        # The call was for the text alone.
        del model._inbound_nodes[count:]


def _arguments(model: Any) -> dict[str, Any]:
    """Return symbolic inputs for the tensors of the first call, by parameter."""
    seen = symbolic_arguments(model._first_call)
    if not seen:
        config = model.get_build_config() if model.built else None
        shape = None if config is None else config.get("input_shape")
        if shape is None:
            raise NotSerializable(
                f"{type(model).__name__} is a model with a `call` of its own, and it was not called yet: its inputs "
                "are not known.",
                hint="Call it on data first, or say the shape: 'model.build((None, 4))'.",
            )
        first = next(iter(model._call_signature.parameters))
        seen = {first: tree.map_shapes(lambda s: KerasTensor((None, *s[1:])), shape)}
    several = len(tree.flatten(seen)) > 1

    def given(x: Any, name: str | None) -> Any:
        return None if x is None else Input(batch_shape=x.shape, dtype=x.dtype, name=name)

    return {
        name: given(x, name if several else None)
        if tree.is_leaf(x)
        else tree.map_structure(lambda one: given(one, None), x)
        for name, x in seen.items()
    }


def _graph(model: Any, arguments: dict[str, Any]) -> Any:
    given = {name: x for name, x in arguments.items() if x is not None}
    inputs = [x for x in tree.flatten(list(given.values())) if x is not None]
    try:
        first, *others = given
        outputs = model(given[first], **{name: given[name] for name in others})
    except Exception as error:
        # JAX goes on about its own functions in the lines below the first.
        reason = str(error).split("\n")[0]
        raise NotSerializable(
            f"{type(model).__name__} is a model with a `call` of its own that cannot be followed for any batch: "
            f"{reason}",
            hint="`to_python()` writes its class as it stands.",
        ) from error
    return Functional(inputs[0] if len(inputs) == 1 else inputs, outputs)


def handed_over(layer: Any) -> list[Any]:
    """Return the layers inside a layer that it was made with; what its constructor makes, the constructor makes again.

    A layer of the library keeps a copy of what it was given, so there all layers inside count.
    """
    if type(layer).__module__.startswith("kerasmagic.layers."):
        return list(layer._layers)
    args, kwargs = layer.__dict__["_given"]
    given = [x for x in tree.flatten([args, kwargs]) if isinstance(x, Model)]
    return [inside for inside in layer._layers if any(inside is x for x in given)]
