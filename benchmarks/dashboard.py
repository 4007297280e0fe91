"""What the live training view costs: the same ``fit`` with it and without, turn and turn about in one kernel.

Examples::

    python -m benchmarks.dashboard                    # both models; about five minutes on a machine at rest
    python -m benchmarks.dashboard short --rounds 60  # 1 ms steps only, where others use the machine

A real Jupyter kernel runs the training, and this process stands in for the page: it reads every message, and counts.
What is told is the middle of the ratios of many pairs and, in brackets, where the true middle is with 95 % certainty,
whatever the distribution. Processor time is that of all threads of the kernel: it counts what a second processor does
in parallel, too, and depends less on what else the machine is doing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Units in each of the two hidden layers, samples in a batch, steps in an epoch, epochs.
MODELS = {"short": (256, 128, 400, 8), "long": (1024, 1024, 20, 4)}
ROUNDS = {"short": 24, "long": 8}
# How much slower a view may make a run.
ALLOWED = 1.02
CERTAINTY = 0.95
TITLES = {"short": "steps of about 1 ms", "long": "steps of about 100 ms"}
MESSAGES = ("display_data", "update_display_data", "comm_open", "comm_msg", "comm_close")
ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser("python -m benchmarks.dashboard", description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="both unless told")
    told = ", ".join(f"{count} for {name}" for name, count in ROUNDS.items())
    parser.add_argument("--rounds", type=int, help=f"pairs of runs (default {told})")
    parser.add_argument("--json", type=Path, help="write every figure into this file")
    options = parser.parse_args(arguments)
    results = {}
    for name in options.models or MODELS:
        with Kernel() as kernel:
            results[name] = kernel.run(name, options.rounds or ROUNDS[name])
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

    def run(self, name: str, rounds: int) -> dict[str, Any]:
        """Return the figures of the kernel, and the time, kind and size of every message of a view."""
        code = (
            f"%load_ext kerasmagic\nfrom benchmarks import dashboard\ndashboard.measure({name!r}, {rounds})"
        )
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


def measure(name: str, rounds: int) -> None:
    """Fit ``rounds`` times with the view and without, and print the seconds as a line of JSON; runs in a kernel."""
    import numpy as np

    import kerasmagic as keras

    units, batch, steps, epochs = MODELS[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * steps, 256)).astype("float32")
    y = rng.integers(0, 10, len(x))
    hidden = [keras.layers.Dense(units, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((256,)), *hidden, keras.layers.Dense(10)], name=name)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3), loss, metrics=["accuracy"])
    figures: dict[str, list[dict[str, float]]] = {"none": [], "live": []}
    for number in range(rounds + 1):
        # Whoever comes second in a pair comes first in the next.
        for view in ("none", "live") if number % 2 else ("live", "none"):
            timer = _timer(keras)
            began = time.perf_counter()
            model.fit(x, y, batch, epochs, verbose=int(view == "live"), callbacks=[timer])
            whole = time.perf_counter() - began
            # The first pair compiles.
            if number:
                inside, cpu = (b - a for a, b in zip(timer.began, timer.ended, strict=True))
                figures[view].append({"inside": inside, "around": whole - inside, "cpu": cpu})
    print(
        json.dumps({"figures": figures, "steps": steps * (epochs - 1), "threads": threading.active_count()})
    )


def _timer(keras: Any) -> Any:
    class Timer(keras.callbacks.Callback):
        """Times the epochs but for the first, in which a view is opened and looked at for the first time."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                self.began = time.perf_counter(), time.process_time()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.ended = time.perf_counter(), time.process_time()

    return Timer()


def report(result: dict[str, Any]) -> str:
    """Return the figures of one model as lines of text.

    >>> run = {"inside": 1.0, "around": 0.1, "cpu": 2.0}
    >>> slow = {"inside": 1.01, "around": 0.3, "cpu": 2.2}
    >>> figures = {"none": [run] * 9, "live": [slow] * 9}
    >>> print(report({"figures": figures, "steps": 100, "messages": [(0.0, "comm_msg", 900)]}))
    10.00 ms a step without a view
      inside the run   1.010 times as long (1.010 to 1.010): at most 1.02
      processor time   1.100 times as much (1.100 to 1.100): more than 1.02
      opening, closing 0.20 s more
      on the wire      1 message a second, 0.9 kB in one second at most
    """
    figures = result["figures"]
    plain, live = figures["none"], figures["live"]
    step = 1e3 * statistics.median(run["inside"] for run in plain) / result["steps"]
    around = statistics.median(b["around"] - a["around"] for a, b in zip(plain, live, strict=True))
    count, size = busiest_second(result["messages"])
    updates = f"{count} message{'s' * (count != 1)} a second"
    return "\n".join(
        [
            f"{step:.2f} ms a step without a view",
            f"  inside the run   {_judged(plain, live, 'inside', 'long')}",
            f"  processor time   {_judged(plain, live, 'cpu', 'much')}",
            f"  opening, closing {around:.2f} s more",
            f"  on the wire      {updates}, {size / 1e3:.1f} kB in one second at most",
        ]
    )


def busiest_second(messages: list[tuple[float, str, int]]) -> tuple[int, int]:
    """Return how many updates of a widget there were in any one second, and how many bytes in any one second."""
    updates = [(when, size) for when, kind, size in messages if kind == "comm_msg"]
    windows = [[size for when, size in updates if begin <= when < begin + 1.0] for begin, _ in updates]
    return max(map(len, windows), default=0), max(map(sum, windows), default=0)


def _ratios(plain: list[Any], live: list[Any], figure: str) -> Iterator[float]:
    return (b[figure] / a[figure] for a, b in zip(plain, live, strict=True))


def _judged(plain: list[Any], live: list[Any], figure: str, word: str) -> str:
    ratios = list(_ratios(plain, live, figure))
    low, high = interval(ratios)
    verdict = (
        "at most"
        if high <= ALLOWED
        else "more than"
        if low > ALLOWED
        else "too few rounds to say whether at most"
    )
    return f"{statistics.median(ratios):.3f} times as {word} ({low:.3f} to {high:.3f}): {verdict} {ALLOWED}"


def interval(values: list[float]) -> tuple[float, float]:
    """Return between which of the values the median of all that there could be lies, with 95 % certainty.

    Half of those are below it, so how many of the values are is a matter of throwing coins.

    >>> interval([float(value) for value in range(20)]), interval([1.0, 2.0])
    ((5.0, 14.0), (-inf, inf))
    """
    ordered, count = sorted(values), len(values)
    outside, cut = 0.0, 0
    while (outside := outside + math.comb(count, cut) / 2**count) <= (1 - CERTAINTY) / 2:
        cut += 1
    return (ordered[cut - 1], ordered[-cut]) if cut else (-math.inf, math.inf)


if __name__ == "__main__":
    main()
