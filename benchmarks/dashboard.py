"""What the live training view costs: the same ``fit`` with it and without, turn and turn about in one kernel.

Examples::

    python -m benchmarks.dashboard                 # both models; about eight minutes
    python -m benchmarks.dashboard short --runs 2  # 1 ms steps only, and a rough answer

A real Jupyter kernel runs the training, and this process stands in for the page: it reads every message, and counts.
Two models of one kind train side by side, one with the view and one without, and take turns of a tenth of a second,
in the order ABBA: a machine whose speed changes is as fast for the one as for the other. For the view there is no
time but that of its own turns: its clocks stand still and its thread rests while the other trains, so that it shows
and looks as often as in a run of its own. A turn ends when the device has done all that it was given, histograms
included. Between runs the models change sides.

The turns of some seconds make a block. What is told is the Hodges-Lehmann estimate of the ratio of a step with the
view to one without over the blocks and, in brackets, where the true one is with 95 % certainty (Wilcoxon's
signed-rank test). Processor time is that of all threads of the kernel: it counts what a second processor does in
parallel, too. Below it stands how much of it went to the threads that show, look at weights and send, and by how
much more the training thread had to do; this is measured directly and hardly depends on the machine's moods. What a
look at the weights takes on the device is in the times only.
"""

from __future__ import annotations

import argparse
import contextvars
import importlib
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

# Units in each of the two hidden layers, samples in a batch, steps in an epoch, and in a turn.
MODELS = {"short": (256, 128, 800, 64), "long": (1024, 1024, 10, 1)}
# Turns of each side in a run, after those in which something is opened, traced and compiled; and runs.
TURNS, WARMING, RUNS = 320, 40, 4
# So many turns of each side make a block.
BLOCK = 16
# Steps for what a view sends when the other has no turns.
ALONE = {"short": 8000, "long": 80}
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
        code = f"from benchmarks import dashboard\ndashboard.measure({name!r}, {runs})"
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

    clock = Clock()
    keras = _load(clock)
    units, batch, steps, least = MODELS[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * steps, 256)).astype("float32")
    y = rng.integers(0, 10, len(x))
    models = [_model(keras, units, f"{name}_{number}") for number in range(2)]
    figures: dict[str, list[dict[str, float]]] = {"none": [], "live": []}
    for number in range(runs):
        with Turns(WARMING + turns, least, clock) as sides:
            threads = []
            for view, model in zip(("live", "none"), models[:: 1 if number % 2 else -1], strict=True):
                given = {"epochs": sys.maxsize, "verbose": int(view == "live")}
                # What a thread shows belongs to the cell of its context.
                run = contextvars.copy_context().run
                threads.append(threading.Thread(target=run, args=(model.fit, x, y, batch), kwargs=given))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for view, seen in sides.figures.items():
            figures[view] += seen[WARMING:]
    # What it sends in a second, all of it the view's.
    clock.run(True)
    models[0].fit(x, y, batch, ALONE[name] // steps, verbose=1)
    print(json.dumps({"figures": figures, "threads": threading.active_count()}))


def _load(clock: Clock) -> Any:
    """Return the library as a notebook loads it, its views and what they look at with ``clock`` for theirs."""
    import anywidget as anywidget
    import jax as jax
    from IPython.core.interactiveshell import InteractiveShell

    with mock.patch("time.monotonic", clock):
        InteractiveShell.instance().run_line_magic("load_ext", "kerasmagic")
        from kerasmagic.training import loop as loop
        from kerasmagic.widgets import throttle
        from kerasmagic.widgets import training as training
    # Nobody waits for a clock that stands still.
    throttle.HEARTBEAT = threading.TIMEOUT_MAX
    return importlib.import_module("kerasmagic")


def _model(keras: Any, units: int, name: str) -> Any:
    hidden = [keras.layers.Dense(units, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((256,)), *hidden, keras.layers.Dense(10)], name=name)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3), loss, metrics=["accuracy"])
    return model


class Clock:
    """Seconds that go by only while it runs."""

    def __init__(self) -> None:
        self._real = time.monotonic
        self._before, self._began = 0.0, None

    def __call__(self) -> float:
        began = self._began
        return self._before + (0.0 if began is None else self._real() - began)

    def run(self, on: bool) -> None:
        """Let it go by from now on, or stand still."""
        self._before, self._began = self(), self._real() if on else None


