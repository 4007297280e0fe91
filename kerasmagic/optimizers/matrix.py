"""Optimizers that see a weight as a matrix and not entry by entry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.variable import Variable
from kerasmagic.optimizers.adam import left_of, towards
from kerasmagic.optimizers.optimizer import Optimizer


def _root_mean_square(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(x)))


class Adafactor(Optimizer):
    """Divides the gradient by the root of its mean square, kept as one row and one column a matrix.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        beta_2_decay: The power of the step by which the mean forgets; negative.
        epsilon_1: A small number added to squared gradients.
        epsilon_2: The least size that a variable counts as having.
        clip_threshold: The largest root mean square of a step before it is scaled.
        relative_step: Accepted for compatibility: the rate never exceeds ``1 / sqrt(step)`` in any case.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def _make_slots(self, variables: list[Variable]) -> None:
        self._slots.update(r=[], c=[], v=[])
        for variable in variables:
            shape, overwritten = variable.shape, variable.overwrite_with_gradient
            if overwritten:
                rows = columns = velocity = None
            else:
                if len(shape) < 2:
                    # Vectors are not factored, yet files hold two numbers in the place of the factors.
                    rows, columns = (self._placeholder(variable) for _ in "rc")
                else:
                    rows, columns = (
                        self.add_variable(shape=s, dtype=variable.dtype, name=variable.name)
                        for s in (shape[:-1], (*shape[:-2], shape[-1]))
                    )
                velocity = self.add_variable_from_reference(variable, name="velocity")
            for name, slot in (("r", rows), ("c", columns), ("v", velocity)):
                self._slots[name].append(slot)

    def _placeholder(self, variable: Variable) -> Variable:
        made = Variable(np.zeros(()), dtype="int32", name=variable.name, trainable=False)
        return self._tracker.track(made)

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        rate = jnp.minimum(learning_rate, 1 / jnp.sqrt(step))
        rate = jnp.maximum(self.epsilon_2, _root_mean_square(value)) * rate
        squares = jnp.square(gradient) + self.epsilon_1
        kept = 1 - jnp.power(step, self.beta_2_decay)
        new = dict(slots)
        if value.ndim >= 2:
            r = new["r"] = kept * slots["r"] + (1 - kept) * jnp.mean(squares, axis=-1)
            c = new["c"] = kept * slots["c"] + (1 - kept) * jnp.mean(squares, axis=-2)
            share = r / jnp.mean(r, axis=-1, keepdims=True)
            new["v"] = share[..., :, None] * c[..., None, :]
        else:
            new["v"] = kept * slots["v"] + (1 - kept) * squares
        move = gradient / jnp.sqrt(new["v"])
        move = move / jnp.maximum(1.0, _root_mean_square(move) / self.clip_threshold)
        return value - rate * move, new


class Muon(Optimizer):
    """Momentum made orthogonal for matrices, Adam for everything else.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        adam_beta_1: Adam's ``beta_1``.
        adam_beta_2: Adam's ``beta_2``.
        adam_weight_decay: The weight decay of what Adam updates.
        epsilon: Adam's ``epsilon``.
        weight_decay: The weight decay of matrices.
        exclude_layers: Regular expressions, searched in paths: what matches is left to Adam.
        exclude_embeddings: Whether embeddings are left to Adam.
        muon_a: The first coefficient of the Newton-Schulz iteration.
        muon_b: The second.
        muon_c: The third.
        adam_lr_ratio: Adam's learning rate over the one given.
        momentum: How much of the momentum stays at each step.
        ns_steps: How many Newton-Schulz iterations there are.
        nesterov: Whether to look ahead by the momentum.
        rms_rate: The root mean square of a step, over the learning rate; not scaled when ``None``.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, weight_decay, **kwargs)
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or [])
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _left_to_adam(self, variable: Variable) -> bool:
        embedding = self.exclude_embeddings and "embedding" in variable.path.lower()
        excluded = any(re.search(keyword, variable.path) for keyword in self.exclude_layers)
        return variable.ndim != 2 or embedding or excluded

    def _make_slots(self, variables: list[Variable]) -> None:
        self._slots.update(momentum=[], velocity=[])
        for variable in variables:
            momentum = velocity = None
            if not variable.overwrite_with_gradient:
                momentum = self.add_variable_from_reference(variable, name="momentum")
                if self._left_to_adam(variable):
                    velocity = self.add_variable_from_reference(variable, name="velocity")
            self._slots["momentum"].append(momentum)
            self._slots["velocity"].append(velocity)

    def _decay_of(self, variable: Variable) -> float | None:
        if not self._use_weight_decay(variable):
            return None
        return self.adam_weight_decay if self._left_to_adam(variable) else self.weight_decay

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        if "velocity" in slots:
            return self._adam(gradient, value, slots, step, learning_rate * self.adam_lr_ratio)
        m = slots["momentum"] + (gradient + slots["momentum"] * (self.momentum - 1))
        move = learning_rate * self._orthogonal(gradient + self.momentum * m if self.nesterov else m)
        if self.rms_rate is not None:
            move = move * jnp.sqrt(jnp.asarray(max(value.shape), value.dtype)) * self.rms_rate
        return value - move, {"momentum": m}

    def _adam(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        one, two = self.adam_beta_1, self.adam_beta_2
        m = towards(slots["momentum"], gradient, one)
        v = towards(slots["velocity"], jnp.square(gradient), two)
        rate = learning_rate * jnp.sqrt(1 - left_of(two, step)) / (1 - left_of(one, step))
        return value - m * rate / (jnp.sqrt(v) + self.epsilon), {"momentum": m, "velocity": v}

    def _orthogonal(self, x: jax.Array) -> jax.Array:
        """Return the nearest matrix with orthogonal rows or columns, about; by a Newton-Schulz iteration."""
        wide = x.shape[0] <= x.shape[1]
        x = x if wide else x.T
        x = x / (jnp.linalg.norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            gram = x @ x.T
            x = self.muon_a * x + (self.muon_b * gram + self.muon_c * gram @ gram) @ x
        return x if wide else x.T
