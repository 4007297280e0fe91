"""The base of all optimizers: state, clipping, decay, averages and accumulation around one pure update.

A concrete optimizer says which slots it keeps for each variable and, in ``update``,
how a gradient changes a value and its slots. Everything else happens here.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from kerasmagic.core import scope
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.optimizers.clipping import clip_by_global_norm, clip_by_norm
from kerasmagic.optimizers.state import OptimizerState


class Optimizer(OptimizerState):
    """Changes variables so that a loss gets smaller.

    A subclass names its slots in ``slot_groups`` and computes in ``update``; or, as in
    Keras, it overrides ``build`` and ``update_step`` and assigns to variables itself.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        weight_decay: The share of each variable, times the learning rate, taken off at each step.
        clipnorm: The largest length that the gradient of one variable may have.
        clipvalue: The largest size that an entry of a gradient may have.
        global_clipnorm: The largest length that all gradients together may have.
        use_ema: Whether to keep an exponential moving average of the variables.
        ema_momentum: How much of the old average stays at each step, from 0 to 1.
        ema_overwrite_frequency: After how many steps the averages replace the variables; never when ``None``.
        loss_scale_factor: What the loss is multiplied with, and the gradients divided by.
        gradient_accumulation_steps: How many gradients make one update; every one when ``None``.
        name: Its name; made up when ``None``.

    Raises:
        InvalidArgument: If an argument is impossible or unknown.

    Example:

    >>> import jax.numpy as jnp
    >>> from kerasmagic.core.variable import Variable
    >>> class Plain(Optimizer):
    ...     def update(self, gradient, value, slots, step, learning_rate):
    ...         return value - learning_rate * gradient, slots
    >>> w = Variable(jnp.array([1.0, 2.0]), name="w")
    >>> steps = Plain(learning_rate=0.5).apply_gradients([(jnp.array([1.0, 1.0]), w)])
    >>> w.numpy().tolist()
    [0.5, 1.5]
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if kwargs.pop("decay", None) is not None:
            warnings.warn("Argument `decay` is no longer supported and will be ignored.", stacklevel=3)
        if kwargs:
            raise InvalidArgument(f"Argument(s) not recognized: {kwargs}")
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(clip is not None for clip in clips.values()) > 1:
            raise InvalidArgument(f"Only one of {', '.join(clips)} can be set. Received: {clips}")
        if gradient_accumulation_steps and gradient_accumulation_steps < 2:
            raise InvalidArgument(
                "`gradient_accumulation_steps` must be an integer >= 2. "
                f"Received: gradient_accumulation_steps={gradient_accumulation_steps}"
            )
        if use_ema:
            _check_ema(ema_momentum, ema_overwrite_frequency)
        super().__init__(learning_rate, name)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._decay_excluded: set[int] = set()
        self._decay_excluded_names: re.Pattern[str] | None = None

    # What a concrete optimizer defines

    def slot_groups(self) -> Sequence[Mapping[str, float]]:
        """Return the slots of each variable: their names and first values.

        The slots of one group are made variable by variable, one group after the other:
        that is their order in saved files.
        """
        return ()

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Return the new value and the new slots of one variable; a pure function of its arguments.

        Args:
            gradient: The gradient; ``value``'s shape and dtype.
            value: The variable's value.
            slots: The variable's slots by name.
            step: How many updates there were with this one, a float of shape ``()``: 1 at first.
            learning_rate: What ``corrected_rate`` made of the learning rate, shape ``()``, of ``value``'s dtype.
        """
        raise NotImplementedError(f"Optimizer {type(self).__name__} does not implement `update`.")

    def corrected_rate(self, step: Any, learning_rate: Any) -> Any:
        """Return the learning rate that ``update`` is given: what is the same for all variables is computed once.

        Args:
            step: As for ``update``.
            learning_rate: The learning rate, shape ``()``, of the dtype of the variables.
        """
        return learning_rate

    # Building

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for ``variables``; nothing if it was made before."""
        if self.built:
            return
        variables = list(variables)
        self.__dict__["_trainable_variables"] = variables
        self._indices.update({id(v): i for i, v in enumerate(variables)})
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = [
                self.add_variable_from_reference(v, name="gradient_accumulator") for v in variables
            ]
        self._make_slots(variables)
        self.built = True

    def _make_slots(self, variables: list[Variable]) -> None:
        for group in self.slot_groups():
            made = self.add_optimizer_variables(
                variables, list(group), [_constant(first) for first in group.values()]
            )
            self._slots.update(zip(group, made, strict=True))

    # Applying gradients

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Update variables, each by the gradient that it is paired with; return the count of steps.

        Raises:
            InvalidArgument: If the optimizer was built for other variables, or there is no gradient at all.
        """
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update variables by gradients.

        Args:
            grads: One gradient for each variable, of its shape; ``None`` leaves a variable alone.
            trainable_variables: The variables; those the optimizer was built for when ``None``.

        Raises:
            InvalidArgument: If the optimizer was built for other variables, or there is no gradient at all.
        """
        if len(grads) == 0:
            return
        variables = self._known_variables(grads, trainable_variables)
        with scope.name_scope(self.name, caller=self):
            pairs = self._overwritten_apart(_present(grads, variables))
            if pairs:
                self._apply_pairs(pairs)
        self._iterations.assign(self._iterations.value + 1)

    def _known_variables(self, grads: Sequence[Any], variables: Sequence[Variable] | None) -> list[Variable]:
        if variables is None:
            self._check_built("apply gradients without naming variables")
            variables = self._trainable_variables
            if len(grads) != len(variables):
                raise InvalidArgument(
                    f"There must be one gradient for each variable. Received {len(grads)} gradients; the "
                    f"optimizer was built for {len(variables)} variables."
                )
            return variables
        variables = list(variables)
        with scope.name_scope(self.name, caller=self):
            self.build(variables)
        for variable in variables:
            if id(variable) not in self._indices:
                raise InvalidArgument(
                    f"Unknown variable: {variable.path}. An optimizer can only be used with the variables it "
                    "was built for: make a new one for other variables."
                )
        return variables

    def _apply_pairs(self, pairs: list[tuple[Any, Variable]]) -> None:
        grads, variables = map(list, zip(*pairs, strict=True))
        scale = self.loss_scale_factor
        if scale is not None:
            grads = [g / scale for g in grads]
        if self.gradient_accumulation_steps:
            self._accumulate(grads, variables, self.gradient_accumulation_steps)
        else:
            self._update_variables(grads, variables)
        if self.use_ema:
            self._update_averages()
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))

    def _update_variables(self, grads: list[Any], variables: list[Variable]) -> None:
        grads = self._clip_gradients(grads)
        self._apply_weight_decay(variables)
        self._update_all(grads, variables, self.learning_rate)

    def _update_all(self, grads: list[Any], variables: list[Variable], learning_rate: Any) -> None:
        if type(self).update_step is not Optimizer.update_step:
            for gradient, variable in zip(grads, variables, strict=True):
                self.update_step(gradient, variable, learning_rate)
            return
        rule, step = self._rule, self.iterations + 1
        if isinstance(step, Tracer):
            rule = _traced_by_shape(rule)
        rates: dict[Any, tuple[Any, Any]] = {}
        for gradient, variable in zip(grads, variables, strict=True):
            if variable.dtype not in rates:
                rates[variable.dtype] = self._step_and_rate(step, learning_rate, variable.dtype)
            self._update_by(rule, gradient, variable, *rates[variable.dtype])

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Update one variable and its slots."""
        step_and_rate = self._step_and_rate(self.iterations + 1, learning_rate, variable.dtype)
        self._update_by(self._rule, gradient, variable, *step_and_rate)

    def _step_and_rate(self, step: Any, learning_rate: Any, dtype: Any) -> tuple[Any, Any]:
        step = jnp.asarray(step, dtype)
        return step, self.corrected_rate(step, jnp.asarray(learning_rate, dtype))

    def _update_by(
        self, rule: Callable[..., Any], gradient: Any, variable: Variable, step: Any, learning_rate: Any
    ) -> None:
        index = self._get_variable_index(variable)
        kept = {name: slot for name, made in self._slots.items() if (slot := made[index]) is not None}
        slots = {name: slot.value for name, slot in kept.items()}
        new_value, new_slots = rule(gradient, variable.value, slots, step, learning_rate)
        for name, slot in kept.items():
            slot.assign(new_slots[name])
        variable.assign(new_value)

    def _rule(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Call ``update`` with everything in the dtype of the variable."""
        return self.update(jnp.asarray(gradient, value.dtype), value, slots, step, learning_rate)

    def _accumulate(self, grads: list[Any], variables: list[Variable], steps: int) -> None:
        sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]
        total = [g + s.value for g, s in zip(grads, sums, strict=True)]

        def keep() -> None:
            for s, t in zip(sums, total, strict=True):
                s.assign(t)

        def update() -> None:
            self._update_variables([t / steps for t in total], variables)
            for s in sums:
                s.assign(jnp.zeros_like(s.value))

        self._either((self._iterations.value + 1) % steps == 0, update, keep, [*variables, *self.variables])

    def _either(
        self, condition: Any, one: Callable[[], None], other: Callable[[], None], touched: list[Variable]
    ) -> None:
        """Run one of two functions that assign to ``touched``, also where ``condition`` is traced."""
        if not isinstance(condition, Tracer):
            return (one if condition else other)()
        values = [v.value for v in touched]

        def pure(function: Callable[[], None]) -> list[Any]:
            with scope.StatelessScope(zip(touched, values, strict=True)) as inner:
                function()
            return [inner.get_current_value(v) for v in touched]

        new = jax.lax.cond(condition, functools.partial(pure, one), functools.partial(pure, other))
        for variable, value in zip(touched, new, strict=True):
            variable.assign(value)
        return None

    def _overwritten_apart(self, pairs: list[tuple[Any, Variable]]) -> list[tuple[Any, Variable]]:
        """Give variables that are their own gradient (quantization scales) their value; return the others."""
        rest = []
        for gradient, variable in pairs:
            if not variable.overwrite_with_gradient:
                rest.append((gradient, variable))
                continue
            steps = self.gradient_accumulation_steps
            if steps:
                seen = self._accumulated_gradients[self._get_variable_index(variable)]
                last = (self._iterations.value + 1) % steps == 0
                largest = jnp.maximum(gradient, seen.value)
                seen.assign(jnp.where(last, jnp.zeros_like(largest), largest))
                gradient = jnp.where(last, largest, variable.value)
            variable.assign(gradient)
        return rest

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Return updated values as a pure function of the old ones, for use under ``jax.jit``.

        Args:
            optimizer_variables: One array for each variable of ``self.variables``.
            grads: One gradient for each variable that the optimizer was built for.
            trainable_variables: The values of these variables.

        Returns:
            ``(trainable_variables, optimizer_variables)``.

        Raises:
            InvalidArgument: If the optimizer is not built or a list has the wrong length.
        """
        self._check_built("call `stateless_apply`")
        own, trained = self.variables, self._trainable_variables
        _check_length("optimizer_variables", optimizer_variables, own)
        _check_length("trainable_variables", trainable_variables, trained)
        mapping = [
            *zip(trained, trainable_variables, strict=True),
            *zip(own, optimizer_variables, strict=True),
        ]
        with scope.StatelessScope(mapping) as stateless:
            self.apply(grads)
        values = stateless.get_current_value
        return [values(v) for v in trained], [values(v) for v in own]

    # Clipping, decay, averages

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm and self.clipnorm > 0:
            return [clip_by_norm(g, self.clipnorm) for g in grads]
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return [jnp.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Let some variables be without weight decay; to be called before the optimizer is built.

        Args:
            var_list: Variables.
            var_names: Regular expressions, searched in the names of variables.

        Raises:
            InvalidArgument: If the optimizer is built.
        """
        if self.built:
            raise InvalidArgument(
                "`exclude_from_weight_decay()` must be called before the optimizer is built."
            )
        self._decay_excluded = {id(v) for v in var_list or ()}
        names = list(var_names or ())
        self._decay_excluded_names = re.compile("|".join(names)) if names else None

    def _use_weight_decay(self, variable: Variable) -> bool:
        names = self._decay_excluded_names
        return id(variable) not in self._decay_excluded and not (names and names.search(variable.name))

    def _decay_of(self, variable: Variable) -> float | None:
        return self.weight_decay if self._use_weight_decay(variable) else None

    def _apply_weight_decay(self, variables: list[Variable]) -> None:
        for variable in variables:
            decay = self._decay_of(variable)
            if decay is not None:
                value = variable.value
                rate = jnp.asarray(self.learning_rate, value.dtype)
                variable.assign(value - value * jnp.asarray(decay, value.dtype) * rate)

    def _update_averages(self) -> None:
        first = jnp.equal(self.iterations, 0)
        pairs = self._averaged()
        for variable, average in pairs:
            momentum = jnp.where(first, 0.0, self.ema_momentum).astype(average.dtype)
            average.assign(momentum * average.value + (1 - momentum) * variable.value)
        if self.ema_overwrite_frequency:
            due = (self.iterations + 1) % self.ema_overwrite_frequency == 0
            for variable, average in pairs:
                variable.assign(jnp.where(due, average.value, variable.value))

    def _averaged(self) -> list[tuple[Variable, Variable]]:
        averages = self._model_variables_moving_average
        return [(v, a) for v, a in zip(self._trainable_variables, averages, strict=True) if a is not None]

    def finalize_variable_values(self, var_list: Any = None) -> None:
        """Replace the variables by their averages, if there are any; done at the end of training."""
        wanted = None if var_list is None else {id(v) for v in var_list}
        if self.use_ema and self.built:
            for variable, average in self._averaged():
                if wanted is None or id(variable) in wanted:
                    variable.assign(average.value)

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times the loss scale, if there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor


