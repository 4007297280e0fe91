"""What the live training view costs: the same ``fit`` with it and without, turn and turn about in one kernel.

Examples::

    python -m benchmarks.dashboard                   # both models; about five minutes on a machine at rest
    python -m benchmarks.dashboard short --runs 20   # 1 ms steps only, where others use the machine

A real Jupyter kernel runs the training, and this process stands in for the page: it reads every message, and counts.
Two models of one kind train side by side, one with the view and one without, and take turns of an epoch, about a
second, in the order ABBA: a machine whose speed drifts is as fast for the one as for the other. While the other has
its turn, the view's thread rests. Between runs they change sides.

What is told is the Hodges-Lehmann estimate of the ratio of a turn with the view to the one beside it and, in
brackets, where the true one is with 95 % certainty (Wilcoxon's signed-rank test). Processor time is that of all threads
of the kernel: it counts what a second processor does in parallel, too, and depends less on what else the machine
is doing. Below it stands how much of it went to the threads that show, look at weights and send, and by how much
more the training thread had to do; this is measured directly and hardly depends on the machine's moods. What a
look at the weights takes on the device is in the processor time only.
"""

from __future__ import annotations

import argparse
import contextvars
import itertools
import json
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

# Units in each of the two hidden layers, samples in a batch, steps in an epoch.
MODELS = {"short": (256, 128, 800), "long": (1024, 1024, 10)}
# Turns of each side in a run, after one to warm up; and runs.
TURNS, RUNS = 10, 6
# How much slower a view may make a run.
ALLOWED = 1.02
# Of the normal distribution: a true value is outside once in twenty times.
DEVIATIONS = 1.96
TITLES = {"short": "steps of about 1 ms", "long": "steps of about 100 ms"}
MESSAGES = ("display_data", "update_display_data", "comm_open", "comm_msg", "comm_close")
# The threads that work for the view, by the beginning of their names.
THREADS = {"showing": "kerasmagic-publisher", "looking": "kerasmagic-insight", "sending": "IOPub"}
ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.dashboard", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="both unless told")
    parser.add_argument(
        "--runs", type=int, default=RUNS, help=f"of {TURNS} pairs of turns each (default {RUNS})"
    )
    parser.add_argument("--json", type=Path, help="write every figure into this file")
    options = parser.parse_args(arguments)
    results = {}
    for name in options.models or MODELS:
        with Kernel() as kernel:
            results[name] = kernel.run(name, options.runs)
        print(f"\n{TITLES[name]}: {report(results[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


class Kernel:
    """A Jupyter kernel of its own, and a reader of what it sends."""

    def __enter__(self) -> Kernel:
        from jupyter_client.manager import start_new_kernel

        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._manager, self._client = start_new_kernel(env=environment, cwd=str(ROOT))
        return self

    def __exit__(self, *error: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, name: str, runs: int) -> dict[str, Any]:
        """Return the figures of the kernel, and the time, kind and size of every message of a view."""
        code = f"%load_ext kerasmagic\nfrom benchmarks import dashboard\ndashboard.measure({name!r}, {runs})"
        asked = self._client.execute(code)
        messages: list[tuple[float, str, int]] = []
        printed = ""
        while True:
            message = self._client.get_iopub_msg(timeout=600)
            kind, content = message["msg_type"], message["content"]
            if kind == "error":
                sys.exit("\n".join(content["traceback"]))
            if kind == "stream":
                printed += content["text"] if content["name"] == "stdout" else ""
            if kind in MESSAGES:
                messages.append((time.monotonic(), kind, _size(message)))
            answered = message["parent_header"].get("msg_id") == asked
            if answered and kind == "status" and content["execution_state"] == "idle":
                return {**json.loads(printed.splitlines()[-1]), "messages": messages}


def _size(message: dict[str, Any]) -> int:
    parts = (message["header"], message["parent_header"], message["metadata"], message["content"])
    text = sum(len(json.dumps(part, default=str)) for part in parts)
    return text + sum(memoryview(part).nbytes for part in message.get("buffers", ()))


def measure(name: str, runs: int, turns: int = TURNS) -> None:
    """Fit with the view and without, and print the figures of each turn as a line of JSON; runs in a kernel."""
    import numpy as np

    import kerasmagic as keras
    from kerasmagic.widgets import throttle

    units, batch, steps = MODELS[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * steps, 256)).astype("float32")
    y = rng.integers(0, 10, len(x))
    models = [_model(keras, units, f"{name}_{number}") for number in range(2)]
    figures: dict[str, list[dict[str, float]]] = {"none": [], "live": []}
    # Nobody waits for a clock that stands still in the turn of the other.
    throttle.HEARTBEAT = threading.TIMEOUT_MAX
    for number in range(runs):
        with Turns() as sides:
            threads = []
            for view, model in zip(("live", "none"), models[:: 1 if number % 2 else -1], strict=True):
                given: dict[str, Any] = {
                    "epochs": turns + 1,
                    "verbose": int(view == "live"),
                    "callbacks": [_teller(keras, sides, view)],
                }
                # What a thread shows belongs to the cell of its context.
                run = contextvars.copy_context().run
                threads.append(threading.Thread(target=run, args=(model.fit, x, y, batch), kwargs=given))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for view, seen in sides.figures.items():
            # In the first turn there is something to open, to trace and to compile.
            figures[view] += seen[1:]
    print(json.dumps({"figures": figures, "steps": steps, "threads": threading.active_count()}))


