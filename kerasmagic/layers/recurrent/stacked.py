"""Several cells as one, and what a walk asks of any cell."""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.core.symbolic import KerasTensor, infer_call
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.layers.recurrent.cell import RecurrentCell


def _listed(states: Any) -> list[Any]:
    return list(states) if tree.is_nested(states) else [states]


def check_cell(cell: Any) -> None:
    """Check that ``cell`` has what a walk needs.

    Raises:
        InvalidArgument: If it has no ``call``, or no ``state_size`` of integers.
    """
    if not hasattr(cell, "call"):
        raise InvalidArgument(f"Argument `cell` should have a `call` method. Received: cell={cell}")
    size = getattr(cell, "state_size", None)
    if size is None:
        raise InvalidArgument(
            "The RNN cell should have a `state_size` attribute (single integer or list of integers, one integer "
            f"per RNN state). Received: cell={cell}"
        )
    if not isinstance(size, (list, tuple, int)):
        raise InvalidArgument(
            "`state_size` must be an integer, or a list/tuple of integers (one for each state tensor). "
            f"Received: state_size={size!r} of cell={cell}"
        )


def takes_training(cell: Any) -> bool:
    """Whether the cell's ``call`` has a ``training`` parameter."""
    return isinstance(cell, Layer) and "training" in cell._call_signature.parameters


def output_size(cell: Any) -> Any:
    """Return the size of the cell's output: its own word for it, or the size of its first state."""
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    return cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size


def first_state(cell: Any, batch_size: Any, dtype: Any) -> Any:
    """Return the states that the cell begins with: its own, or zeros in the cell's compute type or ``dtype``."""
    make = getattr(cell, "get_initial_state", None)
    if make is not None:
        return make(batch_size=batch_size)
    dtype = getattr(cell, "compute_dtype", dtype)

    def zeros(size: Any) -> Any:
        return jnp.zeros((batch_size, *(size if isinstance(size, (list, tuple)) else (size,))), dtype)

    size = cell.state_size
    return [zeros(s) for s in size] if isinstance(size, (list, tuple)) else zeros(size)


def build_cell(cell: Any, input_shape: tuple[Any, ...]) -> None:
    """Make the cell's weights for inputs of ``input_shape`` ``(batch, ...)`` at one time."""
    if not isinstance(cell, Layer) or cell.built:
        return
    if cell._has_own("build") or all(child.built for child in cell._layers):
        cell.build(input_shape)
        return
    # The weights of the layers in the cell are made by a symbolic call, which needs states too.
    batch = input_shape[0]
    states = jax.eval_shape(lambda: first_state(cell, batch or 1, cell.compute_dtype))
    symbols = jax.tree.map(lambda s: KerasTensor((batch, *s.shape[1:]), s.dtype), states)
    infer_call(cell.call, (KerasTensor(input_shape, cell.compute_dtype), symbols), {})
    cell.built = True


def hold_masks(stack: contextlib.ExitStack, cell: Any, x: Any, states: Any, training: bool) -> None:
    """Let each library cell in ``cell`` use one dropout mask until ``stack`` closes.

    Args:
        stack: What ends the use.
        cell: A cell, stacked or not.
        x: Shape and dtype of the inputs at one time.
        states: The states of the cell.
        training: Whether anything is dropped.
    """
    if isinstance(cell, StackedRNNCells):
        for each, state in zip(cell.cells, states, strict=True):
            hold_masks(stack, each, x, state, training)
            first = tree.flatten(state)[0]
            x = jax.ShapeDtypeStruct((*first.shape[:-1], output_size(each)), first.dtype)
    elif isinstance(cell, RecurrentCell):
        masks = cell.draw_masks(x, tree.flatten(states)[0], training)
        stack.enter_context(cell.holding(masks))


class StackedRNNCells(LibraryLayer):
    """Several cells as one: the output of each is the input of the next.

    Args:
        cells: The cells, the first one first.

    Raises:
        InvalidArgument: If one of them is no cell.

    Example:

    >>> import jax.numpy as jnp
    >>> from kerasmagic.layers import RNN, LSTMCell
    >>> RNN(StackedRNNCells([LSTMCell(8), LSTMCell(4)]))(jnp.ones((2, 5, 3))).shape
    (2, 4)
    """

    def __init__(self, cells: Any, **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell)
        self.cells: list[Any] = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states, one entry per cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return the states that the cells begin with, one entry per cell."""
        return [first_state(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            build_cell(cell, input_shape)
            input_shape = (*input_shape[:-1], output_size(cell))

    def call(self, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        following = []
        for cell, state in zip(self.cells, states, strict=True):
            options = {**kwargs, "training": training} if takes_training(cell) else kwargs
            nested = tree.is_nested(state)
            call: Any = cell if callable(cell) else cell.call
            inputs, new = call(inputs, list(state) if nested else [state], **options)
            new = _listed(new)
            following.append(new if nested else new[0])
        return inputs, following

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the cells and stack them."""
        return super().from_config({**config, "cells": deserialize_keras_object(config["cells"])})
