"""The pure steps that are compiled: from a state and a batch to logs and the next state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core import tree
from kerasmagic.core.scope import StatelessScope
from kerasmagic.training.data.source import step_parts
from kerasmagic.training.state import TrainState


def train_step(model: Any, state: TrainState, data: Any) -> tuple[dict[str, Any], TrainState]:
    """Take one gradient step.

    Args:
        model: A compiled, built model.
        state: The values of its variables.
        data: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``; arrays ``(batch, ...)``.

    Returns:
        The metrics so far, arrays of shape ``()``, and the next state.
    """
    x, y, sample_weight = step_parts(data)

    def loss_of(trainable: list[Any]) -> tuple[Any, Any]:
        return loss_and_updates(model, state._replace(trainable=trainable), x, y, sample_weight)

    (_, (loss, y_pred, non_trainable, metrics)), grads = jax.value_and_grad(loss_of, has_aux=True)(
        state.trainable
    )
    trainable, optimizer = model.optimizer.stateless_apply(state.optimizer, grads, state.trainable)
    state = TrainState(trainable, non_trainable, optimizer, metrics)
    return _update_metrics(model, state, loss, x, y, y_pred, sample_weight)


def test_step(model: Any, state: TrainState, data: Any) -> tuple[dict[str, Any], TrainState]:
    """Measure loss and metrics of a batch without learning from it."""
    x, y, sample_weight = step_parts(data)
    _, (loss, y_pred, non_trainable, metrics) = loss_and_updates(
        model, state, x, y, sample_weight, training=False
    )
    state = state._replace(non_trainable=non_trainable, metrics=metrics)
    return _update_metrics(model, state, loss, x, y, y_pred, sample_weight)


def predict_step(model: Any, state: TrainState, data: Any) -> tuple[Any, TrainState]:
    """Return the outputs for a batch, and the state."""
    x, _, _ = step_parts(data)
    kwargs = {"training": False} if model._call_has_training else {}
    outputs, non_trainable = model.stateless_call(state.trainable, state.non_trainable, x, **kwargs)
    return outputs, state._replace(non_trainable=non_trainable)


def loss_and_updates(
    model: Any, state: TrainState, x: Any, y: Any, sample_weight: Any, training: bool = True
) -> tuple[Any, Any]:
    """Return the loss to differentiate, and ``(loss, y_pred, non_trainable, metrics)``.

    The first is the loss times the optimizer's scale, if it has one.
    """
    kwargs = {"training": training} if model._call_has_training else {}
    variables = model.metrics_variables
    # Layers may update metrics of their own in `call`.
    with StatelessScope(zip(variables, state.metrics, strict=True)) as outer:
        y_pred, non_trainable, losses = model.stateless_call(
            state.trainable, state.non_trainable, x, return_losses=True, **kwargs
        )
        mapping = [
            *zip(model.trainable_variables, state.trainable, strict=True),
            *zip(model.non_trainable_variables, non_trainable, strict=True),
            *((v, outer.get_current_value(v)) for v in variables),
        ]
    with StatelessScope(mapping) as scope:
        model._losses_override = losses
        try:
            loss = model._call_compute_loss(x, y, y_pred, sample_weight, training)
        finally:
            model._losses_override = None
        metrics = [scope.get_current_value(v) for v in variables]
    scaled = loss
    if training and model.optimizer is not None:
        with StatelessScope(zip(model.optimizer.variables, state.optimizer, strict=True)):
            scaled = model.optimizer.scale_loss(loss)
    return scaled, (loss, y_pred, non_trainable, metrics)


def _update_metrics(
    model: Any, state: TrainState, loss: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any
) -> tuple[dict[str, Any], TrainState]:
    mapping = [
        *zip(model.trainable_variables, state.trainable, strict=True),
        *zip(model.non_trainable_variables, state.non_trainable, strict=True),
        *zip(model.metrics_variables, state.metrics, strict=True),
    ]
    with StatelessScope(mapping) as scope:
        batch = next((a.shape[0] for a in tree.flatten(x) if a is not None and a.ndim > 0), 1)
        model._loss_tracker.update_state(loss, sample_weight=jnp.asarray(batch, jnp.float32))
        logs = model.compute_metrics(x, y, y_pred, sample_weight)
        metrics = [scope.get_current_value(v) for v in model.metrics_variables]
    return logs, state._replace(metrics=metrics)
