"""How a file names a function that stands in a graph, and what it keeps of its arguments.

Keras has one class per function, ``Mean`` for ``mean``, under private paths; its
constructor takes what is fixed (``axis``), its call what flows (``x``). Both
follow from the function's name and parameters, but for the exceptions below.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import UnexpectedArgument

Function = Callable[..., Any]


class Address(NamedTuple):
    """Where Keras keeps the class of a function."""

    module: str
    class_name: str


_BY_FUNCTION: dict[Any, Address] = {}
_BY_ADDRESS: dict[Address, Function] = {}

# Parameters that what flows is bound to, whatever the function; all others are fixed.
_FLOWING_NAMES = """
    a abs_ angle array axes_lengths b beta bias bins branches choicelist condition condlist
    constant_values coordinates data default depthwise_kernel elements elems end_points f false_fn fun
    gamma image1 image2 images index indices init init_val inputs kernel key kwargs loop_vars mask mean
    offset operands output output_length output_shape pattern pointwise_kernel pred predictions primals
    q query scale segment_ids sequence_lengths sorted_sequence start start_indices start_points step
    stop tangents target target_length targets tensor transform translation true_fn updates value values
    variable variance volumes weights x x1 x2 xs y
"""
_FLOWING = frozenset(_FLOWING_NAMES.split())
# Where a parameter of some function is the other thing.
_FLOWING_HERE = frozenset(
    {("full", "fill_value"), ("full_like", "fill_value"), ("isclose", "rtol"), ("isclose", "atol")}
)
_FIXED_HERE = frozenset(
    {
        ("bincount", "weights"),
        ("diagonal", "offset"),
        ("histogram", "bins"),
        ("squareplus", "b"),
        ("trace", "offset"),
        ("trapezoid", "x"),
        ("layer_normalization", "rms_scaling"),
    }
)

# Classes that are not spelled like their function.
_SPELLED = {
    "allclose": "AllClose",
    "batch_normalization": "BatchNorm",
    "cdist": "CDist",
    "isin": "IsIn",
    "layer_normalization": "LayerNorm",
    "rms_normalization": "RMSNorm",
    "searchsorted": "SearchSorted",
}
_CAPITALS = frozenset(
    {"ctc", "fft", "fft2", "hsv", "ifft2", "irfft", "istft", "jvp", "psnr", "rfft", "rgb", "ssim"}
)
_CAPITALS |= {"stft", "svd"}


def class_name(name: str) -> str:
    """Return how Keras spells the class of a function.

    >>> class_name("expand_dims"), class_name("rgb_to_grayscale"), class_name("isin")
    ('ExpandDims', 'RGBToGrayscale', 'IsIn')
    """
    if name in _SPELLED:
        return _SPELLED[name]
    return "".join(part.upper() if part in _CAPITALS else part.capitalize() for part in name.split("_"))


def place(function: Function, module: str, name: str | None = None, reads: bool = True) -> None:
    """Say that files name ``function`` by ``module`` and the class ``name``.

    Args:
        function: A function that takes symbolic tensors.
        module: The module where Keras has the class.
        name: The class; from the function's name when ``None``.
        reads: Whether it is also what that name in a file stands for.
    """
    address = Address(module, name or class_name(function.__name__))
    _BY_FUNCTION[function] = address
    if reads:
        _BY_ADDRESS[address] = function


def address_of(function: Any) -> Address | None:
    """Return how files name ``function``; ``None`` where they cannot."""
    return _BY_FUNCTION.get(function)


def function_at(module: Any, name: Any) -> Function | None:
    """Return the function that files name so."""
    known = isinstance(module, str) and isinstance(name, str)
    return _BY_ADDRESS.get(Address(module, name)) if known else None


def function_named(name: Any) -> Function | None:
    """Return the function whose class has this name, in whatever module."""
    return next((function for address, function in _BY_ADDRESS.items() if address.class_name == name), None)


@functools.lru_cache(maxsize=1024)
def _signature(function: Function) -> inspect.Signature:
    return inspect.signature(function)


def is_fixed(function: Function, parameter: str) -> bool:
    """Whether a parameter of a function that has an address is fixed when the node is made."""
    here = (function.__name__, parameter)
    return here in _FIXED_HERE or (parameter not in _FLOWING and here not in _FLOWING_HERE)


class Split(NamedTuple):
    """The arguments of a call: what is fixed by name, and what flows as the call of Keras' class takes it."""

    fixed: dict[str, Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def split(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], flows: Function) -> Split:
    """Divide the arguments of a call; defaults are filled in.

    Args:
        function: A function that has an address.
        args: The positional arguments.
        kwargs: The keyword arguments.
        flows: Whether a value holds something symbolic: then it flows whatever its name.

    Raises:
        TypeError: If the function does not take such arguments.
    """
    bound = _signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    result = Split({}, (), {})
    for parameter in bound.signature.parameters.values():
        name, value = parameter.name, bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            result = result._replace(args=(*result.args, *value))
        elif parameter.kind is parameter.VAR_KEYWORD:
            for key, item in value.items():
                (result.fixed if (function.__name__, key) in _FIXED_HERE else result.kwargs)[key] = item
        elif not is_fixed(function, name):
            result = result._replace(args=(*result.args, value))
        elif flows(value):
            result.kwargs[name] = value
        else:
            result.fixed[name] = _canonical(name, value)
    return result


def _canonical(name: str, value: Any) -> Any:
    if name == "dtype" and value is not None:
        return standardize_dtype(value)
    return standardize_data_format(value) if name == "data_format" else value


def join(
    function: Function, fixed: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that ``split`` divided, or that a file holds, as the function takes them.

    Raises:
        UnexpectedArgument: If there are too few or too many.

    Example:

    >>> def mean(x, axis=None, keepdims=False):
    ...     return x.mean(axis, keepdims=keepdims)
    >>> join(mean, {"axis": 1}, ("tensor",), {})
    (['tensor', 1, False], {})
    """
    given = {**fixed, **kwargs}
    flowing = list(args)
    positional: list[Any] = []
    for parameter in _signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += flowing
            flowing = []
        elif parameter.kind in (parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            break
        elif parameter.name in given:
            positional.append(given.pop(parameter.name))
        elif flowing and not is_fixed(function, parameter.name):
            positional.append(flowing.pop(0))
        elif parameter.default is parameter.empty:
            raise UnexpectedArgument(f"The operation {function.__name__!r} lacks {parameter.name!r}.")
        else:
            positional.append(parameter.default)
    if flowing:
        raise UnexpectedArgument(
            f"The operation {function.__name__!r} is given {len(flowing)} inputs too many."
        )
    return positional, given
