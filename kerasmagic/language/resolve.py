"""One step against the vocabulary: every argument finds its parameter, or an error says why not.

A bare word is an activation, a padding or another fixed word, a dtype, an initializer, a regularizer,
a constraint, or the name of a boolean argument; plain values fill the other parameters in signature
order. A word with two readings is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language import definition as d
from kerasmagic.language.print import print_value
from kerasmagic.language.readings import (
    TABLE_ROLES,
    Reading,
    call_readings,
    expected_words,
    known_words,
    readings_of,
)
from kerasmagic.language.resolved import (
    BoundArgument,
    Computed,
    PythonValue,
    Reference,
    ResolvedCall,
    ResolvedStep,
)
from kerasmagic.language.vocabulary import CallWords, LayerWords, Vocabulary, names_of, nearest

_MODEL_LINES = dict.fromkeys(("output", "compile", "for", "block"), "a %%model")
_LAYER_LINES = dict.fromkeys(("weight", "state"), "a %%layer")
_LINE_STARTS = {"input": "a %%model or %%layer", **_MODEL_LINES, **_LAYER_LINES}
_ANY_KIND = ("schedule", "initializer", "regularizer", "constraint", "optimizer", "loss", "metric")
FAILED: Any = object()


class Resolver:
    """Binds arguments for one cell.

    Args:
        vocabulary: What the words mean.
        blocks: The names of the blocks of a model, for suggestions.
        locals: Names that stand for values not known yet: the parameters and dimensions of a layer.
        lost_words: Words on lines that could not be read; an unknown one of these is no second error.
        rank: The rank to speak of where a layer's name depends on it.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        blocks: Iterable[str] = (),
        locals: Iterable[str] = (),
        lost_words: frozenset[str] = frozenset(),
        rank: int | None = None,
    ):
        self.vocabulary = vocabulary
        self.blocks = tuple(blocks)
        self.tensors: Iterable[str] = ()
        self.locals = frozenset(locals)
        self.lost_words = lost_words
        self.rank = rank
        self.errors: list[DefinitionError] = []

    def complain(self, message: str, span: Span, hint: str | None = None) -> Any:
        """Record an error; return the mark of a value that is none."""
        self.errors.append(DefinitionError(message, span=span, hint=hint))
        return FAILED

    # ---- steps

    def step(self, step: d.Step) -> ResolvedStep | None:
        """Return the layer and the arguments that ``step`` means, or ``None`` after recording why not."""
        layers = self.vocabulary.find_layer(step.name)
        exact = step.name in self.vocabulary.layers or step.name in self.vocabulary.aliases
        if step.name in self.vocabulary.activations and not step.arguments and not exact:
            argument = BoundArgument("activation", step.name, step.name_span)
            return ResolvedStep(step.name, {None: "Activation"}, (argument,), step.name_span, step.span)
        if not layers:
            return self._unknown_step(step)
        return self._any_rank(step, layers)

    def _any_rank(self, step: d.Step, layers: Mapping[int | None, LayerWords]) -> ResolvedStep | None:
        """Bind for every rank; keep those that fit, speak of the likeliest where none does."""
        outer, fitting, errors = self.errors, {}, {}
        for rank, words in layers.items():
            self.errors = []
            arguments = self._layer_arguments(step, words)
            if self.errors:
                errors[rank] = self.errors
            else:
                fitting[rank] = (words.name, arguments)
        self.errors = outer
        if not fitting:
            likely = self.rank if self.rank in errors else 2 if 2 in errors else next(iter(errors))
            self.errors += errors[likely]
            return None
        likely = self.rank if self.rank in fitting else next(iter(fitting))
        names = {rank: name for rank, (name, _) in fitting.items()}
        return ResolvedStep(step.name, names, fitting[likely][1], step.name_span, step.span)

    def _layer_arguments(self, step: d.Step, words: LayerWords) -> tuple[BoundArgument, ...]:
        arguments = step.arguments
        inner = None
        if words.wraps is not None and not step.called:
            arguments, inner = self._split_wrapper(step, words)
        binding = _Binding(self, words, step.name, step.called, step.name_span)
        if inner is not None and words.wraps is not None:
            resolved = self.step(inner)
            binding.put(words.wraps, FAILED if resolved is None else resolved, inner.span)
        return binding.bind(arguments)

    def _split_wrapper(self, step: d.Step, words: LayerWords) -> tuple[tuple[d.Argument, ...], d.Step | None]:
        """Split ``bi lstm 64 merge_mode=sum`` into what is the wrapper's and the step inside."""
        for i, argument in enumerate(step.arguments):
            if isinstance(argument, d.Positional) and isinstance(argument.value, d.Word):
                word, after = argument.value, step.arguments[i + 1 :]
                break
        else:
            return step.arguments, None
        inside = [
            p.name for layer in self.vocabulary.find_layer(word.name).values() for p in layer.parameters
        ]
        own = tuple(
            a for a in after if isinstance(a, d.Keyword) and a.name not in inside and words.parameter(a.name)
        )
        rest = tuple(a for a in after if a not in own)
        end = rest[-1].span if rest else word.span
        span = Span(word.span.line, word.span.column, end.end_line, end.end_column)
        return (*step.arguments[:i], *own), d.Step(word.name, rest, name_span=word.span, span=span)

    def _unknown_step(self, step: d.Step) -> None:
        name = step.name
        if name in self.lost_words:
            return
        if name in self.vocabulary.activations:
            self.complain(f"The activation {name!r} takes no arguments.", step.name_span)
            return
        if name in _LINE_STARTS:
            self.complain(f"{name!r} is no step; it starts a line of {_LINE_STARTS[name]}.", step.name_span)
            return
        known = names_of([self.vocabulary.step_names, _LINE_STARTS, self.blocks, self.tensors])
        hint = nearest(name, known)
        self.complain(f"{name!r} is no layer, activation or name in this cell.", step.name_span, hint)

    def bind(
        self, words: CallWords, arguments: Iterable[d.Argument], written: str, name_span: Span
    ) -> tuple[BoundArgument, ...]:
        """Bind arguments in the command form to the parameters of ``words``."""
        return _Binding(self, words, written, False, name_span).bind(arguments)

    # ---- values

    def call(self, kind: str, value: d.Call, *, command: bool = False) -> Any:
        """Return ``l2(1e-4)`` as a regularizer, or whatever ``kind`` says; ``command`` is ``adam 1e-3``."""
        words = self.vocabulary.find(kind, value.name)
        if words is None:
            hint = nearest(value.name, self.vocabulary.table(kind))
            return self.complain(f"{value.name!r} is no {kind}.", value.name_span, hint)
        before = len(self.errors)
        arguments = _Binding(self, words, value.name, not command, value.name_span).bind(value.arguments)
        return FAILED if len(self.errors) > before else ResolvedCall(kind, value.name, arguments, value.span)

    def plain(self, value: d.Value, *, text: bool) -> Any:
        """Return a value that needs no vocabulary; ``text`` says whether a bare word may be text."""
        match value:
            case d.Number() | d.Text() | d.Constant():
                return value.value
            case d.Dims(sizes):
                return sizes
            case d.Word(name):
                return self._plain_word(name, value.span, text)
            case d.Tuple(items):
                return tuple(self.plain(item, text=text) for item in items)
            case d.List(items):
                return [self.plain(item, text=text) for item in items]
            case d.Python(source, bindings):
                return PythonValue(
                    source, tuple((n, self.plain(v, text=True)) for n, v in bindings), value.span
                )
            case d.Arithmetic(operands, operators):
                return self._arithmetic(
                    tuple(self.plain(o, text=False) for o in operands), operators, value.span
                )
            case d.Call(name):
                return self._plain_call(value, name)
        return self.complain("'...' stands in the shape of a layer's input only.", value.span)

    def _plain_word(self, name: str, span: Span, text: bool) -> Any:
        if name in self.locals:
            return Reference(name, span)
        if text or name in self.lost_words:
            return name
        hint = nearest(name, self.locals) or "Text is put in quotes, a value of the notebook in braces."
        return self.complain(f"{name!r} stands for no value here.", span, hint)

    def _plain_call(self, value: d.Call, name: str) -> Any:
        kinds = [kind for kind in _ANY_KIND if self.vocabulary.find(kind, name)]
        if kinds:
            return self.call(kinds[0], value)
        if self.vocabulary.find_layer(name):
            return self.nested_layer(value)
        return self.complain(f"{name!r} is nothing that can stand as a value here.", value.name_span)

    def _arithmetic(self, operands: tuple[Any, ...], operators: tuple[str, ...], span: Span) -> Any:
        if any(o is FAILED for o in operands):
            return FAILED
        if not all(isinstance(o, int | float | Reference | Computed) for o in operands):
            return self.complain("Only numbers can be computed with; use braces for Python.", span)
        return Computed(operands, operators, span)

    def nested_layer(self, value: d.Value) -> Any:
        """Return a layer that is the argument of another one."""
        match value:
            case d.Word(name):
                step = d.Step(name, name_span=value.span, span=value.span)
            case d.Call(name, arguments):
                step = d.Step(name, arguments, True, name_span=value.name_span, span=value.span)
            case d.Python():
                return self.plain(value, text=False)
            case _:
                return self.complain(f"A layer is expected, not {print_value(value)}.", value.span)
        resolved = self.step(step)
        return FAILED if resolved is None else resolved


