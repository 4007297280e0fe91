"""Operations on each element, or on each pair of elements: ``keras.ops.sin``, ``add``, ``where``."""
# ruff: noqa: A001

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.core.symbolic import KerasTensor, operation
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument
from kerasmagic.ops.forms import (
    as_array,
    as_arrays,
    binary,
    bitwise,
    floats,
    open_size,
    sized_by_values,
    unary,
)

__all__ = ["abs", "absolute", "add", "angle", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2"]
__all__ += ["arctanh", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or"]
__all__ += ["bitwise_right_shift", "bitwise_xor", "cbrt", "ceil", "clip", "conj", "conjugate", "copy", "cos"]
__all__ += ["cosh", "deg2rad", "divide", "divide_no_nan", "equal", "exp", "exp2", "expm1", "fabs", "floor"]
__all__ += ["floor_divide", "fmax", "fmin", "fmod", "gcd", "greater", "greater_equal", "heaviside", "hypot"]
__all__ += ["i0", "imag", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal"]
__all__ += ["lcm", "ldexp", "left_shift", "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp"]
__all__ += ["logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum"]
__all__ += ["mod", "multiply", "nan_to_num", "negative", "nextafter", "not_equal", "power", "rad2deg", "real"]
__all__ += ["reciprocal", "right_shift", "round", "select", "sign", "signbit", "sin", "sinc", "sinh", "sqrt"]
__all__ += ["square", "subtract", "tan", "tanh", "true_divide", "trunc", "view", "where"]

abs = absolute = unary("absolute", jnp.absolute, "the absolute value of each element")
angle = unary("angle", jnp.angle, "the angle of each complex number, in radians", floats)
arccos = unary("arccos", jnp.arccos, "the inverse cosine of each element", floats)
arccosh = unary("arccosh", jnp.arccosh, "the inverse hyperbolic cosine of each element", floats)
arcsin = unary("arcsin", jnp.arcsin, "the inverse sine of each element", floats)
arcsinh = unary("arcsinh", jnp.arcsinh, "the inverse hyperbolic sine of each element", floats)
arctan = unary("arctan", jnp.arctan, "the inverse tangent of each element", floats)
arctanh = unary("arctanh", jnp.arctanh, "the inverse hyperbolic tangent of each element", floats)
bitwise_invert = bitwise_not = unary("bitwise_invert", jnp.invert, "the bits of each integer turned over")
cbrt = unary("cbrt", jnp.cbrt, "the cube root of each element")
ceil = unary("ceil", jnp.ceil, "the least whole number not below each element", floats)
conj = conjugate = unary("conjugate", jnp.conjugate, "the complex conjugate of each element")
copy = unary("copy", jnp.copy, "a copy of the array")
cos = unary("cos", jnp.cos, "the cosine of each element", floats)
cosh = unary("cosh", jnp.cosh, "the hyperbolic cosine of each element", floats)
deg2rad = unary("deg2rad", jnp.deg2rad, "each angle in radians instead of degrees")
exp = unary("exp", jnp.exp, "e to the power of each element", floats)
exp2 = unary("exp2", jnp.exp2, "2 to the power of each element", floats)
expm1 = unary("expm1", jnp.expm1, "``exp(x) - 1``, exact near 0", floats)
floor = unary("floor", jnp.floor, "the greatest whole number not above each element", floats)
i0 = unary("i0", jnp.i0, "the modified Bessel function of the first kind, of order 0", floats)
imag = unary("imag", jnp.imag, "the imaginary part of each element")
isfinite = unary("isfinite", jnp.isfinite, "whether each element is neither infinite nor NaN")
isinf = unary("isinf", jnp.isinf, "whether each element is infinite")
isnan = unary("isnan", jnp.isnan, "whether each element is NaN")
isneginf = unary("isneginf", jnp.isneginf, "whether each element is minus infinity")
isposinf = unary("isposinf", jnp.isposinf, "whether each element is plus infinity")
isreal = unary("isreal", jnp.isreal, "whether the imaginary part of each element is 0")
log = unary("log", jnp.log, "the natural logarithm of each element", floats)
log10 = unary("log10", jnp.log10, "the logarithm to base 10 of each element", floats)
log1p = unary("log1p", jnp.log1p, "``log(1 + x)``, exact near 0", floats)
log2 = unary("log2", jnp.log2, "the logarithm to base 2 of each element", floats)
logical_not = unary("logical_not", jnp.logical_not, "whether each element is false")
negative = unary("negative", jnp.negative, "each element with the other sign")
rad2deg = unary("rad2deg", jnp.rad2deg, "each angle in degrees instead of radians")
real = unary("real", jnp.real, "the real part of each element")
reciprocal = unary("reciprocal", jnp.reciprocal, "``1 / x``")
sign = unary("sign", jnp.sign, "-1, 0 or 1: the sign of each element")
signbit = unary("signbit", jnp.signbit, "whether each element has its sign bit set; -0.0 has")
sin = unary("sin", jnp.sin, "the sine of each element", floats)
sinc = unary("sinc", jnp.sinc, "``sin(pi x) / (pi x)``, 1 at 0", floats)
sinh = unary("sinh", jnp.sinh, "the hyperbolic sine of each element", floats)
sqrt = unary("sqrt", jnp.sqrt, "the square root of each element", floats)
square = unary("square", jnp.square, "the square of each element")
tan = unary("tan", jnp.tan, "the tangent of each element", floats)
tanh = unary("tanh", jnp.tanh, "the hyperbolic tangent of each element", floats)

add = binary("add", jnp.add, "``x1 + x2``")
arctan2 = binary("arctan2", jnp.arctan2, "the angle of the point ``(x2, x1)``, in radians")
divide = true_divide = binary("divide", jnp.divide, "``x1 / x2``")
equal = binary("equal", jnp.equal, "``x1 == x2``")
floor_divide = binary("floor_divide", jnp.floor_divide, "``x1 // x2``")
fmax = binary("fmax", jnp.fmax, "the larger of two elements, of a NaN the other one")
fmin = binary("fmin", jnp.fmin, "the smaller of two elements, of a NaN the other one")
fmod = binary("fmod", jnp.fmod, "the rest of a division, with the sign of ``x1``")
gcd = binary("gcd", jnp.gcd, "the greatest common divisor of two integers")
greater = binary("greater", jnp.greater, "``x1 > x2``")
greater_equal = binary("greater_equal", jnp.greater_equal, "``x1 >= x2``")
heaviside = binary("heaviside", jnp.heaviside, "0 for ``x1 < 0``, 1 for ``x1 > 0``, ``x2`` for 0")
hypot = binary("hypot", jnp.hypot, "``sqrt(x1**2 + x2**2)``")
lcm = binary("lcm", jnp.lcm, "the least common multiple of two integers")
less = binary("less", jnp.less, "``x1 < x2``")
less_equal = binary("less_equal", jnp.less_equal, "``x1 <= x2``")
logaddexp = binary("logaddexp", jnp.logaddexp, "``log(exp(x1) + exp(x2))``")
logaddexp2 = binary("logaddexp2", jnp.logaddexp2, "``log2(2**x1 + 2**x2)``")
logical_and = binary("logical_and", jnp.logical_and, "whether both elements are true")
logical_or = binary("logical_or", jnp.logical_or, "whether one of two elements is true, or both are")
logical_xor = binary("logical_xor", jnp.logical_xor, "whether exactly one of two elements is true")
maximum = binary("maximum", jnp.maximum, "the larger of two elements")
minimum = binary("minimum", jnp.minimum, "the smaller of two elements")
mod = binary("mod", jnp.mod, "the rest of a division, with the sign of ``x2``")
multiply = binary("multiply", jnp.multiply, "``x1 * x2``")
nextafter = binary("nextafter", jnp.nextafter, "the next number after ``x1`` towards ``x2``")
not_equal = binary("not_equal", jnp.not_equal, "``x1 != x2``")
power = binary("power", jnp.power, "``x1 ** x2``")
subtract = binary("subtract", jnp.subtract, "``x1 - x2``")

bitwise_and = bitwise("bitwise_and", jnp.bitwise_and, "the bits that both integers have")
bitwise_or = bitwise("bitwise_or", jnp.bitwise_or, "the bits that one of two integers has, or both have")
bitwise_xor = bitwise("bitwise_xor", jnp.bitwise_xor, "the bits that exactly one of two integers has")
bitwise_left_shift = left_shift = bitwise("bitwise_left_shift", jnp.left_shift, "``x * 2**y``")
bitwise_right_shift = right_shift = bitwise("bitwise_right_shift", jnp.right_shift, "``x // 2**y``")


@operation
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Return ``x``, nowhere below ``x_min`` or above ``x_max``; booleans become integers.

    >>> clip([1.0, 5.0, 9.0], 2, 8).tolist()
    [2.0, 5.0, 8.0]
    """
    x = as_array(x)
    return jnp.clip(x.astype("int32") if x.dtype == bool else x, as_array(x_min), as_array(x_max))


@operation
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """Return ``x1 / x2``, and 0 where ``x2`` is 0; its gradient is 0 there too.

    >>> divide_no_nan([1.0, 6.0], [0.0, 2.0]).tolist()
    [0.0, 3.0]
    """
    x1, x2 = as_array(x1), as_array(x2)
    # The inner `where` keeps the infinite slope at 0 out of the gradient.
    return jnp.where(x2 == 0, 0, jnp.divide(x1, jnp.where(x2 == 0, 1, x2)))


@operation
def fabs(x: Any) -> Any:
    """Return the absolute value of each element as a float.

    Raises:
        UnexpectedArgument: If ``x`` is complex.
    """
    x = as_array(x)
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise UnexpectedArgument(f"fabs does not support complex inputs. Received: x.dtype={x.dtype}")
    return jnp.fabs(x)


@operation
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Return whether ``|x1 - x2| <= atol + rtol * |x2|``, for each pair."""
    return jnp.isclose(as_array(x1), as_array(x2), rtol, atol, equal_nan)


@operation
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Return whether each element of ``x1`` is among those of ``x2``, or is not under ``invert``."""
    return jnp.isin(as_array(x1), as_array(x2), assume_unique=assume_unique, invert=invert)


@operation
def ldexp(x1: Any, x2: Any) -> Any:
    """Return ``x1 * 2**x2``.

    Raises:
        UnexpectedArgument: If ``x2`` is no array of integers.
    """
    exponent = as_array(x2)
    if not jnp.issubdtype(exponent.dtype, jnp.integer):
        raise UnexpectedArgument(
            f"ldexp exponent must be an integer type. Received: x2 dtype={exponent.dtype}"
        )
    return jnp.ldexp(as_array(x1), exponent)


@operation
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """Return ``x`` with numbers in place of NaN and the infinities; ``None`` is the largest finite one."""
    return jnp.nan_to_num(as_array(x), nan=nan, posinf=posinf, neginf=neginf)


@operation
def round(x: Any, decimals: int = 0) -> Any:
    """Return the nearest number with so many decimals, of two the even one.

    >>> round(1250, -2).item(), round(2.5).item()
    (1200, 2.0)
    """
    x = as_array(x)
    if decimals < 0 and jnp.issubdtype(x.dtype, jnp.integer):
        return (jnp.round(floats(x) * 10.0**decimals) / 10.0**decimals).astype(x.dtype)
    return jnp.round(x, decimals)


@operation
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Return elements of the first choice whose condition holds, or ``default``.

    Raises:
        InvalidArgument: If one of the lists is empty or no list.

    >>> x = jnp.arange(4)
    >>> select([x < 1, x > 2], [x + 10, x * 10], -1).tolist()
    [10, -1, -1, 30]
    """
    if not all(isinstance(each, (list, tuple)) and each for each in (condlist, choicelist)):
        raise InvalidArgument(
            "`condlist` and `choicelist` must be lists, and not empty. "
            f"Received: condlist={condlist}, choicelist={choicelist}"
        )
    return jnp.select(as_arrays(condlist), as_arrays(choicelist), as_array(default))


@operation
def trunc(x: Any) -> Any:
    """Return the whole part of each element; integers stay what they are."""
    x = as_array(x)
    return jnp.trunc(x) if jnp.issubdtype(x.dtype, jnp.inexact) else x


@operation
def view(x: Any, dtype: Any = None) -> Any:
    """Return the same bytes read as another type; the last axis grows or shrinks with the size of a number."""
    return as_array(x).view(dtype=dtype)


def _positions(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    if x1 is not None or x2 is not None:
        return None
    size = open_size()
    return tuple(KerasTensor((size,), "int32") for _ in condition.shape)


@sized_by_values(_positions)
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Return ``x1`` where the condition holds, else ``x2``; without them what ``nonzero`` does.

    Raises:
        InvalidArgument: If one of ``x1`` and ``x2`` is given without the other.
    """
    if (x1 is None) != (x2 is None):
        raise InvalidArgument(
            "`x1` and `x2` either both should be `None` or both should have non-None value."
        )
    if x1 is None:
        return jnp.where(as_array(condition))
    return jnp.where(as_array(condition), as_array(x1), as_array(x2))
