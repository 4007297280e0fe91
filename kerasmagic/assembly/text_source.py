"""Layers, objects and values as text of the definition language."""

from __future__ import annotations

import keyword
import math
import re
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasmagic.assembly.description import Described, FunctionName, describe, public_name
from kerasmagic.assembly.vocabulary import ALIASES
from kerasmagic.core.layer import Layer
from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.foundation.naming import to_snake_case
from kerasmagic.language.readings import TABLE_ROLES, call_readings, readings_of
from kerasmagic.language.vocabulary import CallWords, Vocabulary

_WORD = re.compile(r"[^\W\d]\w*")
_CONSTANTS = {True: "true", False: "false", None: "none"}
_UNIFORM = frozenset({"kernel_size", "strides", "dilation_rate", "pool_size", "size", "padding", "cropping"})
_KINDS = {
    "keras.initializers": "initializer",
    "keras.regularizers": "regularizer",
    "keras.constraints": "constraint",
    "keras.optimizers.schedules": "schedule",
    "keras.optimizers": "optimizer",
    "keras.losses": "loss",
    "keras.metrics": "metric",
    "keras.quantizers": "quantizer",
}
_SHORT = {
    target: alias
    for alias, target in reversed(ALIASES.items())
    if alias in ("bn", "ln", "gn", "rms", "mha", "bi", "td", "concat")
}