class _Binding:
    """The arguments of one call on their way to its parameters."""

    def __init__(self, resolver: Resolver, words: CallWords, written: str, called: bool, name_span: Span):
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
        order = {p.name: i for i, p in enumerate(self.words.parameters)}
        return tuple(sorted(self.bound.values(), key=lambda a: order[a.name]))

    def put(self, name: str, value: Any, span: Span) -> None:
        if name in self.bound:
            self.resolver.complain(f"{name} of {self.words.name} is given twice.", span)
        self.bound[name] = BoundArgument(name, value, span)

    def _argument(self, argument: d.Argument) -> None:
        words, complain = self.words, self.resolver.complain
        match argument:
            case d.Keyword(name, value):
                if words.parameter(name) is None:
                    self._no_such_argument(name, argument.name_span)
                else:
                    self.put(name, self._converted(name, value), argument.span)
            case d.Negated(name):
                if words.parameter(name) is None:
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

    def _no_such_argument(self, name: str, span: Span) -> None:
        if name not in self.resolver.lost_words:
            hint = nearest(name, (p.name for p in self.words.parameters))
            self.resolver.complain(f"{name!r} is no argument of {self.words.name}.", span, hint)

    # ---- values without a name

    def _positional(self, value: d.Value) -> None:
        match value:
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
        slots = [
            p.name for p in words.parameters if p.positional and (self.called or self._takes_plain(p.name))
        ]
        free = next((name for name in slots if name not in self.bound), None)
        if free is None:
            self._too_many(value, slots)
        else:
            self.put(free, self._converted(free, value), value.span)

    def _takes_plain(self, name: str) -> bool:
        return self.words.role(name) in (None, "schedule") and not self.words.words_for(name)

    def _too_many(self, value: d.Value, slots: list[str]) -> None:
        taken = (
            f"takes only {', '.join(slots)} without a name" if slots else "takes no argument without a name"
        )
        rest = [
            p.name for p in self.words.parameters if p.name not in self.bound and self._takes_plain(p.name)
        ]
        hint = (
            f"Name the argument, as in '{rest[0]}={print_value(value)}'."
            if rest and rest[0] != "name"
            else None
        )
        self.resolver.complain(
            f"{self.words.name} {taken}; {print_value(value)} is one too many.", value.span, hint
        )

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
            resolver.complain(f"{word!r} is no {expected_words(words)} of {words.name}.", value.span, hint)

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
        if role == "boolean":
            return self._boolean(name, value)
        if role == "layer":
            return resolver.nested_layer(value)
        if self.words.words_for(name):
            return self._choice(name, value)
        if role == "activation":
            return self._of_kind(name, value, role, resolver.vocabulary.activations)
        if role == "dtype":
            return self._of_kind(name, value, role, resolver.vocabulary.dtypes)
        if role in TABLE_ROLES and (role != "schedule" or isinstance(value, d.Call)):
            return self._of_kind(name, value, role, resolver.vocabulary.table(role))
        return resolver.plain(value, text=role == "text" or self._text_fits(name))

    def _text_fits(self, name: str) -> bool:
        """Say whether a bare word may be text: not where the default shows that a number belongs."""
        parameter = self.words.parameter(name)
        return parameter is not None and not parameter.required and isinstance(parameter.default, str | None)

    def _boolean(self, name: str, value: d.Value) -> Any:
        if isinstance(value, d.Constant):
            return value.value
        message = f"{name} of {self.words.name} is true or false, not {print_value(value)}."
        return self.resolver.complain(message, value.span)

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
            return resolver.complain(message, value.span)
        if word in known or word in resolver.lost_words or resolver.vocabulary.find(kind, word):
            return word
        return resolver.complain(f"{word!r} is no {kind}.", value.span, nearest(word, known))

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


def spelled(value: d.Value) -> str | None:
    """Return the word or the text that ``value`` is, or ``None``."""
    match value:
        case d.Word(word) | d.Text(word):
            return word
    return None


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
