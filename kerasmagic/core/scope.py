"""Values that hold for a stretch of the program: name scopes, autocast, stateless calls.

All of them are context variables, so threads and subshells do not see each other's.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kerasmagic.foundation.errors import InvalidArgument

if TYPE_CHECKING:
    from kerasmagic.core.variable import Variable


class StatelessScope:
    """Redirects reads and writes of variables to values of its own.

    Inside the ``with`` block a variable reads as the value that ``state_mapping``
    gives it, and an assignment is kept here instead of in the variable.

    Args:
        state_mapping: Pairs of a variable and the array it reads as.
        collect_losses: Whether ``add_loss`` inside the block is kept in ``losses``.
        initialize_variables: Accepted for compatibility; variables get their first
            value when it is first read.
        abstract: Whether unmapped variables read as placeholder zeros of the trace
            that is running, so that shape inference draws no initial values.

    Example:

    >>> import kerasmagic as keras
    >>> v = keras.Variable(1.0)
    >>> with keras.StatelessScope([(v, 5.0)]) as scope:
    ...     _ = v.assign_add(1.0)
    >>> float(scope.get_current_value(v)), float(v.value)
    (6.0, 1.0)
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Variable, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
        *,
        abstract: bool = False,
    ):
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.abstract = abstract
        self.losses: list[Any] = []
        self.state_mapping: dict[int, Any] = {}
        self._kept_alive: list[Variable] = []
        for variable, value in state_mapping or ():
            self.add_update((variable, variable.conform(value)))

    def add_loss(self, loss: Any) -> None:
        """Keep one more loss, an array of shape ``()``."""
        self.losses.append(loss)

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """Let a variable read as a value from here on."""
        variable, value = update
        self.state_mapping[id(variable)] = value
        self._kept_alive.append(variable)

    def get_current_value(self, variable: Variable) -> Any | None:
        """Return what ``variable`` reads as here, or ``None`` if it was not mapped."""
        return self.state_mapping.get(id(variable))

    def __enter__(self) -> StatelessScope:
        self._token = _STATELESS.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _STATELESS.reset(self._token)


class SymbolicScope(StatelessScope):
    """Marks a computation of which only shapes matter: variables without a value get none drawn.

    Inside the ``with`` block a variable reads as what an enclosing ``StatelessScope`` gives it, else as zeros.

    Example:

    >>> import kerasmagic as keras
    >>> v = keras.Variable("glorot_uniform", shape=(2, 3))
    >>> with keras.SymbolicScope():
    ...     shape = v.value.shape
    >>> shape, v.initialized
    ((2, 3), False)
    """

    def __init__(self) -> None:
        super().__init__(abstract=True)

    def __enter__(self) -> SymbolicScope:
        outer = _STATELESS.get()
        if outer is not None:
            self.state_mapping.update(outer.state_mapping)
        super().__enter__()
        return self


_STATELESS: contextvars.ContextVar[StatelessScope | None] = contextvars.ContextVar("stateless", default=None)
_AUTOCAST: contextvars.ContextVar[str | None] = contextvars.ContextVar("autocast", default=None)


def get_stateless_scope() -> StatelessScope | None:
    """Return the stateless scope that is open, if any."""
    return _STATELESS.get()


def in_stateless_scope() -> bool:
    """Whether a stateless scope is open."""
    return _STATELESS.get() is not None


def autocast_dtype() -> str | None:
    """Return the float type to which variables are cast when read, if any."""
    return _AUTOCAST.get()


@contextlib.contextmanager
def autocast(dtype: str | None) -> Iterator[None]:
    """Cast float variables to ``dtype`` when they are read in the block."""
    token = _AUTOCAST.set(dtype)
    try:
        yield
    finally:
        _AUTOCAST.reset(token)


@dataclasses.dataclass(frozen=True)
class _NameEntry:
    path: str
    caller: Any


_NAMES: contextvars.ContextVar[_NameEntry | None] = contextvars.ContextVar("names", default=None)


def current_path() -> str:
    """Return the names of the open name scopes, joined by ``/``."""
    entry = _NAMES.get()
    return entry.path if entry else ""


class name_scope:
    """Puts ``name/`` before the path of every variable made in the block.

    Args:
        name: One part of a path.
        caller: The object that opens it; opening it again inside itself adds nothing.
        override_parent: The path to continue instead of the open one.

    Raises:
        InvalidArgument: If ``name`` is no string or has a slash.

    >>> with name_scope("encoder"), name_scope("block"):
    ...     current_path()
    'encoder/block'
    """

    def __init__(
        self, name: str, caller: Any = None, deduplicate: bool = True, override_parent: str | None = None
    ):
        if not isinstance(name, str) or "/" in name:
            raise InvalidArgument(f"`name` must be a string without '/'. Received: name={name!r}")
        self.name = name
        self.caller = caller
        self.deduplicate = deduplicate
        self.override_parent = override_parent

    def __enter__(self) -> name_scope:
        outer = _NAMES.get()
        again = self.deduplicate and self.caller is not None and outer is not None
        if again and outer is not None and outer.caller is self.caller:
            entry = outer
        else:
            parent = current_path() if self.override_parent is None else self.override_parent
            entry = _NameEntry(f"{parent}/{self.name}" if parent else self.name, self.caller)
        self._token = _NAMES.set(entry)
        return self

    def __exit__(self, *exc: object) -> None:
        _NAMES.reset(self._token)


@dataclasses.dataclass
class CallContext:
    """What the outermost layer call hands down to the layers called inside it."""

    entry_layer: Any
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


_CALL: contextvars.ContextVar[CallContext | None] = contextvars.ContextVar("call", default=None)


@contextlib.contextmanager
def call_context(layer: Any) -> Iterator[tuple[CallContext, bool]]:
    """Yield the running call's context and whether ``layer`` has just opened it."""
    running = _CALL.get()
    if running is not None:
        yield running, False
        return
    token = _CALL.set(CallContext(layer))
    try:
        context = _CALL.get()
        assert context is not None
        yield context, True
    finally:
        _CALL.reset(token)


def told(name: str) -> Any:
    """Return what the layer around the running call was told, such as ``"training"``; ``None`` if nothing."""
    running = _CALL.get()
    return None if running is None else running.values.get(name)


# Takes a layer, the arguments of its `call`, its keyword arguments and what it returned.
CallObserver = Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None]
_OBSERVER: contextvars.ContextVar[CallObserver | None] = contextvars.ContextVar("observer", default=None)


def call_observer() -> CallObserver | None:
    """Return what wants to see every call of a layer, if anything does."""
    return _OBSERVER.get()


@contextlib.contextmanager
def observed_calls(observer: CallObserver) -> Iterator[None]:
    """Show ``observer`` every call of a layer in the block when it has returned, inner layers first."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)
