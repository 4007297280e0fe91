"""Losses without options of their own: each a name for a pure function."""

from __future__ import annotations

from typing import Any

from kerasmagic.losses.loss import FunctionLoss
from kerasmagic.numerics import losses as numerics
from kerasmagic.numerics import margin_losses as margin


class MeanSquaredError(FunctionLoss):
    """Mean of squared errors: ``mean((y_true - y_pred)**2)``.

    Args are those of ``Loss``, shapes those of ``keras.losses.mean_squared_error``.
    """

    function = staticmethod(numerics.mean_squared_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class MeanAbsoluteError(FunctionLoss):
    """Mean of absolute errors: ``mean(abs(y_true - y_pred))``.

    Args are those of ``Loss``, shapes those of ``keras.losses.mean_absolute_error``.
    """

    function = staticmethod(numerics.mean_absolute_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class MeanAbsolutePercentageError(FunctionLoss):
    """Mean of errors in percent of the label.

    Args are those of ``Loss``, shapes those of ``keras.losses.mean_absolute_percentage_error``.
    """

    function = staticmethod(numerics.mean_absolute_percentage_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class MeanSquaredLogarithmicError(FunctionLoss):
    """Mean of squared differences of ``log(1 + y)``.

    Args are those of ``Loss``, shapes those of ``keras.losses.mean_squared_logarithmic_error``.
    """

    function = staticmethod(numerics.mean_squared_logarithmic_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class LogCosh(FunctionLoss):
    """Mean of ``log(cosh(y_pred - y_true))``: squared for small errors, absolute for large ones.

    Args are those of ``Loss``, shapes those of ``keras.losses.log_cosh``.
    """

    function = staticmethod(numerics.log_cosh)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "log_cosh", dtype: Any = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class KLDivergence(FunctionLoss):
    """Kullback-Leibler divergence of the prediction from the label, both distributions.

    Args are those of ``Loss``, shapes those of ``keras.losses.kl_divergence``.
    """

    function = staticmethod(numerics.kl_divergence)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class Poisson(FunctionLoss):
    """Negative log-likelihood of counts under a Poisson distribution, up to a constant.

    Args are those of ``Loss``, shapes those of ``keras.losses.poisson``.
    """

    function = staticmethod(numerics.poisson)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "poisson", dtype: Any = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class Hinge(FunctionLoss):
    """Mean of ``max(1 - y_true * y_pred, 0)``.

    Args are those of ``Loss``, shapes those of ``keras.losses.hinge``.
    """

    function = staticmethod(margin.hinge)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge", dtype: Any = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class SquaredHinge(FunctionLoss):
    """Mean of ``max(1 - y_true * y_pred, 0)**2``.

    Args are those of ``Loss``, shapes those of ``keras.losses.squared_hinge``.
    """

    function = staticmethod(margin.squared_hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class CategoricalHinge(FunctionLoss):
    """How far the right score is from beating every wrong one by 1.

    Args are those of ``Loss``, shapes those of ``keras.losses.categorical_hinge``.
    """

    function = staticmethod(margin.categorical_hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class CTC(FunctionLoss):
    """Connectionist temporal classification of sequences without alignment.

    Args are those of ``Loss``, shapes those of ``keras.losses.ctc``.
    """

    function = staticmethod(margin.ctc)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc", dtype: Any = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
