"""How long it takes from a cell to its table, beside Keras that builds and summarizes the same model.

Run ``python benchmarks/definition.py``: for a network of ten layers and for ResNet-50, the median time to
read an edited ``%%model`` cell, build the model and make its table, the time Keras takes for ``to_python()``
of the same model and ``summary()``, and the ratio. The very first use of each is left out.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import kerasmagic as km
from kerasmagic.magics.table import table_of

TEN = """input 28x28x1
conv 16 3 same relu -> bn -> maxpool 2
conv 32 3 same relu -> bn -> maxpool 2
conv 48 3 same relu
flatten -> dropout 0.5 -> dense UNITS relu
dense 10 softmax
"""
RESNET = Path(__file__).resolve().parent.parent / "tests/assembly/architectures/resnet50.km"


def cell(text: str) -> None:
    """Do what running a ``%%model`` cell does."""
    table = table_of(km.define(text, {}, name="model"))
    table.html()
    table.text()


def median(run: Callable[[int], None], rounds: int) -> float:
    """Return the median of several runs in milliseconds; each gets its number, so that each is an edit."""
    run(0)
    times = []
    for number in range(1, rounds + 1):
        start = time.perf_counter()
        run(number)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def keras_run(text: str) -> Callable[[int], None]:
    """Return what builds and summarizes the same model under Keras."""
    source = compile(km.define(text).to_python(), "<model>", "exec")

    def run(_: int) -> None:
        import keras

        names: dict[str, object] = {"__name__": "model"}
        exec(source, names)
        model = next(v for v in reversed(list(names.values())) if isinstance(v, keras.Model))
        out = io.StringIO()
        model.summary(print_fn=lambda line, **_: out.write(line))

    return run


def main() -> None:
    """Print one line for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-keras", action="store_true", help="measure kerasmagic only")
    options = parser.parse_args()
    resnet = RESNET.read_text(encoding="utf-8").replace("dense 1000", "dense UNITS")
    print(f"{'model':<12}{'cell to table':>16}{'Keras':>14}{'ratio':>8}")
    for name, text in (("ten layers", TEN), ("ResNet-50", resnet)):
        own = median(lambda i, text=text: cell(text.replace("UNITS", str(100 + i))), options.rounds)
        if options.no_keras:
            print(f"{name:<12}{own:>13.1f} ms")
            continue
        other = median(keras_run(text.replace("UNITS", "100")), max(options.rounds // 3, 1))
        print(f"{name:<12}{own:>13.1f} ms{other:>11.1f} ms{other / own:>7.1f}x")


if __name__ == "__main__":
    main()
