"""Dtype policies: in which type a layer keeps its weights and in which it computes."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.dtypes import is_float_dtype, standardize_dtype
from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument
from kerasmagic.foundation.registry import MODELS, POLICIES

QUANTIZATION_MODES = ("int8", "float8", "int4", "gptq", "awq")
_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class DTypePolicy:
    """How a layer stores weights (``variable_dtype``) and computes (``compute_dtype``).

    Args:
        name: A type such as ``"float32"``, or ``"mixed_float16"``/``"mixed_bfloat16"``:
            weights in float32, arithmetic in the 16-bit type. The global policy's when ``None``.

    Raises:
        InvalidArgument: If the name stands for no policy.
        UnexpectedArgument: If it is no string.

    Example:

    >>> policy = DTypePolicy("mixed_bfloat16")
    >>> policy.variable_dtype, policy.compute_dtype
    ('float32', 'bfloat16')
    """

    _quantization_mode: str | None = None

    def __init__(self, name: str | None = None):
        self._name = dtype_policy().name if name is None else name
        self._variable_dtype, self._compute_dtype = _parse(self._name)

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """The type in which weights are stored."""
        return self._variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The type in which the layer computes."""
        return self._compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """The quantization that the policy asks for, if any."""
        return self._quantization_mode

    def convert_input(self, x: Any, autocast: bool, dtype: str) -> Any:
        """Return ``x`` as a tensor; float tensors become ``dtype`` under ``autocast``."""
        target = standardize_dtype(dtype)
        if isinstance(x, KerasTensor):
            if autocast and is_float_dtype(x.dtype) and x.dtype != target:
                return x.with_dtype(target)
            return x
        if isinstance(x, (jax.Array, np.ndarray)) or hasattr(x, "__jax_array__") or hasattr(x, "__array__"):
            return _convert_array(x, autocast, target)
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this policy again."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a policy from what ``get_config`` returned."""
        return cls(**config)

    def _kind(self) -> type:
        """Return the class that equal policies share."""
        return type(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DTypePolicy) or self._kind() is not other._kind():
            return False
        return self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<{self._kind().__name__} "{self.name}">'


class FloatDTypePolicy(DTypePolicy):
    """Another name of ``DTypePolicy``.

    >>> FloatDTypePolicy("float32") == DTypePolicy("float32")
    True
    """

    def _kind(self) -> type:
        return DTypePolicy


def _parse(name: Any) -> tuple[str, str]:
    """Return the types in which a policy of this name stores and computes."""
    if not isinstance(name, str):
        raise UnexpectedArgument(
            f"'name' must be a string, such as 'mixed_float16'. Received: name={name!r} (of type {type(name)})"
        )
    if name in _MIXED:
        return "float32", _MIXED[name]
    try:
        return standardize_dtype(name), standardize_dtype(name)
    except InvalidArgument:
        raise InvalidArgument(
            f"Cannot convert '{name}' to a mixed precision DTypePolicy. Valid policies include 'mixed_float16', "
            "'mixed_bfloat16', and the name of any float dtype such as 'float32'."
        ) from None


def _convert_array(x: Any, autocast: bool, target: str) -> Any:
    if isinstance(x, np.ndarray) and x.dtype.kind in "USO":
        return x
    array = x if isinstance(x, jax.Array) else jnp.asarray(x)
    if autocast and array.dtype != target and jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(target)
    return array


