"""What all tests share: a quiet JAX with a compile cache, the oracle, how many examples hypothesis tries."""

from __future__ import annotations

import itertools
import logging
import os
import random
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# Before anything imports jax or keras: both read these once. The subprocesses of the tests inherit them.
os.environ["KERAS_BACKEND"] = "jax"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# On a GPU the default precision of a product is lower than that of the numbers we compare with.
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# No result of a test may depend on a measured time.
os.environ["KERASMAGIC_TUNING"] = "off"

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis.internal.conjecture import providers

from tests.tools.cheap_compiler import compile_cheaply

logging.getLogger("jax").setLevel(logging.ERROR)
# Nearly all programs of the tests run once on a few numbers: compiling them is what takes the time.
compile_cheaply(True)

hypothesis.settings.register_profile(
    "default",
    max_examples=200,
    # The first example of a test may compile a program.
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    # A run finds what the run before it found; --hypothesis-profile=thorough looks for new bugs.
    derandomize=True,
)
hypothesis.settings.register_profile(
    "thorough", hypothesis.settings.get_profile("default"), max_examples=5_000, derandomize=False
)
hypothesis.settings.load_profile("default")
# Hypothesis also tries constants of the modules that are loaded, which differ from run to run and worker to worker.
_constants_of_modules = providers._get_local_constants
providers._get_local_constants = lambda: (
    providers._local_constants if hypothesis.settings().derandomize else _constants_of_modules()
)


# Folders whose tests are mostly comparisons with Keras, each of which compiles two programs.
ORACLE_FOLDERS = ("layers", "ops", "losses", "metrics", "optimizers", "initializers", "random", "activations")
TESTS_BETWEEN_CLEARINGS = 150
# What the machine does beside the tests shows in these; a test of a module that uses one of them may be tried again.
MEASURES = ("resource", "subprocess", "threading", "time", "tracemalloc")
_finished = itertools.count(1)
_generators: dict[np.random.Generator, Any] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the comparisons with Keras, and begin with the slow tests: then two workers end together."""
    for item in items:
        folder = item.path.parent.name
        if "keras" in getattr(item, "fixturenames", ()) or (
            folder in ORACLE_FOLDERS and "tests" in item.path.parts
        ):
            item.add_marker("oracle")
        if item.get_closest_marker("browser") or _measures(item):
            item.add_marker(pytest.mark.flaky(reruns=2))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for module in {item.module for item in items if isinstance(item, pytest.Function)}:
        for value in vars(module).values():
            if isinstance(value, np.random.Generator):
                _generators[value] = value.bit_generator.state


def _measures(item: pytest.Item) -> bool:
    used = vars(item.module).values() if isinstance(item, pytest.Function) else ()
    return any(isinstance(value, ModuleType) and value.__name__ in MEASURES for value in used)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give a test the same names and random numbers whatever ran before it, in whatever order."""
    from kerasmagic.core.random import reset_global_seed
    from kerasmagic.foundation.naming import reset_names

    reset_names()
    seed = zlib.crc32(item.nodeid.encode())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - some tests draw from the global generator, as users do
    reset_global_seed()
    for generator, state in _generators.items():
        generator.bit_generator.state = state


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let go of compiled programs now and then: thousands of them take gigabytes."""
    # One drawn test compiles as many as dozens of others.
    if next(_finished) % TESTS_BETWEEN_CLEARINGS == 0 or item.get_closest_marker("hypothesis"):
        jax.clear_caches()


@pytest.fixture(scope="module")
def optimized() -> Iterator[None]:
    """Compile as a user's process does: what XLA fuses rounds in another way."""
    compile_cheaply(False)
    jax.clear_caches()
    yield
    compile_cheaply(True)
    jax.clear_caches()


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    """Return Keras itself on the JAX backend: the oracle."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras as oracle
    assert oracle.backend.backend() == "jax"
    return oracle


@pytest.fixture
def strict_promotion() -> Iterator[None]:
    """Let JAX refuse to mix dtypes silently during a test."""
    promotion: Any = jax.numpy_dtype_promotion
    with promotion("strict"):
        yield
