"""The vocabulary of the language, read off the library: what words there are and what each takes."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from kerasmagic.core.dtypes import ALLOWED
from kerasmagic.core.layer import Layer
from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import UnexpectedArgument
from kerasmagic.foundation.naming import to_snake_case
from kerasmagic.foundation.registry import Family
from kerasmagic.foundation.signature import Parameter, parameters
from kerasmagic.language.vocabulary import CallWords, LayerWords, Role, Vocabulary

ALIASES = {
    "fc": "Dense",
    "bn": "BatchNormalization",
    "batchnorm": "BatchNormalization",
    "ln": "LayerNormalization",
    "layernorm": "LayerNormalization",
    "gn": "GroupNormalization",
    "rms": "RMSNormalization",
    "drop": "Dropout",
    "embed": "Embedding",
    "mha": "MultiHeadAttention",
    "bi": "Bidirectional",
    "td": "TimeDistributed",
    "concat": "Concatenate",
}
"""Short names of one layer each; ``%layers`` lists them."""

_BY_RANK = {
    "conv": ("Conv{}D", (1, 2, 3)),
    "sepconv": ("SeparableConv{}D", (1, 2)),
    "dwconv": ("DepthwiseConv{}D", (1, 2)),
    "convT": ("Conv{}DTranspose", (1, 2, 3)),
    "maxpool": ("MaxPooling{}D", (1, 2, 3)),
    "avgpool": ("AveragePooling{}D", (1, 2, 3)),
    "gap": ("GlobalAveragePooling{}D", (1, 2, 3)),
    "gmp": ("GlobalMaxPooling{}D", (1, 2, 3)),
    "upsample": ("UpSampling{}D", (1, 2, 3)),
    "crop": ("Cropping{}D", (1, 2, 3)),
    "pad": ("ZeroPadding{}D", (1, 2, 3)),
}
GENERICS = {
    name: {rank: pattern.format(rank) for rank in ranks} for name, (pattern, ranks) in _BY_RANK.items()
}
"""Names whose layer depends on the rank of what flows in."""

_SUFFIXES: tuple[tuple[str, Role], ...] = (
    ("activation", "activation"),
    ("initializer", "initializer"),
    ("regularizer", "regularizer"),
    ("constraint", "constraint"),
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "data_format": ("channels_last", "channels_first"),
    "merge_mode": ("sum", "mul", "concat", "ave"),
    "interpolation": ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"),
}
_LAYER_PARAMETERS = ("layer", "backward_layer", "cell")
POLICIES = ("mixed_float16", "mixed_bfloat16")


def vocabulary(namespace: Mapping[str, Any] | None = None) -> Vocabulary:
    """Return every word of the library, and the layers of ``namespace`` by their names there.

    Args:
        namespace: A notebook's variables; its ``Layer`` subclasses and instances are steps.
    """
    library = _library()
    own = {name: _own_words(name, value) for name, value in own_layers(namespace or {}).items()}
    if not own:
        return library
    return dataclasses.replace(library, layers={**library.layers, **own})


def own_layers(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``Layer`` subclasses and instances among a notebook's variables.

    Classes of the library that were merely imported under their own names are not the user's.
    """
    found = {}
    for name, value in namespace.items():
        if name.startswith("_"):
            continue
        if _is_own_class(value) or (isinstance(value, Layer) and not hasattr(value, "compile")):
            found[name] = value
    return found


def _is_own_class(value: Any) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Layer)
        and not value.__module__.startswith("kerasmagic.")
    )


def _own_words(name: str, value: Any) -> LayerWords:
    if isinstance(value, Layer):
        return LayerWords(name)
    return _layer_words(name, value)


@functools.cache
def _library() -> Vocabulary:
    classes = {
        name: cls
        for name, cls in registry.LAYERS.public_names().items()
        if isinstance(cls, type) and name not in ("Layer", "InputLayer", "Wrapper")
    }
    classes.update(
        {n: registry.LAYERS.find(n) for n in registry.LAYERS if n[:1].isupper() and n not in classes}
    )
    for name in ("Layer", "InputLayer", "Wrapper"):
        classes.pop(name, None)
    return Vocabulary(
        layers={name: _layer_words(name, cls) for name, cls in classes.items()},
        aliases={alias: name for alias, name in ALIASES.items() if name in classes},
        generics={
            generic: {rank: name for rank, name in by_rank.items() if name in classes}
            for generic, by_rank in GENERICS.items()
        },
        activations=frozenset(n for n in registry.ACTIVATIONS if n == to_snake_case(n)),
        initializers=_table(registry.INITIALIZERS),
        regularizers=_table(registry.REGULARIZERS),
        constraints=_table(registry.CONSTRAINTS),
        schedules=_table(registry.SCHEDULES),
        optimizers=_table(registry.OPTIMIZERS),
        losses={**_table(registry.LOSSES), **_plain("crossentropy")},
        metrics={**_table(registry.METRICS), **_plain("accuracy", "acc", "crossentropy")},
        quantizers=_table(registry.QUANTIZERS),
        dtypes=frozenset((*ALLOWED, *POLICIES)),
        operations=_Operations(registry.OPERATIONS),
    )


class _Operations(Mapping[str, CallWords]):
    """The functions of ``ops`` and what each takes, read when a text names one."""

    def __init__(self, family: Family):
        self._names = tuple(n for n in family.public_names() if not n.startswith("_"))
        self._family = family

    def __getitem__(self, name: str) -> CallWords:
        if name not in self._family or name.startswith("_"):
            raise KeyError(name)
        return _operation_words(name, self._family.find(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@functools.cache
def _operation_words(name: str, function: Any) -> CallWords:
    """Return what a function takes besides the tensor that flows in, which is its first argument."""
    own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    spread = any(p.kind is p.VAR_POSITIONAL for p in own)
    every = tuple(
        Parameter(p.name, _optional(p), True, object) for p in own if p.kind is not p.VAR_POSITIONAL
    )
    roles: dict[str, Role] = {p.name: "boolean" for p in every if isinstance(p.default, bool)}
    roles |= {p.name: "text" for p in every if isinstance(p.default, str) or p.name == "dtype"}
    return CallWords(
        *(f"ops.{name}", every if spread else every[1:], roles),
        call=every[:1],
        operation=True,
        open=any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()),
    )


def _optional(parameter: inspect.Parameter) -> Any:
    return None if parameter.default is parameter.empty else parameter.default


def _plain(*names: str) -> dict[str, CallWords]:
    return {name: CallWords(name) for name in names}


def _table(family: Family) -> dict[str, CallWords]:
    return {name: _call_words(CallWords, name, family.find(name)) for name in family}


@functools.cache
def _layer_words(name: str, cls: type) -> LayerWords:
    words = _call_words(LayerWords, name, cls)
    call = _call_parameters(cls)
    roles = {p.name: "boolean" for p in call if isinstance(p.default, bool) or p.name == "training"}
    return dataclasses.replace(words, call=call, roles={**roles, **words.roles})


def _call_parameters(cls: Any) -> tuple[Parameter, ...]:
    """Return what the call of a layer takes besides what flows in, which is its first argument."""
    try:
        own = list(inspect.signature(cls.call).parameters.values())[2:]
    except (TypeError, ValueError):
        return ()
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return tuple(Parameter(p.name, _optional(p), False, object) for p in own if p.kind not in variadic)


def _call_words(kind: Any, name: str, target: Any) -> Any:
    if not isinstance(target, type):
        # A loss or metric that is a function takes no arguments of its own here.
        return kind(name)
    try:
        accepted = tuple(p for p in parameters(target) if p.name not in ("kwargs", "args"))
    except ValueError as error:
        raise UnexpectedArgument(f"The constructor of {name!r} cannot be read: {error}") from error
    roles = {p.name: role for p in accepted if (role := _role(p)) is not None}
    choices = {p.name: _CHOICES[p.name] for p in accepted if p.name in _CHOICES}
    if "padding" in roles and target.__name__ in ("Conv1D", "SeparableConv1D", "DepthwiseConv1D"):
        choices["padding"] = ("valid", "same", "causal")
    return kind(name, accepted, roles, choices)


def _role(parameter: Parameter) -> Role | None:
    name, default = parameter.name, parameter.default
    for suffix, role in _SUFFIXES:
        if name == suffix or name.endswith(f"_{suffix}"):
            return role
    if name == "padding":
        return "padding" if isinstance(default, str) else None
    if name == "dtype":
        return "dtype"
    if name in _LAYER_PARAMETERS:
        return "layer"
    if name == "learning_rate":
        return "schedule"
    if isinstance(default, bool):
        return "boolean"
    return "text" if isinstance(default, str) or name in ("name", "data_format") else None
