"""What a layer owns: found as its attributes are set, in the order they are set.

Lists and dicts among the attributes are watched too, so ``self.blocks.append(layer)``
makes the layer a part of its owner.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kerasmagic.foundation.errors import InvalidArgument

PLAIN = frozenset({int, float, str, bool, bytes, type(None)})
_CONTAINERS = frozenset({tuple, list, dict, set})


class Tracker:
    """Sorts what it sees into stores, each with a predicate; the first that fits takes it.

    Args:
        stores: For each name, a predicate and the list that keeps what fits.
    """

    def __init__(self, stores: dict[str, tuple[Callable[[Any], bool], list[Any]]]):
        self.stores = stores
        self.locked: str | None = None

    def track(self, value: Any) -> Any:
        """Take note of ``value`` and return it, a container in its watched form."""
        # Most attributes are plain values: a model of many layers sets thousands of them.
        if type(value) in PLAIN or isinstance(value, (TrackedList, TrackedDict, TrackedSet)):
            return value
        for predicate, store in () if type(value) in _CONTAINERS else self.stores.values():
            if predicate(value):
                self._add(store, value)
                return value
        if isinstance(value, tuple) and value:
            items = [self.track(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if type(value) is list:
            return TrackedList(value, self)
        if type(value) is dict:
            return TrackedDict(value, self)
        if type(value) is set:
            return TrackedSet(value, self)
        return value

    def untrack(self, value: Any) -> None:
        """Forget ``value``, and what is inside it if it is a container."""
        if isinstance(value, (list, tuple, set)):
            for item in value:
                self.untrack(item)
        elif isinstance(value, dict):
            for item in value.values():
                self.untrack(item)
        for _, store in self.stores.values():
            store[:] = [kept for kept in store if kept is not value]

    @contextlib.contextmanager
    def unlocked(self) -> Iterator[None]:
        """Let new things be seen inside the ``with`` block although the owner is finished."""
        locked, self.locked = self.locked, None
        try:
            yield
        finally:
            self.locked = locked

    def _add(self, store: list[Any], value: Any) -> None:
        if any(map(operator.is_, store, itertools.repeat(value))):
            return
        if self.locked is not None:
            raise InvalidArgument(self.locked)
        store.append(value)


class TrackedList(list[Any]):
    """A list that shows its tracker what is put in."""

    def __init__(self, values: Iterable[Any] = (), tracker: Tracker | None = None):
        self.tracker = tracker
        super().__init__(self._see(value) for value in values)

    def _see(self, value: Any) -> Any:
        return self.tracker.track(value) if self.tracker is not None else value

    def append(self, value: Any) -> None:
        super().append(self._see(value))

    def insert(self, index: Any, value: Any) -> None:
        super().insert(index, self._see(value))

    def extend(self, values: Iterable[Any]) -> None:
        super().extend([self._see(value) for value in values])

    def __iadd__(self, values: Any) -> Any:
        self.extend(values)
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(
            key, [self._see(v) for v in value] if isinstance(key, slice) else self._see(value)
        )

    def _forget(self, value: Any) -> Any:
        if self.tracker is not None and not any(kept is value for kept in self):
            self.tracker.untrack(value)
        return value

    def pop(self, index: Any = -1) -> Any:
        return self._forget(super().pop(index))

    def remove(self, value: Any) -> None:
        super().remove(value)
        self._forget(value)

    def clear(self) -> None:
        old = list(self)
        super().clear()
        for value in old:
            self._forget(value)

    def __delitem__(self, key: Any) -> None:
        old = self[key] if isinstance(key, slice) else [self[key]]
        super().__delitem__(key)
        for value in old:
            self._forget(value)

    def __reduce__(self) -> Any:
        return (list, (list(self),))


class TrackedDict(dict[Any, Any]):
    """A dict that shows its tracker the values that are put in."""

    def __init__(self, values: Any = (), tracker: Tracker | None = None):
        self.tracker = tracker
        super().__init__()
        self.update(values)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, self.tracker.track(value) if self.tracker is not None else value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def _forget(self, value: Any) -> Any:
        if self.tracker is not None:
            self.tracker.untrack(value)
        return value

    def pop(self, key: Any, *default: Any) -> Any:
        return self._forget(super().pop(key, *default))

    def popitem(self) -> Any:
        key, value = super().popitem()
        return key, self._forget(value)

    def clear(self) -> None:
        for key in list(self):
            self.pop(key)

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def __reduce__(self) -> Any:
        return (dict, (dict(self),))


class TrackedSet(set[Any]):
    """A set that shows its tracker what is put in."""

    def __init__(self, values: Iterable[Any] = (), tracker: Tracker | None = None):
        self.tracker = tracker
        super().__init__()
        self.update(values)

    def add(self, value: Any) -> None:
        super().add(self.tracker.track(value) if self.tracker is not None else value)

    def update(self, *others: Iterable[Any]) -> None:
        for values in others:
            for value in values:
                self.add(value)

    def remove(self, value: Any) -> None:
        super().remove(value)
        if self.tracker is not None:
            self.tracker.untrack(value)

    def __reduce__(self) -> Any:
        return (set, (set(self),))
