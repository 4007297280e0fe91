"""What a layer owns: variables, nested layers, metrics and seed generators."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kerasmagic.core import scope
from kerasmagic.core.dtypes import is_float_dtype, standardize_dtype
from kerasmagic.core.random import SeedGenerator
from kerasmagic.core.serialization import resolve
from kerasmagic.core.symbolic import Operation
from kerasmagic.core.tracking import PLAIN, Tracker
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS

_UNTRACKED = (
    "_given",
    "_inbound_nodes",
    "_losses",
    "_build_shapes_dict",
    "_call_signature",
    "_call_context_args",
)


class Owner(Operation):
    """The part of a layer that holds state: weights by ``add_weight``, children by attribute."""

    _trainable_variables: list[Variable]
    _non_trainable_variables: list[Variable]
    _layers: list[Any]
    _metrics: list[Any]
    _seed_generators: list[SeedGenerator]
    _trainable: bool = True
    built: bool = False

    @functools.cached_property
    def _tracker(self) -> Tracker:
        self.__dict__.update(
            _trainable_variables=[], _non_trainable_variables=[], _layers=[], _metrics=[], _seed_generators=[]
        )
        own = self.__dict__
        return Tracker(
            {
                "trainable_variables": (
                    lambda x: isinstance(x, Variable) and x.trainable,
                    own["_trainable_variables"],
                ),
                "non_trainable_variables": (
                    lambda x: (
                        isinstance(x, Variable) and not any(v is x for v in own["_trainable_variables"])
                    ),
                    own["_non_trainable_variables"],
                ),
                "metrics": (lambda x: getattr(x, "_is_metric", False), own["_metrics"]),
                "layers": (lambda x: isinstance(x, Owner), own["_layers"]),
                "seed_generators": (lambda x: isinstance(x, SeedGenerator), own["_seed_generators"]),
            }
        )

    def __setattr__(self, name: str, value: Any) -> None:
        seen = name != "_tracker" and type(value) not in PLAIN and name not in _UNTRACKED
        if seen and not isinstance(getattr(type(self), name, None), property):
            value = self._tracker.track(value)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._tracker.untrack(self.__dict__.get(name))
        object.__delattr__(self, name)

    def _check_super_called(self) -> None:
        raise NotImplementedError

    def _open_name_scope(self) -> scope.name_scope:
        raise NotImplementedError

    @property
    def variable_dtype(self) -> str:
        """The type of the weights."""
        raise NotImplementedError

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        *,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Make a weight and take it into the layer.

        Args:
            shape: A closed shape; ``()`` when ``None``.
            initializer: An initializer or its name; Glorot uniform for floats, zeros else.
            dtype: The type of its values; the layer's variable type when ``None``.
            trainable: Whether training changes it.
            autocast: Whether it reads in the compute type.
            regularizer: A regularizer or its name.
            constraint: A constraint or its name.
            aggregation: How replicas combine.
            overwrite_with_gradient: Whether the optimizer replaces it by its gradient.
            name: The last part of its path.

        Raises:
            InvalidArgument: If the shape is open or a name is passed in its place.
        """
        self._check_super_called()
        if isinstance(shape, str):
            raise InvalidArgument(f"Pass the name as a keyword: add_weight(shape=..., name={shape!r}).")
        dtype = self.variable_dtype if dtype is None else standardize_dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if is_float_dtype(dtype) else "zeros"
        with self._open_name_scope():
            variable = Variable(
                resolve(INITIALIZERS, initializer),
                shape=() if shape is None else shape,
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        variable.regularizer = resolve(REGULARIZERS, regularizer)
        variable.constraint = resolve(CONSTRAINTS, constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._tracker.track(variable)
        if not self._trainable:
            variable.trainable = False
        return variable

    add_variable = add_weight

    def _own_variables(self) -> list[Variable]:
        self._check_super_called()
        return [*self._trainable_variables, *self._non_trainable_variables]

    @property
    def variables(self) -> list[Variable]:
        """All variables, those of seed generators included."""
        own = [*self._own_variables(), *(g.state for g in self._seed_generators)]
        return _unique([*own, *(v for child in self._layers for v in child.variables)])

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that training changes."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that training does not change by gradients."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def weights(self) -> list[Variable]:
        """All variables but the states of seed generators."""
        return _unique([*self._own_variables(), *(v for child in self._layers for v in child.weights)])

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training does not change by gradients."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def metrics(self) -> list[Any]:
        """The metrics of this layer and the layers in it."""
        return [*self._metrics, *(m for child in self._layers for m in child.metrics)]

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of the metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets the layers inside too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._trainable_variables:
            variable.trainable = self._trainable
        for child in self._layers:
            child.trainable = self._trainable

    def get_weights(self) -> list[np.ndarray]:
        """Return the values of ``weights``."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Set the values of ``weights``.

        Raises:
            ShapeMismatch: If their number or a shape does not fit.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ShapeMismatch(
                f"You called `set_weights(weights)` on layer {self.name!r} with a weight list of length "
                f"{len(weights)}, but the layer was expecting {len(own)} weights."
            )
        for variable, value in zip(own, weights, strict=True):
            if variable.shape != np.shape(value):
                raise ShapeMismatch(
                    f"Layer {self.name} weight shape {variable.shape} is not compatible with provided weight "
                    f"shape {np.shape(value)}."
                )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """Return the number of values in the weights.

        Raises:
            InvalidArgument: If the layer is not built.
        """
        if not self.built:
            raise InvalidArgument(
                f"You tried to call `count_params` on layer {self.name!r}, but the layer isn't built. "
                "You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(v.size for v in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Put the values of this layer's own variables into ``store`` by their number."""
        for index, variable in enumerate(self._own_variables()):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Set this layer's own variables from ``store``.

        Raises:
            ShapeMismatch: If ``store`` has another number of variables.
        """
        own = self._own_variables()
        self._check_number(store, own)
        for index, variable in enumerate(own):
            variable.assign(store[str(index)])

    def _check_number(self, store: Any, own: list[Variable]) -> None:
        if len(store) != len(own):
            hint = "" if self.built else " The layer was never built, and thus it doesn't have any variables."
            raise ShapeMismatch(
                f"Layer {self.name!r} expected {len(own)} variables, but received {len(store)} variables during "
                f"loading. Expected: {[v.name for v in own]}.{hint}"
            )


def _unique(variables: list[Variable]) -> list[Variable]:
    return list({id(v): v for v in variables}.values())