def _traced_by_shape(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``rule`` for use in a trace: variables of one shape share one trace of it.

    What is compiled stays the same. To trace and lower 200 dense layers with Adam takes 2.4 seconds in place of 4.2
    (``python -m benchmarks.growth depth``). One flat array of all variables is not the way: to join 400 arrays
    takes XLA 44 seconds to compile in place of 5, and a step 2.5 times as long.
    """
    # A function of its own, so that no trace finds what another has left: a rule may read other variables.
    return jax.jit(lambda *given: rule(*given))


def _check_ema(momentum: float, frequency: int | None) -> None:
    if not 0 <= momentum <= 1:
        raise InvalidArgument(
            f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={momentum}"
        )
    if frequency and (not isinstance(frequency, int) or frequency < 1):
        raise InvalidArgument(
            "`ema_overwrite_frequency` must be an integer >= 1 or None. "
            f"Received: ema_overwrite_frequency={frequency}"
        )


def _check_length(name: str, values: Sequence[Any], variables: Sequence[Variable]) -> None:
    if len(values) != len(variables):
        raise InvalidArgument(
            f"`{name}` must have one array for each of {len(variables)} variables. Received {len(values)}."
        )


def _present(grads: Sequence[Any], variables: Sequence[Variable]) -> list[tuple[Any, Variable]]:
    pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
    if not pairs:
        raise InvalidArgument("No gradients provided for any variable.")
    if len(pairs) < len(variables):
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        warnings.warn(
            f"Gradients do not exist for variables {missing} when minimizing the loss. "
            "If using `model.compile()`, did you forget to provide a `loss` argument?",
            stacklevel=4,
        )
    return pairs


def _constant(first: float) -> Callable[..., np.ndarray]:
    def initializer(shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
        return np.full(shape, first, dtype=jnp.dtype(dtype))

    return initializer
