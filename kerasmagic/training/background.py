"""A run of ``fit`` in a thread of its own, and the handle that steers it and waits for it."""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import threading
import weakref
from collections.abc import Callable
from html import escape
from typing import Any

import jax
import numpy as np

from kerasmagic.foundation import options
from kerasmagic.training.control import NAP, RunControl

# How long the end of the program waits for the steps that are running.
LAST_SECONDS = 10.0

_alive: weakref.WeakSet[BackgroundRun] = weakref.WeakSet()


class BackgroundRun(RunControl):
    """What ``fit(background=True)`` returns: it steers the run, tells where it stands, and waits for its end.

    The model belongs to the run until that is ``done``: ``fit``, ``evaluate``, ``predict`` and ``save`` of the
    same model raise an error. In a pause all but ``fit`` work, and find the weights of that step; reading weights
    or calling the model works at any time and finds those of the last epoch's end.

    A program that ends without ``join`` stops its runs after the step they are in.

    Example:

    >>> import numpy as np, kerasmagic as keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> run = model.fit(np.ones((64, 2)), np.ones(64), epochs=3, verbose=0, background=True)
    >>> len(run.join().history["loss"]), run.done, run.status
    (3, True, 'finished')
    """

    def __init__(self, name: str):
        super().__init__(name)
        self.error: BaseException | None = None
        # An interrupted `Thread.join` may take a running thread for one that has ended.
        self._over = threading.Event()
        self.keep_best()

    def start(self, work: Callable[[], object]) -> BackgroundRun:
        """Run ``work`` in a new thread, in the context of this one: what it prints goes to the same cell."""
        context = contextvars.copy_context()
        # What JAX is told by `with` holds for one thread.
        told: Any = jax.config
        settings = (
            jax.default_device(told.jax_default_device),
            jax.default_matmul_precision(told.jax_default_matmul_precision),
        )
        self.thread = threading.Thread(
            target=context.run,
            args=(self._run, work, settings),
            name=f"kerasmagic-fit-{self.name}",
            daemon=True,
        )
        _alive.add(self)
        self.thread.start()
        return self

    def _run(self, work: Callable[[], object], settings: tuple[Any, ...]) -> None:
        try:
            with contextlib.ExitStack() as stack:
                for setting in settings:
                    stack.enter_context(setting)
                work()
        except BaseException as error:
            self.error = error
            if not self.done:
                self.end("failed")
        finally:
            _alive.discard(self)
            self._over.set()

    def join(self, timeout: float | None = None) -> Any:
        """Wait for the end of the run and return its history.

        Ctrl-C while waiting interrupts the run, as it does ``fit``: it ends after the step that is running.

        Args:
            timeout: The most seconds to wait.

        Raises:
            TimeoutError: If the run is not over by then; it goes on.
            KeyboardInterrupt: If the run was interrupted.
            Exception: What ended the run, if it failed.
        """
        try:
            finished = self.wait(timeout)
        except KeyboardInterrupt:
            self._ask("interrupt")
            self.wait()
            raise
        if not finished:
            raise TimeoutError(f"The run of {self.name} is not over after {timeout} s. It goes on.")
        if self.error is not None:
            raise self.error
        return self.history

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the run, however it ends; return whether it is over.

        Args:
            timeout: The most seconds to wait.
        """
        if timeout is not None:
            return self._over.wait(timeout)
        while not self._over.wait(NAP):
            pass
        return True

    def __repr__(self) -> str:
        if options.deterministic():
            return f"<{type(self).__name__} {self.name}>"
        return f"<{type(self).__name__} {self.name}: {', '.join(self._facts())}>"

    def _facts(self) -> list[str]:
        facts = [self.status, f"epoch {self.epoch + 1}", f"step {self.step:,}"]
        for name, value in dict(self.logs).items():
            if np.size(value) == 1:
                facts.append(f"{name} {float(np.asarray(value).reshape(())):.4g}")
        if self.error is not None:
            facts.append(f"{type(self.error).__name__}: {self.error}")
        return facts

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        name, *facts = (
            escape(text) for text in (self.name, *([] if options.deterministic() else self._facts()))
        )
        html = f'<div role="status">Run of <b>{name}</b> in the background{"".join(f" · {f}" for f in facts)}</div>'
        return {"text/plain": repr(self), "text/html": html}


def _stop_all() -> None:
    """Let no thread compute while the interpreter goes down."""
    for run in list(_alive):
        run._ask("interrupt")
    for run in list(_alive):
        run.wait(LAST_SECONDS)


atexit.register(_stop_all)