class TextSource:
    """Prints values and layers in the words of a vocabulary.

    Args:
        vocabulary: What the words mean.
        places: The names of layers that stand in the text by name, by ``id``.
    """

    def __init__(self, vocabulary: Vocabulary, places: Mapping[int, str]):
        self.vocabulary = vocabulary
        self.places = places

    # ---- layers

    def step(self, layer: Layer, rank: int | None, name: str | None = None) -> str:
        """Return the step that makes a layer, in the shortest form that says the same.

        Args:
            layer: The layer.
            rank: How many spatial dimensions flow in, where that is known.
            name: The name to give to it.

        Raises:
            NotSerializable: If the language cannot say one of its arguments.
        """
        described = describe(layer)
        words = self.words(described.target)
        arguments = dict(described.arguments)
        if words.name == "Activation" and name is None and list(arguments) == ["activation"]:
            word = arguments["activation"]
            if word in self.vocabulary.activations and not self.vocabulary.layers.get(word):
                return str(word)
        if name is not None:
            arguments["name"] = name
        if words.wraps is not None and isinstance(arguments.get(words.wraps), Layer):
            return self.wrapper(words, arguments)
        written = self.short(words.name, rank)
        return " ".join([written, *self.command(words, arguments, layer)])

    def words(self, target: type) -> CallWords:
        """Return the words of a layer class; one of the user's own goes by its name."""
        public = public_name(target)
        name = public[1] if public is not None else target.__name__
        words = self.vocabulary.layers.get(name)
        if words is None:
            raise NotSerializable(f"The layer class {name!r} has no name in the language.")
        return words

    def short(self, public: str, rank: int | None) -> str:
        """Return the shortest name that means this layer and nothing else here."""
        names = [
            generic for generic, ranks in self.vocabulary.generics.items() if ranks.get(rank or 0) == public
        ]
        names += [_SHORT[public]] if public in _SHORT else []
        own = public not in registry.LAYERS
        for name in () if own else (*names, to_snake_case(public)):
            found = self.vocabulary.find_layer(name)
            layer = found.get(None) or found.get(rank)
            if layer is not None and layer.name == public and name not in self.vocabulary.activations:
                return name
        return public

    def wrapper(self, words: CallWords, arguments: dict[str, Any]) -> str:
        """Return ``bi lstm 64 merge_mode=sum``, or the call form where the command form would be unclear."""
        inner = arguments[words.wraps or ""]
        others = {name: value for name, value in arguments.items() if name != words.wraps}
        if id(inner) in self.places:
            shown = [f"{name}={self.argument(words, name, value)}" for name, value in others.items()]
            return f"{words.name}({', '.join([self.places[id(inner)], *shown])})"
        inner_words = self.words(type(inner))
        unclear = [name for name in others if inner_words.parameter(name)]
        plain = inner_words.name not in ("Activation",) and not isinstance(inner_words.wraps, str)
        if unclear or not plain:
            return f"{words.name}({', '.join(self.called(words, arguments))})"
        shown = [f"{name}={self.argument(words, name, value)}" for name, value in others.items()]
        inside = describe(inner)
        own = self.command(inner_words, inside.arguments, inner)
        return " ".join([self.short(words.name, None), to_snake_case(inner_words.name), *own, *shown])

    def nested(self, layer: Layer) -> str:
        """Return a layer as an argument of another one."""
        if id(layer) in self.places:
            return self.places[id(layer)]
        described = describe(layer)
        words = self.words(described.target)
        return f"{words.name}({', '.join(self.called(words, described.arguments))})"

    def collides(self, layer: Any, names: set[str]) -> bool:
        """Say whether arguments of a call have the names of arguments of the layer's constructor."""
        return any(self.words(type(layer)).parameter(name) for name in names)

    # ---- arguments

    def command(self, words: CallWords, arguments: Mapping[str, Any], layer: Any = None) -> list[str]:
        """Return arguments for the command form: numbers by position, words by themselves."""
        left = dict(arguments)
        shown = []
        for name in words.command_slots:
            if name not in left or name == "strides" or not _is_plain(left[name]):
                break
            shown.append(self.argument(words, name, left.pop(name)))
        return [*shown, *(self.named(words, name, value) for name, value in left.items())]

    def called(self, words: CallWords, arguments: Mapping[str, Any]) -> list[str]:
        """Return arguments for the call form."""
        shown = []
        leading = True
        for parameter in words.parameters:
            if parameter.name not in arguments:
                leading = False
                continue
            leading = leading and parameter.positional
            text = self.argument(words, parameter.name, arguments[parameter.name])
            shown.append(text if leading and parameter.required else f"{parameter.name}={text}")
        return shown

    def named(self, words: CallWords, name: str, value: Any) -> str:
        """Return one argument as a bare word where that is clear, else with its name."""
        if name == "strides" and (sizes := _sizes(value)) is not None:
            return "/" + "x".join(map(str, sizes))
        if words.role(name) == "boolean" and isinstance(value, bool):
            if not value:
                return f"!{name}"
            return name if self.clear(words, name, name) else f"{name}=true"
        text = self.argument(words, name, value)
        if isinstance(value, Described) and value.arguments:
            word = text.partition("(")[0]
            return text if call_readings(word, words, self.vocabulary) == [name] else f"{name}={text}"
        return text if _WORD.fullmatch(text) and self.clear(words, text, name) else f"{name}={text}"

    def clear(self, words: CallWords, word: str, parameter: str) -> bool:
        """Say whether a bare word can only be for that parameter."""
        readings = readings_of(word, words, self.vocabulary, frozenset())
        return (
            len(readings) == 1
            and readings[0].parameter == parameter
            and word not in ("true", "false", "none")
        )

    def argument(self, words: CallWords, name: str, value: Any) -> str:
        if name in _UNIFORM and (leaves := _leaves(value)) and len(set(leaves)) == 1:
            value = leaves[0]
        if isinstance(value, str) and _WORD.fullmatch(value) and (words.role(name) not in (None, "text")):
            return value
        try:
            text = self.value(value)
            # Where no such word is expected it would be text; with brackets it is the thing itself.
            plain = (
                isinstance(value, Described) and not value.arguments and words.role(name) not in TABLE_ROLES
            )
            return f"{text}()" if plain else text
        except NotSerializable as error:
            raise NotSerializable(f"{name} of {words.name} cannot be said in the language: {error}") from None

    # ---- values

    def value(self, value: Any) -> str:
        """Return the text of a value.

        Raises:
            NotSerializable: If the language has no such value.
        """
        match value:
            case bool() | None:
                return _CONSTANTS[value]
            case int() | float() if math.isfinite(value):
                return repr(value)
            case float():
                return f'float("{value}")'
            case str():
                return repr(value)
            case tuple() if len(value) > 1 and all(_is_size(v) for v in value):
                return "x".join(map(str, value))
            case tuple():
                return f"({', '.join(map(self.value, value))}{',' if len(value) == 1 else ''})"
            case list():
                return f"[{', '.join(map(self.value, value))}]"
            case Described():
                return self.call(value)
            case FunctionName(module, name):
                # A function of one's own is a variable of the notebook.
                return name if module.startswith("keras.") else f"{{{name.rpartition('>')[2]}}}"
            case types.FunctionType():
                return _function(value)
            case Layer():
                return self.nested(value)
            case Mapping():
                return (
                    f"dict({', '.join(f'{key_text(key)}={self.value(item)}' for key, item in value.items())})"
                )
            case np.generic() if value.ndim == 0 and value.dtype.kind in "biuf":
                return self.value(value.item())
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            return self.array(value)
        raise NotSerializable(f"{_described(value)} is no value of the language.")

    def array(self, value: Any) -> str:
        """Return ``array([1, 0], int8)``."""
        numbers = np.asarray(value)
        kept = numbers.tolist() if numbers.dtype.kind in "biu" else numbers.astype("float64").tolist()
        return f"array({self.listed(kept)}, {numbers.dtype.name})"

    def listed(self, numbers: Any) -> str:
        if isinstance(numbers, list):
            return f"[{', '.join(map(self.listed, numbers))}]"
        return self.value(numbers)

    def call(self, value: Described) -> str:
        """Return ``l2(0.0001)``, or the name alone where it needs no arguments."""
        public = public_name(value.target)
        words = self.vocabulary.find(_KINDS.get(public[0], ""), public[1]) if public else None
        if public is None or words is None:
            raise NotSerializable(f"{value.target.__name__} is no word of the language.")
        name = to_snake_case(public[1])
        short = self.vocabulary.find(_KINDS[public[0]], name)
        # In small letters some losses are functions, which take none of the arguments.
        if short is None or any(short.parameter(argument) is None for argument in value.arguments):
            name = public[1]
        return f"{name}({', '.join(self.called_short(words, value.arguments))})" if value.arguments else name

    def called_short(self, words: CallWords, arguments: Mapping[str, Any]) -> list[str]:
        """Return arguments for the call form, the leading ones without their names."""
        shown = []
        leading = True
        for parameter in words.parameters:
            if parameter.name not in arguments:
                leading = False
                continue
            leading = leading and parameter.positional and _is_plain(arguments[parameter.name])
            text = self.argument(words, parameter.name, arguments[parameter.name])
            shown.append(text if leading else f"{parameter.name}={text}")
        return shown