class Turns:
    """Lets a training with a view and one without take turns, and notes for each turn what it took.

    Args:
        turns: How many each has; then both end.
        least: Steps of a turn.
        clock: Runs in the turns of the view.
    """

    def __init__(self, turns: int, least: int, clock: Clock) -> None:
        self.figures: dict[str, list[dict[str, float]]] = {"none": [], "live": []}
        self._turns, self._least, self._clock = turns, least, clock
        self._order = itertools.cycle(("live", "none", "none", "live"))
        self._changed = threading.Condition()
        self._turn = next(self._order)
        self._began: dict[str, float] = {}
        self._steps = 0
        self._next_look = -math.inf

    def __enter__(self) -> Turns:
        from kerasmagic.training.loop import TrainingRun
        from kerasmagic.widgets.throttle import Publisher

        train, report = TrainingRun._train, TrainingRun._report

        def in_turn(run: Any) -> None:
            self._begin(run)
            train(run)

        def reporting(run: Any, epoch: int, count: int, group: Any) -> None:
            report(run, epoch, count, group)
            self._after(run, sum(dispatch.steps for dispatch in group))

        self._patches = [
            mock.patch.object(TrainingRun, "_train", in_turn),
            mock.patch.object(TrainingRun, "_report", reporting),
            mock.patch.object(Publisher, "_rest", lambda _, seconds: self._rest(seconds)),
        ]
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *error: object) -> None:
        for patch in self._patches:
            patch.stop()

    def _begin(self, run: Any) -> None:
        """Wait for the turn of ``run``."""
        view = _side(run)
        with self._changed:
            self._changed.wait_for(lambda: self._turn == view)
        # How long the other took says nothing of how long an execution takes.
        run.pace.begin_epoch()
        self._clock.run(view == "live")
        self._steps, self._began = 0, _clocks()

    def _after(self, run: Any, steps: int) -> None:
        """Note steps, and let the other have the next turn where it is its."""
        import jax

        self._steps += steps
        if self._steps < self._least:
            return
        view = _side(run)
        jax.block_until_ready(run.state)
        if run.insight is not None and run.insight._next_look != self._next_look:
            # What it was given to look at in this turn it has looked at then.
            self._next_look = run.insight._next_look
            run.insight._worker.submit(int).result()
        now = _clocks()
        took = {key: value - self._began[key] for key, value in now.items()}
        self.figures[view].append({"steps": self._steps, **took})
        with self._changed:
            self._clock.run(False)
            self._turn = next(self._order)
            self._changed.notify_all()
            if len(self.figures[view]) == self._turns:
                # What comes at the end of a run is in nobody's turn.
                run.model.stop_training = True
                self._changed.wait_for(self._over)
                return
        self._begin(run)

    def _rest(self, seconds: float) -> None:
        """Let ``seconds`` of the view's turns go by."""
        end = self._clock() + seconds
        with self._changed:
            while not self._over() and (left := end - self._clock()) > 0:
                self._changed.wait(left if self._turn == "live" else None)

    def _over(self) -> bool:
        return all(len(seen) == self._turns for seen in self.figures.values())


def _side(run: Any) -> str:
    return "live" if run.sinks else "none"


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

    >>> turn = {"steps": 4, "wall": 0.1, "cpu": 0.2, "training": 0.01, "showing": 0, "looking": 0, "sending": 0}
    >>> slow = {**turn, "wall": 0.101, "cpu": 0.22, "training": 0.0104, "showing": 0.001, "sending": 0.0004}
    >>> figures = {"none": [turn] * 160, "live": [slow] * 160}
    >>> print(report({"figures": figures, "messages": [(0.0, "comm_msg", 900)]}))
    25.00 ms a step without a view, 160 pairs of turns in 10 blocks
      time             1.010 times as long (1.010 to 1.010): at most 1.02
      processor time   1.100 times as much (1.100 to 1.100): more than 1.02
        of that        showing 0.50 %, looking 0.00 %, sending 0.20 %, training thread 0.20 % more: 0.90 %
      on the wire      1 message a second, 0.9 kB in one second at most
    """
    plain, live = result["figures"]["none"], result["figures"]["live"]
    step = 1e3 * statistics.median(turn["wall"] / turn["steps"] for turn in plain)
    count, size = busiest_second(result["messages"])
    updates = f"{count} message{'s' * (count != 1)} a second"
    return "\n".join(
        [
            f"{step:.2f} ms a step without a view, {len(plain)} pairs of turns in {len(plain) // BLOCK} blocks",
            f"  time             {_judged(plain, live, 'wall', 'long')}",
            f"  processor time   {_judged(plain, live, 'cpu', 'much')}",
            f"    of that        {_account(plain, live)}",
            f"  on the wire      {updates}, {size / 1e3:.1f} kB in one second at most",
        ]
    )


def _account(plain: list[Any], live: list[Any]) -> str:
    """Return what part of the processor time without a view each thread takes for it."""
    whole = _of_a_step(plain, "cpu")
    shares = {name: _of_a_step(live, name) / whole for name in THREADS}
    more = (_of_a_step(live, "training") - _of_a_step(plain, "training")) / whole
    told = ", ".join(f"{name} {100 * share:.2f} %" for name, share in shares.items())
    return f"{told}, training thread {100 * more:.2f} % more: {100 * (sum(shares.values()) + more):.2f} %"


def busiest_second(messages: list[tuple[float, str, int]]) -> tuple[int, int]:
    """Return how many updates of a widget there were in any one second, and how many bytes in any one second."""
    updates = [(when, size) for when, kind, size in messages if kind == "comm_msg"]
    windows = [[size for when, size in updates if begin <= when < begin + 1.0] for begin, _ in updates]
    return max(map(len, windows), default=0), max(map(sum, windows), default=0)


def _ratios(plain: list[Any], live: list[Any], figure: str) -> Iterator[float]:
    """Return for each block how much more a step takes with a view."""
    for begin in range(0, len(plain) - BLOCK + 1, BLOCK):
        before, after = (_of_a_step(turns[begin : begin + BLOCK], figure) for turns in (plain, live))
        yield after / before


def _of_a_step(turns: list[Any], figure: str) -> float:
    return sum(turn[figure] for turn in turns) / sum(turn["steps"] for turn in turns)


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
