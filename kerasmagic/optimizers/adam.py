"""Adam and its relatives: running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.variable import Variable
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.optimizers.optimizer import Optimizer


def towards(mean: jax.Array, x: jax.Array, beta: Any) -> jax.Array:
    """Return the running mean ``beta * mean + (1 - beta) * x``, rounded as Keras rounds it.

    Where Keras casts ``beta`` first, so that ``1 - beta`` is rounded too, it comes as an array.
    """
    return mean + (x - mean) * (1 - beta)


def left_of(beta: float, step: jax.Array) -> jax.Array:
    """Return ``beta ** step``: the share of its start that a running mean has after ``step`` steps."""
    return jnp.power(jnp.asarray(beta, step.dtype), step)


class Adam(Optimizer):
    """Divides a running mean of the gradient by the root of one of its square.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        beta_1: How much of the mean of the gradient stays at each step.
        beta_2: How much of the mean of its square stays.
        epsilon: A small number that guards the division.
        amsgrad: Whether to divide by the largest mean square so far.

    Example:

    >>> w = Variable(jnp.array([1.0]))
    >>> _ = Adam(learning_rate=0.1).apply_gradients([(jnp.array([2.0]), w)])
    >>> round(float(w[0]), 4)
    0.9
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        return [{"momentum": 0.0, "velocity": 0.0}, *([{"velocity_hat": 0.0}] if self.amsgrad else [])]

    def corrected_rate(self, step: Any, learning_rate: Any) -> Any:
        # The bias correction is in the rate: epsilon is added before it, as in the paper's second form.
        # `optax.scale_by_adam` adds it after: steps differ where gradients are as small as epsilon.
        return learning_rate * jnp.sqrt(1 - left_of(self.beta_2, step)) / (1 - left_of(self.beta_1, step))

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        m = towards(slots["momentum"], gradient, self.beta_1)
        v = towards(slots["velocity"], jnp.square(gradient), self.beta_2)
        new = {"momentum": m, "velocity": v}
        if self.amsgrad:
            v = new["velocity_hat"] = jnp.maximum(slots["velocity_hat"], v)
        return value - m * learning_rate / (jnp.sqrt(v) + self.epsilon), new


class AdamW(Adam):
    """Adam with weight decay.

    Args:
        learning_rate: As for ``Adam``, and so are the arguments not named here.
        weight_decay: The share of each variable, times the learning rate, taken off at each step.

    Raises:
        InvalidArgument: If ``weight_decay`` is ``None``.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)
        if self.weight_decay is None:
            raise InvalidArgument("Argument `weight_decay` must be a float. Received: weight_decay=None")


class _TwoMeans(Optimizer):
    """What the relatives of Adam have in common: two rates of forgetting and an epsilon."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        return [{"momentum": 0.0, "velocity": 0.0}]


class Adamax(_TwoMeans):
    """Adam with the largest size of the gradient, slowly forgotten, in the place of its mean square.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        beta_1: How much of the mean of the gradient stays at each step.
        beta_2: How much of the largest size stays.
        epsilon: A small number that guards the division.
    """

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        return [{"momentum": 0.0, "norm": 0.0}]

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        m = towards(slots["momentum"], gradient, self.beta_1)
        # `optax.scale_by_adamax` has epsilon inside the maximum, and so in the state.
        u = jnp.maximum(self.beta_2 * slots["norm"], jnp.abs(gradient))
        move = learning_rate * m / ((1 - left_of(self.beta_1, step)) * (u + self.epsilon))
        return value - move, {"momentum": m, "norm": u}


