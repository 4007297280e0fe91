"""``%%layer --try``: a new layer on random data, its gradients held against finite differences."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.assembly.dimensions import symbolic_shape
from kerasmagic.core import tree
from kerasmagic.core.scope import StatelessScope
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.language.resolved import ResolvedLayer

_STEPS = (1e-3, 1e-4)
_TOLERANCE = 0.05
_DIRECTIONS = 3
_ROUNDING = 8 * float(np.finfo("float32").eps)


@dataclasses.dataclass(frozen=True)
class WeightRow:
    """A weight: its shape in the names of the definition and in numbers."""

    name: str
    symbolic: str
    shape: tuple[int, ...]
    trainable: bool


@dataclasses.dataclass(frozen=True)
class GradientRow:
    """What a directional derivative is by differentiation and by finite differences."""

    name: str
    exact: float
    measured: float
    noise: float = 0.0
    """How far rounding alone may put ``measured`` off."""

    @property
    def distance(self) -> float:
        """How far the two are apart beyond what rounding explains."""
        return max(abs(self.exact - self.measured) - self.noise, 0.0)

    @property
    def agrees(self) -> bool:
        scale = max(abs(self.exact), abs(self.measured), 1e-2)
        return bool(np.isfinite(self.exact)) and self.distance <= _TOLERANCE * scale


@dataclasses.dataclass(frozen=True)
class Trial:
    """What happened when a layer was run once.

    Attributes:
        name: The layer.
        inputs: The shapes that flowed in.
        outputs: The shapes that came out.
        weights: Its weights.
        gradients: One row for each input and trainable weight that a float comes out of.
        seconds: How long the second call took, once compiled.
        finite: Whether every number that came out is finite.
    """

    name: str
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    weights: tuple[WeightRow, ...]
    gradients: tuple[GradientRow, ...]
    seconds: float
    finite: bool


def try_layer(cls: Any, shapes: Sequence[tuple[int, ...]], seed: int = 0) -> Trial:
    """Run a layer that ``%%layer`` made on random data.

    Args:
        cls: The class; its parameters must have defaults.
        shapes: The shape of each input, batch included.
        seed: Seeds the data.

    Raises:
        InvalidArgument: If a parameter has no default.
        ShapeMismatch: If the number of shapes or a shape does not fit.

    Example:

    >>> from kerasmagic.assembly import define_layer
    >>> cls = define_layer("Linear(units=3)", "input (..., n)\\nweight kernel (n, units)\\nx @ kernel")
    >>> trial = try_layer(cls, [(4, 5)])
    >>> trial.outputs, trial.weights[0].symbolic, all(row.agrees for row in trial.gradients)
    (((4, 3),), '(n, units)', True)
    """
    definition: ResolvedLayer = cls.definition
    needed = [p.name for p in definition.parameters if p.required]
    if needed:
        raise InvalidArgument(f"To try {cls.__name__}, give {', '.join(needed)} a default.")
    if len(shapes) != len(definition.inputs):
        raise ShapeMismatch(
            f"{cls.__name__} has {_counted(len(definition.inputs), 'input')}; "
            f"{_counted(len(shapes), 'shape')} {'is' if len(shapes) == 1 else 'are'} given."
        )
    rng = np.random.default_rng(seed)
    data = [jnp.asarray(rng.normal(size=shape), "float32") for shape in shapes]
    layer = cls()
    outputs = tree.flatten(layer(*data))
    function, values, names = _pure(layer, data)
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(values))
    start = time.perf_counter()
    jax.block_until_ready(compiled(values))
    seconds = time.perf_counter() - start
    return Trial(
        name=cls.__name__,
        inputs=tuple(map(tuple, shapes)),
        outputs=tuple(tuple(y.shape) for y in outputs),
        weights=_weights(layer, definition),
        gradients=_gradients(compiled, values, names, rng),
        seconds=seconds,
        finite=all(bool(jnp.all(jnp.isfinite(y))) for y in outputs if jnp.issubdtype(y.dtype, jnp.floating)),
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _pure(layer: Any, data: list[Any]) -> tuple[Any, list[Any], list[str]]:
    """Return the layer as a function from inputs and trainable weights to an array whose sum is a scalar loss."""
    variables = list(layer.trainable_variables)
    others = [v for v in layer.variables if all(v is not t for t in variables)]
    fixed = [v.value for v in others]
    count = len(data)

    def function(values: list[Any]) -> Any:
        mapping = [*zip(variables, values[count:], strict=True), *zip(others, fixed, strict=True)]
        with StatelessScope(mapping):
            outputs = tree.flatten(layer(*values[:count], training=False))
        floats = [y for y in outputs if jnp.issubdtype(y.dtype, jnp.floating)]
        # Sums of squares tell more than sums, whose gradient normalizing layers hide.
        terms = [(jnp.sin(y) * (1 + y)).ravel().astype("float32") for y in floats]
        return jnp.concatenate([*terms, jnp.zeros((1,))])

    inputs = [line.name or "x" for line in type(layer).definition.inputs]
    own = {id(getattr(layer, w.name)): w.name for w in type(layer).definition.weights}
    names = [*inputs, *(own.get(id(v), v.path) for v in variables)]
    return function, [*data, *(v.value for v in variables)], names


def _gradients(function: Any, values: list[Any], names: list[str], rng: Any) -> tuple[GradientRow, ...]:
    exact = jax.jit(jax.grad(lambda values: jnp.sum(function(values))))(values)
    rows = []
    for i, name in enumerate(names):
        # Along the gradient the change is largest, and rounding hides it least.
        tried = [exact[i], *(rng.normal(size=values[i].shape) for _ in range(_DIRECTIONS))]
        found = []
        for direction in tried:
            # A kink within the step, as that of 'relu', is no mistake: a shorter one misses it.
            steps = (_along(function, values, i, exact[i], direction, name, step) for step in _STEPS)
            row = next(steps)
            found.append(row if row.agrees else min([row, *steps], key=lambda row: row.distance))
        rows.append(max(found, key=lambda row: (not row.agrees, row.distance)))
    return tuple(rows)


def _along(
    function: Any, values: list[Any], i: int, gradient: Any, direction: Any, name: str, step: float
) -> GradientRow:
    """Return the derivative along one direction of one of the values, computed both ways."""
    direction = jnp.asarray(direction, values[i].dtype)
    direction = direction / jnp.maximum(jnp.linalg.norm(direction.ravel()), 1e-12)
    step *= float(jnp.maximum(1.0, jnp.linalg.norm(values[i].ravel())))
    low, high = (
        np.asarray(function([*values[:i], values[i] + s * step * direction, *values[i + 1 :]]), "float64")
        for s in (-1, 1)
    )
    # The terms are rounded one by one; they are summed up without more of that.
    noise = _ROUNDING * float(np.linalg.norm(high)) / step
    measured = float(np.sum(high - low)) / (2 * step)
    return GradientRow(name, float(jnp.vdot(gradient, direction)), measured, noise)


def _weights(layer: Any, definition: ResolvedLayer) -> tuple[WeightRow, ...]:
    own = {id(getattr(layer, w.name)): symbolic_shape(w.shape) for w in definition.weights}
    names: dict[int, str] = {id(getattr(layer, w.name)): w.name for w in definition.weights}
    return tuple(
        WeightRow(names.get(id(v)) or str(v.path), own.get(id(v), ""), tuple(v.shape), bool(v.trainable))
        for v in layer.weights
    )
