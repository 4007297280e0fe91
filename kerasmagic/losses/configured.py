"""Losses with options: each keeps them as attributes and passes them to a pure function by name."""

from __future__ import annotations

from typing import Any

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.losses import functions
from kerasmagic.losses.loss import FunctionLoss
from kerasmagic.numerics import losses as numerics
from kerasmagic.numerics import margin_losses as margin_numerics

_MEAN = "sum_over_batch_size"


class CosineSimilarity(FunctionLoss):
    """Minus the cosine of the angle between label and prediction.

    Args:
        axis: The axis of the vectors.

    The others are those of ``Loss``.
    """

    function = staticmethod(numerics.cosine_similarity)

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.axis = axis


class Huber(FunctionLoss):
    """Squared for errors up to ``delta``, linear beyond.

    Args:
        delta: Where the one becomes the other.

    The others are those of ``Loss``.
    """

    function = staticmethod(numerics.huber)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = _MEAN,
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.delta = delta


class BinaryCrossentropy(FunctionLoss):
    """Crossentropy of labels 0 and 1, each with a prediction of its own.

    Args:
        from_logits: Whether predictions have still to go through a sigmoid.
        label_smoothing: How far labels are drawn towards 0.5.
        axis: The axis over which to take the mean.

    The others are those of ``Loss``.

    Example:

    >>> round(float(BinaryCrossentropy()([[0, 1]], [[0.1, 0.9]])), 4)
    0.1054
    """

    function = staticmethod(numerics.binary_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class BinaryFocalCrossentropy(FunctionLoss):
    """Binary crossentropy that weighs easy samples less.

    Args:
        apply_class_balancing: Whether label 1 weighs ``alpha`` and label 0 the rest.
        alpha: The weight of label 1.
        gamma: How much less easy samples weigh; 0 is plain crossentropy.
        from_logits: Whether predictions have still to go through a sigmoid.
        label_smoothing: How far labels are drawn towards 0.5.
        axis: The axis over which to take the mean.

    The others are those of ``Loss``.
    """

    function = staticmethod(numerics.binary_focal_crossentropy)

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class CategoricalCrossentropy(FunctionLoss):
    """Crossentropy of one-hot labels.

    Args:
        from_logits: Whether predictions have still to go through a softmax.
        label_smoothing: The share of a label that is spread evenly over all classes.
        axis: The axis of the classes.

    The others are those of ``Loss``.

    Example:

    >>> round(float(CategoricalCrossentropy()([[0, 1]], [[0.1, 0.9]])), 4)
    0.1054
    """

    function = staticmethod(numerics.categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class CategoricalFocalCrossentropy(FunctionLoss):
    """Crossentropy of one-hot labels that weighs easy samples less.

    Args:
        alpha: A weight, or one for each class.
        gamma: How much less easy samples weigh.
        from_logits: Whether predictions have still to go through a softmax.
        label_smoothing: The share of a label that is spread evenly over all classes.
        axis: The axis of the classes.

    The others are those of ``Loss``.
    """

    function = staticmethod(numerics.categorical_focal_crossentropy)

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(FunctionLoss):
    """Crossentropy of class numbers.

    Args:
        from_logits: Whether predictions have still to go through a softmax.
        ignore_class: A label that does not count, for example -1 for "unknown".
        axis: The axis of the classes.

    The others are those of ``Loss``.

    Example:

    >>> round(float(SparseCategoricalCrossentropy()([1], [[0.1, 0.9]])), 4)
    0.1054
    """

    function = staticmethod(functions.sparse_categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = _MEAN,
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis


class CategoricalGeneralizedCrossEntropy(FunctionLoss):
    """Crossentropy of class numbers that bears wrong labels.

    Args:
        q: Between 0, where it is crossentropy, and 1, where it is mean absolute error.

    The others are those of ``Loss``.

    Raises:
        InvalidArgument: If ``q`` is not strictly between 0 and 1.
    """

    function = staticmethod(numerics.categorical_generalized_cross_entropy)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = _MEAN,
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        if not 0 < q < 1:
            raise InvalidArgument(f"`q` must be between 0 and 1, both excluded. Received: q={q!r}")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.q = q


class Dice(FunctionLoss):
    """1 minus the Dice overlap of label and prediction.

    Args:
        axis: The axes of one overlap; all of them when ``None``.

    The others are those of ``Loss``.
    """

    function = staticmethod(margin_numerics.dice)

    def __init__(
        self, reduction: str | None = _MEAN, name: str | None = "dice", axis: Any = None, dtype: Any = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.axis = axis


class Tversky(FunctionLoss):
    """1 minus the Tversky overlap of label and prediction.

    Args:
        alpha: The weight of what was missed.
        beta: The weight of what was wrongly found.
        axis: The axes of one overlap; all of them when ``None``.

    The others are those of ``Loss``.
    """

    function = staticmethod(margin_numerics.tversky)

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = _MEAN,
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis


class Circle(FunctionLoss):
    """Draws embeddings of one class together and pushes others apart.

    Args:
        gamma: How strongly far pairs are weighted.
        margin: How far from perfect a pair may stay.
        remove_diagonal: Whether a sample is not compared with itself.

    The others are those of ``Loss``.
    """

    function = staticmethod(functions.circle)

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = _MEAN,
        name: str | None = "circle",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal
