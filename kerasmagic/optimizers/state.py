"""What an optimizer keeps: its step count, learning rate and slots, and how they are made and saved.

The order and the names of ``variables`` are the format of optimizer state in saved files.
"""

from __future__ import annotations

import numbers
import operator
import warnings
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kerasmagic.core import scope
from kerasmagic.core.attribute_config import attribute_config
from kerasmagic.core.serialization import deserialize_keras_object, resolve, serialize_keras_object
from kerasmagic.core.tracking import Tracker
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument
from kerasmagic.foundation.naming import auto_name
from kerasmagic.foundation.registry import INITIALIZERS
from kerasmagic.optimizers.schedules import LearningRateSchedule


def zeros(shape: Sequence[int], dtype: Any = None) -> np.ndarray:
    """Return zeros: the first value of a slot unless it has another one."""
    return np.zeros(tuple(shape), dtype=jnp.dtype(dtype))


class OptimizerState:
    """The stateful part of an optimizer: its variables, the learning rate, files, the config."""

    def __init__(self, learning_rate: Any, name: str | None = None):
        variables: list[Variable] = []
        self.__dict__.update(
            _variables=variables,
            _tracker=Tracker({"variables": (lambda x: isinstance(x, Variable), variables)}),
            _trainable_variables=[],
            _indices={},
            _slots={},
            built=False,
        )
        self.name = name or auto_name(type(self).__name__)
        self._iterations = self._scalar("iteration", 0, "int32")
        if callable(learning_rate):
            self._learning_rate: Any = learning_rate
        else:
            self._learning_rate = self._scalar("learning_rate", _number(learning_rate), floatx())

    _tracker: Tracker
    _variables: list[Variable]
    _trainable_variables: list[Variable]
    _indices: dict[int, int]
    _slots: dict[str, list[Variable | None]]
    built: bool

    def __setattr__(self, name: str, value: Any) -> None:
        if "_tracker" not in self.__dict__:
            raise RuntimeError(
                f"In optimizer {type(self).__name__!r}, you forgot to call `super().__init__()` as the first "
                "statement in the `__init__()` method. Go add it!"
            )
        object.__setattr__(self, name, self._tracker.track(value))

    def _scalar(self, name: str, value: float, dtype: str) -> Variable:
        with scope.name_scope(self.name, caller=self):
            return Variable(
                np.asarray(value, dtype),
                dtype=dtype,
                trainable=False,
                name=name,
                aggregation="only_first_replica",
            )

    # Variables

    @property
    def variables(self) -> list[Variable]:
        """The step count, the learning rate if it is a number, then averages, accumulators and slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many updates there were; the variable itself when no gradients are accumulated."""
        steps = getattr(self, "gradient_accumulation_steps", None)
        return self._iterations.value // steps if steps else self._iterations

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for ``variables``; nothing if it was made before."""
        raise NotImplementedError

    def keep_up_with(self, variables: Sequence[Variable]) -> None:
        """Have a state for just these variables: what it holds for others goes, what is missing is made.

        Args:
            variables: Those that are trained from now on.
        """
        known = self._trainable_variables
        if self.built and len(known) == len(variables) and all(map(operator.is_, known, variables)):
            return
        before = {variable.name: variable for variable in self.variables} if self.built else {}
        self._forget()
        self.build(variables)
        for variable in self.variables:
            old = before.get(variable.name)
            if old is not None and old is not variable and old.shape == variable.shape:
                variable.store(old.stored())

    def _forget(self) -> None:
        """Go back to before ``build``."""
        rate = self.__dict__["_learning_rate"]
        for variable in self._variables[:]:
            if variable is not self._iterations and variable is not rate:
                self._tracker.untrack(variable)
        self._slots.clear()
        self._indices.clear()
        self.built = False

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str | None = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Make a variable that is part of the optimizer's state.

        Args:
            shape: Its shape.
            initializer: A function ``(shape, dtype)``, or the name of an initializer.
            dtype: The type of its values.
            aggregation: How replicas combine.
            layout: How it is spread over devices.
            name: The last part of its path.
        """
        first: Callable[..., Any] = zeros if initializer == "zeros" else resolve(INITIALIZERS, initializer)
        with scope.name_scope(self.name, caller=self):
            variable = Variable(
                first,
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                layout=layout,
                name=name,
            )
        self._tracker.track(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Make a variable like ``reference_variable``: its shape and dtype, its path in the name."""
        path = getattr(reference_variable, "path", None) or str(reference_variable.name)
        return self.add_variable(
            shape=reference_variable.shape,
            initializer=initializer,
            dtype=reference_variable.dtype,
            name=f"{path.replace('/', '_').replace(':', '_')}_{name or 'var'}",
            layout=getattr(reference_variable, "layout", None),
        )

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: str | Sequence[str], initializer: Any = "zeros"
    ) -> Any:
        """Make one variable, or several, for each trainable one.

        Args:
            trainable_variables: The variables to make them for.
            name: The end of their names; a list for several.
            initializer: Their first value; a list for several.

        Returns:
            One list for each name, or the only list where ``name`` is a string. Variables that
            gradients overwrite have ``None`` in it.

        Raises:
            InvalidArgument: If there are not as many initializers as names.
        """
        names = [name] if isinstance(name, str) else list(name)
        firsts = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(names) != len(firsts):
            raise InvalidArgument(
                f"There must be one initializer for each name. Received: {name}, {initializer}"
            )
        made: tuple[list[Variable | None], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for column, each, first in zip(made, names, firsts, strict=True):
                column.append(
                    None
                    if variable.overwrite_with_gradient
                    else self.add_variable_from_reference(variable, each, first)
                )
        return made[0] if isinstance(name, str) else made

    def _get_variable_index(self, variable: Variable) -> int:
        return self._indices[id(variable)]

    def assign(self, variable: Variable, value: Any) -> None:
        """Make ``variable`` hold ``value``."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add ``value`` to ``variable``."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract ``value`` from ``variable``."""
        variable.assign_sub(value)

    def _check_built(self, purpose: str) -> None:
        if not self.built:
            raise InvalidArgument(
                f"To {purpose}, {type(self).__name__} must be built: call `build(trainable_variables)`."
            )

    # The learning rate

    @property
    def learning_rate(self) -> Any:
        """The learning rate now: the variable that holds it, or what the schedule gives."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate
        return rate(self._iterations.value) if isinstance(rate, LearningRateSchedule) else rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        before = self.__dict__["_learning_rate"]
        if callable(value):
            if isinstance(before, Variable):
                self._tracker.untrack(before)
            self._learning_rate = value
        elif isinstance(before, Variable):
            before.assign(value)
        else:
            raise UnexpectedArgument(
                "This optimizer was created with a schedule as its learning rate, hence its learning rate "
                "cannot be set to a number. Create it with a float `learning_rate` argument instead."
            )

    # Files and configs

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give ``variables`` values, in their order.

        Raises:
            InvalidArgument: If the optimizer is not built.
            ShapeMismatch: If a value does not have the shape of its variable.
        """
        self._check_built("set its weights")
        for variable, weight in zip(self.variables, weights, strict=False):
            if variable.shape != tuple(np.shape(weight)):
                raise ShapeMismatch(
                    f"Optimizer variable {variable.path} has shape {variable.shape}, the given value has "
                    f"shape {np.shape(weight)}."
                )
            variable.assign(weight)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Put the values of ``variables`` into ``store`` under "0", "1", ..."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take the values of ``variables`` from ``store``; with a warning, none, if the number differs."""
        if len(store.keys()) != len(self.variables):
            warnings.warn(
                f"Skipping variable loading for optimizer '{self.name}', because it has "
                f"{len(self.variables)} variables whereas the saved one has {len(store.keys())}.",
                stacklevel=2,
            )
            return
        for i, variable in enumerate(self.variables):
            variable.assign(store[str(i)])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again, as plain data; not its state."""
        rate = self.__dict__["_learning_rate"]
        plain = float(rate.numpy()) if isinstance(rate, Variable) else serialize_keras_object(rate)
        return {
            "name": self.name,
            "learning_rate": plain,
            **attribute_config(self, ("name", "learning_rate")),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make an optimizer from what ``get_config`` returned."""
        rate = config.get("learning_rate")
        if isinstance(rate, Mapping):
            config = {**config, "learning_rate": deserialize_keras_object(rate, custom_objects)}
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _number(learning_rate: Any) -> float:
    if isinstance(learning_rate, numbers.Real) or getattr(learning_rate, "shape", None) == ():
        return float(learning_rate)
    raise InvalidArgument(
        "Argument `learning_rate` should be a number, a `LearningRateSchedule`, or a function without "
        f"arguments. Received: learning_rate={learning_rate!r}"
    )
