"""The one large weight of a layer, in whatever form it is kept.

``Dense``, ``EinsumDense`` and ``Embedding`` ask their ``Kernel`` for a value and know nothing of
low-rank updates; a quantized form would be another class with the same three members.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core.serialization import resolve
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import INITIALIZERS
from kerasmagic.layers.base import LibraryLayer


class Kernel:
    """A variable that is used as it is.

    Args:
        variable: The weight.
    """

    def __init__(self, variable: Variable):
        self.variable = variable

    @property
    def public(self) -> Any:
        """What the layer shows as its weight: the variable, or an array made from several."""
        return self.variable

    @property
    def value(self) -> Any:
        """The array to compute with, in the compute type."""
        return self.variable.value

    def merged(self) -> Any:
        """Return the array that replaces all of this by one plain weight."""
        return self.variable.value


class LowRankKernel(Kernel):
    """A frozen variable and a trained update of low rank (LoRA): ``variable + scale * a @ b``.

    Args:
        variable: The weight, shape ``(..., n)``.
        a: Shape ``(..., rank)``.
        b: Shape ``(rank, n)``.
        scale: The factor of the update.
        compute_dtype: The type to compute in.
    """

    def __init__(self, variable: Variable, a: Variable, b: Variable, scale: float, compute_dtype: str):
        super().__init__(variable)
        self.a = a
        self.b = b
        self.scale = scale
        self.compute_dtype = compute_dtype

    @property
    def public(self) -> Any:
        return self.value

    @property
    def value(self) -> Any:
        return self.merged().astype(self.compute_dtype)

    def merged(self) -> Any:
        return self.variable.value + self.scale * jnp.matmul(self.a.value, self.b.value)


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
        """Make the weight, with the initializer, regularizer and constraint of its name, and its update."""
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
        variable = self._form.variable
        *rows, columns = variable.shape
        locked, self._tracker.locked = self._tracker.locked, None
        a = self._make_factor("a", (*rows, rank), a_initializer)
        b = self._make_factor("b", (rank, columns), b_initializer)
        self._tracker.locked = locked
        variable.trainable = False
        self.lora_enabled = True
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha
        self._form = LowRankKernel(variable, a, b, self.lora_alpha / rank, self.compute_dtype)

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
        for index, variable in enumerate(self._plain_variables()):
            merged = variable is self.form.variable and self.lora_enabled
            store[str(index)] = self.form.merged() if merged else variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Set this layer's own variables from ``store``; a low-rank update begins at zero again."""
        if not self.lora_enabled:
            super().load_own_variables(store)
            return
        for index, variable in enumerate(self._plain_variables()):
            variable.assign(store[str(index)])
        for factor in self._factors():
            factor.assign(jnp.zeros(factor.shape))

    def _factors(self) -> list[Variable]:
        return [self._form.a, self._form.b] if isinstance(self._form, LowRankKernel) else []

    def _plain_variables(self) -> list[Variable]:
        factors = {id(v) for v in self._factors()}
        return [v for v in self._own_variables() if id(v) not in factors]
