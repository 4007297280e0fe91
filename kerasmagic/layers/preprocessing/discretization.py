"""Continuous features as buckets, with boundaries that are given or read from data."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kerasmagic.core import scope
from kerasmagic.foundation.arguments import is_number, one_of, positive_integer
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.layers.preprocessing.category_encoding import refuse_sparse
from kerasmagic.layers.preprocessing.data import batches_of, is_array
from kerasmagic.numerics import encoding


class Discretization(LibraryLayer):
    """Replaces each value by the number of its bucket; the boundaries are an argument, or ``adapt`` reads them.

    Boundaries ``[0.0, 1.0]`` make the buckets ``(-inf, 0)``, ``[0, 1)`` and ``[1, inf)``; NaN is in the last one.
    Read from data they are quantiles: each bucket gets about the same number of values.

    Args:
        bin_boundaries: The boundaries in order, or ``None`` where ``adapt`` reads them.
        num_bins: How many buckets ``adapt`` makes. It makes fewer if the data has fewer values, and at most
            about ``1 / epsilon``.
        epsilon: How exact the quantiles are, in ``(0, 1]``: a summary of about ``1 / epsilon`` values is kept.
        output_mode: ``"int"``: the number of the bucket. Else vectors as ``CategoryEncoding`` makes them of these
            numbers: ``"one_hot"``, ``"multi_hot"`` or ``"count"``.
        sparse: Only ``False``: there are no sparse tensors here.
        dtype: A dtype policy or its name.
        name: Its name; made up when ``None``.

    Shapes:
        ``"int"``: ``(...) -> (...)`` as int32. Else those of ``CategoryEncoding`` with one place for each bucket, in
        the compute type.

    Raises:
        InvalidArgument: If not exactly one of ``bin_boundaries`` and ``num_bins`` is given, an argument has an
            impossible value, or the layer is called before it has boundaries.

    Example:

    >>> Discretization([0.0, 1.0])([[-1.5, 0.0], [0.5, 7.0]]).tolist()
    [[0, 1], [1, 2]]
    >>> layer = Discretization(num_bins=4)
    >>> layer.adapt(np.arange(1.0, 9.0))
    >>> layer.bin_boundaries
    [2.0, 4.0, 6.0]

    The boundaries are the quantiles of a summary that is merged batch by batch, as in Greenwald and Khanna,
    *Space-efficient online computation of quantile summaries*, 2001, but sampled evenly and interpolated.
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ):
        super().__init__(dtype=dtype, name=name)
        self._allow_non_tensor_positional_args = True
        self.sparse = refuse_sparse(sparse)
        self.output_mode = one_of("output_mode", output_mode, ("int", *encoding.MODES))
        if (num_bins is None) == (bin_boundaries is None):
            raise InvalidArgument(
                "You need to set either `num_bins` or `bin_boundaries`. Both `num_bins` and `bin_boundaries` "
                f"should not be set. Received: num_bins={num_bins}, bin_boundaries={bin_boundaries}"
            )
        if not is_number(epsilon) or not 0 < epsilon <= 1:
            raise InvalidArgument(
                f"`epsilon` must be a number above 0 and not above 1. Received: epsilon={epsilon!r}"
            )
        self.bin_boundaries = None if bin_boundaries is None else _checked_boundaries(bin_boundaries)
        self.num_bins = None if num_bins is None else positive_integer("num_bins", num_bins)
        self.epsilon = epsilon
        self.summary: Any = None if self.bin_boundaries else _empty_summary()

    @property
    def input_dtype(self) -> str:
        """The type to which float inputs are cast: in a narrow one they would change buckets."""
        return floatx()

    @property
    def output_dtype(self) -> str:
        """The type of the outputs."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    # Boundaries from data

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Set the boundaries to quantiles of ``data``.

        A model that has predicted or trained since it was compiled keeps the boundaries it did so with: compile it
        again after adapting a second time.

        Args:
            data: An array of any shape; or batches: a list, a generator, a ``PyDataset``, a ``tf.data.Dataset``.
                Of a batch that is a tuple of arrays, as ``(x, y)``, the first one counts.
            steps: How many batches to read at most; all of them when ``None``.

        Raises:
            InvalidArgument: If the boundaries were given to the constructor, or there is no data.
            UnexpectedArgument: If ``data`` is neither an array nor batches.
        """
        if self.num_bins is None:
            raise InvalidArgument(
                "Cannot adapt a Discretization layer that has been initialized with `bin_boundaries`, use "
                "`num_bins` instead."
            )
        self.reset_state()
        batches = iter([data]) if is_array(data) else batches_of(data)
        for batch in itertools.islice(batches, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Add the values of one array to the summary."""
        known = _empty_summary() if self.summary is None else self.summary
        values = np.asarray(data).astype("float32")
        self.summary = encoding.merge_summaries(encoding.summarize(values, self.epsilon), known, self.epsilon)

    def finalize_state(self) -> None:
        """Set the boundaries to those of the summary; given ones stay."""
        if self.num_bins is not None:
            boundaries = encoding.quantile_boundaries(self.summary, self.num_bins)
            self.bin_boundaries = boundaries.tolist()

    def reset_state(self) -> None:
        """Forget the values seen so far, not the boundaries."""
        if self.num_bins is not None:
            self.summary = _empty_summary()

    # Calling

    def call(self, inputs: Any) -> Any:
        boundaries = self._known_boundaries()
        buckets = encoding.bucketize(jnp.asarray(inputs), boundaries)
        if self.output_mode == "int":
            return buckets
        return encoding.encode(buckets, len(boundaries) + 1, self.output_mode, self.compute_dtype)

    def _known_boundaries(self) -> Sequence[float]:
        if self.bin_boundaries is not None:
            return self.bin_boundaries
        stateless = scope.get_stateless_scope()
        if self.num_bins is not None and stateless is not None and stateless.abstract:
            # Only the shape of the output is asked for.
            return [0.0] * (self.num_bins - 1)
        raise InvalidArgument(
            "You need to either pass the `bin_boundaries` argument at construction time or call `adapt(dataset)` "
            "before you can start using the `Discretization` layer."
        )

    # Configs and files

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, with the boundaries that were found."""
        config = super().get_config()
        del config["trainable"]
        return {**config, "dtype": self._policy.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer from what ``get_config`` returned; after ``adapt`` that has boundaries beside ``num_bins``."""
        if config.get("bin_boundaries") is None or config.get("num_bins") is None:
            return super().from_config(config)
        layer = super().from_config({**config, "bin_boundaries": None})
        layer.bin_boundaries = list(config["bin_boundaries"])
        return layer

    def load_own_variables(self, store: Any) -> None:
        """Take the summary that files of old versions hold; the boundaries are in the config."""
        if len(store) == 1:
            self.summary = np.asarray(store["0"])


def _empty_summary() -> np.ndarray:
    return np.empty((2, 0), "float32")


def _checked_boundaries(boundaries: Any) -> list[float]:
    """Return the boundaries as a list of numbers."""
    try:
        numbers = np.asarray(boundaries, "float64")
    except (TypeError, ValueError):
        numbers = np.empty((0, 0))
    if numbers.ndim != 1:
        raise InvalidArgument(
            f"`bin_boundaries` must be a list of numbers. Received: bin_boundaries={boundaries!r}"
        )
    rises = np.diff(numbers)
    if not (np.all(rises >= 0) or np.all(rises <= 0)):
        raise InvalidArgument(
            f"`bin_boundaries` must be in order. Received: bin_boundaries={boundaries!r}",
            hint="Sort them: 'sorted(...)'.",
        )
    return boundaries.tolist() if hasattr(boundaries, "tolist") else list(boundaries)
