"""What ``compile`` was given, matched to the model's outputs: losses and metrics by output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kerasmagic import losses as losses_module
from kerasmagic import metrics as metrics_module
from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument, did_you_mean
from kerasmagic.foundation.registry import LOSSES
from kerasmagic.training.data.checks import refuse_labels


class OutputLoss(NamedTuple):
    """The loss of one output."""

    output: int
    function: Any
    weight: float | None
    name: str
    size: int | None = None
    """The length of the last axis of the predictions, if known."""


class CompiledLoss:
    """The sum of the losses of all outputs.

    Args:
        loss: What ``compile(loss=)`` was given: one for all outputs, or a list or dict by output.
        loss_weights: A number, or a list or dict by output.
        output_names: The names of the model's outputs, if it has any.
    """

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: Sequence[str] | None = None):
        self.loss = loss
        self.loss_weights = loss_weights
        self.output_names = list(output_names) if output_names is not None else None
        self.built = False
        self.parts: list[OutputLoss] = []
        self.metrics: list[Any] = []
        self._outputs: tuple[list[str] | None, int] = (self.output_names, 0)

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Choose a loss for every output by the shapes of targets and predictions."""
        names = _names(y_pred, self.output_names)
        y_pred = flatten_outputs(y_pred, names)
        chosen = by_output(self.loss, names, len(y_pred), "loss")
        weights = by_output(self.loss_weights, names, len(y_pred), "loss_weights")
        y_true = flatten_targets(y_true, names, [c is not None for c in chosen])
        for index, (loss, weight) in enumerate(zip(chosen, weights, strict=True)):
            for each in _as_list(loss):
                function = choose_loss(each, y_true[index], y_pred[index])
                name = names[index] if names else getattr(function, "name", None) or f"output_{index}"
                size = y_pred[index].shape[-1] if len(y_pred[index].shape) > 1 else None
                self.parts.append(OutputLoss(index, function, weight, name, size))
        if isinstance(self.loss, Mapping) and names:
            # Measurements are listed in the order in which the losses were given.
            given = list(self.loss)
            self.parts.sort(key=lambda part: given.index(names[part.output]))
        self._outputs = (names, len(y_pred))
        if len(self.parts) > 1:
            self.metrics = [metrics_module.Mean(name=f"{part.name}_loss") for part in self.parts]
        self.built = True

    def check_labels(self, y_true: Any) -> None:
        """Look at the values of targets, given as NumPy arrays ``(samples, ...)``.

        Raises:
            InvalidArgument: If class numbers have no output that stands for them.
        """
        names, count = self._outputs
        has_loss = [any(part.output == i for part in self.parts) for i in range(count)]
        targets = flatten_targets(y_true, names, has_loss)
        for part in self.parts:
            if part.size is not None and _takes_class_numbers(part.function):
                ignored = getattr(part.function, "ignore_class", None)
                owner = f"the output {part.name!r}" if names else "the model's output"
                refuse_labels(targets[part.output], part.size, ignored, owner)

    def check_shapes(self, y_true: Any, y_pred: Any, batch: int) -> None:
        """Let the losses of the library look at the shapes of targets and predictions, before a run begins.

        Args:
            y_true: Symbolic targets; their first axis is open.
            y_pred: Symbolic predictions.
            batch: The size of the first axis.

        Raises:
            ShapeMismatch: If a loss cannot compare the one with the other.
        """
        names, count = self._outputs
        targets = flatten_targets(
            y_true, names, [any(p.output == i for p in self.parts) for i in range(count)]
        )
        predictions = flatten_outputs(y_pred, names)
        for part in self.parts:
            pair = targets[part.output], predictions[part.output]
            # A function of the user's may need numbers.
            if _is_ours(part.function) and all(x is not None and None not in x.shape[1:] for x in pair):
                specs = (jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype) for x in pair)
                jax.eval_shape(part.function, *specs)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the total loss of a batch, shape ``()``."""
        if not self.built:
            self.build(y_true, y_pred)
        names = _names(y_pred, self.output_names)
        y_pred = flatten_outputs(y_pred, names)
        has_loss = [any(part.output == i for part in self.parts) for i in range(len(y_pred))]
        y_true = flatten_targets(y_true, names, has_loss)
        weights = flatten_weights(sample_weight, names, len(y_pred))
        total = None
        for index, part in enumerate(self.parts):
            value = part.function(y_true[part.output], y_pred[part.output], weights[part.output])
            if self.metrics:
                batch = jnp.asarray(y_pred[part.output].shape[0], jnp.float32)
                self.metrics[index].update_state(value, sample_weight=batch)
            value = value if part.weight is None else value * part.weight
            total = value if total is None else total + value
        return total


class CompiledMetrics:
    """The metrics of all outputs.

    Args:
        metrics: What ``compile(metrics=)`` was given.
        weighted_metrics: The same, measured with sample weights.
        output_names: The names of the model's outputs, if it has any.
    """

    def __init__(self, metrics: Any, weighted_metrics: Any, output_names: Sequence[str] | None = None):
        for name, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given is not None and not isinstance(given, (list, tuple, dict)):
                raise InvalidArgument(
                    f"Expected `{name}` argument to be a list, tuple, or dict. Received instead: {name}={given!r}. "
                    f"Write {name}=[{given!r}]."
                )
        self.given = {False: metrics, True: weighted_metrics}
        # The keys of the outputs, where they are a dict.
        self._names: list[str] | None = None
        self.output_names = list(output_names) if output_names is not None else None
        self.built = False
        self.parts: list[tuple[int, bool, Any]] = []

    @property
    def metrics(self) -> list[Any]:
        """The metrics as one list."""
        return [metric for _, _, metric in self.parts]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Choose the metrics of every output by the shapes of targets and predictions."""
        names = _names(y_pred, self.output_names)
        y_pred = flatten_outputs(y_pred, names)
        parts = []
        for weighted, given in self.given.items():
            chosen = _metrics_by_output(given, names, len(y_pred))
            targets = flatten_targets(y_true, names, [True] * len(y_pred))
            for index, wanted in enumerate(chosen):
                for each in wanted:
                    parts.append((index, weighted, choose_metric(each, targets[index], y_pred[index])))
        self.parts = parts
        self._names = names
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account."""
        if not self.built:
            self.build(y_true, y_pred)
        names = _names(y_pred, self.output_names)
        y_pred = flatten_outputs(y_pred, names)
        y_true = flatten_targets(y_true, names, [True] * len(y_pred))
        weights = flatten_weights(sample_weight, names, len(y_pred))
        for index, weighted, metric in self.parts:
            if weighted:
                metric.update_state(y_true[index], y_pred[index], sample_weight=weights[index])
            else:
                metric.update_state(y_true[index], y_pred[index])

    def result(self) -> dict[str, Any]:
        """Return the metrics so far by name; a second one of a name gets a number."""
        several = len({index for index, _, _ in self.parts}) > 1 or (
            self.output_names is not None and len(self.output_names) > 1
        )
        results: dict[str, Any] = {}
        for index, weighted, metric in self.parts:
            prefix = f"{self._names[index]}_" if several and self._names else ""
            name = f"{prefix}{metric.name}"
            if name in results and weighted:
                name = f"{prefix}weighted_{metric.name}"
            base, count = name, 0
            while name in results:
                count += 1
                name = f"{base}_{count}"
            results[name] = metric.result()
        return results


def choose_loss(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """Return the loss that ``identifier`` stands for, given targets and predictions.

    Raises:
        UnknownName: If a name stands for no loss.
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        kinds = ("binary_crossentropy", "sparse_categorical_crossentropy", "categorical_crossentropy")
        identifier = kinds[_kind_of_labels(y_true, y_pred)]
    found = losses_module.get(identifier)
    if isinstance(found, losses_module.Loss):
        return found
    if not callable(found):
        raise InvalidArgument(
            f"A loss is an object of `losses`, its name or a function. Received: {identifier!r}"
        )
    name = identifier if isinstance(identifier, str) else getattr(found, "__name__", "loss")
    return losses_module.LossFunctionWrapper(found, name=name)


