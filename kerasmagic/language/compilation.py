"""``compile`` lines: an optimizer with its arguments, a loss, metrics, and Keras' other arguments by name."""

from __future__ import annotations

from typing import Any

from kerasmagic.foundation.errors import Span
from kerasmagic.language import definition as d
from kerasmagic.language.print import print_argument, print_value
from kerasmagic.language.resolve import STRUCTURES, Resolver
from kerasmagic.language.resolved import BoundArgument, ResolvedCompile
from kerasmagic.language.vocabulary import fold, nearest

_PARTS = ("optimizer", "loss", "metrics")
_OPTIONS = (
    "loss_weights",
    "weighted_metrics",
    "run_eagerly",
    "steps_per_execution",
    "jit_compile",
    "auto_scale_loss",
)


def resolve_compile(statement: d.Compile, resolver: Resolver) -> ResolvedCompile | None:
    """Return what a ``compile`` line says, or ``None`` after recording what is wrong with it.

    The first part between commas is the optimizer with its arguments, the second the loss, the others
    are metrics; ``loss=``, ``metrics=`` and Keras' other names can stand in any part.
    """
    before = len(resolver.errors)
    found: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    parts: list[list[d.Argument]] = []
    for part in statement.parts:
        own = [a for a in part if isinstance(a, d.Keyword) and a.name in (*_PARTS, *_OPTIONS)]
        for argument in own:
            if argument.name in found:
                resolver.complain(f"{argument.name} is given twice.", argument.span)
            found[argument.name], spans[argument.name] = _by_name(argument, resolver), argument.span
        rest = [a for a in part if a not in own]
        parts += [rest] if rest else []
    if _are_exchanged(parts, found, resolver):
        return None
    metrics = _by_position(parts, found, resolver)
    if "optimizer" not in found and len(resolver.errors) == before:
        resolver.complain(
            "'compile' needs an optimizer.", statement.span, "Write for example 'compile adam, mse'."
        )
    if len(resolver.errors) > before:
        return None
    options = tuple(BoundArgument(name, found[name], spans[name]) for name in _OPTIONS if name in found)
    return ResolvedCompile(found["optimizer"], found.get("loss"), metrics, options, statement.span)


def _by_name(argument: d.Keyword, resolver: Resolver) -> Any:
    if argument.name in _OPTIONS and argument.name != "weighted_metrics":
        return resolver.plain(argument.value, text=True)
    kind = "metric" if argument.name in ("metrics", "weighted_metrics") else argument.name
    return _named(kind, argument.value, resolver)


def _by_position(parts: list[list[d.Argument]], found: dict[str, Any], resolver: Resolver) -> Any:
    """Fill optimizer and loss from the parts between commas and return the metrics."""
    named = found.get("metrics", ())
    metrics: list[Any] = list(named) if isinstance(named, list | tuple) else [named]
    extra = len(parts) > sum(kind not in found for kind in ("optimizer", "loss"))
    kinds = [kind for kind in ("optimizer", "loss") if kind not in found]
    for part in parts:
        kind = kinds.pop(0) if kinds else "metric"
        value = _command(kind, part, resolver)
        if kind == "metric":
            metrics.append(value)
        else:
            found[kind] = value
    if isinstance(named, dict) and extra:
        hint = "Put these into the 'dict(...)' as well."
        return resolver.complain("There are metrics by name and others without.", parts[-1][0].span, hint)
    return named if isinstance(named, dict) else tuple(metrics)


def _are_exchanged(parts: list[list[d.Argument]], found: dict[str, Any], resolver: Resolver) -> bool:
    """Complain, once, where the loss stands before the optimizer."""
    if len(parts) < 2 or "optimizer" in found or "loss" in found:
        return False
    names = [
        p[0].value.name if isinstance(p[0], d.Positional) and isinstance(p[0].value, d.Word | d.Call) else ""
        for p in parts[:2]
    ]
    know = resolver.vocabulary.find
    if know("optimizer", names[0]) or not know("loss", names[0]) or not know("optimizer", names[1]):
        return False
    first, last = parts[0][0].span, parts[1][-1].span
    shown = [" ".join(map(print_argument, part)) for part in parts[:2]]
    span = Span(first.line, first.column, last.end_line, last.end_column)
    resolver.complain("The optimizer stands before the loss.", span, f"Write '{shown[1]}, {shown[0]}'.")
    return True


def _command(kind: str, part: list[d.Argument], resolver: Resolver) -> Any:
    """Read ``adam 1e-3 clipnorm=1``: a name of that kind and its arguments."""
    first = part[0]
    if not isinstance(first, d.Positional):
        return resolver.complain(f"The name of the {kind} comes first.", first.span)
    if len(part) == 1:
        return _named(kind, first.value, resolver)
    if not isinstance(first.value, d.Word):
        hint = "Commas separate the optimizer, the loss and the metrics."
        return resolver.complain("This is one word too many.", part[1].span, hint)
    word = first.value
    for argument in part[1:]:
        if isinstance(argument, d.Positional) and _is_goal(argument.value, resolver):
            shown = print_value(argument.value)
            return resolver.complain(
                f"A ',' is missing before {shown}.", argument.span, f"Write ', {shown}'."
            )
    if resolver.vocabulary.find(kind, word.name) is None:
        return _named(kind, word, resolver)
    end = part[-1].span
    span = Span(word.span.line, word.span.column, end.end_line, end.end_column)
    return resolver.call(
        kind, d.Call(word.name, tuple(part[1:]), name_span=word.span, span=span), command=True
    )


def _is_goal(value: d.Value, resolver: Resolver) -> bool:
    """Say whether a value is a loss or a metric by its name."""
    known = resolver.vocabulary.find
    return isinstance(value, d.Word | d.Call) and any(known(kind, value.name) for kind in ("loss", "metric"))


def _named(kind: str, value: d.Value, resolver: Resolver) -> Any:
    """Return a name or a call of one kind, or a list of them."""
    match value:
        case d.Word(name) | d.Text(name):
            found = resolver.vocabulary.find(kind, name)
            if found is None and name not in resolver.lost_words:
                return _no_such(kind, name, value.span, resolver)
            # 'cross_entropy' is no function with another spelling: only compile knows the word.
            plain = found is not None and not found.parameters and fold(found.name) == fold(name)
            return found.name if found is not None and plain else name
        case d.Call(name) if name in STRUCTURES:
            return resolver.members(value, lambda item: _named(kind, item, resolver))
        case d.Call():
            return resolver.call(kind, value)
        case d.List(items) | d.Tuple(items):
            return [_named(kind, item, resolver) for item in items]
        case d.Python() | d.Constant(None):
            return resolver.plain(value, text=True)
    return resolver.complain(f"{print_value(value)} is no {kind}.", value.span)


def _no_such(kind: str, name: str, span: Span, resolver: Resolver) -> Any:
    others = [k for k in ("optimizer", "loss", "metric") if k != kind and resolver.vocabulary.find(k, name)]
    hint = nearest(name, resolver.vocabulary.table(kind))
    if others:
        article = "an" if others[0] == "optimizer" else "a"
        hint = f"It is {article} {others[0]}: 'compile' takes the optimizer, then the loss, then metrics."
    return resolver.complain(f"{name!r} is no {kind}.", span, hint)
