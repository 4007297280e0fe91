"""What steers a run from outside: any thread may ask, the loop does it between two dispatches.

The methods only take a note. The thread that trains looks at ``pending`` after every dispatch, which is
reading one attribute, and takes the requests there; see ``steering.py``.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, Literal, NamedTuple, ParamSpec, TypeVar, overload

from kerasmagic.callbacks.intervention import Kind
from kerasmagic.foundation.errors import InvalidArgument

# How long the loop and those who wait for it sleep at most: some systems deliver no interrupt to a waiting thread.
NAP = 0.5

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M")

Status = Literal["starting", "running", "paused", "finished", "stopped", "interrupted", "failed"]


class Request(NamedTuple):
    """What was asked for, with a value where it needs one; ``"interrupt"`` ends the run like Ctrl-C."""

    kind: Kind | Literal["interrupt"]
    value: Any = None


class RunControl:
    """Steers a run of ``fit`` while it runs; ``model.run`` is that of the run that is on.

    All methods may be called from any thread, return at once, and take effect when the step or steps that are
    on the device are done. They return whether the run will see the request: ``False`` when it is over.

    Args:
        name: The name of the model.

    Example:

    >>> import numpy as np, kerasmagic as keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.1), "mse")
    >>> class Halve(keras.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.run.learning_rate = 0.1 * 0.5**(epoch + 1)
    >>> history = model.fit(np.ones((8, 2)), np.ones(8), epochs=2, verbose=0, callbacks=[Halve()])
    >>> [str(each) for each in history.interventions]
    ['step 1: learning rate 0.1 → 0.05', 'step 2: learning rate 0.05 → 0.025']
    """

    def __init__(self, name: str):
        self.name = name
        self.status: Status = "starting"
        # Where the run stands, for those who ask; `logs` may still be on the device.
        self.epoch = 0
        self.step = 0
        self.logs: Any = {}
        self.history: Any = None
        self.pending = False
        self.keeps_best = False
        self.thread: threading.Thread | None = None
        self._rate: float | None = None
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._resting = False
        # Whether what was taken, and is being done, leads to a rest.
        self._coming = False
        self._borrowers = 0

    # What a front end or a program asks for

    def pause(self) -> bool:
        """Wait after the step that is running; the model can be used until ``resume``."""
        return self._ask("pause")

    def resume(self) -> bool:
        """Go on after a pause."""
        return self._ask("resume")

    def stop(self) -> bool:
        """End the run after the step that is running, and keep what was learned."""
        return self._ask("stop")

    def checkpoint(self, path: Any = None) -> bool:
        """Write model, weights and optimizer to a file.

        Args:
            path: Ends in ``.keras`` or ``.weights.h5``; ``checkpoints/<model>-step-<n>.keras`` when ``None``.

        Raises:
            InvalidArgument: If ``path`` ends otherwise.
        """
        if path is not None and not str(path).endswith((".keras", ".weights.h5")):
            raise InvalidArgument(
                f"A checkpoint's path ends in '.keras' or '.weights.h5', not {str(path)!r}."
            )
        return self._ask("checkpoint", None if path is None else str(path))

    def rewind(self) -> bool:
        """Go back to weights and optimizer of the best epoch so far, with the learning rate of now.

        The best is the one with the least ``val_loss``, or the least ``loss`` where nothing is validated.
        """
        return self._ask("rewind")

    def set_learning_rate(self, value: float) -> bool:
        """Change the learning rate; of several optimizers, all by the same factor.

        A schedule goes on, with all of its rates from here on multiplied by what leads from its rate now to
        ``value``: its shape stays, and the optimizer is saved with a schedule of the same class. The step is
        compiled anew for that. A rate that is a function, or a schedule that is at 0, stays as it is, which the
        history then says.

        Raises:
            InvalidArgument: If ``value`` is no finite number from 0 on.
        """
        try:
            rate = float(value)
        except (TypeError, ValueError):
            rate = math.nan
        if not (math.isfinite(rate) and rate >= 0):
            raise InvalidArgument(f"A learning rate is a number from 0 on. Received: {value!r}")
        return self._ask("learning_rate", rate)

    @property
    def learning_rate(self) -> float | None:
        """The learning rate as last known; ``None`` before the first step and where there is none."""
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.set_learning_rate(value)

    @property
    def paused(self) -> bool:
        """Whether the run rests, or will after the step that is running."""
        with self._changed:
            return self._will_rest()

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self.status in ("finished", "stopped", "interrupted", "failed")

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until all that was asked for is done; return whether it is.

        Args:
            timeout: The most seconds to wait.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self.done or not self.pending, timeout)

    def keep_best(self) -> None:
        """Keep the best weights from the next epoch's end on, so that there is something to go back to."""
        self.keeps_best = True

    def _ask(self, kind: Kind | Literal["interrupt"], value: Any = None) -> bool:
        with self._changed:
            if self.done:
                return False
            if kind == "learning_rate" and self._requests and self._requests[-1].kind == kind:
                self._requests.pop()
            self._requests.append(Request(kind, value))
            self.pending = True
            self._changed.notify_all()
        return True

    def _will_rest(self) -> bool:
        asked = [request.kind for request in self._requests if request.kind in ("pause", "resume", "stop")]
        return asked[-1] == "pause" if asked else self._resting or self._coming

    def _taken(self) -> list[Request]:
        self._coming = self._will_rest()
        taken, self._requests = self._requests, []
        return taken

    # The side of the loop

    def begin(self) -> None:
        """Take note that the run begins, on this thread."""
        self.thread = threading.current_thread()
        self.status = "running"

    def see_learning_rate(self, value: float | None) -> None:
        """Take note of the learning rate."""
        self._rate = value

    def take(self) -> list[Request]:
        """Return what was asked for since the last time; ``done_with`` must follow."""
        with self._changed:
            return self._taken()

    def done_with(self, *, rests: bool = False) -> None:
        """Take note that what was taken is done, and whether the run rests now."""
        with self._changed:
            self._coming = rests
            self.pending = bool(self._requests)
            self._changed.notify_all()

    def rest(self) -> list[Request]:
        """Wait, while others may use the model, until something is asked for."""
        with self._changed:
            self._resting, self.status = True, "paused"
            self.pending = bool(self._requests)
            self._changed.notify_all()
            try:
                while not self._requests or self._borrowers:
                    self._changed.wait(NAP)
                return self._taken()
            finally:
                self._resting, self.status = False, "running"

    def end(self, status: Status) -> None:
        """Take note that the run is over."""
        with self._changed:
            self.status = status
            self._requests.clear()
            self.pending = False
            self._changed.notify_all()

    # The side of others who want the model

    @contextlib.contextmanager
    def borrowed(self, purpose: str, *, while_paused: bool) -> Iterator[None]:
        """Have the model for oneself inside the block: the run rests, and stays so.

        Args:
            purpose: The method that needs the model.
            while_paused: Whether it may be used in a pause.

        Raises:
            InvalidArgument: If the run neither is paused nor will be.
        """
        with self._changed:
            while not self.done:
                if not (while_paused and (self._resting or self._will_rest())):
                    pause = ", pause it (`model.run.pause()`)" if while_paused else ""
                    raise InvalidArgument(
                        f"`{purpose}()` has to wait: a run of this model is on, in another thread. Wait for its "
                        f"end (`join()`){pause}, or stop it (`model.run.stop()`)."
                    )
                if self._resting:
                    break
                self._changed.wait(NAP)
            self._borrowers += 1
        try:
            yield
        finally:
            with self._changed:
                self._borrowers -= 1
                self._changed.notify_all()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.status}>"