class Nadam(_TwoMeans):
    """Adam that looks ahead by its momentum, as Nesterov does.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        beta_1: How much of the mean of the gradient stays at each step.
        beta_2: How much of the mean of its square stays.
        epsilon: A small number that guards the division.
    """

    def _make_slots(self, variables: list[Variable]) -> None:
        super()._make_slots(variables)
        dtype = variables[0].dtype if variables else floatx()
        self._u_product = Variable(np.ones(()), dtype=dtype)

    def _momentum_at(self, step: Any) -> Any:
        return self.beta_1 * (1.0 - 0.5 * jnp.power(0.96, step))

    def _update_all(self, grads: list[Any], variables: list[Variable], learning_rate: Any) -> None:
        step = jnp.asarray(self.iterations + 1, self._u_product.dtype)
        self._u_product.assign(self._u_product.value * self._momentum_at(step))
        super()._update_all(grads, variables, learning_rate)

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        u, u_next = self._momentum_at(step), self._momentum_at(step + 1)
        # The product of all momenta so far, one number for all variables. optax's form of Nadam has one
        # momentum for all steps, and no such product.
        product = self._u_product.value.astype(value.dtype)
        m = towards(slots["momentum"], gradient, jnp.asarray(self.beta_1, value.dtype))
        v = towards(slots["velocity"], jnp.square(gradient), jnp.asarray(self.beta_2, value.dtype))
        m_hat = u_next * m / (1 - product * u_next) + (1 - u) * gradient / (1 - product)
        v_hat = v / (1 - left_of(self.beta_2, step))
        move = m_hat * learning_rate / (jnp.sqrt(v_hat) + self.epsilon)
        return value - move, {"momentum": m, "velocity": v}


class Lamb(_TwoMeans):
    """Adam with steps in proportion to the length of each variable: for large batches.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        beta_1: How much of the mean of the gradient stays at each step.
        beta_2: How much of the mean of its square stays.
        epsilon: A small number that guards the division.
    """

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        m = towards(slots["momentum"], gradient, self.beta_1)
        v = towards(slots["velocity"], jnp.square(gradient), self.beta_2)
        # Corrected in the variable's dtype, where optax takes float32: in half precision they part.
        m_hat = m / (1.0 - left_of(self.beta_1, step))
        move = m_hat / (jnp.sqrt(v / (1.0 - left_of(self.beta_2, step))) + self.epsilon)
        length, stride = jnp.sqrt(jnp.sum(jnp.square(value))), jnp.sqrt(jnp.sum(jnp.square(move)))
        ratio = jnp.where((length > 0) & (stride > 0), length / jnp.where(stride > 0, stride, 1.0), 1.0)
        return value - ratio * learning_rate * move, {"momentum": m, "velocity": v}


class ScheduleFreeAdamW(_TwoMeans):
    """Adam on a mean of the path, which takes the place of a schedule.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        beta_1: Where between the path and its mean gradients are taken.
        beta_2: How much of the mean of the squared gradient stays at each step.
        epsilon: A small number that guards the division.
        warmup_steps: How many steps the learning rate rises from 0.
    """

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.warmup_steps = warmup_steps

    def _make_slots(self, variables: list[Variable]) -> None:
        super()._make_slots(variables)
        for path, variable in zip(self._slots["momentum"], variables, strict=True):
            if path is not None:
                path.assign(variable.value)

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        if self.warmup_steps > 0:
            learning_rate = learning_rate * jnp.minimum(step / self.warmup_steps, 1.0)
        beta = jnp.asarray(self.beta_1, value.dtype)
        v = towards(slots["velocity"], jnp.square(gradient), jnp.asarray(self.beta_2, value.dtype))
        size = jnp.sqrt(v / (1 - left_of(self.beta_2, step))) + self.epsilon
        # value = (1 - beta) path + beta mean: undo it, move the path, average, and do it again.
        mean = (value - (1 - beta) * slots["momentum"]) / beta
        path = slots["momentum"] - learning_rate * gradient / size
        # All steps weigh the same. optax weighs them by the learning rate, with the sum in its state.
        mean = (1 - 1.0 / step) * mean + (1.0 / step) * path
        return (1 - beta) * path + beta * mean, {"momentum": path, "velocity": v}