def _model(keras: Any, units: int, name: str) -> Any:
    hidden = [keras.layers.Dense(units, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((256,)), *hidden, keras.layers.Dense(10)], name=name)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3), loss, metrics=["accuracy"])
    return model


def _teller(keras: Any, sides: Turns, view: str) -> Any:
    class Teller(keras.callbacks.Callback):
        """Ends a turn where an epoch begins: all that one brings about is in it."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch:
                sides.end(view)
            sides.begin(view)

        def on_train_end(self, logs: Any = None) -> None:
            sides.end(view)
            sides.leave(view)

    return Teller()


class Turns:
    """Lets two trainings take turns, and notes for each turn what it took.

    While it is in use, the view's thread works only in the turns of ``live``.
    """

    def __init__(self) -> None:
        self.figures: dict[str, list[dict[str, float]]] = {"none": [], "live": []}
        self._order = itertools.cycle(("live", "none", "none", "live"))
        self._changed = threading.Condition()
        self._turn = next(self._order)
        self._done: set[str] = set()
        self._began: dict[str, float] = {}

    def __enter__(self) -> Turns:
        from kerasmagic.widgets.throttle import Publisher

        take = Publisher._take

        def waiting(publisher: Any, events: Any) -> None:
            with self._changed:
                self._changed.wait_for(lambda: self._turn == "live" or self._over())
            take(publisher, events)

        self._patch = mock.patch.object(Publisher, "_take", waiting)
        self._patch.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._patch.stop()

    def begin(self, view: str) -> None:
        """Wait for the turn of ``view``."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn == view)
        self._began = _clocks()

    def end(self, view: str) -> None:
        """Note what the turn took, and let the other have the next where it is its turn."""
        now = _clocks()
        self.figures[view].append({key: value - self._began[key] for key, value in now.items()})
        with self._changed:
            self._turn = next(self._order)
            self._changed.notify_all()

    def leave(self, view: str) -> None:
        """Wait for the last turn of the other: what comes at the end of a run is in nobody's turn."""
        with self._changed:
            self._done.add(view)
            self._changed.notify_all()
            self._changed.wait_for(self._over)

    def _over(self) -> bool:
        return len(self._done) == len(self.figures)


def _clocks() -> dict[str, float]:
    """Return the seconds on the wall, of all threads, of this one, and of those that work for the view."""
    found = dict.fromkeys(THREADS, 0.0)
    for thread in threading.enumerate():
        for name, beginning in THREADS.items():
            if thread.name.startswith(beginning) and thread.ident is not None:
                found[name] += time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return {"wall": time.perf_counter(), "cpu": time.process_time(), "training": time.thread_time(), **found}