class CurrentRun:
    """``model.run``: the control of the run that is on, or ``None``.

    From the first use on, the best weights are kept for ``rewind``. A subclass may use the name for itself.
    """

    @overload
    def __get__(self, model: None, owner: Any = None) -> CurrentRun: ...
    @overload
    def __get__(self, model: Any, owner: Any = None) -> RunControl | None: ...
    def __get__(self, model: Any, owner: Any = None) -> CurrentRun | RunControl | None:
        if model is None:
            return self
        control: RunControl | None = model._run
        if control is not None:
            control.keep_best()
        return control


@overload
def at_rest(method: Callable[Concatenate[M, P], R], /) -> Callable[Concatenate[M, P], R]: ...
@overload
def at_rest(
    *, while_paused: bool
) -> Callable[[Callable[Concatenate[M, P], R]], Callable[Concatenate[M, P], R]]: ...
def at_rest(method: Any = None, /, *, while_paused: bool = True) -> Any:
    """Let a method of a model run only when no run on another thread has the model's weights.

    Args:
        method: A method of a model.
        while_paused: Whether a paused run lets it pass.
    """
    if method is None:
        return functools.partial(at_rest, while_paused=while_paused)

    @functools.wraps(method)
    def guarded(model: Any, *args: Any, **kwargs: Any) -> Any:
        control: RunControl | None = model._run
        if control is None or control.thread is threading.current_thread():
            return method(model, *args, **kwargs)
        with control.borrowed(method.__name__, while_paused=while_paused):
            return method(model, *args, **kwargs)

    return guarded
