"""A callback that writes files for TensorBoard, where the package ``tensorboard`` is installed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kerasmagic.callbacks.callback import Callback, read_logs
from kerasmagic.callbacks.monitor import log_learning_rates
from kerasmagic.foundation.errors import InvalidArgument


class TensorBoard(Callback):
    """Writes losses, metrics and histograms of the weights for TensorBoard.

    Args:
        log_dir: The directory; ``train`` and ``validation`` in it hold the files.
        histogram_freq: Every how many epochs to write histograms of the weights; 0 for never.
        write_graph: Whether to write the model's architecture, as JSON text.
        write_images: Must be false: weights are not written as pictures.
        write_steps_per_second: Whether to write how many steps a second were done.
        update_freq: ``"epoch"``, or ``"batch"`` or a number of batches to write the metrics of batches too.
        profile_batch: A batch, or the first and the last of a range, to profile by ``jax.profiler``; 0 for none.
        embeddings_freq: Must be 0: embeddings are not written.
        embeddings_metadata: Must be ``None``.

    Raises:
        ImportError: If ``tensorboard`` is not installed.
        InvalidArgument: If something is asked for that is not written.
    """

    reads_late = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        super().__init__()
        for name, value in {"write_images": write_images, "embeddings_freq": embeddings_freq}.items():
            if value:
                raise InvalidArgument(
                    f"TensorBoard writes no images and no embeddings. Received: {name}={value}"
                )
        if embeddings_metadata is not None:
            raise InvalidArgument("TensorBoard writes no embeddings: leave `embeddings_metadata` out.")
        self._tensorboard = _Library()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._profiled = (
            (profile_batch, profile_batch) if isinstance(profile_batch, int) else tuple(profile_batch)
        )
        self._profiling = False
        self._writers: dict[str, Any] = {}
        self._steps = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._steps = 0
        if self.write_graph:
            try:
                self._write("train", 0, [self._tensorboard.text("keras", self.model.to_json())])
            except (NotImplementedError, ValueError):
                # A model that cannot tell its architecture is trained all the same.
                return

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began, self._steps_before = time.perf_counter(), self._steps

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._steps + 1 == self._profiled[0] and not self._profiling:
            jax.profiler.start_trace(self.log_dir)
            self._profiling = True

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps += 1
        if self._profiling and self._steps >= self._profiled[1]:
            self._stop_profile(logs)
        if self.update_freq != "epoch" and self._steps % int(self.update_freq) == 0:
            self._scalars("train", self._steps, "batch", read_logs(logs))

    def _stop_profile(self, logs: Any) -> None:
        jax.block_until_ready(logs)
        jax.profiler.stop_trace()
        self._profiling = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = read_logs(logs)
        training = {name: value for name, value in logs.items() if not name.startswith("val_")}
        log_learning_rates(self.model.optimizer, training)
        if self.write_steps_per_second:
            steps = self._steps - self._steps_before
            training["steps_per_second"] = steps / (time.perf_counter() - self._began)
        self._scalars("train", epoch, "epoch", training)
        validation = {name.removeprefix("val_"): v for name, v in logs.items() if name.startswith("val_")}
        if validation:
            self._scalars("validation", epoch, "epoch", validation)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            weights = [(f"{w.path}/histogram", w.numpy()) for w in self.model.weights]
            self._write("train", epoch, [self._tensorboard.histogram(tag, value) for tag, value in weights])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._profiling:
            self._stop_profile(logs)
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _scalars(self, run: str, step: int, prefix: str, values: dict[str, Any]) -> None:
        plain = {name: value for name, value in values.items() if np.ndim(value) == 0}
        self._write(
            run, step, [self._tensorboard.scalar(f"{prefix}_{n}", float(v)) for n, v in plain.items()]
        )

    def _write(self, run: str, step: int, values: list[Any]) -> None:
        if run not in self._writers:
            self._writers[run] = self._tensorboard.writer(Path(self.log_dir) / run)
        self._writers[run].add_event(self._tensorboard.event(step, values))
        self._writers[run].flush()


class _Library:
    """What is used of the package ``tensorboard``."""

    def __init__(self) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2  # pyright: ignore[reportMissingImports]
            from tensorboard.plugins.text import metadata  # pyright: ignore[reportMissingImports]
            from tensorboard.summary.writer import event_file_writer  # pyright: ignore[reportMissingImports]
            from tensorboard.util import tensor_util  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError(
                "The callback TensorBoard needs the package `tensorboard`: install it."
            ) from None
        self._event, self._summary = event_pb2.Event, summary_pb2
        self._files, self._tensor, self._text = event_file_writer, tensor_util, metadata

    def writer(self, directory: Path) -> Any:
        return self._files.EventFileWriter(str(directory))

    def event(self, step: int, values: list[Any]) -> Any:
        return self._event(wall_time=time.time(), step=step, summary=self._summary.Summary(value=values))

    def scalar(self, tag: str, value: float) -> Any:
        return self._summary.Summary.Value(tag=tag, simple_value=value)

    def text(self, tag: str, text: str) -> Any:
        tensor = self._tensor.make_tensor_proto(np.array([text.encode()], dtype=object))
        kind = self._text.create_summary_metadata(tag, "")
        return self._summary.Summary.Value(tag=tag, tensor=tensor, metadata=kind)

    def histogram(self, tag: str, values: np.ndarray) -> Any:
        flat = values.astype("float64").reshape(-1)
        counts, edges = np.histogram(flat[np.isfinite(flat)], bins=30)
        proto = self._summary.HistogramProto(
            min=edges[0], max=edges[-1], num=flat.size, sum=flat.sum(), sum_squares=(flat**2).sum()
        )
        proto.bucket_limit.extend(edges[1:])
        proto.bucket.extend(counts.astype(float))
        return self._summary.Summary.Value(tag=tag, histo=proto)