def report(result: dict[str, Any]) -> str:
    """Return the figures of one model as lines of text.

    >>> turn = {"wall": 1.0, "cpu": 2.0, "training": 0.1, "showing": 0.0, "looking": 0.0, "sending": 0.0}
    >>> slow = {"wall": 1.01, "cpu": 2.2, "training": 0.104, "showing": 0.01, "looking": 0.002, "sending": 0.004}
    >>> figures = {"none": [turn] * 9, "live": [slow] * 9}
    >>> print(report({"figures": figures, "steps": 100, "messages": [(0.0, "comm_msg", 900)]}))
    10.00 ms a step without a view, 9 pairs of turns
      time             1.010 times as long (1.010 to 1.010): at most 1.02
      processor time   1.100 times as much (1.100 to 1.100): more than 1.02
        of that        showing 0.50 %, looking 0.10 %, sending 0.20 %, training thread 0.20 % more: 1.00 %
      on the wire      1 message a second, 0.9 kB in one second at most
    """
    plain, live = result["figures"]["none"], result["figures"]["live"]
    step = 1e3 * statistics.median(turn["wall"] for turn in plain) / result["steps"]
    count, size = busiest_second(result["messages"])
    updates = f"{count} message{'s' * (count != 1)} a second"
    return "\n".join(
        [
            f"{step:.2f} ms a step without a view, {len(plain)} pairs of turns",
            f"  time             {_judged(plain, live, 'wall', 'long')}",
            f"  processor time   {_judged(plain, live, 'cpu', 'much')}",
            f"    of that        {_account(plain, live)}",
            f"  on the wire      {updates}, {size / 1e3:.1f} kB in one second at most",
        ]
    )


def _account(plain: list[Any], live: list[Any]) -> str:
    """Return what part of the processor time without a view each thread takes for it."""
    whole = sum(turn["cpu"] for turn in plain)
    shares = {name: sum(turn[name] for turn in live) / whole for name in THREADS}
    more = sum(b["training"] - a["training"] for a, b in zip(plain, live, strict=True)) / whole
    told = ", ".join(f"{name} {100 * share:.2f} %" for name, share in shares.items())
    return f"{told}, training thread {100 * more:.2f} % more: {100 * (sum(shares.values()) + more):.2f} %"


def busiest_second(messages: list[tuple[float, str, int]]) -> tuple[int, int]:
    """Return how many updates of a widget there were in any one second, and how many bytes in any one second."""
    updates = [(when, size) for when, kind, size in messages if kind == "comm_msg"]
    windows = [[size for when, size in updates if begin <= when < begin + 1.0] for begin, _ in updates]
    return max(map(len, windows), default=0), max(map(sum, windows), default=0)


def _ratios(plain: list[Any], live: list[Any], figure: str) -> Iterator[float]:
    return (b[figure] / a[figure] for a, b in zip(plain, live, strict=True))


def _judged(plain: list[Any], live: list[Any], figure: str, word: str) -> str:
    middle, low, high = (
        math.exp(value) for value in estimate([*map(math.log, _ratios(plain, live, figure))])
    )
    verdict = (
        "at most"
        if high <= ALLOWED
        else "more than"
        if low > ALLOWED
        else "too few turns to say whether at most"
    )
    return f"{middle:.3f} times as {word} ({low:.3f} to {high:.3f}): {verdict} {ALLOWED}"


def estimate(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the middle of a distribution from some of its values, and between what it is with 95 % certainty.

    The middle is the median of the means of all pairs of values (Hodges and Lehmann), each value with itself among
    them. It heeds how far a value is out, but not how far the farthest are.

    >>> estimate([float(value) for value in range(20)])
    (9.5, 6.5, 12.5)
    >>> estimate([1.0, 2.0])
    (1.5, -inf, inf)
    """
    means = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2))
    count = len(values)
    spread = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    cut = math.floor(len(means) / 2 - DEVIATIONS * spread)
    middle = statistics.median(means)
    return (middle, means[cut - 1], means[-cut]) if cut > 0 else (middle, -math.inf, math.inf)


if __name__ == "__main__":
    main()
