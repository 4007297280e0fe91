"""Layers that can keep their large weight in few bits: ``layer.quantize("int8")``."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from kerasmagic.core import dtype_policy
from kerasmagic.core.dtype_policy import Int4DTypePolicy, QuantizedFloat8DTypePolicy
from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import LAYERS, QUANTIZERS
from kerasmagic.layers.kernel import Kernel, KernelLayer, LowRankKernel
from kerasmagic.layers.quantized_kernel import Float8Kernel, Int4Kernel, Int8Kernel, Layout
from kerasmagic.numerics.quantized import group_indices
from kerasmagic.quantizers.base import AbsMaxQuantizer
from kerasmagic.quantizers.configs import Int4QuantizationConfig, QuantizationConfig, resolve_config


class QuantizableLayer(KernelLayer):
    """A layer whose kernel can be quantized; a subclass says in ``quantized_layout`` how the kernel lies.

    Args:
        quantization_config: What weights and activations are quantized by, where the dtype policy asks for it.
        kwargs: As of every layer around one kernel.
    """

    quantization_modes: ClassVar[tuple[str, ...]] = ("int8", "int4", "float8")
    int4_inputs_quantizer: ClassVar[AbsMaxQuantizer | None] = None
    """What quantizes the inputs of 4-bit products where no config says it."""

    g_idx: Variable

    def __init__(self, *, quantization_config: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(quantization_config, dict):
            address = {"module": QUANTIZERS.module, "registered_name": None, **quantization_config}
            quantization_config = deserialize_keras_object(address)
        self.quantization_config = quantization_config

    def quantized_layout(self, shape: tuple[int, ...]) -> Layout:
        """Return how a kernel of this shape lies."""
        raise NotImplementedError

    def make_kernel(self, shape: tuple[int, ...], initializer: Any = None) -> None:
        mode = self.quantization_mode
        if mode is None:
            super().make_kernel(shape, initializer)
            return
        self._check_mode(mode)
        if mode == "float8":
            statistics = self._float8_statistics()
            super().make_kernel(shape, initializer)
            self._form = Float8Kernel(self.form.variable, *statistics)
        else:
            self._form = self._integers(mode, self.kernel_name, self.quantized_layout(shape))

    def _check_mode(self, mode: str) -> None:
        if mode not in self.quantization_modes:
            raise NotImplementedError(
                f"Invalid quantization mode. Expected one of {self.quantization_modes}. "
                f"Received: quantization_mode={mode}"
            )

    # Variables

    def _extra(self, name: str, shape: tuple[int, ...], **options: Any) -> Variable:
        variable = self.add_weight(name=name, shape=shape, **{"trainable": False, **options})
        setattr(self, name, variable)
        return variable

    def _integers(self, mode: str, name: str, layout: Layout) -> Int8Kernel | Int4Kernel:
        make = self._int8 if mode == "int8" else self._int4
        return make(name, layout)

    def _quantizers(self, default_inputs: AbsMaxQuantizer | None) -> tuple[Any, Any]:
        config = self.quantization_config
        return (
            QuantizationConfig.weight_quantizer_or_default(config, None),
            QuantizationConfig.activation_quantizer_or_default(config, default_inputs),
        )

    def _int8(self, name: str, layout: Layout) -> Int8Kernel:
        values = self.add_weight(
            name=name, shape=layout.shape, initializer="zeros", dtype="int8", trainable=False
        )
        scale = self._extra(f"{name}_scale", layout.scale_shape, initializer="ones")
        return Int8Kernel(values, scale, layout, self._quantizers(AbsMaxQuantizer()), self.compute_dtype)

    def _int4(self, name: str, layout: Layout) -> Int4Kernel:
        block = self._block_size()
        packed = list(layout.matrix)
        packed[layout.packed_axis] = (packed[layout.packed_axis] + 1) // 2
        values = self.add_weight(
            name=name, shape=tuple(packed), initializer="zeros", dtype="int8", trainable=False
        )
        size = layout.matrix[layout.group_axis]
        scale_shape = list(layout.matrix)
        if block is None:
            del scale_shape[layout.group_axis]
        else:
            scale_shape[layout.group_axis] = math.ceil(size / block)
        scale = self._extra(f"{name}_scale", tuple(scale_shape), initializer="ones")
        form = Int4Kernel(
            values,
            scale,
            layout,
            self._quantizers(self.int4_inputs_quantizer),
            self.compute_dtype,
            block_size=block,
        )
        if block is not None:
            self._add_groups(form, name, size, block)
        return form

    def _add_groups(self, form: Int4Kernel, name: str, size: int, block: int) -> None:
        """Make the zero points; the second kernel of a layer is in the groups of the first."""
        form.owns_groups = name == self.kernel_name
        dtype = "int8" if form.owns_groups else None
        form.zero = self._extra(f"{name}_zero", form.scale.shape, initializer="zeros", dtype=dtype)
        if form.owns_groups:
            # In 16 bits the number of a group would be rounded.
            self._extra(
                "g_idx",
                (size,),
                initializer=lambda shape, dtype: group_indices(size, block).astype(dtype),
                dtype="float32",
                autocast=False,
            )
        form.groups = self.g_idx

    def _block_size(self) -> int | None:
        """Return how many 4-bit integers share a scale; ``None`` for all of a column."""
        config, policy = self.quantization_config, self._policy
        block = None
        if isinstance(config, Int4QuantizationConfig):
            block = config.block_size
        elif isinstance(policy, Int4DTypePolicy):
            block = policy.block_size
        return None if block == -1 else block

    def _float8_statistics(self) -> list[tuple[Variable, Variable]]:
        length = getattr(
            self._policy, "amax_history_length", QuantizedFloat8DTypePolicy.default_amax_history_length
        )
        # Trained, since the gradient brings the next value, and in float32 always.
        options = {
            "dtype": "float32",
            "trainable": True,
            "autocast": False,
            "overwrite_with_gradient": True,
        }
        return [
            (
                self._extra(f"{name}_scale", (), initializer="ones", **options),
                self._extra(f"{name}_amax_history", (length,), initializer="zeros", **options),
            )
            for name in ("inputs", "kernel", "outputs_grad")
        ]

    # Quantizing what is there

    @property
    def _is_quantized(self) -> bool:
        return any(form.mode is not None for form in self._plain_forms())

    def quantize(self, mode: Any = None, config: Any = None, *, type_check: bool = True) -> None:
        """Keep the weight in few bits from here on.

        Args:
            mode: ``"int8"``, ``"int4"`` or ``"float8"``; may be ``None`` if there is a config.
            config: A ``QuantizationConfig``.
            type_check: Whether to refuse subclasses, whose ``call`` may not know of quantized weights.

        Raises:
            InvalidArgument: If the layer is not built or is quantized, or the arguments contradict each other.
            NotImplementedError: If the layer has no such mode.

        Example:

        >>> import jax.numpy as jnp
        >>> import kerasmagic as keras
        >>> layer = keras.layers.Dense(4)
        >>> x = jnp.ones((2, 3))
        >>> before = layer(x)
        >>> layer.quantize("int8")
        >>> layer.kernel.dtype, bool(jnp.allclose(layer(x), before, atol=0.05))
        ('int8', True)
        """
        if config is None and mode == "int4" and isinstance(self._policy, Int4DTypePolicy):
            config = Int4QuantizationConfig(block_size=self._policy.block_size)
        config = resolve_config(mode, config)
        self._check_quantize(config.mode)
        if type_check and LAYERS.name_of(type(self)) is None:
            raise NotImplementedError(
                f"Layer {type(self).__name__} does not have a `quantize` method implemented."
            )
        self._check_mode(config.mode)
        self.quantization_config = config
        self._replace_kernels(config.mode)
        if self._policy.quantization_mode is None:
            block = f"/{self._block_size() or -1}" if config.mode == "int4" else ""
            self.dtype_policy = dtype_policy.get(f"{config.mode}{block}_from_{self._policy.name}")

    def _check_quantize(self, mode: str) -> None:
        if not self.built:
            raise InvalidArgument(
                f"Cannot quantize a layer that isn't yet built. Layer '{self.name}' (of type "
                f"'{type(self).__name__}') is not built yet."
            )
        if self._is_quantized:
            raise InvalidArgument(
                f"Layer '{self.name}' is already quantized with dtype_policy='{self.dtype_policy.name}'. "
                f"Received: mode={mode}"
            )
        if mode == "int8" and self.compute_dtype == "float16":
            raise InvalidArgument(
                f"Quantization mode='{mode}' doesn't work well with compute_dtype='float16'. Build the layer "
                f"{self.name!r} with another dtype policy such as 'mixed_bfloat16'."
            )

    def _replace_kernels(self, mode: str) -> None:
        old = self._form
        assert old is not None
        if mode == "float8":
            if isinstance(old, LowRankKernel):
                raise NotImplementedError("float8 quantization does not support lora.")
            self._form = Float8Kernel(old.variable, *self._float8_statistics())
            return
        base = old.base if isinstance(old, LowRankKernel) else old
        new = self._converted(mode, self.kernel_name, base, self.quantized_layout(base.shape))
        if isinstance(old, LowRankKernel):
            old.base = new
            old.variable = new.variable
        else:
            self._form = new

    def _converted(self, mode: str, name: str, old: Kernel, layout: Layout) -> Int8Kernel | Int4Kernel:
        """Return the kernel ``old`` as integers; its variable leaves the layer."""
        floats = old.variable.value
        self._tracker.untrack(old.variable)
        new = self._integers(mode, name, layout)
        for variable, value in zip(new.variables, new.pack(floats), strict=True):
            variable.assign(value)
        return new

    # Files

    def _forms(self) -> list[Kernel]:
        """Return the kernels in the order of files."""
        return [] if self._form is None else [self._form]

    def _plain_forms(self) -> list[Kernel]:
        return [form.base if isinstance(form, LowRankKernel) else form for form in self._forms()]

    def _saved_variables(self) -> list[Variable]:
        forms = self._forms()
        if not forms:
            return super()._saved_variables()
        first, *others = (form.variables for form in forms)
        known = {id(v) for variables in (first, *others) for v in variables}
        known.update(id(v) for v in self._factors())
        # The kernel, what the layer has besides, and then what quantization adds.
        beside = [v for v in self._own_variables() if id(v) not in known]
        return [first[0], *beside, *first[1:], *(v for variables in others for v in variables)]
