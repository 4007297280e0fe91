"""One measurement of one peer in a process of its own; prints a line of JSON.

``python -m benchmarks.worker cold kerasmagic mlp`` is what ``python -m benchmarks`` starts. With ``turns`` the
process prints a line when it is ready, trains each time it is sent a line, and prints a line for each.
"""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time
from typing import Any

from benchmarks.workloads import WORKLOADS, Workload

Figures = dict[str, float]
# A turn is a run, repeated until it took this many seconds of the processor.
LONG_ENOUGH = 0.25
TURNS = 4


class Turns:
    """A model that is trained a turn at a time, once everything is compiled."""

    def __init__(self, peer: str, workload: Workload):
        self.workload = workload
        self.model, self.x, self.y = _made(peer, workload)
        # As long as the run that is timed: how steps are sent may depend on how many there are.
        self.model.fit(self.x, self.y, workload.epochs)

    def turn(self) -> Figures:
        """Return the samples of a turn, the seconds it took, and the last loss."""
        wall = cpu = samples = loss = 0.0
        while cpu < LONG_ENOUGH:
            begin = time.perf_counter(), time.process_time()
            loss = self.model.fit(self.x, self.y, self.workload.epochs)
            wall, cpu = wall + time.perf_counter() - begin[0], cpu + time.process_time() - begin[1]
            samples += self.workload.epochs * len(self.x)
        return {"samples": samples, "wall_s": wall, "cpu_s": cpu, "loss": loss}


def speed(turns: list[Figures]) -> Figures:
    """Return what a peer's turns come to.

    >>> speed([{"samples": n, "wall_s": 1, "cpu_s": 2, "loss": 0.25} for n in (30, 10)])
    {'samples_per_s': 20.0, 'samples_per_cpu_s': 10.0, 'loss': 0.25}
    """
    samples, wall, cpu = (sum(turn[name] for turn in turns) for name in ("samples", "wall_s", "cpu_s"))
    return {"samples_per_s": samples / wall, "samples_per_cpu_s": samples / cpu, "loss": turns[-1]["loss"]}


def cold(peer: str, workload: Workload) -> Figures:
    """Seconds from the start of the process to the first finished step, in its parts."""
    x, y = workload.data(workload.batch)
    times = [time.perf_counter()]
    module, options = _module(peer)
    times.append(time.perf_counter())
    compiling = count_compilation()
    model = module.make(workload, **options)
    times.append(time.perf_counter())
    model.fit(x, y, 1)
    times.append(time.perf_counter())
    parts = [b - a for a, b in itertools.pairwise(times)]
    figures = dict(zip(("import_s", "build_s", "first_step_s"), parts, strict=True))
    return {**figures, **compiling, "total_s": sum(parts), "total_cpu_s": time.process_time()}


def memory(peer: str, workload: Workload) -> Figures:
    """MB at the highest point of an epoch."""
    model, x, y = _made(peer, workload)
    model.fit(x, y, 1)
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def predict(peer: str, workload: Workload) -> Figures:
    """Samples per second through ``predict``, and milliseconds for a batch of one."""
    model, x, _ = _made(peer, workload)
    one = x[:1]
    model.predict(x, workload.batch), model.predict(one, 1)
    started = time.perf_counter()
    model.predict(x, workload.batch)
    throughput = len(x) / (time.perf_counter() - started)
    return {"samples_per_s": throughput, "latency_ms": 1e3 * _median_time(lambda: model.predict(one, 1), 50)}


def eager(peer: str, workload: Workload) -> Figures:
    """Microseconds for one call of a small dense layer outside any compiled program."""
    model, _, _ = _made(peer, workload)
    call = model.dense_call()
    call()
    return {"call_us": 1e6 * _median_time(call, 2_000)}


MEASUREMENTS = {f.__name__: f for f in (cold, memory, predict, eager)}


def _module(peer: str) -> Any:
    from benchmarks.peers import PEERS, module_of

    options = PEERS[peer][2]
    module = module_of(peer)
    if "library" in options:
        __import__(options["library"])
    return module, options


def _made(peer: str, workload: Workload) -> Any:
    module, options = _module(peer)
    return (module.make(workload, **options), *workload.data())


def _median_time(call: Any, times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return sorted(taken)[times // 2]


def count_compilation() -> Figures:
    """Return figures that grow while JAX traces and compiles; none where JAX is not loaded."""
    if "jax" not in sys.modules:
        return {}
    from jax import monitoring

    parts = {"trace_s": ("jaxpr_trace", "jaxpr_to_mlir"), "compile_s": ("backend_compile",)}
    figures = dict.fromkeys(parts, 0.0)

    def listen(event: str, seconds: float, **_: Any) -> None:
        for name, words in parts.items():
            if any(word in event for word in words):
                figures[name] += seconds

    monitoring.register_event_duration_secs_listener(listen)
    return figures


if __name__ == "__main__":
    measurement, peer, workload = sys.argv[1:4]
    if measurement == "turns":
        turns = Turns(peer, WORKLOADS[workload])
        print("ready", flush=True)
        for _ in sys.stdin:
            print(json.dumps(turns.turn()), flush=True)
    else:
        print(json.dumps(MEASUREMENTS[measurement](peer, WORKLOADS[workload])))
