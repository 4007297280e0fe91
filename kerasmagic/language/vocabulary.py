"""The words a definition may use: layers with their arguments, and the names that stand for something.

The language knows no layer by itself. Whoever knows the library fills a ``Vocabulary`` from the
signatures, and the check reads nothing else.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, Protocol

from kerasmagic.foundation.errors import did_you_mean

Role = Literal[
    "activation",
    "padding",
    "dtype",
    "initializer",
    "regularizer",
    "constraint",
    "boolean",
    "layer",
    "schedule",
    "text",
]
"""What a parameter takes; one without a role takes numbers, tuples and other plain values."""

PADDINGS = ("valid", "same")
MERGE_LAYERS: Mapping[str, str] = MappingProxyType(
    {
        "+": "Add",
        "-": "Subtract",
        "*": "Multiply",
        "max": "Maximum",
        "min": "Minimum",
        "mean": "Average",
        "dot": "Dot",
        "concat": "Concatenate",
    }
)
"""The layer behind each operator between tensors, and behind ``max(a, b)``."""

_MAIN_PREFIXES = ("kernel_", "embeddings_", "depthwise_")


class ParameterLike(Protocol):
    """What is read of a parameter; ``foundation.signature.Parameter`` has it."""

    @property
    def name(self) -> str: ...
    @property
    def default(self) -> Any: ...
    @property
    def positional(self) -> bool: ...
    @property
    def required(self) -> bool: ...


@dataclasses.dataclass(frozen=True)
class CallWords:
    """Something that takes arguments: a layer, an optimizer, a loss, an initializer.

    Attributes:
        name: Its public name.
        parameters: What it accepts, in signature order.
        roles: What each parameter takes, for those that do not take plain values.
        choices: The words that each parameter with a fixed set of words takes.
        call: What its call takes by name besides what flows in, as ``use_causal_mask`` of attention.
        operation: Whether it is a function of tensors, so that its arguments may be tensors.
        open: Whether it takes arguments of any name, as ``ops.rearrange`` does.
    """

    name: str
    parameters: tuple[ParameterLike, ...] = ()
    roles: Mapping[str, Role] = dataclasses.field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    call: tuple[ParameterLike, ...] = ()
    operation: bool = False
    open: bool = False

    def parameter(self, name: str) -> ParameterLike | None:
        """Return the parameter of that name."""
        return self._by_name.get(name)

    @functools.cached_property
    def _by_name(self) -> dict[str, ParameterLike]:
        return {p.name: p for p in reversed(self.parameters)}

    def role(self, parameter: str) -> Role | None:
        """Return what ``parameter`` takes, or ``None`` for plain values and where there is no such parameter."""
        known = self.parameter(parameter) is not None or self.in_call(parameter)
        return self.roles.get(parameter) if known else None

    def in_call(self, name: str) -> bool:
        """Say whether ``name`` is an argument of the call and not of the constructor."""
        return self.parameter(name) is None and any(p.name == name for p in self.call)

    def with_role(self, role: Role) -> tuple[str, ...]:
        """Return the names of the parameters of that role, in signature order."""
        return tuple(p.name for p in self.parameters if self.roles.get(p.name) == role)

    def target(self, role: Role) -> str | None:
        """Return the parameter that a bare word of that role fills, if it is clear which.

        Example:

        >>> from kerasmagic.foundation.signature import Parameter
        >>> names = ("activation", "recurrent_activation")
        >>> parameters = tuple(Parameter(n, None, True, object) for n in names)
        >>> lstm = CallWords("LSTM", parameters, dict.fromkeys(names, "activation"))
        >>> lstm.target("activation"), lstm.target("initializer")
        ('activation', None)
        """
        names = self.with_role(role)
        if role in names or len(names) == 1:
            return role if role in names else names[0]
        main = [name for name in names if name.startswith(_MAIN_PREFIXES)]
        return main[0] if main else None

    @property
    def wraps(self) -> str | None:
        """The parameter that takes another layer, as in ``Bidirectional``."""
        return self.target("layer")

    def words_for(self, parameter: str) -> tuple[str, ...]:
        """Return the fixed words that ``parameter`` takes, or ``()``."""
        return self.choices.get(parameter) or (PADDINGS if self.role(parameter) == "padding" else ())

    def takes_plain(self, parameter: str) -> bool:
        """Say whether a parameter takes numbers and the like, and no word of a kind."""
        return self.role(parameter) in (None, "schedule") and not self.words_for(parameter)

    @functools.cached_property
    def command_slots(self) -> list[str]:
        """The parameters that values without a name fill in the command form, in order.

        Nobody counts past a regularizer: what comes behind one, as ``lora_rank`` of ``Dense``, needs its name.
        """
        positional = [p.name for p in self.parameters if p.positional]
        near = list(
            itertools.takewhile(lambda name: self.role(name) not in ("regularizer", "constraint"), positional)
        )
        return list(filter(self.takes_plain, near)) or list(filter(self.takes_plain, positional))


@dataclasses.dataclass(frozen=True)
class LayerWords(CallWords):
    """A layer and its arguments."""


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Everything a word can stand for.

    Attributes:
        layers: Layers by public name; a layer of the notebook goes in under its own name.
        aliases: Short names, as ``fc`` for ``Dense``.
        generics: Names whose layer depends on the rank of what flows in: ``conv`` -> ``{1: "Conv1D", ...}``.
        activations: Names that are an activation.
        initializers, regularizers, constraints, schedules: By the names they may be called.
        optimizers, losses, metrics: What ``compile`` knows, by the names they may be called.
        quantizers: How a layer may hold its weights in few bits.
        dtypes: Names of dtypes and dtype policies.
        operations: Functions of tensors, which are steps as ``ops.NAME``.
    """

    layers: Mapping[str, LayerWords] = dataclasses.field(default_factory=dict)
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    generics: Mapping[str, Mapping[int, str]] = dataclasses.field(default_factory=dict)
    activations: frozenset[str] = frozenset()
    initializers: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)
    regularizers: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)
    constraints: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)
    schedules: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)
    optimizers: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)
    losses: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)
    quantizers: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)
    dtypes: frozenset[str] = frozenset()
    operations: Mapping[str, CallWords] = dataclasses.field(default_factory=dict)

    def find_layer(self, name: str) -> dict[int | None, LayerWords]:
        """Return the layers that ``name`` can mean, by rank; ``None`` is the rank of one that fits any.

        Keras' own names count in any capitals, with or without underscores: ``max_pooling2d``.
        """
        layer = self.layers.get(name) or self.layers.get(self.aliases.get(name, ""))
        if layer is None and name in self.generics:
            return {rank: self.layers[n] for rank, n in self.generics[name].items() if n in self.layers}
        if layer is None:
            layer = self._folded_layers.get(fold(name))
        return {} if layer is None else {None: layer}

    def table(self, role: str) -> Mapping[str, CallWords]:
        """Return the names of one kind that take arguments: ``"initializer"``, ``"optimizer"``, ..."""
        return self._tables.get(role, {})

    def find(self, role: str, name: str) -> CallWords | None:
        """Return what ``name`` means among the names of that kind: ``l2`` and ``L2`` are the same."""
        return self.table(role).get(name) or self._folded_tables.get((role, fold(name)))

    @functools.cached_property
    def step_names(self) -> tuple[str, ...]:
        """Every name that can start a step, for suggestions."""
        return (*self.aliases, *self.generics, *self.activations, *self.layers, *map(_snake, self.layers))

    @functools.cached_property
    def _tables(self) -> dict[str, Mapping[str, CallWords]]:
        return {
            "initializer": self.initializers,
            "regularizer": self.regularizers,
            "constraint": self.constraints,
            "schedule": self.schedules,
            "optimizer": self.optimizers,
            "loss": self.losses,
            "metric": self.metrics,
            "quantizer": self.quantizers,
        }

    @functools.cached_property
    def _folded_layers(self) -> dict[str, LayerWords]:
        return {fold(name): layer for name, layer in reversed(list(self.layers.items()))}

    @functools.cached_property
    def _folded_tables(self) -> dict[tuple[str, str], CallWords]:
        return {
            (role, fold(name)): words for role, table in self._tables.items() for name, words in table.items()
        }


def fold(name: str) -> str:
    """Return ``name`` without capitals and underscores."""
    return name.replace("_", "").lower()


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return ``did_you_mean``, with a name in the capitals of ``word`` where there are several spellings."""
    return did_you_mean(word, sorted(names, key=lambda name: name.islower() == word.islower()))


def names_of(groups: Iterable[Iterable[str]]) -> list[str]:
    """Return all names of several groups, each once, in order."""
    return list(dict.fromkeys(name for group in groups for name in group))


def _snake(name: str) -> str:
    """Return ``max_pooling2d`` for ``MaxPooling2D``."""
    out = ""
    for i, letter in enumerate(name):
        starts_word = letter.isupper() and i > 0 and not name[i - 1].isupper() and not name[i - 1].isdigit()
        out += "_" + letter.lower() if starts_word else letter.lower()
    return out
