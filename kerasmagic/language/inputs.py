"""``input`` lines: which word is the name, which the shape, which the dtype."""

from __future__ import annotations

import re
from typing import Any

from kerasmagic.foundation.errors import Span
from kerasmagic.language import definition as d
from kerasmagic.language.binding import spelled
from kerasmagic.language.print import print_value
from kerasmagic.language.resolve import Resolver
from kerasmagic.language.resolved import BoundArgument, ResolvedInput
from kerasmagic.language.vocabulary import nearest

_OPTIONS = ("batch_size", "sparse", "optional", "batch_shape")
_GLUED = re.compile(r"(?P<word>.+?)x(?P<sizes>\d+(x\d+)*)")
_FORM = "Write 'input NAME SHAPE DTYPE'; name and dtype can be left out."


def resolve_input(statement: d.Input, resolver: Resolver, *, pattern: bool = False) -> ResolvedInput | None:
    """Return what an ``input`` line says, or ``None`` after recording why it says nothing.

    Args:
        statement: The line.
        resolver: Takes the errors.
        pattern: Whether this is a layer's input, whose shape may hold ``...`` and includes the batch.
    """
    before = len(resolver.errors)
    found: dict[str, Any] = {}
    options: list[BoundArgument] = []
    for argument in statement.arguments:
        match argument:
            case d.Keyword(name, value) if name in ("shape", "name", "dtype"):
                _take(found, name, value, resolver)
            case d.Keyword(name, value) if name in _OPTIONS and not pattern:
                options.append(BoundArgument(name, resolver.plain(value, text=True), argument.span))
            case d.Keyword(name):
                known = ("shape", "name", "dtype", *_OPTIONS)
                resolver.complain(
                    f"{name!r} is no argument of an input.", argument.name_span, nearest(name, known)
                )
            case d.Negated() | d.Strides():
                resolver.complain("This has no meaning for an input.", argument.span, _FORM)
    words = [a.value for a in statement.arguments if isinstance(a, d.Positional)]
    _take_words(words, found, statement, resolver)
    if len(resolver.errors) > before:
        return _lose(statement, resolver)
    shape = read_shape(found["shape"], resolver, pattern=pattern) if "shape" in found else None
    name, dtype = _word(found.get("name"), resolver), _dtype(found.get("dtype"), resolver)
    if len(resolver.errors) > before:
        return _lose(statement, resolver)
    return ResolvedInput(name, shape, dtype, tuple(options), statement.span)


def _lose(statement: d.Input, resolver: Resolver) -> None:
    """Remember the names that a wrong line would have given, so that nobody misses them."""
    values = [a.value for a in statement.arguments if isinstance(a, d.Positional | d.Keyword)]
    inner = [item for v in values if isinstance(v, d.Tuple | d.List) for item in v.items]
    resolver.lost_words |= {"x", *(word for v in (*values, *inner) if (word := spelled(v)) is not None)}


def _take(found: dict[str, Any], what: str, value: d.Value, resolver: Resolver) -> None:
    if what in found:
        resolver.complain(f"The {what} of this input is given twice.", value.span)
    found[what] = value


def _take_words(words: list[d.Value], found: dict[str, Any], statement: d.Input, resolver: Resolver) -> None:
    """Sort the words without ``=``: a dtype by its name, then the shape last and a name before it."""
    dtypes = [w for w in words if isinstance(w, d.Word | d.Text) and spelled(w) in resolver.vocabulary.dtypes]
    rest = [w for w in words if w not in dtypes]
    for value in dtypes:
        _take(found, "dtype", value, resolver)
    if len(rest) > 1 and all(isinstance(w, d.Number) for w in rest):
        shape = "x".join(print_value(w) for w in rest)
        resolver.complain("A shape is one word.", rest[1].span, f"Write '{shape}'.")
    elif len(rest) > 2 and _has_crosses(rest):
        sizes, at = _between_crosses(rest)
        plain = all(isinstance(w, d.Number) for w in sizes)
        shape = ("x" if plain else ", ").join(map(print_value, sizes))
        hint = f"Write '{shape if plain else f'({shape})'}'."
        resolver.complain("A shape is one word, or stands in brackets.", at, hint)
    elif len(rest) > 2:
        sizes = ", ".join(print_value(w) for w in rest[1:])
        hint = f"If it is a shape, write '({sizes})'."
        resolver.complain(f"{print_value(rest[2])} is one word too many for an input.", rest[2].span, hint)
    elif rest and _given(statement, "batch_shape"):
        _take(found, "name", rest[0], resolver)
    elif rest:
        _take(found, "shape", rest[-1], resolver)
        if len(rest) == 2:
            _take(found, "name", rest[0], resolver)
    elif "shape" not in found and not _given(statement, "batch_shape"):
        resolver.complain("This input has no shape.", statement.span, _FORM)


