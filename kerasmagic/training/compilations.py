"""What was compiled, and why: a program is compiled anew for each form of batch, and each takes its seconds."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from kerasmagic.foundation.collector import no_collection


@dataclasses.dataclass(frozen=True)
class Compilation:
    """A program that was traced and compiled.

    Args:
        program: ``"train"``, ``"test"`` or ``"predict"``.
        reason: Why, in words.
        seconds: How long it took, until the program was sent to the device.
    """

    program: str
    reason: str
    seconds: float


def form_of(batch: Any) -> Any:
    """Return the structure, the shapes and the types of arrays, as something to compare and to look up by.

    Example:

    >>> form_of([jax.numpy.ones(3)]) == form_of([jax.ShapeDtypeStruct((3,), "float32")])
    True
    """
    leaves, structure = jax.tree.flatten(batch)
    return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


class Compilations:
    """Notes each first call of a program with batches of a form.

    Args:
        program: What the programs do.
        note: Called with each compilation.
        reason: Why the first one is made.

    Example:

    >>> found = []
    >>> compilations = Compilations("train", found.append)
    >>> for size in (8, 8, 3):
    ...     with compilations.watch("one step", form_of((jax.numpy.ones((size, 2)),))):
    ...         pass
    >>> [(one.program, one.reason) for one in found]
    [('train', 'first step'), ('train', 'new batch shape (3, 2)')]
    """

    def __init__(
        self,
        program: str,
        note: Callable[[Compilation], object] = lambda compilation: None,
        reason: str = "first step",
    ) -> None:
        self._program = program
        self._note = note
        self._reason = reason
        self._seen: dict[Any, Any] = {}

    @contextlib.contextmanager
    def watch(self, program: Any, form: Any, sizes: tuple[int, ...] = ()) -> Iterator[None]:
        """Run the block, in which ``program`` is called.

        Args:
            program: Tells programs for the same batches apart.
            form: What ``form_of`` says of a batch.
            sizes: What else of what the program takes has a size: the batches, the table they are rows of.
        """
        key = (program, form, sizes)
        if key in self._seen:
            yield
            return
        reason = self._why(form)
        begin = time.perf_counter()
        with no_collection():
            yield
        self._seen[key] = form
        self._note(Compilation(self._program, reason, time.perf_counter() - begin))

    def _why(self, form: Any) -> str:
        if not self._seen:
            return self._reason
        known = list(self._seen.values())
        if form in known:
            return "another number of steps at a time, or of samples"
        if any(structure == form[0] for structure, _ in known):
            same_shapes = any(
                [shape for shape, _ in leaves] == [shape for shape, _ in form[1]] for _, leaves in known
            )
            shapes = form[1][0]
            return f"new batch dtype {shapes[1]}" if same_shapes else f"new batch shape {shapes[0]}"
        return "other parts in a batch"
