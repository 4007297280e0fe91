"""The one large weight of a layer, in whatever form it is kept.

Layers such as ``Dense`` and ``Embedding`` ask their ``Kernel`` for a product or for rows, and know
nothing of low-rank updates; the quantized forms are in ``quantized_kernel.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from kerasmagic.core.serialization import resolve
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import INITIALIZERS
from kerasmagic.layers.base import LibraryLayer


def _after_one_another(multiply: Callable[..., Any], x: Any, a: Any, b: Any) -> Any:
    return jnp.matmul(multiply(x, a), b)


@dataclasses.dataclass(frozen=True)
class Product:
    """How a layer multiplies its inputs by its kernel.

    Args:
        multiply: From inputs, kernel and the type to add up in to the outputs.
        input_axes: The axes of the inputs that are summed over.
        align: From one scale per row of inputs, 1 along ``input_axes``, to the same along the outputs.
        low_rank: From ``multiply``, inputs and two factors to the outputs for the factors' product as kernel.
    """

    multiply: Callable[..., Any]
    input_axes: tuple[int, ...] = (-1,)
    align: Callable[[Any], Any] = lambda scale: scale
    low_rank: Callable[..., Any] = _after_one_another


class Kernel:
    """A variable that is used as it is.

    Args:
        variable: The weight.
    """

    mode: ClassVar[str | None] = None
    has_low_rank: ClassVar[bool] = True
    """Whether a low-rank update can be trained on top."""

    def __init__(self, variable: Variable):
        self.variable = variable

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight that it stands for."""
        return self.variable.shape

    @property
    def variables(self) -> list[Variable]:
        """All variables it is made of, in the order of files, the one named like the kernel first."""
        return [self.variable]

    @property
    def public(self) -> Any:
        """What the layer shows as its weight: the variable, or an array made from several."""
        return self.variable

    @property
    def value(self) -> Any:
        """The array to compute with, in the compute type."""
        return self.variable.value

    def product(self, product: Product, x: Any, training: bool | None = None) -> Any:
        """Return the product of inputs and kernel."""
        return product.multiply(x, self.value)

    def rows(self, indices: Any) -> Any:
        """Return the rows of the kernel that ``indices`` name, shape ``(*indices.shape, *shape[1:])``."""
        return jnp.take(self.value, indices, axis=0)

    def bias(self, value: Any) -> Any:
        """Return the bias as this form adds it."""
        return value

    def pack(self, floats: Any) -> list[Any]:
        """Return what ``variables`` hold for a kernel of these values."""
        return [floats]

    def merged(self) -> list[Any]:
        """Return what the variables of this kernel without updates hold."""
        return [variable.value for variable in self.variables]


class LowRankKernel(Kernel):
    """A frozen kernel and a trained update of low rank (LoRA): ``kernel + scale * a @ b``.

    Args:
        base: The kernel, shape ``(..., n)``.
        a: Shape ``(..., rank)``.
        b: Shape ``(rank, n)``.
        scale: The factor of the update.
        compute_dtype: The type to compute in.
    """

    def __init__(self, base: Kernel, a: Variable, b: Variable, scale: float, compute_dtype: str):
        super().__init__(base.variable)
        self.base = base
        self.factors = (a, b)
        self.scale = scale
        self.compute_dtype = compute_dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.base.shape

    @property
    def variables(self) -> list[Variable]:
        return self.base.variables

    @property
    def public(self) -> Any:
        return self.value

    def _update(self) -> Any:
        a, b = self.factors
        return self.scale * jnp.matmul(a.value, b.value)

    @property
    def value(self) -> Any:
        return (self.base.value + self._update()).astype(self.compute_dtype)

    def product(self, product: Product, x: Any, training: bool | None = None) -> Any:
        if self.base.mode is None:
            return super().product(product, x, training)
        update = self.scale * product.low_rank(product.multiply, x, *(f.value for f in self.factors))
        return (self.base.product(product, x, training) + update).astype(self.compute_dtype)

    def rows(self, indices: Any) -> Any:
        a, b = self.factors
        update = self.scale * jnp.matmul(jnp.take(a.value, indices, axis=0), b.value)
        return (self.base.rows(indices) + update).astype(self.compute_dtype)

    def merged(self) -> list[Any]:
        return self.base.pack(self.base.value + self._update())


