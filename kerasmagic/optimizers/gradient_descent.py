"""Optimizers that scale the gradient by what they saw of it: each is the few lines of its ``update``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.optimizers.optimizer import Optimizer
from kerasmagic.optimizers.rules import scaled


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        momentum: How much of the last step is taken again, from 0 to 1.
        nesterov: Whether to look ahead by the momentum first.

    Raises:
        InvalidArgument: If an argument is impossible.

    Example:

    >>> from kerasmagic.core.variable import Variable
    >>> w = Variable(jnp.array([1.0]))
    >>> _ = SGD(learning_rate=0.1, momentum=0.9).apply_gradients([(jnp.array([2.0]), w)])
    >>> round(float(w[0]), 4)
    0.8
    """

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any
    ):
        super().__init__(learning_rate, **kwargs)
        if not 0 <= momentum <= 1:
            raise InvalidArgument(
                f"`momentum` must be a number between 0 and 1. Received: momentum={momentum}"
            )
        self.momentum = momentum
        self.nesterov = nesterov

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        return [{"momentum": 0.0}] if self.momentum else []

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        move = -learning_rate * gradient
        if not self.momentum:
            return value + move, {}
        # m <- beta m - lr g.  The learning rate is part of the momentum, unlike in most texts and in
        # `optax.trace`, which differs as soon as the rate changes.
        m = self.momentum * slots["momentum"] + move
        return value + (self.momentum * m + move if self.nesterov else m), {"momentum": m}


class RMSprop(Optimizer):
    """Divides the gradient by a running root mean square of it.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        rho: How much of the running mean stays at each step.
        momentum: How much of the last step is taken again.
        epsilon: A small number that guards the division.
        centered: Whether to use the variance instead of the mean square.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        groups = [{"velocity": 0.0}]
        if self.momentum > 0:
            groups.append({"momentum": 0.0})
        if self.centered:
            groups.append({"average_gradient": 0.0})
        return groups

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        if self.centered:
            # `optax.scale_by_stddev` is the same but for rounding, which a mean gradient near 0 makes visible.
            square = self.rho * slots["velocity"] + (1 - self.rho) * jnp.square(gradient)
            mean = self.rho * slots["average_gradient"] + (1 - self.rho) * gradient
            new = {"velocity": square, "average_gradient": mean}
            move = learning_rate * gradient / jnp.sqrt(square - jnp.square(mean) + self.epsilon)
        else:
            names = {"nu": "velocity"}
            direction, new = scaled("scale_by_rms", gradient, slots, names, decay=self.rho, eps=self.epsilon)
            move = learning_rate * direction
        # Keras keeps the learning rate in the momentum, as in SGD, so the momentum is not optax's.
        if self.momentum > 0:
            move = new["momentum"] = self.momentum * slots["momentum"] + move
        return value - move, new


class Adagrad(Optimizer):
    """Divides the gradient by the root of the sum of all its squares so far.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        initial_accumulator_value: Where the sums begin.
        epsilon: A small number that guards the division.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        return [{"accumulator": self.initial_accumulator_value}]

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        names = {"sum_of_squares": "accumulator"}
        direction, new = scaled("scale_by_rss", gradient, slots, names, eps=self.epsilon)
        return value - learning_rate * direction, new


class Adadelta(Optimizer):
    """Scales the gradient by the ratio of a running size of the steps to one of the gradients.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        rho: How much of the running means stays at each step.
        epsilon: A small number that guards the division.
    """

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any):
        super().__init__(learning_rate, **kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        return [{"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}]

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        names = {"e_g": "accumulated_grad", "e_x": "accumulated_delta_var"}
        direction, new = scaled("scale_by_adadelta", gradient, slots, names, rho=self.rho, eps=self.epsilon)
        return value - learning_rate * direction, new


class Ftrl(Optimizer):
    """Follow the regularized leader: for sparse models with many features.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        learning_rate_power: How the rate falls with the sum of squared gradients; not positive.
        initial_accumulator_value: Where the sums begin; not negative.
        l1_regularization_strength: Draws small weights to exactly 0; not negative.
        l2_regularization_strength: Draws weights towards 0; not negative.
        l2_shrinkage_regularization_strength: The same through the gradient; not negative.
        beta: Added to the rate's denominator.

    Raises:
        InvalidArgument: If an argument has the wrong sign.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        if learning_rate_power > 0:
            raise InvalidArgument(
                "`learning_rate_power` needs to be negative or zero. "
                f"Received: learning_rate_power={learning_rate_power}"
            )
        strengths = ("l1", "l2", "l2_shrinkage")
        for name in ("initial_accumulator_value", *(f"{s}_regularization_strength" for s in strengths)):
            if getattr(self, name) < 0:
                raise InvalidArgument(
                    f"`{name}` needs to be positive or zero. Received: {getattr(self, name)}"
                )

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        return [{"accumulator": self.initial_accumulator_value, "linear": 0.0}]

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        # optax has no FTRL.
        before, power = slots["accumulator"], -self.learning_rate_power
        after = before + jnp.square(gradient)
        shrunk = gradient + 2 * self.l2_shrinkage_regularization_strength * value
        sigma = (jnp.power(after, power) - jnp.power(before, power)) / learning_rate
        linear = slots["linear"] + shrunk - sigma * value
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        quadratic = jnp.power(after, power) / learning_rate + 2 * l2
        l1 = self.l1_regularization_strength
        return (jnp.clip(linear, -l1, l1) - linear) / quadratic, {"accumulator": after, "linear": linear}


class Lion(Optimizer):
    """Steps of one size, in the direction of the sign of a momentum.

    Args:
        learning_rate: As for ``Optimizer``, and so are the arguments not named here.
        beta_1: How much of the momentum is mixed with the gradient for a step.
        beta_2: How much of the momentum stays at each step.

    Raises:
        InvalidArgument: If ``beta_1`` is not above 0 and at most 1.
    """

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any):
        super().__init__(learning_rate, **kwargs)
        if not 0 < beta_1 <= 1:
            raise InvalidArgument(f"`beta_1` must be above 0 and at most 1. Received: beta_1={beta_1}")
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        return [{"momentum": 0.0}]

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        # Keras rounds the betas to the variable's dtype before it subtracts them from 1.
        b1, b2 = (jnp.asarray(beta, value.dtype) for beta in (self.beta_1, self.beta_2))
        direction, new = scaled("scale_by_lion", gradient, slots, {"mu": "momentum"}, b1=b1, b2=b2)
        return value - learning_rate * direction, new
