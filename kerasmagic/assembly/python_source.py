"""Values, objects and layers as Python source that runs under Keras."""

from __future__ import annotations

import inspect
import math
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasmagic.assembly.description import Described, FunctionName, describe, public_name
from kerasmagic.assembly.layer import DefinedLayer
from kerasmagic.assembly.layer_python import class_source
from kerasmagic.assembly.own_source import is_own, own_source
from kerasmagic.core.layer import Layer
from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.foundation.naming import to_snake_case
from kerasmagic.foundation.registry import OPERATIONS, get_registered_object
from kerasmagic.foundation.signature import parameters

_SHORT = {"keras.layers": "layers"}


class Source:
    """Collects the imports and the classes that expressions need.

    Attributes:
        imports: Lines that import modules.
        classes: The source of the user's own classes by name.
    """

    def __init__(self) -> None:
        self.imports: dict[str, None] = {"import keras": None}
        self.classes: dict[str, str] = {}
        self.layers: dict[int, str] = {}
        self.writing: set[str] = set()

    def head(self) -> list[str]:
        """Return the lines that stand before everything else."""
        lines = list(self.imports)
        for source in self.classes.values():
            lines += ["", "", *source.splitlines()]
        return [*lines, "", ""] if self.classes else [*lines, ""]

    def value(self, value: Any) -> str:
        """Return Python source that gives ``value``.

        Raises:
            NotSerializable: If no source can.
        """
        match value:
            case None | bool() | int() | str() | bytes():
                return _quoted(value) if isinstance(value, str) else repr(value)
            case float():
                return repr(value) if math.isfinite(value) else f'float("{value}")'
            case list():
                return f"[{', '.join(map(self.value, value))}]"
            case tuple():
                return f"({', '.join(map(self.value, value))}{',' if len(value) == 1 else ''})"
            case slice():
                return f"slice({self.value(value.start)}, {self.value(value.stop)}, {self.value(value.step)})"
            case np.generic() if value.ndim == 0 and value.dtype.kind in "biuf":
                return self.value(value.item())
            case Described(target, arguments):
                return f"{self.address(target)}({self.arguments(target, arguments)})"
            case FunctionName(module, name):
                return self.function(module, name)
            case types.FunctionType():
                return self.given_function(value)
            case Layer():
                return self.layer(value)
            case Mapping():
                return f"{{{', '.join(f'{self.value(k)}: {self.value(v)}' for k, v in value.items())}}}"
        if value is Ellipsis:
            return "..."
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            self.imports.setdefault("import numpy as np")
            dtype = np.dtype(value.dtype).name
            return f'np.array({self.value(np.asarray(value).tolist())}, dtype="{dtype}")'
        raise NotSerializable(f"{value!r} cannot be written as Python.")

    def function(self, module: str, name: str) -> str:
        if module.startswith("keras."):
            return f"{module}.{name}"
        function = get_registered_object(name)
        if function is None:
            home = sys.modules.get(module)
            function = getattr(home, name, None)
        if function is None:
            raise NotSerializable(f"The function {name!r} is not known, so it cannot be written as Python.")
        self.own(function)
        return function.__name__

    def given_function(self, function: types.FunctionType) -> str:
        """Return a function that was handed over; the source of one's own stands above."""
        public = OPERATIONS.name_of(function)
        if public is not None:
            self.imports.setdefault("from keras import ops")
            return f"ops.{public}"
        self.own(function)
        return function.__name__

    def arguments(self, target: type, arguments: Mapping[str, Any]) -> str:
        """Return arguments as a person writes them: those that are needed by position, the rest by name."""
        shown = []
        leading = True
        for parameter in parameters(target):
            if parameter.name not in arguments:
                leading = False
                continue
            leading = leading and parameter.required and parameter.positional
            text = self.value(arguments[parameter.name])
            shown.append(text if leading else f"{parameter.name}={text}")
        return ", ".join(shown)

    def layer(self, layer: Layer, name: str | None = None) -> str:
        """Return source that makes a layer, or the variable that holds it already."""
        if id(layer) in self.layers:
            return self.layers[id(layer)]
        described = describe(layer)
        arguments = [self.arguments(described.target, described.arguments)]
        if name is not None:
            arguments.append(f"name={_quoted(name)}")
        return f"{self.address(described.target)}({', '.join(filter(None, arguments))})"

    def address(self, target: type) -> str:
        """Return how a class is named; take its import or its source in.

        Raises:
            NotSerializable: If there is neither.
        """
        public = public_name(target)
        if public is not None:
            module, name = public
            if module in _SHORT:
                self.imports.setdefault(f"from keras import {_SHORT[module]}")
            return f"{_SHORT.get(module, module)}.{name}"
        if target.__name__ not in self.classes:
            self.own_class(target)
        return target.__name__

    def own_class(self, target: type) -> None:
        if issubclass(target, DefinedLayer):
            needed = class_source(target)
            for line in needed.imports:
                self.imports.setdefault(line)
            for inner in needed.own_classes:
                self.address(inner)
            self.classes[target.__name__] = needed.text
        else:
            self.own(target)

    def own(self, obj: Any) -> None:
        """Take in a class or a function of one's own: its source, or its import where it needs nothing of ours.

        Raises:
            NotSerializable: If there is neither.
        """
        if obj.__name__ in (*self.classes, *self.writing):
            return
        if isinstance(obj, type) and issubclass(obj, DefinedLayer):
            self.own_class(obj)
        elif not is_own(obj) and inspect.getmodule(obj) is not None:
            self.imports.setdefault(f"from {obj.__module__} import {obj.__name__}")
        else:
            self.writing.add(obj.__name__)
            found = own_source(obj)
            for line in found.imports:
                self.imports.setdefault(line)
            for needed in found.needs:
                self.own(needed)
            self.classes[obj.__name__] = found.text


def _quoted(text: str) -> str:
    return '"' + repr(text)[1:-1] + '"' if '"' not in text and "\\" not in repr(text) else repr(text)


def chosen_name(layer: Any) -> str | None:
    """Return the name of a layer if a person gave it, ``None`` if it was made up from its class."""
    base = to_snake_case(type(layer).__name__)
    name = layer.name
    rest = name.removeprefix(base)
    made_up = name.startswith(base) and (not rest or (rest[0] == "_" and rest[1:].isdigit()))
    return None if made_up else name