class KernelLayer(LibraryLayer):
    """A layer around one large weight, which can get a low-rank update."""

    kernel_name: ClassVar[str] = "kernel"
    config_omits: ClassVar[frozenset[str]] = frozenset({"lora_rank", "lora_alpha"})

    _form: Kernel | None = None

    def __init__(self, *, lora_rank: int | None = None, lora_alpha: float | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.lora_rank = lora_rank
        self.lora_alpha = lora_rank if lora_alpha is None else lora_alpha
        self.lora_enabled = False

    def make_kernel(self, shape: tuple[int, ...], initializer: Any = None) -> None:
        """Make the weight, with the initializer, regularizer and constraint of its name."""
        name = self.kernel_name
        variable = self.add_weight(
            shape=shape,
            initializer=initializer or getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            name=name,
        )
        self._form = Kernel(variable)

    @property
    def form(self) -> Kernel:
        """The weight in the form it is kept in.

        Raises:
            AttributeError: Before the layer is built.
        """
        if self._form is None:
            raise AttributeError(
                f"You must build the layer {self.name!r} before accessing `{self.kernel_name}`."
            )
        return self._form

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the weight and train an update of low rank instead.

        Args:
            rank: The rank of the update.
            lora_alpha: The update is scaled by ``lora_alpha / rank``; by 1 when ``None``.
            a_initializer: Initial values of the first factor, ``(..., rank)``.
            b_initializer: Initial values of the second factor, ``(rank, n)``.

        Raises:
            InvalidArgument: If the weight has a constraint, is not made yet, or has an update.
            NotImplementedError: If the weight is quantized to 8-bit floats.
        """
        if getattr(self, f"{self.kernel_name}_constraint") is not None:
            raise InvalidArgument(
                f"Lora is incompatible with {self.kernel_name} constraints. In order to enable lora on layer "
                f"{self.name!r}, remove the `{self.kernel_name}_constraint` argument."
            )
        if self._form is None:
            raise InvalidArgument(f"Cannot enable lora on layer {self.name!r}, which isn't yet built.")
        if self.lora_enabled:
            raise InvalidArgument(
                f"lora is already enabled on layer {self.name!r}. This can only be done once."
            )
        base = self._form
        if not base.has_low_rank:
            raise NotImplementedError(f"lora is not supported with {base.mode} quantization.")
        *rows, columns = base.shape
        with self._tracker.unlocked():
            a = self._make_factor("a", (*rows, rank), a_initializer)
            b = self._make_factor("b", (rank, columns), b_initializer)
        base.variable.trainable = False
        self.lora_enabled = True
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha
        self._form = LowRankKernel(base, a, b, self.lora_alpha / rank, self.compute_dtype)

    def _make_factor(self, letter: str, shape: tuple[int, ...], initializer: Any) -> Variable:
        name = f"lora_{self.kernel_name}_{letter}"
        # Always float32: a 16-bit factor would lose the small steps of fine-tuning.
        factor = self.add_weight(
            shape=shape,
            initializer=resolve(INITIALIZERS, initializer),
            dtype="float32",
            regularizer=getattr(self, f"{self.kernel_name}_regularizer"),
            name=name,
        )
        setattr(self, name, factor)
        return factor

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return (
            {**config, "lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}
            if self.lora_rank
            else config
        )

    def save_own_variables(self, store: Any) -> None:
        """Put the values of this layer's own variables into ``store``; a low-rank update is merged in."""
        merged: dict[int, Any] = {}
        if self._form is not None and self.lora_enabled:
            values = self._form.merged()
            merged = {id(v): value for v, value in zip(self._form.variables, values, strict=True)}
        for index, variable in enumerate(self._saved_variables()):
            store[str(index)] = np.asarray(merged.get(id(variable), variable.value))

    def load_own_variables(self, store: Any) -> None:
        """Set this layer's own variables from ``store``; a low-rank update begins at zero again.

        Raises:
            ShapeMismatch: If ``store`` has another number of variables.
        """
        saved = self._saved_variables()
        if not self.lora_enabled:
            self._check_number(store, saved)
        for index, variable in enumerate(saved):
            variable.assign(store[str(index)])
        for factor in self._factors():
            factor.assign(jnp.zeros(factor.shape))

    def _factors(self) -> tuple[Variable, ...]:
        return self._form.factors if isinstance(self._form, LowRankKernel) else ()

    def _saved_variables(self) -> list[Variable]:
        """Return the variables of files in their order: no factors of updates."""
        factors = {id(v) for v in self._factors()}
        return [v for v in self._own_variables() if id(v) not in factors]