def _has_crosses(words: list[d.Value]) -> bool:
    return any(isinstance(w, d.Word) and w.name in ("x", "X") for w in words[1:-1])


def _between_crosses(words: list[d.Value]) -> tuple[list[d.Value], Span]:
    """Return the sizes of a shape that was written with blanks, as in ``28 x 28``, and its place."""
    crosses = [i for i, w in enumerate(words) if i and isinstance(w, d.Word) and w.name in ("x", "X")]
    shape = words[crosses[0] - 1 : crosses[-1] + 2]
    start, end = shape[0].span, shape[-1].span
    return shape[::2], Span(start.line, start.column, end.end_line, end.end_column)


def _given(statement: d.Input, name: str) -> bool:
    return any(isinstance(a, d.Keyword) and a.name == name for a in statement.arguments)


def _word(value: d.Value | None, resolver: Resolver) -> str | None:
    """Return a name, which only a word or a text can be: other lines refer to it."""
    if value is None or value == d.Constant(None):
        return None
    word = spelled(value)
    if word is None:
        resolver.complain(f"A name is expected here, not {print_value(value)}.", value.span, _FORM)
    return word


def _dtype(value: d.Value | None, resolver: Resolver) -> Any:
    """Return a dtype of the vocabulary, or Python that gives one."""
    if value is None or value == d.Constant(None):
        return None
    if isinstance(value, d.Python):
        return resolver.plain(value, text=False)
    word = spelled(value)
    if word is None or word not in resolver.vocabulary.dtypes:
        hint = None if word is None else nearest(word, resolver.vocabulary.dtypes)
        return resolver.complain(f"{print_value(value)} is no dtype.", value.span, hint)
    return word


def read_shape(value: d.Value, resolver: Resolver, *, pattern: bool = False) -> Any:
    """Return a shape as a tuple of sizes, names and ``None``; ``pattern`` allows one ``...``."""
    if isinstance(value, d.Python):
        return resolver.plain(value, text=False)
    if isinstance(value, d.Dims):
        items: tuple[d.Value, ...] = tuple(d.Number(size, span=value.span) for size in value.sizes)
    else:
        items = value.items if isinstance(value, d.Tuple | d.List) else (value,)
    rests = [item for item in items if isinstance(item, d.Rest)]
    if len(rests) > 1:
        resolver.complain("'...' can stand only once in a shape.", rests[1].span)
    return tuple(_size(item, resolver, pattern) for item in items)


def _size(item: d.Value, resolver: Resolver, pattern: bool) -> Any:
    match item:
        case d.Number(size) if isinstance(size, int) and size > 0:
            return size
        case d.Word(name):
            return _dimension(name, item.span, resolver)
        case d.Constant(None):
            return None
        case d.Python():
            return resolver.plain(item, text=False)
        case d.Rest() if pattern:
            return ...
        case d.Rest():
            return resolver.complain("'...' belongs in the input of a %%layer.", item.span)
    message = f"{print_value(item)} is no size: sizes are whole numbers from 1 on, or names."
    return resolver.complain(message, item.span)


def _dimension(name: str, span: Span, resolver: Resolver) -> Any:
    glued = _GLUED.fullmatch(name)
    if glued is not None:
        sizes = ", ".join([glued["word"], *glued["sizes"].split("x")])
        hint = f"Write '({sizes})'."
        return resolver.complain(f"{name!r} is one word, and so would be one dimension.", span, hint)
    return name