class QuantizedDTypePolicy(DTypePolicy):
    """The policy of a layer whose large weight is kept in a small type.

    Args:
        mode: ``"int8"``, ``"int4"`` or ``"float8"``.
        source_name: The policy of everything else; the global policy when ``None``.

    Raises:
        InvalidArgument: If there is no such mode or policy, or they do not go together.

    Example:

    >>> policy = QuantizedDTypePolicy("int8", "mixed_bfloat16")
    >>> policy.name, policy.quantization_mode, policy.compute_dtype
    ('int8_from_mixed_bfloat16', 'int8', 'bfloat16')
    """

    def __init__(self, mode: str, source_name: str | None = None):
        self._source_name = dtype_policy().name if source_name is None else source_name
        self._variable_dtype, self._compute_dtype = _parse(self._source_name)
        if mode not in QUANTIZATION_MODES:
            raise InvalidArgument(
                f"Invalid quantization mode. Expected one of {QUANTIZATION_MODES}. Received: mode={mode}"
            )
        if self._compute_dtype == "float16" and mode == "int8":
            raise InvalidArgument(
                f"Quantization mode='{mode}' doesn't work well with compute_dtype='float16'."
            )
        self._quantization_mode = mode

    @property
    def _full_mode(self) -> str:
        """The mode with its numbers, as configs and names hold it."""
        return str(self._quantization_mode)

    @property
    def name(self) -> str:
        """The policy's name: mode and source."""
        return f"{self._full_mode}_from_{self._source_name}"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this policy again."""
        return {"mode": self._full_mode, "source_name": self._source_name}


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """The policy of a layer that is trained with products of 8-bit floats.

    Args:
        mode: ``"float8"``.
        source_name: The policy of everything else; the global policy when ``None``.
        amax_history_length: How many past maxima the scale is taken from.

    Raises:
        UnexpectedArgument: If the length is no integer.

    Example:

    >>> QuantizedFloat8DTypePolicy("float8", "float32", amax_history_length=512).amax_history_length
    512
    """

    default_amax_history_length: ClassVar[int] = 1024

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024):
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int):
            raise UnexpectedArgument(
                f"`amax_history_length` must be an integer. Received: amax_history_length={amax_history_length!r}"
            )
        self._amax_history_length = amax_history_length

    @property
    def amax_history_length(self) -> int:
        """How many past maxima the scale is taken from."""
        return self._amax_history_length

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this policy again."""
        return {**super().get_config(), "amax_history_length": self._amax_history_length}


