"""What a layer demands of its inputs: rank, dtype and the sizes of certain axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.shapes import public_shape
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch


class InputSpec:
    """Demands on one input; ``None`` demands nothing.

    Args:
        dtype: The type of its values.
        shape: Its sizes; ``None`` for any.
        ndim: Its rank.
        max_ndim: The highest rank.
        min_ndim: The lowest rank.
        axes: Sizes by axis.
        allow_last_axis_squeeze: Whether a last axis of size 1 may be missing or extra.
        name: Its key in a dict of inputs.
        optional: Whether ``None`` may come instead.

    Example:

    >>> InputSpec(min_ndim=2, axes={-1: 16})
    InputSpec(min_ndim=2, axes={-1: 16})
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = None if dtype is None else standardize_dtype(dtype)
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = dict(axes or {})
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this spec again."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """Make a spec from what ``get_config`` returned.

        >>> InputSpec.from_config(InputSpec(ndim=2, axes={-1: 3}).get_config())
        InputSpec(ndim=2, axes={-1: 3})
        """
        return cls(**config)

    def __repr__(self) -> str:
        given = {key: value for key, value in vars(self).items() if value}
        return f"InputSpec({', '.join(f'{key}={value}' for key, value in given.items())})"


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Check inputs against their specs.

    Raises:
        ShapeMismatch: With the layer, what it expects and what arrived.
    """
    if not input_spec:
        return
    specs = tree.flatten(input_spec)
    if isinstance(inputs, Mapping) and all(spec.name for spec in specs):
        missing = [spec.name for spec in specs if spec.name not in inputs]
        if missing:
            raise ShapeMismatch(
                f"Missing data for input {missing[0]!r}. You passed a data dictionary with keys "
                f"{list(inputs)}. Expected the following keys: {[spec.name for spec in specs]}"
            )
        inputs = [inputs[spec.name] for spec in specs]
    flat = tree.flatten(inputs)
    if len(flat) != len(specs):
        raise ShapeMismatch(
            f"Layer {layer_name!r} expects {len(specs)} input(s), but it received {len(flat)} input tensors. "
            f"Shapes received: {[getattr(x, 'shape', x) for x in flat]}"
        )
    for index, (x, spec) in enumerate(zip(flat, specs, strict=True)):
        if spec is not None and not (x is None and spec.optional):
            _check(spec, x, index, layer_name)


def _check(spec: InputSpec, x: Any, index: int, layer_name: str) -> None:
    if not hasattr(x, "shape"):
        raise InvalidArgument(
            f"Inputs to a layer should be tensors. Got {x!r} (of type {type(x)}) as input for layer {layer_name!r}."
        )
    shape = public_shape(x.shape)
    problem = _rank_problem(spec, shape) or _size_problem(spec, shape)
    if not problem and spec.dtype is not None and standardize_dtype(x.dtype) != spec.dtype:
        problem = f"expected dtype={spec.dtype}, found dtype={standardize_dtype(x.dtype)}"
    if problem:
        which = f"Input {index}" + (f" with name {spec.name!r}" if spec.name else "")
        raise ShapeMismatch(
            f"{which} of layer {layer_name!r} is incompatible with the layer: {problem}. Full shape received: {shape}"
        )


def _rank_problem(spec: InputSpec, shape: tuple[Any, ...]) -> str | None:
    rank = len(shape)
    if spec.ndim is not None and not spec.allow_last_axis_squeeze and rank != spec.ndim:
        return f"expected ndim={spec.ndim}, found ndim={rank}"
    if spec.max_ndim is not None and rank > spec.max_ndim:
        return f"expected max_ndim={spec.max_ndim}, found ndim={rank}"
    if spec.min_ndim is not None and rank < spec.min_ndim:
        return f"expected min_ndim={spec.min_ndim}, found ndim={rank}"
    return None


def _size_problem(spec: InputSpec, shape: tuple[Any, ...]) -> str | None:
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            return f"expected axis {axis} of input shape to have value {size}, but received input with shape {shape}"
    if spec.shape is None:
        return None
    wanted, found = spec.shape, shape
    if spec.allow_last_axis_squeeze:
        wanted, found = (s[:-1] if s and s[-1] == 1 else s for s in (wanted, found))
    for want, have in zip(wanted, found, strict=False):
        if want is not None and have is not None and want != have:
            return f"expected shape={spec.shape}, found shape={shape}"
    return None
