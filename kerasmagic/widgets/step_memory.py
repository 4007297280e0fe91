"""The memory of a training step in words: how much, of what, and the largest batch that fits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from kerasmagic.foundation.amount import ZERO, Amount
from kerasmagic.widgets import units
from kerasmagic.widgets.shapes import BATCH

LARGEST_BATCH = 2**20


@dataclasses.dataclass(frozen=True)
class StepMemory:
    """What a step of training needs, in bytes, and what there is.

    Args:
        parameters: All weights.
        gradients: One for each weight that is trained.
        slots: The optimizer's state.
        kept: What the backward pass reads of the forward pass.
        largest: The arrays that may be the largest one, of which two are held for a moment.
        compiled: Whether the model says its optimizer; else the slots are those of Adam.
        limit: What the machine, the container or the accelerator has; ``None`` if it is not known.

    Example:

    >>> memory = StepMemory(4000, 4000, 8000, Amount.product(1000, "batch"), (), True, 100_000)
    >>> memory.at({"batch": 32}), memory.fitting({"batch": 32})
    (48000, 64)
    """

    parameters: int
    gradients: int
    slots: int
    kept: Amount = ZERO
    largest: Sequence[Amount] = ()
    compiled: bool = True
    limit: int | None = None

    def at(self, sizes: Mapping[str, int]) -> int:
        """Return the bytes at the given sizes of the open dimensions."""
        return self.parameters + self.gradients + self.slots + self.activations(sizes)

    def activations(self, sizes: Mapping[str, int]) -> int:
        """Return the part of it that grows with the batch."""
        return self.kept.at(sizes) + 2 * max((amount.at(sizes) for amount in self.largest), default=0)

    def fitting(self, sizes: Mapping[str, int]) -> int | None:
        """Return the largest power of two that fits as batch size, 0 if none does; ``None`` if not known."""
        if self.limit is None or BATCH not in sizes:
            return None
        batch = 1
        while batch <= LARGEST_BATCH and self.at({**sizes, BATCH: batch}) <= self.limit:
            batch *= 2
        return batch // 2

    def fixed_parts(self) -> list[tuple[str, int]]:
        """Return what is there whatever the batch is, each part with its bytes."""
        slots = "optimizer" if self.compiled else "Adam"
        return [("parameters", self.parameters), ("gradients", self.gradients), (slots, self.slots)]

    def parts(self, sizes: Mapping[str, int]) -> list[tuple[str, str]]:
        """Return what the memory consists of, each part with its unit."""
        parts = [*self.fixed_parts(), ("for backward", self.activations(sizes))]
        return [(label, units.memory(size)) for label, size in parts]

    def sentence(self, sizes: Mapping[str, int]) -> str:
        """Return what fits, in words; nothing where no limit is known.

        >>> StepMemory(4000, 4000, 8000, limit=2**20).sentence({})
        'fits in 1.0 MiB'
        """
        if self.limit is None:
            return ""
        place = units.memory(self.limit)
        fitting = self.fitting(sizes)
        if fitting is None:
            return f"fits in {place}" if self.at(sizes) <= self.limit else f"does not fit in {place}"
        if not fitting:
            return f"not even one sample fits in {place}"
        return f"batch <= {fitting:,} fits in {place}"
