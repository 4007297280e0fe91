"""Run measurements, each in a fresh process and interleaved, and print them beside each other as ratios.

Examples::

    python -m benchmarks                                  # everything; about half an hour
    python -m benchmarks steady --workloads mlp digits    # one measurement of two workloads
    python -m benchmarks cold --peers kerasmagic keras --rounds 5
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib
import importlib.util
import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import fresh
from benchmarks.peers import PEERS
from benchmarks.table import rows_of, table
from benchmarks.worker import TURNS, speed
from benchmarks.workloads import WORKLOADS

# By measurement: the workloads it is made on unless told, and which figures are better when they are higher.
MEASUREMENTS: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "steady": (tuple(WORKLOADS), frozenset({"samples_per_s", "samples_per_cpu_s"})),
    "cold": (tuple(WORKLOADS), frozenset()),
    "warm": (tuple(WORKLOADS), frozenset()),
    "again": (tuple(WORKLOADS), frozenset()),
    "memory": (tuple(WORKLOADS), frozenset()),
    "predict": (tuple(WORKLOADS), frozenset({"samples_per_s"})),
    "eager": (("digits",), frozenset()),
}
NO_CACHE = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
# The variables for a start after a run has left its programs on disk. ``warm`` gives the cache of JAX to all that run
# on it; ``again`` says only where ours is to be: who starts again has a cache if the library has one by default.
SECOND_STARTS: dict[str, Callable[[str], dict[str, str]]] = {
    "warm": lambda folder: {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    },
    "again": lambda folder: {"KERASMAGIC_COMPILE_CACHE": f"{folder}/again"},
}
# Says whether a peer learned; it is no figure of speed.
NO_RATIO = frozenset({"loss"})


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for."""
    options = _parse(arguments)
    peers, absent = _installed(options.peers)
    for name, package in absent.items():
        print(f"left out: {name} ({package} is not installed; pip install -e '.[bench]')")
    print(_machine(options.pin))
    compileall.compile_dir("kerasmagic", quiet=1)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        for measurement in options.measurements or MEASUREMENTS:
            workloads, higher = MEASUREMENTS[measurement]
            for workload in options.workloads or workloads:
                builders = [name for name in peers if name in (WORKLOADS[workload].peers or PEERS)]
                figures = _measure(measurement, workload, builders, options, cache)
                print(f"\n{measurement} {workload}: {WORKLOADS[workload].title}", flush=True)
                if others := [name for name in peers if name not in builders]:
                    print(f"left out: {', '.join(others)} (this model is not written for them)")
                print(table(rows_of(figures), options.reference, higher, NO_RATIO), flush=True)
                results.append({"measurement": measurement, "workload": workload, "figures": figures})
    if options.json:
        record = {"machine": _machine(options.pin), "versions": _versions(peers), "results": results}
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("measurements", nargs="*", choices=[*MEASUREMENTS, []], help="all unless told")
    parser.add_argument("--workloads", nargs="+", choices=[*WORKLOADS], help="all unless told")
    parser.add_argument("--peers", nargs="+", choices=[*PEERS], default=[*PEERS])
    parser.add_argument("--reference", choices=[*PEERS], default="keras", help="what the ratios divide by")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes a peer (default 5)")
    parser.add_argument("--pin", action="store_true", help="keep each process on one core")
    parser.add_argument("--json", type=Path, help="write every figure into this file")
    return parser.parse_args(arguments)


def _installed(names: list[str]) -> tuple[list[str], dict[str, str]]:
    absent = {name: PEERS[name][1] for name in names if importlib.util.find_spec(PEERS[name][1]) is None}
    return [name for name in names if name not in absent], absent


def _measure(
    measurement: str, workload: str, peers: list[str], options: argparse.Namespace, cache: str
) -> dict[str, list[dict[str, float]]]:
    """Return each peer's figures, one a round; a round runs every peer once, in a fresh process."""
    figures: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
    # The run before a second start is not counted.
    second = measurement in SECOND_STARTS
    name = "cold" if second else measurement
    environment = SECOND_STARTS.get(measurement, lambda cache: NO_CACHE)(cache)
    for round_ in range(options.rounds + second):
        if name == "steady":
            results = _in_turns(peers, workload, options.pin)
        else:
            results = {peer: _worker(name, peer, workload, options.pin, environment) for peer in peers}
        if round_ or not second:
            for peer in peers:
                figures[peer].append(results[peer])
    return figures


def _in_turns(peers: list[str], workload: str, pin: bool) -> dict[str, dict[str, float]]:
    """Return how fast the peers train that are all there and train in turn, so that a slow minute slows all alike."""
    turns: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
    with contextlib.ExitStack() as stack:
        asks = {
            peer: stack.enter_context(
                fresh.asked("benchmarks.worker", "turns", peer, workload, environment=NO_CACHE, pin=pin)
            )
            for peer in peers
        }
        for number in range(TURNS):
            for peer in peers if number % 2 == 0 else reversed(peers):
                turns[peer].append(asks[peer]())
    return {peer: speed(taken) for peer, taken in turns.items()}


def _worker(
    measurement: str, peer: str, workload: str, pin: bool, environment: Mapping[str, str]
) -> dict[str, float]:
    return fresh.run("benchmarks.worker", measurement, peer, workload, environment=environment, pin=pin)


def _machine(pin: bool) -> str:
    cores = 1 if pin else len(os.sched_getaffinity(0))
    return f"Python {platform.python_version()}, {platform.machine()}, {cores} core(s) a process"


def _versions(peers: list[str]) -> dict[str, str]:
    packages = {PEERS[peer][1] for peer in peers} | {"jax", "jaxlib", "numpy"}
    return {package: str(importlib.import_module(package).__version__) for package in sorted(packages)}


if __name__ == "__main__":
    main()