class _NumberedDTypePolicy(QuantizedDTypePolicy):
    """A policy whose mode carries whole numbers: ``"int4/128"``, ``"gptq/4/128"``."""

    kind: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]
    allowed: ClassVar[dict[str, tuple[int, ...]]] = {}

    def __init__(self, mode: str, source_name: str | None = None):
        kind, *numbers = mode.split("/")
        name = type(self).__name__
        wanted = "/".join([self.kind, *(f"<{part}>" for part in self.parts)])
        if kind != self.kind or len(numbers) != len(self.parts):
            raise InvalidArgument(f"Invalid mode for {name}. Expected format '{wanted}', but got '{mode}'.")
        for part, number in zip(self.parts, numbers, strict=True):
            setattr(self, part, self._whole_number(part, number, f"Expected format '{wanted}'", mode))
        self.mode = kind
        super().__init__(kind, source_name)

    def _whole_number(self, part: str, text: str, wanted: str, mode: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise InvalidArgument(
                f"Invalid mode for {type(self).__name__}. <{part}> must be an integer. {wanted}, but got '{mode}'."
            ) from None
        allowed = self.allowed.get(part)
        good = value in allowed if allowed else value == -1 or value > 0
        if not good:
            those = allowed or "-1 (no groups) or a positive integer"
            raise InvalidArgument(
                f"Invalid {part} in mode. Supported values are {those}, but got {value} from '{mode}'."
            )
        return value

    @property
    def _full_mode(self) -> str:
        return "/".join([self.kind, *(str(getattr(self, part)) for part in self.parts)])


class Int4DTypePolicy(_NumberedDTypePolicy):
    """The policy of a layer whose large weight is kept in 4-bit integers.

    Args:
        mode: ``"int4/<block_size>"``: how many rows share a scale; -1 for all of a column.
        source_name: The policy of everything else; the global policy when ``None``.

    Raises:
        InvalidArgument: If the mode has another form.

    Example:

    >>> policy = Int4DTypePolicy("int4/128", "float32")
    >>> policy.block_size, policy.name
    (128, 'int4/128_from_float32')
    """

    kind = "int4"
    parts = ("block_size",)
    block_size: int


class GPTQDTypePolicy(_NumberedDTypePolicy):
    """The policy of a layer whose weight was quantized by GPTQ.

    Args:
        mode: ``"gptq/<weight_bits>/<group_size>"``; 2, 3, 4 or 8 bits, a group size or -1.
        source_name: The policy of everything else; the global policy when ``None``.

    Raises:
        InvalidArgument: If the mode has another form.

    Example:

    >>> GPTQDTypePolicy("gptq/4/128", "float32").weight_bits
    4
    """

    kind = "gptq"
    parts = ("weight_bits", "group_size")
    allowed = {"weight_bits": (2, 3, 4, 8)}
    weight_bits: int
    group_size: int


class AWQDTypePolicy(_NumberedDTypePolicy):
    """The policy of a layer whose weight was quantized by AWQ.

    Args:
        mode: ``"awq/4/<group_size>"``; a group size or -1.
        source_name: The policy of everything else; the global policy when ``None``.

    Raises:
        InvalidArgument: If the mode has another form.

    Example:

    >>> AWQDTypePolicy("awq/4/128", "float32").group_size
    128
    """

    kind = "awq"
    parts = ("weight_bits", "group_size")
    allowed = {"weight_bits": (4,)}
    weight_bits: int
    group_size: int


for _policy in (DTypePolicy, FloatDTypePolicy):
    MODELS.add(_policy)
    POLICIES.add(_policy)
for _policy in (
    QuantizedDTypePolicy,
    QuantizedFloat8DTypePolicy,
    Int4DTypePolicy,
    GPTQDTypePolicy,
    AWQDTypePolicy,
):
    POLICIES.add(_policy)

_global_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """Return the policy that layers take when they are given none."""
    return _global_policy or DTypePolicy(floatx())


def set_dtype_policy(policy: Any) -> None:
    """Set the policy that layers take when they are given none.

    Args:
        policy: A policy or its name.

    Raises:
        InvalidArgument: If it is neither.
    """
    global _global_policy
    if not isinstance(policy, (str, DTypePolicy)):
        raise InvalidArgument(
            "Invalid `policy` argument. Expected the string name of a policy (such as 'mixed_float16') or a "
            f"`DTypePolicy` instance. Received: policy={policy!r} (of type {type(policy)})"
        )
    _global_policy = get(policy)


def get(identifier: Any) -> DTypePolicy:
    """Return the policy that ``identifier`` stands for: a policy, a name, a config or ``None``.

    Raises:
        InvalidArgument: If it stands for none.

    >>> get("float16").compute_dtype, get("int8_from_float32").quantization_mode
    ('float16', 'int8')
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize_keras_object({"module": POLICIES.module, "registered_name": None, **identifier})
    if isinstance(identifier, str):
        quantized = identifier.startswith(QUANTIZATION_MODES)
        return _quantized(identifier) if quantized else DTypePolicy(identifier)
    try:
        return DTypePolicy(standardize_dtype(identifier))
    except InvalidArgument:
        raise InvalidArgument(
            "Cannot interpret `dtype` argument. Expected a string or an instance of DTypePolicy. "
            f"Received: dtype={identifier!r}"
        ) from None


_OF_MODE = {"float8": QuantizedFloat8DTypePolicy, "gptq": GPTQDTypePolicy, "awq": AWQDTypePolicy}


def _quantized(name: str) -> DTypePolicy:
    """Return the policy of a name such as ``"int4/128_from_float32"``."""
    mode, *source = name.split("_from_")
    if len(source) != 1:
        raise InvalidArgument(
            "Cannot convert `policy` into a valid pair (`mode`, `source_name`) to instantiate "
            f"`QuantizedDTypePolicy`. Received: policy={name}"
        )
    kind = mode.split("/")[0]
    if kind == "int4" and "/" in mode:
        return Int4DTypePolicy(mode, source[0])
    return _OF_MODE.get(kind, QuantizedDTypePolicy)(mode, source[0])
