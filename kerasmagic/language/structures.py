"""Tensors in structures: the index of ``x[:, 0]``, and ``list(a, b)`` or ``dict(left=a)`` handed over whole."""

from __future__ import annotations

from typing import Any

from kerasmagic.language import definition as d
from kerasmagic.language import resolved as r
from kerasmagic.language.binding import FAILED, listed
from kerasmagic.language.print import print_value
from kerasmagic.language.resolve import STRUCTURES, Resolver
from kerasmagic.language.vocabulary import nearest


def index_of(index: d.Value | d.Slice, resolver: Resolver) -> Any:
    """Return what stands in the brackets of ``x[:, 0]``: tensors and values that are not known yet stay names."""
    match index:
        case d.Slice(start, stop, step):
            return r.Slice(*(_bound(part, resolver) for part in (start, stop, step)), span=index.span)
        case d.Tuple(items):
            return tuple(index_of(item, resolver) for item in items)
        case d.List(items):
            return [index_of(item, resolver) for item in items]
        case d.Rest():
            return ...
        case d.Word("in"):
            return r.BlockInput(index.span)
        case d.Word(name) if name in resolver.tensors:
            return r.Tensor(name, index.span)
        case d.Call("array"):
            return resolver.plain(index, text=False)
        case d.Number() | d.Word() | d.Constant() | d.Text() | d.Python() | d.Arithmetic():
            return resolver.plain(index, text=False)
    message = f"{print_value(index)} selects nothing: an index is a number, 'a:b', '...', 'none' or a key in quotes."
    return resolver.complain(message, index.span)


def _bound(part: d.Value | None, resolver: Resolver) -> Any:
    match part:
        case None:
            return None
        case d.Number(int()) | d.Word() | d.Python() | d.Arithmetic() | d.Constant(None):
            return index_of(part, resolver)
    return resolver.complain(
        f"A slice goes from one whole number to another, not to {print_value(part)}.", part.span
    )


def structure_of(step: d.Step, resolver: Resolver) -> r.Structure | None:
    """Return the structure that ``list(a, b)`` describes, or ``None`` after recording what is wrong with it."""
    before = len(resolver.errors)
    call = d.Call(step.name, step.arguments, name_span=step.name_span, span=step.span)
    value = _part(call, resolver)
    return None if len(resolver.errors) > before else r.Structure(value, step.span)


def _part(value: d.Value, resolver: Resolver) -> Any:
    match value:
        case d.Call(name) if name in STRUCTURES:
            return resolver.members(value, lambda item: _part(item, resolver))
        case d.List(items) | d.Tuple(items):
            parts = [_part(item, resolver) for item in items]
            return tuple(parts) if isinstance(value, d.Tuple) else parts
        case d.Word("in"):
            return r.BlockInput(value.span)
        case d.Word(name) if name in resolver.tensors:
            return r.Tensor(name, value.span)
        case d.Word(name):
            return no_tensor(name, value, resolver)
    return resolver.plain(value, text=False)


def no_tensor(name: str, value: d.Node, resolver: Resolver) -> Any:
    """Complain about a name that should be one of a tensor."""
    if name in resolver.lost_words:
        return FAILED
    known = list(resolver.tensors)
    hint = nearest(name, known)
    if hint is None and resolver.vocabulary.find_layer(name):
        hint = f"Give its output a name on a line before: 'y = {name} ...'."
    hint = hint or listed("The tensors here are", [repr(known_name) for known_name in known])
    return resolver.complain(f"{name!r} is no tensor here.", value.span, hint)