def _function(function: types.FunctionType) -> str:
    """Return a function, which is a variable of the notebook: ``{halve}``."""
    public = registry.OPERATIONS.name_of(function)
    if public is None and function.__name__ == "<lambda>":
        raise NotSerializable("A lambda has no name to be written by.", hint="Give it one with 'def'.")
    return f"{{{function.__name__ if public is None else f'ops.{public}'}}}"


def key_text(key: Any) -> str:
    """Return the name of a member of a ``dict(...)``.

    Raises:
        NotSerializable: If it is no text.
    """
    if not isinstance(key, str):
        raise NotSerializable(
            f"The key {key!r} of a dict is no text, and only text can be said in the language."
        )
    return key if key.isidentifier() and not keyword.iskeyword(key) else repr(key)


def _described(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a dict"
    if isinstance(value, FunctionName):
        return f"the function {value.name!r}"
    return f"{value!r} ({type(value).__name__})"


def _leaves(value: Any) -> list[int] | None:
    """Return the whole numbers of a nested tuple, or ``None`` where it holds anything else."""
    if _is_size(value):
        return [value]
    if not isinstance(value, tuple | list):
        return None
    inner = [_leaves(item) for item in value]
    return None if None in inner else [size for sizes in inner for size in sizes or ()]


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_plain(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or (isinstance(value, tuple | list) and all(map(_is_plain, value)))


def _sizes(value: Any) -> tuple[int, ...] | None:
    if _is_size(value) and value:
        return (value,)
    if isinstance(value, tuple | list) and value and all(_is_size(v) and v for v in value):
        return (value[0],) if len(set(value)) == 1 else tuple(value)
    return None