def choose_metric(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """Return the metric that ``identifier`` stands for, given targets and predictions.

    Raises:
        UnknownName: If a name stands for no metric.
    """
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        kinds = ("BinaryAccuracy", "SparseCategoricalAccuracy", "CategoricalAccuracy")
        return getattr(metrics_module, kinds[_kind_of_labels(y_true, y_pred)])(name=identifier)
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        kinds = ("BinaryCrossentropy", "SparseCategoricalCrossentropy", "CategoricalCrossentropy")
        return getattr(metrics_module, kinds[_kind_of_labels(y_true, y_pred)])(name=identifier)
    found = metrics_module.get(identifier)
    if not isinstance(found, metrics_module.Metric):
        name = identifier if isinstance(identifier, str) else getattr(found, "__name__", "metric")
        return metrics_module.MeanMetricWrapper(found, name=name)
    if isinstance(identifier, str):
        found.name = identifier
    return found


def _is_ours(loss: Any) -> bool:
    return LOSSES.name_of(getattr(loss, "fn", None) or type(loss)) is not None


def _takes_class_numbers(loss: Any) -> bool:
    if isinstance(loss, losses_module.SparseCategoricalCrossentropy):
        return loss.axis == -1
    return getattr(loss, "fn", None) is losses_module.sparse_categorical_crossentropy


def _kind_of_labels(y_true: Any, y_pred: Any) -> int:
    """Return 0 for binary, 1 for integer labels, 2 for one-hot labels."""
    if y_pred.shape[-1] == 1:
        return 0
    sparse = len(y_true.shape) < len(y_pred.shape) or (y_true.shape[-1] == 1 and y_pred.shape[-1] != 1)
    return 1 if sparse else 2


def by_output(given: Any, names: list[str] | None, count: int, argument: str) -> list[Any]:
    """Return one entry per output of something given for all, in a list or by name.

    Raises:
        InvalidArgument: If the number or the names do not match the outputs.

    >>> by_output({"b": "mse"}, ["a", "b"], 2, "loss")
    [None, 'mse']
    """
    if isinstance(given, Mapping):
        wrong = [key for key in given if key not in (names or [])]
        if wrong:
            raise InvalidArgument(
                f"`{argument}` has the key {wrong[0]!r}, but the model's outputs are {names}.",
                hint=did_you_mean(str(wrong[0]), names or []),
            )
        return [given.get(name) for name in names or []]
    if isinstance(given, (list, tuple)) and count > 1:
        if len(given) != count:
            raise InvalidArgument(
                f"`{argument}` must have one entry per output: the model has {count} outputs"
                f"{f' {names}' if names else ''}. Received: {argument}={given!r}"
            )
        return list(given)
    if isinstance(given, (list, tuple)) and len(given) == 1:
        given = given[0]
    return [given] * count


def _metrics_by_output(given: Any, names: list[str] | None, count: int) -> list[list[Any]]:
    if not given:
        return [[]] * count
    if count == 1:
        return [tree.flatten(list(given.values()) if isinstance(given, Mapping) else list(given))]
    return [_as_list(entry) for entry in by_output(given, names, count, "metrics")]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _names(y_pred: Any, output_names: list[str] | None) -> list[str] | None:
    if isinstance(y_pred, Mapping):
        keys = list(y_pred)
        return output_names if output_names and set(output_names) == set(keys) else sorted(keys)
    return output_names


def flatten_outputs(y: Any, names: list[str] | None) -> list[Any]:
    """Return the outputs as a list in the order of their names."""
    if isinstance(y, Mapping) and names:
        return [y[name] for name in names]
    return tree.flatten(y)


def flatten_targets(y: Any, names: list[str] | None, has_loss: list[bool]) -> list[Any]:
    """Return one target per output; outputs without a loss may have none.

    Raises:
        InvalidArgument: If their number or names do not match the outputs.
    """
    if isinstance(y, Mapping):
        missing = [n for n, needed in zip(names or [], has_loss, strict=False) if needed and n not in y]
        if names is None or missing:
            raise InvalidArgument(
                f"The targets are a dict with keys {list(y)}, but the model's outputs are {names}."
            )
        return [y.get(name) for name in names]
    flat = tree.flatten(y)
    if len(flat) == len(has_loss):
        return flat
    if len(flat) == sum(has_loss):
        rest = iter(flat)
        return [next(rest) if needed else None for needed in has_loss]
    raise InvalidArgument(
        f"The model has {len(has_loss)} outputs{f' {names}' if names else ''}, but {len(flat)} targets came. "
        "Pass `y` as a list in the order of the outputs, or as a dict by their names."
    )


def flatten_weights(weights: Any, names: list[str] | None, count: int) -> list[Any]:
    """Return one sample weight, or ``None``, per output; a single one stands for all."""
    if isinstance(weights, Mapping):
        return [weights.get(name) for name in names or []]
    flat = tree.flatten(weights)
    return flat * count if len(flat) == 1 else flat
