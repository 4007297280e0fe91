"""The arguments of one call on their way to its parameters, by name, by kind of word, by position."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language import definition as d
from kerasmagic.language.idioms import argument_hint, sizes_hint, word_hint
from kerasmagic.language.print import print_value
from kerasmagic.language.readings import (
    TABLE_ROLES,
    Reading,
    call_readings,
    expected_words,
    known_words,
    readings_of,
)
from kerasmagic.language.resolved import BlockInput, BoundArgument, Tensor
from kerasmagic.language.vocabulary import CallWords, Vocabulary, fold, names_of, nearest

_LISTED = 6
_TRUTHS: dict[str, str] = {
    **dict.fromkeys(("yes", "on", "true", "1"), "true"),
    **dict.fromkeys(("no", "off", "false", "0"), "false"),
}

# What can be given, and is meant by nobody who writes a number too many.
_SELDOM = ("name", "lora_rank", "lora_alpha", "quantization_config")
_FEW_BITS = re.compile(r"(int8|int4(/-?\d+)?|float8)_from_(?P<source>\w+)")

FAILED: Any = object()
"""The mark of a value that is none, because an error about it is recorded."""


class Resolves(Protocol):
    """What a binding needs of the resolver whose cell it is in."""

    vocabulary: Vocabulary
    locals: frozenset[str]
    lost_words: frozenset[str]
    tensors: Iterable[str]
    shared: Mapping[str, CallWords]
    errors: list[DefinitionError]

    def complain(self, message: str, span: Span, hint: str | None = None) -> Any: ...
    def plain(self, value: d.Value, *, text: bool) -> Any: ...
    def nested_layer(self, value: d.Value) -> Any: ...
    def call(self, kind: str, value: d.Call, *, command: bool = False) -> Any: ...
    def members(self, call: d.Call, convert: Callable[[d.Value], Any]) -> Any: ...


class Binding:
    """The arguments of one call on their way to its parameters."""

    def __init__(self, resolver: Resolves, words: CallWords, written: str, called: bool, name_span: Span):
        self.resolver = resolver
        self.words = words
        self.written = written
        self.called = called
        self.name_span = name_span
        self.bound: dict[str, BoundArgument] = {}
        self.complete = True

    def bind(self, arguments: Iterable[d.Argument]) -> tuple[BoundArgument, ...]:
        """Return the bound arguments in signature order; what does not fit is recorded as an error."""
        before = len(self.resolver.errors)
        for argument in arguments:
            self._argument(argument)
        if len(self.resolver.errors) == before and self.complete:
            self._require()
        order = {p.name: i for i, p in enumerate((*self.words.parameters, *self.words.call))}
        return tuple(sorted(self.bound.values(), key=lambda a: order.get(a.name, len(order))))

    def put(self, name: str, value: Any, span: Span) -> None:
        if name in self.bound:
            self.resolver.complain(f"{name} of {self.words.name} is given twice.", span)
        self.bound[name] = BoundArgument(name, value, span, self.words.in_call(name))

    def _argument(self, argument: d.Argument) -> None:
        words, complain = self.words, self.resolver.complain
        match argument:
            case d.Keyword(name, value):
                if not self._has(name):
                    self._no_such_argument(name, argument.name_span)
                else:
                    self.put(name, self._converted(name, value), argument.span)
            case d.Negated(name):
                if not self._has(name):
                    self._no_such_argument(name, argument.span)
                elif words.role(name) != "boolean":
                    complain(
                        f"{name} of {words.name} is not true or false, so '!' cannot stand before it.",
                        argument.span,
                    )
                else:
                    self.put(name, False, argument.span)
            case d.Strides(sizes):
                if words.parameter("strides") is None:
                    complain(f"{words.name} has no strides.", argument.span)
                else:
                    self.put("strides", sizes[0] if len(sizes) == 1 else sizes, argument.span)
            case d.Positional(value):
                self._positional(value)

    def _has(self, name: str) -> bool:
        return self.words.parameter(name) is not None or self.words.in_call(name) or self.words.open

    def _no_such_argument(self, name: str, span: Span) -> None:
        if name not in self.resolver.lost_words:
            known = [p.name for p in (*self.words.parameters, *self.words.call)]
            other = argument_hint(name, self.words, self.resolver.vocabulary)
            hint = other or nearest(name, known) or listed("Its arguments are", known)
            self.resolver.complain(f"{name!r} is no argument of {self.words.name}.", span, hint)

    # ---- values without a name

    def _positional(self, value: d.Value) -> None:
        match value:
            case d.Word(name) if name in self.resolver.shared and self.words.wraps and self.called:
                self._next(value)
            case d.Word(name):
                self._bare_word(
                    name, value, readings_of(name, self.words, self.resolver.vocabulary, self.resolver.locals)
                )
            case d.Text(name) if not self.called:
                readings = [
                    r
                    for r in readings_of(name, self.words, self.resolver.vocabulary, self.resolver.locals)
                    if r.value == name
                ]
                self._bare_word(name, value, readings) if readings else self._next(value)
            case d.Call(name) if not self.called or call_readings(name, self.words, self.resolver.vocabulary):
                self._bare_call(value)
            case _:
                self._next(value)

    def _next(self, value: d.Value) -> None:
        """Give a plain value to the next parameter in signature order."""
        words = self.words
        if not self.called and isinstance(value, d.Constant) and value.value is not None:
            hint = f"Write its name: '{_first(words.with_role('boolean'), 'use_bias')}={print_value(value)}'."
            self.resolver.complain(
                f"{print_value(value)} does not say which argument it is for.", value.span, hint
            )
            return
        if isinstance(value, d.Python) and words.wraps and words.wraps not in self.bound and not self.called:
            self.put(words.wraps, self._converted(words.wraps, value), value.span)
            return
        slots = self._slots()
        free = next((name for name in slots if name not in self.bound), None)
        if free is None:
            self._too_many(value, slots)
        else:
            self.put(free, self._converted(free, value), value.span)

    def _slots(self) -> list[str]:
        """Return the parameters that values without a name fill, in order."""
        if self.called:
            return [p.name for p in self.words.parameters if p.positional]
        return self.words.command_slots

    def _too_many(self, value: d.Value, slots: list[str]) -> None:
        taken = (
            f"takes only {', '.join(slots)} without a name" if slots else "takes no argument without a name"
        )
        rest = [
            p.name
            for p in self.words.parameters
            if p.name not in self.bound and self.words.takes_plain(p.name)
        ]
        rest = [name for name in rest if name not in _SELDOM]
        hint = f"Name the argument, as in '{rest[0]}={print_value(value)}'." if rest else None
        if hint is None:
            another = f"Another layer is a step of its own: '-> {self.written} {print_value(value)}'."
            is_step = slots and not self.called and self._is_step(self.written)
            hint = another if is_step else "Leave it out."
        last = next(reversed(self.bound.values()), None)
        if last is not None and self.words.role(last.name) == "activation" and self._is_step(last.value):
            hint = f"An activation that takes a number is a step: '-> {last.value} {print_value(value)}'."
        before = self.bound.get(slots[-1]) if slots else None
        sizes = before and sizes_hint(slots[-1], before.value, print_value(value))
        message = f"{self.words.name} {taken}; {print_value(value)} is one too many."
        self.resolver.complain(message, value.span, sizes or hint)

    def _is_step(self, word: Any) -> bool:
        return isinstance(word, str) and bool(self.resolver.vocabulary.find_layer(word))

    # ---- bare words and calls

    def _bare_word(self, word: str, value: d.Value, readings: list[Reading]) -> None:
        if len(readings) > 1:
            meanings = " or ".join(r.meaning for r in readings)
            hint = "Write " + " or ".join(f"'{r.written}'" for r in readings) + "."
            self.resolver.complain(f"{word!r} can mean {meanings} for {self.words.name}.", value.span, hint)
        elif not readings:
            self._unknown_word(word, value)
        elif readings[0].parameter:
            self.put(readings[0].parameter, readings[0].value, value.span)
        else:
            self._next(value)

    def _unknown_word(self, word: str, value: d.Value) -> None:
        words, resolver = self.words, self.resolver
        if word in resolver.lost_words:
            self.complete = False
            return
        if words.parameter(word) is not None:
            message = f"{word!r} is an argument of {words.name} and needs a value."
            resolver.complain(message, value.span, f"Write '{word}=...'.")
        elif words.wraps is not None and not self.called:
            hint = nearest(word, resolver.vocabulary.step_names)
            resolver.complain(f"{word!r} is no layer.", value.span, hint)
        else:
            hint = nearest(word, known_words(words, resolver.vocabulary, resolver.locals))
            other = word_hint(word, self.written, resolver.vocabulary, resolver.tensors)
            hint = other or hint or self._other_choices(word) or self._value_hint(word)
            resolver.complain(f"{word!r} is no {expected_words(words)} of {words.name}.", value.span, hint)

    def _other_choices(self, word: str) -> str | None:
        """Say which words a parameter takes where other layers take this one, as Conv1D takes 'causal'."""
        others = self.resolver.vocabulary.layers.values()
        for parameter in self.words.parameters:
            allowed = self.words.words_for(parameter.name)
            if allowed and any(word in other.words_for(parameter.name) for other in others):
                return f"{parameter.name} of {self.words.name} is {' or '.join(map(repr, allowed))}."
        return None

    def _value_hint(self, word: str) -> str | None:
        """Say how a value of the notebook is written, where one can stand."""
        slots = self._slots()
        free = next((name for name in slots if name not in self.bound), None)
        parameter = self.words.parameter(free or "")
        if free is None or parameter is None or not (parameter.required or free == slots[0]):
            return None
        return f"{free} takes a number; a variable of the notebook is put in braces: '{{{word}}}'."

    def _bare_call(self, value: d.Call) -> None:
        resolver = self.resolver
        parameters = call_readings(value.name, self.words, resolver.vocabulary)
        if len(parameters) == 1:
            self.put(parameters[0], self._converted(parameters[0], value), value.span)
        elif parameters:
            written = " or ".join(f"'{parameter}={value.name}(...)'" for parameter in parameters)
            message = f"{value.name!r} can be for several arguments of {self.words.name}."
            resolver.complain(message, value.span, f"Write {written}.")
        else:
            kinds = [role for role in TABLE_ROLES if self.words.with_role(role)]
            hint = nearest(value.name, names_of(resolver.vocabulary.table(kind) for kind in kinds))
            if value.name in resolver.vocabulary.activations:
                hint = f"An activation has no brackets: '{value.name}'."
            what = " or ".join(
                [", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds or ["argument"]
            )
            resolver.complain(f"{value.name!r} is no {what} of {self.words.name}.", value.name_span, hint)

    # ---- a value for a parameter

    def _converted(self, name: str, value: d.Value) -> Any:
        """Return the value that ``name`` gets, or record why it cannot have it."""
        resolver, role = self.resolver, self.words.role(name)
        open_value = isinstance(value, d.Python | d.Arithmetic) or value == d.Constant(None)
        if open_value or (isinstance(value, d.Word) and value.name in resolver.locals):
            return resolver.plain(value, text=False)
        if self.words.operation or self.words.in_call(name):
            return self._of_call(name, value)
        if role == "boolean":
            return self._boolean(name, value)
        if role == "layer":
            return resolver.nested_layer(value)
        if self.words.words_for(name):
            return self._choice(name, value)
        if role == "activation":
            return self._of_kind(name, value, role, resolver.vocabulary.activations)
        if role == "dtype" and (word := _quantized(value, resolver.vocabulary.dtypes)) is not None:
            return word
        if role == "dtype":
            return self._of_kind(name, value, role, resolver.vocabulary.dtypes)
        if role in TABLE_ROLES and (role != "schedule" or isinstance(value, d.Call)):
            return self._of_kind(name, value, role, resolver.vocabulary.table(role))
        if role is None:
            return self._perhaps_layers(value, self._text_fits(name))
        return resolver.plain(value, text=role == "text" or self._text_fits(name))

    def _perhaps_layers(self, value: d.Value, text: bool) -> Any:
        """Return a value of which nothing is known; the name of a layer of this cell is that layer, not text."""
        match value:
            case d.Word(name) if name in self.resolver.shared:
                return self.resolver.nested_layer(value)
            case d.Tuple(items):
                return tuple(self._perhaps_layers(item, text) for item in items)
            case d.List(items):
                return [self._perhaps_layers(item, text) for item in items]
        return self.resolver.plain(value, text=text)

    def _of_call(self, name: str, value: d.Value) -> Any:
        """Return a value for the call, which may be a tensor or a list of tensors."""
        resolver = self.resolver
        match value:
            case d.Word("in"):
                return BlockInput(value.span)
            case d.Word(word) if word in resolver.tensors:
                return Tensor(word, value.span)
            case d.Tuple(items) | d.List(items):
                return type_of(value)(self._of_call(name, item) for item in items)
            case d.Call(called) if called in ("list", "tuple", "dict"):
                return resolver.members(value, lambda item: self._of_call(name, item))
            case d.Word(word) if self.words.role(name) != "text":
                if word in resolver.lost_words:
                    return FAILED
                message = f"{word!r} is no tensor, which {name} of {self.words.name} could be here."
                return resolver.complain(message, value.span, nearest(word, resolver.tensors))
        if self.words.role(name) == "boolean":
            return self._boolean(name, value)
        return resolver.plain(value, text=True)

    def _text_fits(self, name: str) -> bool:
        """Say whether a bare word may be text: not where the default shows that a number belongs."""
        parameter = self.words.parameter(name)
        return parameter is not None and not parameter.required and isinstance(parameter.default, str | None)

    def _boolean(self, name: str, value: d.Value) -> Any:
        if isinstance(value, d.Constant):
            return value.value
        message = f"{name} of {self.words.name} is true or false, not {print_value(value)}."
        meant = _TRUTHS.get((spelled(value) or print_value(value)).lower())
        return self.resolver.complain(message, value.span, meant and f"Did you mean {meant!r}?")

    def _choice(self, name: str, value: d.Value) -> Any:
        """Return one of the fixed words that ``name`` takes."""
        allowed = self.words.words_for(name)
        word = spelled(value)
        if word in allowed or word in self.resolver.lost_words:
            return word
        shown = " or ".join(map(repr, allowed))
        got = print_value(value) if word is None else repr(word)
        hint = None if word is None else nearest(word, allowed)
        return self.resolver.complain(f"{name} of {self.words.name} is {shown}, not {got}.", value.span, hint)

    def _of_kind(self, name: str, value: d.Value, kind: str, known: Collection[str]) -> Any:
        """Return the name of an activation, a dtype, or of something that could also be called."""
        resolver, word = self.resolver, spelled(value)
        if isinstance(value, d.Call) and kind in TABLE_ROLES:
            return resolver.call(kind, value)
        if word is None:
            message = f"{name} of {self.words.name} takes the name of {_an(kind)}, not {print_value(value)}."
            hint = f"Write 'l2({print_value(value)})'." if kind == "regularizer" else None
            return resolver.complain(message, value.span, hint)
        if word in known or word in resolver.lost_words or resolver.vocabulary.find(kind, word):
            return word
        hint = nearest(word, known) or listed(f"The {kind}s are", once(known, but=kind))
        return resolver.complain(f"{word!r} is no {kind}.", value.span, hint)

    # ---- what is missing

    def _require(self) -> None:
        missing = [p.name for p in self.words.parameters if p.required and p.name not in self.bound]
        if not missing:
            return
        given = [
            _shown(self.bound[p.name].value)
            for p in self.words.parameters
            if p.positional and p.name in self.bound
        ]
        shown = [*given, *(name.upper() for name in missing)]
        written = f"{self.written}({', '.join(shown)})" if self.called else " ".join([self.written, *shown])
        message = f"{self.words.name} needs {' and '.join(missing)}."
        self.resolver.complain(message, self.name_span, f"Write '{written}'.")


def _quantized(value: d.Value, dtypes: Collection[str]) -> str | None:
    """Return the name of a dtype policy of few bits, as ``int8_from_float32``, where the value is one."""
    found = _FEW_BITS.fullmatch(spelled(value) or "")
    return found[0] if found is not None and found["source"] in dtypes else None


def type_of(value: d.Tuple | d.List) -> type:
    """Return the Python type of a sequence as it is written."""
    return tuple if isinstance(value, d.Tuple) else list


def spelled(value: d.Value) -> str | None:
    """Return the word or the text that ``value`` is, or ``None``."""
    match value:
        case d.Word(word) | d.Text(word):
            return word
    return None


def listed(what: str, names: Collection[str]) -> str | None:
    """Return a sentence with the names, unless there are more than a person reads.

    >>> listed("The regularizers are", ["l1", "l2"])
    'The regularizers are l1, l2.'
    """
    shown, rest = list(names)[:_LISTED], len(names) - _LISTED
    if not shown:
        return None
    return f"{what} {', '.join(shown)}{f' and {rest} more' if rest > 0 else ''}."


def once(names: Collection[str], *, but: str = "") -> list[str]:
    """Return each name in one spelling, in small letters and with underscores where it has them.

    >>> once(["L2", "l2", "l1_l2", "l1l2", "regularizer"], but="regularizer")
    ['l1_l2', 'l2']
    """
    spellings: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (not name.islower(), -name.count("_"))):
        spellings.setdefault(fold(name), name)
    return sorted(name for name in spellings.values() if name.lower() != but)


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "ai" else f"a {kind}"


def _first(names: tuple[str, ...], otherwise: str) -> str:
    return names[0] if names else otherwise


def _shown(value: Any) -> str:
    match value:
        case bool() | int() | float() | str():
            return str(value)
        case (int(), int(), *_):
            return "x".join(map(str, value))
    return "..."
