"""The base of all metrics: state that is updated batch by batch, and a result read from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from kerasmagic.core import dtype_policy, scope
from kerasmagic.core.attribute_config import attribute_config
from kerasmagic.core.serialization import resolve
from kerasmagic.core.tracking import Tracker
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.naming import auto_name
from kerasmagic.foundation.registry import INITIALIZERS


def zeros(shape: Sequence[int], dtype: Any = None) -> np.ndarray:
    """Return zeros: the first value of a variable unless it has another one."""
    return np.zeros(tuple(shape), dtype=jnp.dtype(dtype))


class Metric:
    """A number that tells how good a model is, gathered over many batches.

    A subclass makes variables with ``add_variable`` in ``__init__``, assigns to them in
    ``update_state`` and computes the number in ``result``.

    Args:
        dtype: The type to compute in, or a dtype policy; the default float type when ``None``.
        name: Its name; made up when ``None``.

    Example:

    >>> class Largest(Metric):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.largest = self.add_variable((), "zeros", name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(jnp.maximum(self.largest, jnp.max(jnp.abs(y_true - y_pred))))
    ...     def result(self):
    ...         return self.largest.value
    >>> metric = Largest()
    >>> metric.update_state(jnp.array([1.0]), jnp.array([3.0]))
    >>> float(metric.result())
    2.0
    """

    _is_metric: ClassVar[bool] = True
    _direction: str | None = None
    """Whether more ("up") or less ("down") of it is better, where that is known."""

    def __init__(self, dtype: Any = None, name: str | None = None):
        variables: list[Variable] = []
        metrics: list[Metric] = []
        self.__dict__.update(
            _variables=variables,
            _metrics=metrics,
            _tracker=Tracker(
                {
                    "variables": (lambda x: isinstance(x, Variable), variables),
                    "metrics": (lambda x: isinstance(x, Metric), metrics),
                }
            ),
        )
        self.name = name or auto_name(type(self).__name__)
        self._dtype_policy = dtype_policy.get(dtype or floatx())

    _variables: list[Variable]
    _metrics: list[Metric]
    _tracker: Tracker

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_super_called()
        object.__setattr__(self, name, self._tracker.track(value))

    def _check_super_called(self) -> None:
        if "_tracker" not in self.__dict__:
            raise RuntimeError(
                f"In metric {type(self).__name__!r}, you forgot to call `super().__init__()` as the first "
                "statement in the `__init__()` method. Go add it!"
            )

    @property
    def dtype(self) -> str:
        """The type in which the metric computes."""
        return self._dtype_policy.compute_dtype

    @property
    def variables(self) -> list[Variable]:
        """Its variables, then those of the metrics inside it."""
        return [*self._variables, *(v for metric in self._metrics for v in metric.variables)]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = None,
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a variable that is part of the metric's state.

        Args:
            shape: Its shape.
            initializer: A function ``(shape, dtype)``, or the name of an initializer; zeros when ``None``.
            dtype: The type of its values.
            aggregation: How replicas combine.
            name: The last part of its path.
        """
        self._check_super_called()
        first: Callable[..., Any] = (
            zeros if initializer in (None, "zeros") else resolve(INITIALIZERS, initializer)
        )
        with scope.name_scope(self.name.replace("/", ">"), caller=self):
            variable = Variable(
                first,
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                synchronization="on_read",
                name=name,
            )
        return self._tracker.track(variable)

    def add_weight(
        self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Make a variable that is part of the metric's state; another name for ``add_variable``."""
        return self.add_variable(shape=shape, initializer=initializer, dtype=dtype, name=name)

    # State

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take one batch into account; usually ``(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"Metric {type(self).__name__} does not implement `update_state`.")

    def result(self) -> Any:
        """Return the number for all batches since the last reset; or a dict of numbers."""
        raise NotImplementedError(f"Metric {type(self).__name__} does not implement `result`.")

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable in self.variables:
            variable.assign_later(np.zeros(variable.shape, jnp.dtype(variable.dtype)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update the state and return the result."""
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Return the state after one more batch, as a pure function of the state before.

        Args:
            metric_variables: One array for each variable of ``self.variables``.
            args: The arguments of ``update_state``.
            kwargs: More of them.

        Raises:
            InvalidArgument: If there is not one array for each variable.
        """
        with self._state(metric_variables) as stateless:
            self.update_state(*args, **kwargs)
        return [stateless.get_current_value(v) for v in self.variables]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """Return the result as a pure function of the state.

        Raises:
            InvalidArgument: If there is not one array for each variable.
        """
        with self._state(metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Any]:
        """Return the state before the first batch."""
        with scope.StatelessScope() as stateless:
            self.reset_state()
        found = [(v, stateless.get_current_value(v)) for v in self.variables]
        return [v.value if value is None else value for v, value in found]

    def _state(self, metric_variables: Sequence[Any]) -> scope.StatelessScope:
        variables = self.variables
        if len(metric_variables) != len(variables):
            raise InvalidArgument(
                f"`metric_variables` must have one array for each of {len(variables)} variables of metric "
                f"{self.name!r}. Received {len(metric_variables)}."
            )
        return scope.StatelessScope(zip(variables, metric_variables, strict=True))

    # Config

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again, as plain data."""
        return {"name": self.name, "dtype": self.dtype, **attribute_config(self, ("name", "dtype"))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a metric from what ``get_config`` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
