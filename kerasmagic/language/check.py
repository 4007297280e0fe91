"""From definition to resolved definition: every name has a meaning, or there is an error at its place.

All independent errors of a cell come together, in the order of the text; an error that only follows
from another one is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from kerasmagic.foundation.errors import DefinitionError, DefinitionErrors, Span
from kerasmagic.language import definition as d
from kerasmagic.language import resolved as r
from kerasmagic.language.binding import listed
from kerasmagic.language.compilation import resolve_compile
from kerasmagic.language.expand import expand
from kerasmagic.language.idioms import without_python
from kerasmagic.language.inputs import resolve_input
from kerasmagic.language.limits import MAX_ERRORS
from kerasmagic.language.parse import recover_model
from kerasmagic.language.resolve import Resolver
from kerasmagic.language.structures import STRUCTURES, index_of, no_tensor, structure_of
from kerasmagic.language.vocabulary import MERGE_LAYERS, CallWords, Vocabulary, nearest

_NO_WORDS: frozenset[str] = frozenset()
TAKE = "ops.get_item"
"""The function behind ``x[:, 0]``."""


def read_model(text: str, vocabulary: Vocabulary, *, first_line: int = 1) -> r.ResolvedModel:
    """Parse and check the body of a ``%%model`` cell; syntax errors and wrong names come together.

    Args:
        text: The lines below the magic's own line.
        vocabulary: What the words mean.
        first_line: The number that the first line has in the cell.

    Raises:
        DefinitionErrors: With every independent error of the cell, in order.
    """
    found = recover_model(text, first_line=first_line)
    errors = without_python(found.errors, text, first_line)
    return _checked_model(found.definition, vocabulary, errors, found.lost_words)


def check_model(definition: d.ModelDefinition, vocabulary: Vocabulary) -> r.ResolvedModel:
    """Check a model that is parsed already.

    Raises:
        DefinitionErrors: With every independent error, in order.

    Example:

    >>> from kerasmagic.language.parse import parse_model
    >>> from kerasmagic.language.vocabulary import LayerWords
    >>> words = Vocabulary(layers={"Flatten": LayerWords("Flatten")}, activations=frozenset({"relu"}))
    >>> [step.layer() for step in check_model(parse_model("flatten -> relu"), words).steps]
    ['Flatten', 'Activation']
    """
    return _checked_model(definition, vocabulary, (), _NO_WORDS)


def resolve_step(step: d.Step, vocabulary: Vocabulary, *, rank: int | None = None) -> r.ResolvedStep:
    """Resolve one step on its own.

    Args:
        step: The step.
        vocabulary: What the words mean.
        rank: The number of spatial dimensions that flow in, for messages about a name such as ``conv``.

    Raises:
        DefinitionErrors: The step has no meaning.
    """
    resolver = Resolver(vocabulary, rank=rank)
    found = resolver.step(step)
    if found is None or resolver.errors:
        raise DefinitionErrors(resolver.errors)
    return found


def in_order(errors: Iterable[DefinitionError]) -> list[DefinitionError]:
    """Return the errors in the order of the text, each once, no more than a person reads."""
    unique = {(e.span, e.message): e for e in errors}
    return sorted(unique.values(), key=_place)[:MAX_ERRORS]


def _place(error: DefinitionError) -> tuple[int, int]:
    return (error.span.line, error.span.column) if error.span is not None else (0, 0)


def _checked_model(
    definition: d.ModelDefinition,
    vocabulary: Vocabulary,
    errors: tuple[DefinitionError, ...],
    lost_words: frozenset[str],
) -> r.ResolvedModel:
    if not definition.body and not errors:
        message = "The cell is empty: a model needs at least one step, for example 'dense 10'."
        raise DefinitionErrors([DefinitionError(message, span=definition.span)])
    body, expansion_errors = expand(definition.body, lost_words)
    checker = _ModelCheck(definition, vocabulary, lost_words, broken=bool(errors or expansion_errors))
    model = checker.model(body)
    found = in_order([*errors, *expansion_errors, *checker.resolver.errors])
    if found:
        raise DefinitionErrors(found)
    return model


@dataclasses.dataclass(frozen=True)
class _Training:
    """The one argument that the call of every model takes."""

    name: str = "training"
    default: Any = None
    positional: bool = False
    required: bool = False


@dataclasses.dataclass
class Names:
    """What can be named at one place: tensors, whether something flows, whether there is an ``in``."""

    tensors: dict[str, Span]
    flows: bool = True
    in_block: bool = False


class FlowCheck:
    """Resolves chains: which tensor flows where, through which layers."""

    def __init__(self, resolver: Resolver, names: Names):
        self.resolver = resolver
        self.names = names
        self.steps: dict[int, tuple[d.Step, r.ResolvedStep | None]] = {}

    def chain(self, chain: d.Chain, *, flows: bool) -> r.ResolvedChain:
        """Resolve a chain; ``flows`` says whether something flows into its first element."""
        out: list[r.ResolvedElement] = []
        for i, element in enumerate(chain.elements):
            out += self.element(element, flows=flows or i > 0, starts=i == 0)
        return r.ResolvedChain(tuple(out), chain.span)

    def element(self, element: d.Element, *, flows: bool, starts: bool) -> list[r.ResolvedElement]:
        match element:
            case d.Step():
                return self.step(element, flows=flows, starts=starts)
            case d.Group(chain):
                return list(self.chain(chain, flows=flows).elements)
            case d.Tensors(items):
                gathered = tuple(self.chain(item, flows=flows) for item in items)
                return [r.Gather(gathered, element.span)]
            case d.Merge():
                return self.merge(element, flows=flows)
            case d.Scope():
                return [self.scope(element, flows=flows)]
            case d.Inflow():
                return self.inflow(element, starts)
            case d.Current():
                self.need_flow(flows, element.span)
                return [r.Flowing(element.span)]
            case d.Index():
                return self.index(element, flows=flows, starts=starts)
            case d.Python():
                return [self.resolver.plain(element, text=False)]
        self.resolver.complain("A number is no step.", element.span)
        return []

    def index(self, element: d.Index, *, flows: bool, starts: bool) -> list[r.ResolvedElement]:
        """Resolve ``x[:, 0]``: what it is taken of, and the function that takes it."""
        of: list[r.ResolvedElement] = []
        self.resolver.tensors = self.names.tensors
        match element.of:
            case None:
                self.need_flow(flows, element.span)
            case d.Inflow():
                of = self.inflow(element.of, starts)
            case d.Step(name) if name in self.names.tensors and not element.of.arguments:
                of = self.step(element.of, flows=flows, starts=starts)
            case d.Step(name) if self.resolver.vocabulary.find_layer(name):
                message = f"{name!r} is a layer; only of a tensor a part can be taken."
                hint = f"To hand it a list, put a blank before the bracket: '{name} [...]'."
                self.resolver.complain(message, element.of.name_span, hint)
            case taken:
                no_tensor(getattr(taken, "name", "?"), taken, self.resolver)
        key = r.BoundArgument("key", index_of(element.index, self.resolver), element.span)
        return [*of, r.ResolvedStep(TAKE, {None: TAKE}, (key,), element.span, element.span)]

    def need_flow(self, flows: bool, span: Span) -> None:
        # A line that could not be read may have said where to start.
        if not flows and not self.resolver.lost_words:
            names = ", ".join(self.names.tensors)
            first = next(iter(self.names.tensors), "x")
            message = f"Nothing flows into this step: the model has several inputs ({names})."
            self.resolver.complain(message, span, f"Say where the chain starts: '{first} -> ...'.")

    def inflow(self, element: d.Inflow, starts: bool) -> list[r.ResolvedElement]:
        if not self.names.in_block:
            self.resolver.complain("'in' has a meaning inside a block only.", element.span)
        elif not starts:
            self.resolver.complain("'in' can only start a chain; to add it, write '+ in'.", element.span)
        return [r.BlockInput(element.span)]

    def step(self, step: d.Step, *, flows: bool, starts: bool) -> list[r.ResolvedElement]:
        if step.name in self.names.tensors and not step.arguments:
            if not starts:
                hint = f"To merge, write '+ {step.name}'."
                message = f"{step.name!r} is a tensor; it can only start a chain."
                self.resolver.complain(message, step.span, hint)
            return [r.Tensor(step.name, step.span)]
        if step.name in self.resolver.shared:
            self.need_flow(flows, step.span)
            return self.shared_use(step)
        merged = self.merge_call(step)
        if merged is not None:
            return merged
        if step.called and step.name in STRUCTURES and not self.resolver.vocabulary.find_layer(step.name):
            return self.structure(step, starts)
        if step.name in self.names.tensors and not self.resolver.vocabulary.find_layer(step.name):
            lists = [a for a in step.arguments if isinstance(a, d.Positional) and isinstance(a.value, d.List)]
            hint = f"To take a part of it, write '{step.name}[...]' without a blank." if lists else None
            self.resolver.complain(f"{step.name!r} is a tensor and takes no arguments.", step.span, hint)
            return []
        self.resolver.tensors = self.names.tensors
        resolved = self.layer(step)
        if resolved is not None:
            self.need_flow(flows, step.span)
        return [] if resolved is None else [resolved]

    def structure(self, step: d.Step, starts: bool) -> list[r.ResolvedElement]:
        """Resolve ``list(a, b)``, which is handed over as it is."""
        self.resolver.tensors = self.names.tensors
        if not starts:
            hint = f"Put it on a line of its own: '{step.name}(...) -> ...'."
            self.resolver.complain(f"A {step.name} of tensors can only start a chain.", step.span, hint)
        found = structure_of(step, self.resolver)
        return [] if found is None else [found]

    def shared_use(self, step: d.Step) -> list[r.ResolvedElement]:
        """Read the name of a layer that exists: only its call takes arguments here."""
        self.resolver.tensors = self.names.tensors
        words = self.resolver.shared[step.name]
        before = len(self.resolver.errors)
        arguments = self.resolver.bind(words, step.arguments, step.name, step.name_span)
        return [] if len(self.resolver.errors) > before else [r.SharedUse(step.name, arguments, step.span)]

    def layer(self, step: d.Step) -> r.ResolvedStep | None:
        # Repetition puts one step object in many places; it means the same in each.
        if id(step) not in self.steps:
            self.steps[id(step)] = step, self.resolver.step(step)
        return self.steps[id(step)][1]

    def merge_call(self, step: d.Step) -> list[r.ResolvedElement] | None:
        """Read ``max(a, b)``: a merging layer over named tensors. ``None`` where it is not that."""
        values = [a.value for a in step.arguments if isinstance(a, d.Positional)]
        words = [
            v for v in values if isinstance(v, d.Word) and (v.name in self.names.tensors or v.name == "in")
        ]
        layer = MERGE_LAYERS.get(step.name)
        if layer is None or not step.called or len(words) != len(values) or len(words) < 2:
            return None
        items = tuple(r.ResolvedChain(tuple(self.word(word)), word.span) for word in words)
        options = tuple(a for a in step.arguments if not isinstance(a, d.Positional))
        resolved = self.layer(dataclasses.replace(step, name=layer, arguments=options))
        return None if resolved is None else [r.Gather(items, step.span), resolved]

    def word(self, word: d.Word) -> list[r.ResolvedElement]:
        if word.name == "in":
            return self.inflow(d.Inflow(span=word.span), True)
        return [r.Tensor(word.name, word.span)]

    def merge(self, merge: d.Merge, *, flows: bool) -> list[r.ResolvedElement]:
        """Resolve ``a + b - c`` to lists that flow into merging layers, from left to right."""
        chains = []
        for operand in merge.operands:
            elements = self.element(operand, flows=flows, starts=True)
            chains.append(r.ResolvedChain(tuple(elements), operand.span))
        result: list[r.ResolvedElement] = list(chains[0].elements)
        start = 0
        while start < len(merge.operators):
            operator = merge.operators[start]
            end = start + 1
            while operator != "-" and end < len(merge.operators) and merge.operators[end] == operator:
                end += 1
            left = r.ResolvedChain(tuple(result), merge.span)
            gathered = r.Gather((left, *chains[start + 1 : end + 1]), merge.span)
            layer = r.ResolvedStep(operator, {None: MERGE_LAYERS[operator]}, (), merge.span, merge.span)
            result = [gathered, layer]
            start = end
        return result

    def scope(self, scope: d.Scope, *, flows: bool) -> r.ResolvedScope:
        outer = self.names
        self.names = Names(dict(outer.tensors), flows, in_block=flows)
        body = tuple(s for statement in scope.body if (s := self.statement(statement)) is not None)
        self.names = outer
        return r.ResolvedScope(scope.name, body, scope.span)

    def statement(self, statement: Any) -> r.ResolvedStatement | None:
        """Resolve a chain or an assignment; what it puts out is what flows on."""
        match statement:
            case d.Chain():
                found = self.chain(statement, flows=self.names.flows)
                self.names.flows = True
                return found
            case d.Assignment(names, chain):
                resolved = self.chain(chain, flows=self.names.flows)
                self.names.flows = True
                spans = statement.name_spans or (statement.span,) * len(names)
                self.names.tensors.update(zip(names, spans, strict=True))
                return r.ResolvedAssignment(names, resolved, statement.span)
            case d.Shared():
                return self.shared(statement)
        return None

    def name_layer(self, name: str, span: Span, call: tuple[Any, ...]) -> None:
        if name in self.resolver.shared:
            self.resolver.complain(f"There is a layer {name!r} already.", span)
        roles: Any = {p.name: "boolean" for p in call if isinstance(p.default, bool) or p.name == "training"}
        self.resolver.shared = {**self.resolver.shared, name: CallWords(name, (), roles, call=call)}

    def shared(self, statement: d.Shared) -> r.ResolvedShared | None:
        """Resolve ``layer NAME = step``."""
        step = statement.chain.elements[0]
        if len(statement.chain.elements) > 1 or not isinstance(step, d.Step | d.Python):
            hint = f"For several steps, write 'model {statement.name}:' and the steps indented below it."
            self.resolver.complain("One name stands for one layer here.", statement.chain.span, hint)
            self.name_layer(statement.name, statement.name_span, ())
            return None
        found = self.resolver.plain(step, text=False) if isinstance(step, d.Python) else self.layer(step)
        layers = self.resolver.vocabulary.find_layer(step.name) if isinstance(step, d.Step) else {}
        call = next(iter(layers.values())).call if layers else ()
        self.name_layer(statement.name, statement.name_span, call)
        return None if found is None else r.ResolvedShared(statement.name, found, statement.span)


class _ModelCheck:
    def __init__(
        self,
        definition: d.ModelDefinition,
        vocabulary: Vocabulary,
        lost_words: frozenset[str],
        *,
        broken: bool,
    ):
        self.definition = definition
        blocks = {s.name: s.span for s in definition.body if isinstance(s, d.Block)}
        self.resolver = Resolver(vocabulary, blocks=blocks, lost_words=lost_words)
        self.flow = FlowCheck(self.resolver, Names({}))
        self.inputs: list[r.ResolvedInput] = []
        self.outputs: tuple[tuple[r.ResolvedChain, ...], tuple[str, ...]] = ((), ())
        self.given: tuple[tuple[r.ResolvedChain, ...], tuple[str, ...]] = ((), ())
        self.sequential: d.Sequential | None = None
        self.compile: d.Compile | None = None
        self.broken = broken

    def model(self, body: Iterable[d.Statement]) -> r.ResolvedModel:
        resolved: list[r.ResolvedStatement] = []
        compiled: r.ResolvedCompile | None = None
        for statement in body:
            match statement:
                case d.Input():
                    self.is_first(statement, resolved)
                    self.input(statement)
                case d.Inputs(chains, keys):
                    if self.are_inputs(statement):
                        self.given = self.flow_of(chains), keys
                case d.Output(chains, keys):
                    self.outputs = self.flow_of(chains), keys
                case d.Sequential():
                    self.sequential = statement
                case d.Compile():
                    compiled = self.compilation(statement)
                case d.SubModel():
                    resolved.append(self.submodel(statement))
                case _:
                    found = self.flow.statement(statement)
                    resolved += [found] if found is not None else []
        if not resolved and not self.broken and not self.outputs[0]:
            message = "This model has no step: add one, for example 'dense 10'."
            self.resolver.complain(message, self.definition.body[-1].span)
        outputs, given = self.outputs, self.given
        model = r.ResolvedModel(
            *(tuple(self.inputs), tuple(resolved), outputs[0], compiled, given[0], (given[1], outputs[1])),
            sequential=None if self.sequential is None else self.sequential.span,
        )
        if self.sequential is not None and model.steps is None and not self.resolver.errors:
            message = "A Sequential model is one line of layers from one input to one output."
            hint = "Leave 'Sequential' out: a graph needs no word."
            self.resolver.complain(message, self.sequential.span, hint)
        return model

    def flow_of(self, chains: Iterable[d.Chain]) -> tuple[r.ResolvedChain, ...]:
        return tuple(self.flow.chain(chain, flows=self.flow.names.flows) for chain in chains)

    def are_inputs(self, statement: d.Inputs) -> bool:
        """Hold an ``inputs`` line to the names of the inputs above it."""
        before = len(self.resolver.errors)
        if self.given[0]:
            self.resolver.complain("There is an 'inputs' line already.", statement.span)
        named = {i.name for i in self.inputs}
        for chain in statement.chains:
            first = chain.elements[0]
            if isinstance(first, d.Step) and not first.called and first.name not in named:
                known = [name for name in named if name is not None]
                hint = nearest(first.name, known) or listed("The inputs are", sorted(map(repr, known)))
                self.resolver.complain(f"{first.name!r} is no input above this line.", first.span, hint)
        return len(self.resolver.errors) == before

    def submodel(self, statement: d.SubModel) -> r.ResolvedSubModel:
        """Resolve a model inside: it sees blocks and named layers of the outer one, and no tensors."""
        resolver = self.resolver
        rank, shared = resolver.rank, resolver.shared
        inside = d.ModelDefinition(statement.body, span=statement.span)
        check = _ModelCheck(inside, resolver.vocabulary, resolver.lost_words, broken=self.broken)
        check.resolver = check.flow.resolver = resolver
        check.compile = d.Compile((), span=statement.span)
        model = check.model(statement.body)
        resolver.rank, resolver.shared = rank, shared
        self.flow.name_layer(statement.name, statement.name_span, (_Training(),))
        return r.ResolvedSubModel(statement.name, model, statement.span)

    def is_first(self, statement: d.Input, above: Iterable[r.ResolvedStatement]) -> None:
        """Refuse steps above the only line from which something could flow into them."""
        steps = [each for each in above if isinstance(each, r.ResolvedChain | r.ResolvedAssignment)]
        if steps and not self.inputs:
            line = steps[0].span.line
            message = f"The model starts here, but the step on line {line} stands above."
            self.resolver.complain(message, statement.span, f"Move this line above line {line}.")

    def input(self, statement: d.Input) -> None:
        found = resolve_input(statement, self.resolver)
        names = self.flow.names
        if found is None:
            return
        self.inputs.append(found)
        if found.name is not None:
            if found.name in names.tensors:
                self.resolver.complain(f"There is a tensor {found.name!r} already.", statement.span)
            names.tensors[found.name] = found.span
        if len(self.inputs) == 1:
            self.resolver.rank = len(found.shape) - 1 if isinstance(found.shape, tuple) else None
        names.flows = len(self.inputs) == 1
        unnamed = [i for i in self.inputs if i.name is None]
        if len(self.inputs) > 1 and unnamed:
            message, hint = "Where there are several inputs, each needs a name.", "Write 'input NAME SHAPE'."
            self.resolver.complain(message, unnamed[0].span, hint)
            names.flows = True

    def compilation(self, statement: d.Compile) -> r.ResolvedCompile | None:
        if self.compile is not None:
            message = f"The model is compiled on line {self.compile.span.line} already."
            if not self.compile.parts:
                message = "A model inside is not compiled; the whole model is."
            self.resolver.complain(message, statement.span)
            return None
        self.compile = statement
        return resolve_compile(statement, self.resolver)
