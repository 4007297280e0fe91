"""One step against the vocabulary: every argument finds its parameter, or an error says why not.

A bare word is an activation, a padding or another fixed word, a dtype, an initializer, a regularizer,
a constraint, or the name of a boolean argument; plain values fill the other parameters in signature
order. A word with two readings is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language import definition as d
from kerasmagic.language.binding import FAILED, Binding, listed, once
from kerasmagic.language.idioms import step_hint
from kerasmagic.language.print import print_value
from kerasmagic.language.resolved import (
    Array,
    BoundArgument,
    Computed,
    PythonValue,
    Reference,
    ResolvedCall,
    ResolvedStep,
    SharedUse,
)
from kerasmagic.language.vocabulary import CallWords, LayerWords, Vocabulary, names_of, nearest

_MODEL_LINES = dict.fromkeys(("inputs", "output", "compile", "for", "block", "layer", "model"), "a %%model")
_LAYER_LINES = dict.fromkeys(("weight", "state"), "a %%layer")
_LINE_STARTS = {"input": "a %%model or %%layer", **_MODEL_LINES, **_LAYER_LINES}
_SHORT = 2
STRUCTURES = ("list", "tuple", "dict")
"""Words that put values or tensors together, as in Python."""
_ANY_KIND = (
    *("schedule", "initializer", "regularizer", "constraint", "optimizer", "loss", "metric"),
    "quantizer",
)


class Resolver:
    """Binds arguments for one cell.

    Args:
        vocabulary: What the words mean.
        blocks: The places of the blocks of a model, by name.
        locals: Names that stand for values not known yet: the parameters and dimensions of a layer.
        lost_words: Words on lines that could not be read; an unknown one of these is no second error.
        rank: The rank to speak of where a layer's name depends on it.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        blocks: Mapping[str, Span] = MappingProxyType({}),
        locals: Iterable[str] = (),
        lost_words: frozenset[str] = frozenset(),
        rank: int | None = None,
    ):
        self.vocabulary = vocabulary
        self.blocks = blocks
        self.tensors: Iterable[str] = ()
        self.shared: Mapping[str, CallWords] = {}
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
        if step.name.startswith("ops."):
            return self.operation(step)
        layers = self.vocabulary.find_layer(step.name)
        exact = step.name in self.vocabulary.layers or step.name in self.vocabulary.aliases
        if step.name in self.vocabulary.activations and not step.arguments and not exact:
            argument = BoundArgument("activation", step.name, step.name_span)
            return ResolvedStep(step.name, {None: "Activation"}, (argument,), step.name_span, step.span)
        if not layers:
            return self._unknown_step(step)
        return self._any_rank(step, layers)

    def operation(self, step: d.Step) -> ResolvedStep | None:
        """Return the function that ``ops.mean axis=1`` means."""
        words = self.vocabulary.operations.get(step.name.removeprefix("ops."))
        if words is None:
            known = [f"ops.{name}" for name in self.vocabulary.operations]
            self.complain(f"{step.name!r} is no operation.", step.name_span, nearest(step.name, known))
            return None
        before = len(self.errors)
        arguments = Binding(self, words, step.name, step.called, step.name_span).bind(step.arguments)
        if len(self.errors) > before:
            return None
        return ResolvedStep(step.name, {None: step.name}, arguments, step.name_span, step.span)

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
        refused = {rank: tuple(found) for rank, found in errors.items()}
        return ResolvedStep(step.name, names, fitting[likely][1], step.name_span, step.span, refused)

    def _layer_arguments(self, step: d.Step, words: LayerWords) -> tuple[BoundArgument, ...]:
        arguments = step.arguments
        inner = None
        if words.wraps is not None and not step.called:
            arguments, inner = self._split_wrapper(step, words)
        binding = Binding(self, words, step.name, step.called, step.name_span)
        if inner is not None and words.wraps is not None:
            named = inner.name in self.shared and not inner.arguments
            resolved = SharedUse(inner.name, (), inner.span) if named else self.step(inner)
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
            hint = step_hint(name, self.vocabulary)
            self.complain(f"The activation {name!r} takes no arguments.", step.name_span, hint)
            return
        if name == "Sequential":
            message = (
                "'Sequential' stands on a line of its own, and the layers below it, one after the other."
            )
            self.complain(message, step.name_span)
            return
        if name in _LINE_STARTS:
            hint = (
                "Write 'compile adam, mse', without brackets." if name == "compile" and step.called else None
            )
            where = _LINE_STARTS[name]
            self.complain(f"{name!r} is no step; it starts a line of {where}.", step.name_span, hint)
            return
        if name in self.blocks:
            line = self.blocks[name].line
            hint = f"Put its definition above line {step.name_span.line}."
            self.complain(f"The block {name!r} is defined below, on line {line}.", step.name_span, hint)
            return
        known = names_of([self.vocabulary.step_names, _LINE_STARTS, self.blocks, self.tensors, self.shared])
        if len(name) <= _SHORT and not step.arguments:
            # A letter or two is near to everything; only the names of this cell can be meant.
            known = names_of([self.tensors, self.shared, self.blocks])
        hint = step_hint(name, self.vocabulary) or nearest(name, known)
        if hint is None and len(name) <= _SHORT:
            names = f"The names here are {', '.join(map(repr, known))}."
            hint = names if known else f"To name what comes in, write 'input {name} SHAPE'."
        self.complain(f"{name!r} is no layer, activation or name in this cell.", step.name_span, hint)

    def bind(
        self, words: CallWords, arguments: Iterable[d.Argument], written: str, name_span: Span
    ) -> tuple[BoundArgument, ...]:
        """Bind arguments in the command form to the parameters of ``words``."""
        return Binding(self, words, written, False, name_span).bind(arguments)

    # ---- values

    def call(self, kind: str, value: d.Call, *, command: bool = False) -> Any:
        """Return ``l2(1e-4)`` as a regularizer, or whatever ``kind`` says; ``command`` is ``adam 1e-3``."""
        words = self.vocabulary.find(kind, value.name)
        if words is None:
            known = self.vocabulary.table(kind)
            hint = nearest(value.name, known) or listed(f"The {kind}s are", once(known, but=kind))
            return self.complain(f"{value.name!r} is no {kind}.", value.name_span, hint)
        before = len(self.errors)
        arguments = Binding(self, words, value.name, not command, value.name_span).bind(value.arguments)
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

    def members(self, call: d.Call, convert: Callable[[d.Value], Any]) -> Any:
        """Return ``list(...)``, ``tuple(...)`` or ``dict(...)`` with its members converted."""
        keyed: dict[str, Any] = {}
        plain: list[Any] = []
        for argument in call.arguments:
            match argument:
                case d.Keyword(name, value) if call.name == "dict":
                    if name in keyed:
                        self.complain(f"The name {name!r} is there twice.", argument.span)
                    keyed[name] = convert(value)
                case d.Positional(value) if call.name != "dict":
                    plain.append(convert(value))
                case d.Keyword(name, value):
                    hint = f"Write 'dict({name}={print_value(value)})'."
                    self.complain(f"A {call.name} has no names.", argument.span, hint)
                case _:
                    hint = "Write for example 'dict(left=a, right=b)'." if call.name == "dict" else None
                    self.complain(f"This does not fit into a {call.name}.", argument.span, hint)
        return keyed if call.name == "dict" else tuple(plain) if call.name == "tuple" else plain

    def array(self, value: d.Call) -> Any:
        """Return ``array([[1, 0]], int8)``."""
        match [a.value if isinstance(a, d.Positional) else None for a in value.arguments]:
            case [d.List() | d.Number() | d.Constant() | d.Call() as numbers]:
                return Array(self.plain(numbers, text=False), None, value.span)
            case [d.List() | d.Number() | d.Constant() | d.Call() as numbers, d.Word(dtype) | d.Text(dtype)]:
                if dtype in self.vocabulary.dtypes:
                    return Array(self.plain(numbers, text=False), dtype, value.span)
                message, hint = f"{dtype!r} is no dtype.", nearest(dtype, self.vocabulary.dtypes)
                return self.complain(message, value.arguments[1].span, hint)
        message = "An array is made of a list of numbers and perhaps a dtype."
        return self.complain(message, value.span, "Write for example 'array([1, 0], int8)'.")

    def _number(self, value: d.Call) -> Any:
        """Return ``float("inf")``: the numbers that no digits spell."""
        match value.arguments:
            case (d.Positional(d.Text("inf" | "-inf" | "nan" as word)),):
                return float(word)
        hint = "Write 'float(\"inf\")', 'float(\"-inf\")' or 'float(\"nan\")'; other numbers by their digits."
        return self.complain("This is no number.", value.span, hint)

    def _plain_call(self, value: d.Call, name: str) -> Any:
        if name in STRUCTURES:
            return self.members(value, lambda item: self.plain(item, text=True))
        if name in ("array", "float"):
            return self.array(value) if name == "array" else self._number(value)
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
            case d.Word(name) if name in self.shared:
                return SharedUse(name, (), value.span)
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
