"""Optimizers around others: one scales the loss, one gives each variable an optimizer of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.core import scope
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument
from kerasmagic.optimizers.optimizer import Optimizer


class LossScaleOptimizer(Optimizer):
    """Multiplies the loss so that 16-bit gradients do not vanish; the factor finds itself.

    The factor doubles after many steps with finite gradients. Where they are not finite the
    step is left out and the factor halved.

    Args:
        inner_optimizer: The optimizer that updates the variables.
        initial_scale: The first factor.
        dynamic_growth_steps: After how many finite steps the factor doubles.
        name: Its name.

    Raises:
        InvalidArgument: If it is given an argument that belongs to ``inner_optimizer``.
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        kwargs = {key: value for key, value in kwargs.items() if value not in _UNSET.get(key, ())}
        if kwargs:
            raise InvalidArgument(
                f"LossScaleOptimizer does not take {', '.join(kwargs)}: set it on the `inner_optimizer`."
            )
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def _make_slots(self, variables: list[Variable]) -> None:
        scale = self.initial_scale
        self.step_counter = self.add_variable((), dtype="int32", name="step_counter")
        self.dynamic_scale = self.add_variable(
            (), lambda shape, dtype: jnp.full(shape, scale, dtype), dtype="float32", name="dynamic_scale"
        )
        self.inner_optimizer.build(variables)

    def _forget(self) -> None:
        super()._forget()
        self.inner_optimizer._forget()

    @property
    def variables(self) -> list[Variable]:
        """Its own state, then that of the inner optimizer."""
        return [*self._variables, *self.inner_optimizer.variables]

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update variables by gradients of the scaled loss; not at all if any is not finite."""
        if trainable_variables is not None:
            with scope.name_scope(self.name, caller=self):
                self.build(list(trainable_variables))
        variables = list(self._trainable_variables if trainable_variables is None else trainable_variables)
        self._check_built("apply gradients")
        present = [g for g in grads if g is not None]
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in present]))

        def step() -> None:
            scale = self.dynamic_scale.value
            self.inner_optimizer.apply(
                [
                    g if g is None or v.overwrite_with_gradient else g / scale
                    for g, v in zip(grads, variables, strict=True)
                ],
                variables,
            )
            grown = self.step_counter.value == self.dynamic_growth_steps - 1
            self.dynamic_scale.assign(jnp.where(grown, scale * 2.0, scale))
            self.step_counter.assign(jnp.where(grown, 0, self.step_counter.value + 1))

        def skip() -> None:
            self.step_counter.assign(jnp.zeros_like(self.step_counter.value))
            self.dynamic_scale.assign(self.dynamic_scale.value * 0.5)

        self._either(finite, step, skip, [*variables, *self.variables])

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """How many updates the inner optimizer made."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times the factor."""
        return loss * (self.dynamic_scale.value if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Any = None) -> None:
        """Replace the variables by the inner optimizer's averages, if there are any."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again, as plain data; not its state."""
        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make an optimizer from what ``get_config`` returned."""
        inner = deserialize_keras_object(config["inner_optimizer"], custom_objects)
        return cls(inner, **{key: value for key, value in config.items() if key != "inner_optimizer"})


# Arguments of `Optimizer` that may be passed on without effect.
_UNSET: Mapping[str, tuple[Any, ...]] = {
    "dynamic": (True,),
    "weight_decay": (None,),
    "clipnorm": (None,),
    "global_clipnorm": (None,),
    "clipvalue": (None,),
    "use_ema": (False,),
    "ema_momentum": (0.99,),
    "ema_overwrite_frequency": (None,),
    "loss_scale_factor": (None,),
    "gradient_accumulation_steps": (None,),
}


class OptimizerMap(MutableMapping[str, Optimizer]):
    """Which optimizer updates which variable: by its path, or a regular expression that matches all of it.

    Args:
        default_optimizer: The optimizer of all other variables.
        optimizer_map: Optimizers by path or expression.

    Raises:
        UnexpectedArgument: If these are no optimizers.
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None):
        if not isinstance(default_optimizer, Optimizer):
            raise UnexpectedArgument(
                f"`default_optimizer` must be an optimizer. Received: {default_optimizer!r}"
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise UnexpectedArgument(f"`optimizer_map` must be a dict. Received: {optimizer_map!r}")
        self.default_optimizer = default_optimizer
        self._optimizer_map: dict[str, Optimizer] = dict(optimizer_map or {})

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._optimizer_map:
            return self._optimizer_map[key]
        matching = [pattern for pattern in self._optimizer_map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise InvalidArgument(f"Several optimizers are assigned to variable {key}: by {matching}.")
        return self._optimizer_map[matching[0]] if matching else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if key in self._optimizer_map:
            raise InvalidArgument(f"{key!r} already has an optimizer: {self._optimizer_map[key]!r}.")
        if not isinstance(key, str):
            raise InvalidArgument(f"A key must be a string. Received: {key!r}")
        _check_inner(optimizer, key)
        self._optimizer_map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizer_map[key]

    def __len__(self) -> int:
        return len(self._optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizer_map)

    def __call__(self, variable: Variable) -> Optimizer:
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this map again, as plain data."""
        config = {"default_optimizer": self.default_optimizer, "optimizer_map": self._optimizer_map}
        return serialize_keras_object(config)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make a map from what ``get_config`` returned."""
        return cls(**deserialize_keras_object(config, custom_objects))


class MultiOptimizer(Optimizer):
    """Gives each variable the optimizer that a map names for it.

    Args:
        optimizer_map: An ``OptimizerMap``, or a function from a variable to its optimizer.
        loss_scale_factor: As for ``Optimizer``; it holds for all of them.
        name: Its name.

    Example:

    >>> from kerasmagic.optimizers.gradient_descent import SGD
    >>> w, b = Variable(jnp.ones(1), name="w"), Variable(jnp.ones(1), name="b")
    >>> optimizer = MultiOptimizer(OptimizerMap(SGD(0.5), {"b": SGD(0.25)}))
    >>> optimizer.apply([jnp.ones(1), jnp.ones(1)], [w, b])
    >>> float(w[0]), float(b[0])
    (0.5, 0.75)
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Variable], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ):
        super().__init__(learning_rate=0.0, loss_scale_factor=loss_scale_factor, name=name)
        self.optimizer_map = optimizer_map
        self.__dict__["optimizers"] = []
        self._optimizer_of: dict[int, Optimizer] = {}
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._take(optimizer)

    optimizers: list[Optimizer]
    """The optimizers, each once."""

    def _take(self, optimizer: Optimizer) -> None:
        if not any(optimizer is known for known in self.optimizers):
            optimizer.loss_scale_factor = self.loss_scale_factor
            self.optimizers.append(optimizer)

    def _make_slots(self, variables: list[Variable]) -> None:
        for variable in variables:
            optimizer = self.optimizer_map(variable)
            _check_inner(optimizer, variable.path)
            self._take(optimizer)
            self._optimizer_of[id(variable)] = optimizer
        for optimizer in self.optimizers:
            own = [v for v in variables if self._optimizer_of[id(v)] is optimizer]
            if own:
                optimizer.build(own)

    def _forget(self) -> None:
        super()._forget()
        self._optimizer_of.clear()
        for optimizer in self.optimizers:
            optimizer._forget()

    @property
    def variables(self) -> list[Variable]:
        """Its own state, then that of each optimizer."""
        return [*self._variables, *(v for optimizer in self.optimizers for v in optimizer.variables)]

    @property
    def learning_rate(self) -> Any:
        """There is none: each optimizer has its own."""
        raise AttributeError("A MultiOptimizer has no learning rate: ask one of its `optimizers`.")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("A MultiOptimizer has no learning rate: set that of one of its `optimizers`.")

    def _apply_pairs(self, pairs: list[tuple[Any, Variable]]) -> None:
        for optimizer in self.optimizers:
            own = [(g, v) for g, v in pairs if self._optimizer_of[id(v)] is optimizer]
            if own:
                optimizer.apply_gradients(own)

    def finalize_variable_values(self, var_list: Any = None) -> None:
        """Replace the variables by the averages of their optimizers, where there are any."""
        for optimizer in self.optimizers:
            optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again, as plain data; not its state."""
        return {
            "optimizer_map": serialize_keras_object(self.optimizer_map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make an optimizer from what ``get_config`` returned."""
        return cls(
            **{**config, "optimizer_map": deserialize_keras_object(config["optimizer_map"], custom_objects)}
        )


def _check_inner(optimizer: Any, owner: str) -> None:
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        raise InvalidArgument(
            f"{owner!r} needs an optimizer that is not itself a wrapper of others. Received: {optimizer}"
        )
