"""What each option that programs are compiled with on CPU brings: training with all of them, and without each one.

Run ``python -m benchmarks.options`` (about ten minutes), or name workloads: ``python -m benchmarks.options cnn lstm``.
A line for each option: how much processor time a run takes without it, in that of a run with all; the middle of
several fresh processes each, in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics

from benchmarks import fresh
from benchmarks.worker import TURNS, Turns, speed
from benchmarks.workloads import WORKLOADS
from kerasmagic.numerics import compiling

# What is measured beside the single options: that programs of large products have their own.
LARGE_PRODUCTS = "large products"


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser("python -m benchmarks.options", description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []], help="all unless told")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes for each (default 5)")
    parser.add_argument("--only", nargs=2, metavar=("WORKLOAD", "WITHOUT"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(seconds(*options.only)))
        return
    for workload in options.workloads or WORKLOADS:
        without = ["", *compiling.CPU_OPTIONS, LARGE_PRODUCTS]
        taken: dict[str, list[float]] = {name: [] for name in without}
        for _ in range(options.rounds):
            for name in without:
                taken[name].append(fresh.run("benchmarks.options", "--only", workload, name))
        print(f"\n{workload}: {WORKLOADS[workload].title}")
        whole = statistics.median(taken[""])
        for name in without[1:]:
            print(f"  without {name:38} {statistics.median(taken[name]) / whole:.2f}", flush=True)


def seconds(workload: str, without: str) -> float:
    """Return the processor time of a sample, compiled without an option."""
    compiling.CPU_OPTIONS.pop(without, None)
    compiling.LARGE_PRODUCTS.pop(without, None)
    if without == LARGE_PRODUCTS:
        compiling.LARGE_PRODUCTS.clear()
    model = Turns("kerasmagic", WORKLOADS[workload])
    return 1 / speed([model.turn() for _ in range(TURNS)])["samples_per_cpu_s"]


if __name__ == "__main__":
    main()
