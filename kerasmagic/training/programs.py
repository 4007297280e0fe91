"""A model's steps: what a subclass may override, and the compiled programs made of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from kerasmagic.core.layer import Layer
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training import loop, step
from kerasmagic.training.compile import CompiledLoss, CompiledMetrics
from kerasmagic.training.state import TrainState


@dataclasses.dataclass
class Compiled:
    """What ``compile`` decided."""

    optimizer: Any
    loss: CompiledLoss | None
    metrics: CompiledMetrics
    tracker: Any
    run_eagerly: bool
    jit: bool
    steps_per_execution: int
    config: dict[str, Any]


class Programs(Layer):
    """The part of a model that knows its loss, its metrics and its steps."""

    _compiled: Compiled | None = None

    @functools.cached_property
    def _programs(self) -> dict[str, Callable[..., Any]]:
        return {}

    @property
    def _call_has_training(self) -> bool:
        return True

    @property
    def compiled(self) -> bool:
        """Whether ``compile`` was called."""
        return self._compiled is not None

    @property
    def optimizer(self) -> Any:
        """The optimizer, or ``None`` before ``compile``."""
        return None if self._compiled is None else self._compiled.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._require_compiled("optimizer").optimizer = value

    @property
    def loss(self) -> Any:
        """What ``compile(loss=)`` was given."""
        return None if self._compiled is None else self._compiled.config["loss"]

    @property
    def metrics(self) -> list[Any]:
        """The loss' running mean, the metrics of ``compile``, those of the model and of its layers."""
        own = list(super().metrics)
        if self._compiled is None:
            return own
        losses = self._compiled.loss.metrics if self._compiled.loss is not None else []
        return [self._compiled.tracker, *self._compiled.metrics.metrics, *losses, *own]

    @property
    def metrics_names(self) -> list[str]:
        """The names of the metrics."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Forget what the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    @property
    def _loss_tracker(self) -> Any:
        return self._require_compiled("fit").tracker

    def _require_compiled(self, method: str) -> Compiled:
        if self._compiled is None:
            raise InvalidArgument(f"You must call `compile()` before calling `{method}()`.")
        return self._compiled

    # What a subclass may override

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss of a batch, shape ``()``: that of ``compile`` and the layers' penalties."""
        compiled = self._require_compiled("compute_loss")
        parts = []
        if compiled.loss is not None:
            if y is None:
                raise InvalidArgument(
                    "The model was compiled with a loss, but no targets came. Pass `y`, or batches `(x, y)`."
                )
            parts.append(compiled.loss(y, y_pred, sample_weight))
        parts.extend(value.sum() for value in self.losses)
        if not parts:
            raise InvalidArgument(
                "No loss to compute. Provide a `loss` argument in `compile()`, or call `self.add_loss` in a layer."
            )
        return sum(parts[1:], parts[0])

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Take a batch into the metrics and return all of them so far by name."""
        compiled = self._require_compiled("compute_metrics")
        if y is not None:
            compiled.metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Return all metrics so far by name."""
        compiled = self._require_compiled("get_metrics_result")
        results = {compiled.tracker.name: compiled.tracker.result(), **compiled.metrics.result()}
        listed = {id(m) for m in (compiled.tracker, *compiled.metrics.metrics)}
        for metric in self.metrics:
            if id(metric) not in listed:
                result = metric.result()
                results.update(result if isinstance(result, Mapping) else {metric.name: result})
        return results

    def train_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Take one step: from ``(trainable, non_trainable, optimizer, metrics)`` values to logs and new ones."""
        return step.train_step(self, TrainState(*state), data)

    def test_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Measure a batch: from ``(trainable, non_trainable, metrics)`` values to logs and new ones."""
        trainable, non_trainable, metrics = state
        logs, new = step.test_step(self, TrainState(trainable, non_trainable, [], metrics), data)
        return logs, (new.trainable, new.non_trainable, new.metrics)

    def predict_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Return the outputs for a batch and the new non-trainable values."""
        outputs, new = step.predict_step(self, TrainState(state[0], state[1], [], []), data)
        return outputs, new.non_trainable

    # The compiled steps, each from a TrainState to a TrainState

    def make_train_function(self) -> loop.Step:
        """Return the compiled training step."""

        def train(state: TrainState, data: Any) -> tuple[Any, TrainState]:
            logs, new = self.train_step(state, data)
            return logs, TrainState(*new)

        return self._program("train", lambda: self._jit(train, donate_argnums=0))

    def make_test_function(self) -> loop.Step:
        """Return the compiled evaluation step."""

        def make() -> loop.Step:
            def test(trainable: Any, rest: Any, data: Any) -> Any:
                return self.test_step((trainable, *rest), data)

            compiled = self._jit(test, donate_argnums=1)

            def run(state: TrainState, data: Any) -> tuple[Any, TrainState]:
                logs, new = compiled(state.trainable, (state.non_trainable, state.metrics), data)
                return logs, state._replace(non_trainable=new[1], metrics=new[2])

            return run

        return self._program("test", make)

    def make_predict_function(self) -> loop.Step:
        """Return the compiled prediction step."""

        def make() -> loop.Step:
            compiled = self._jit(lambda state, data: self.predict_step(state, data))

            def run(state: TrainState, data: Any) -> tuple[Any, TrainState]:
                outputs, non_trainable = compiled((state.trainable, state.non_trainable), (data[0],))
                return outputs, state._replace(non_trainable=non_trainable)

            return run

        return self._program("predict", make)

    def _program(self, name: str, make: Callable[[], loop.Step]) -> loop.Step:
        if name not in self._programs:
            self._programs[name] = make()
        return self._programs[name]

    def _jit(self, function: Callable[..., Any], **kwargs: Any) -> Callable[..., Any]:
        wanted = self._compiled is None or self._compiled.jit
        return jax.jit(function, **kwargs) if wanted and self.supports_jit else function
