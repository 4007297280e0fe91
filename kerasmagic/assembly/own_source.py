"""A class or a function of one's own as source that runs under Keras, with what it needs from around it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import linecache
import re
import symtable
import sys
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.foundation.registry import FAMILIES

_PACKAGE = "kerasmagic"
_UNWRITTEN = "Write it into a file or a cell of its own, or put what it does into a layer of the library."


@dataclasses.dataclass
class OwnSource:
    """The source of one definition.

    Attributes:
        text: The source itself, below the plain values that it reads.
        imports: The lines that import what it reads.
        needs: The classes and functions of one's own that must stand before it.
    """

    text: str
    imports: list[str]
    needs: list[Any]


def own_source(obj: Any) -> OwnSource:
    """Return the source of a class or a function, in the names of Keras.

    Args:
        obj: A class or a function that Python read from a file or a cell.

    Raises:
        NotSerializable: If its source is not known, or it reads something that no source can give.
    """
    text = re.sub(rf"\b{_PACKAGE}\b", "keras", _text(obj))
    found = OwnSource(text, [], [])
    constants = []
    around = _around(obj)
    for name in _names_read(text):
        if name not in around or around[name] is obj:
            continue
        value = around[name]
        line = _import_line(name, value, obj)
        if line is not None:
            found.imports.append(line)
        elif isinstance(value, type | types.FunctionType):
            found.needs.append(value)
        else:
            constants.append(f"{name} = {_constant(name, value, obj)}")
    found.text = "\n".join([*constants, "", "", text] if constants else [text])
    return found


def is_own(obj: Any) -> bool:
    """Say whether a class or a function is the user's: its source is written, not imported.

    What stands on the library is, wherever it comes from: under Keras it must stand on Keras.
    """
    module = str(getattr(obj, "__module__", ""))
    if module.partition(".")[0] == _PACKAGE:
        return False
    bases = obj.__mro__ if isinstance(obj, type) else ()
    around = getattr(obj, "__globals__", {}).values()
    return (
        module == "__main__"
        or any(base.__module__.startswith(f"{_PACKAGE}.") for base in bases)
        or any(_of_library(value) for value in list(around))
    )


def _of_library(value: Any) -> bool:
    own = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return isinstance(own, str) and own.partition(".")[0] == _PACKAGE


# ---- the text


def _text(obj: Any) -> str:
    try:
        text = _class_text(obj) if isinstance(obj, type) else inspect.getsource(obj)
    except (OSError, TypeError, SyntaxError):
        text = None
    if not text:
        raise NotSerializable(
            f"The source of {_what(obj)} is not known, so it cannot be written as Python.", hint=_UNWRITTEN
        )
    text = textwrap.dedent(text).rstrip()
    if getattr(obj, "__name__", "") == "<lambda>":
        raise NotSerializable("A lambda has no name to be written by.", hint="Give it one with 'def'.")
    return text


def _class_text(cls: type) -> str | None:
    """Return the source of a class by the place of one of its methods: a cell of a notebook is no module's file."""
    codes = [f.__code__ for f in _methods(cls)]
    for code in codes:
        lines = linecache.getlines(code.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if not isinstance(node, ast.ClassDef) or node.name != cls.__name__:
                continue
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first <= code.co_firstlineno <= (node.end_lineno or 0):
                return "".join(lines[first - 1 : node.end_lineno])
    return None if codes else inspect.getsource(cls)


def _methods(cls: type) -> list[types.FunctionType]:
    members = [inspect.unwrap(m) for m in vars(cls).values() if callable(m)]
    members += [m.__func__ for m in vars(cls).values() if isinstance(m, classmethod | staticmethod)]
    return [
        m
        for m in members
        if isinstance(m, types.FunctionType) and m.__qualname__.startswith(cls.__qualname__)
    ]


# ---- what it reads


def _names_read(text: str) -> list[str]:
    """Return the names that a definition reads from outside, in order."""
    top = symtable.symtable(text, "<source>", "exec")
    found = [s.get_name() for s in top.get_symbols() if s.is_referenced()]
    found += [s.get_name() for table in _inside(top) for s in table.get_symbols() if s.is_global()]
    return list(dict.fromkeys(found))


def _inside(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inside(child)


def _around(obj: Any) -> Mapping[str, Any]:
    """Return the variables that a definition can see."""
    functions = _methods(obj) if isinstance(obj, type) else [inspect.unwrap(obj)]
    module = sys.modules.get(obj.__module__)
    found = dict(vars(module)) if module is not None else {}
    for function in functions:
        found.update(function.__globals__)
        found.update(inspect.getclosurevars(function).nonlocals)
    found.pop("__class__", None)
    return found


def _import_line(name: str, value: Any, reader: Any) -> str | None:
    """Return the line that imports what ``name`` stands for, or ``None`` where nothing can be imported."""
    if isinstance(value, types.ModuleType):
        return _module_line(name, value, reader)
    home = str(getattr(value, "__module__", "") or "")
    if not isinstance(value, type) and not callable(value):
        return None
    if home.partition(".")[0] == _PACKAGE and not hasattr(value, "definition"):
        module, public = _public(value, reader)
        return _from(module, public, name)
    if is_own(value) or home == reader.__module__:
        return None
    return _from(home, value.__name__, name) if hasattr(value, "__name__") else None


def _module_line(name: str, module: types.ModuleType, reader: Any) -> str:
    path = module.__name__
    if path.partition(".")[0] != _PACKAGE:
        parent, _, last = path.rpartition(".")
        return _from(parent, last, name) if parent else _import(path, name)
    parts = path.split(".")
    if len(parts) > 2 or (len(parts) == 2 and getattr(sys.modules[_PACKAGE], parts[1], None) is not module):
        raise NotSerializable(f"{_what(reader)} uses {path!r}, which Keras does not have.")
    return _import("keras", name) if len(parts) == 1 else _from("keras", parts[1], name)


def _public(value: Any, reader: Any) -> tuple[str, str]:
    """Return Keras' public module and name of something of the library."""
    for family in FAMILIES.values():
        name = family.name_of(value)
        if name is not None:
            return family.module, name
    own = str(getattr(value, "__name__", ""))
    for path, module in list(sys.modules.items()):
        public = path == _PACKAGE or (path.startswith(f"{_PACKAGE}.") and path.count(".") == 1)
        if public and getattr(module, own, None) is value:
            return path.replace(_PACKAGE, "keras", 1), own
    raise NotSerializable(f"{_what(reader)} uses {own!r} of kerasmagic, which Keras does not have.")


def _import(path: str, name: str) -> str:
    return f"import {path}" if path == name else f"import {path} as {name}"


def _from(module: str, public: str, name: str) -> str:
    return f"from {module} import {public}" if public == name else f"from {module} import {public} as {name}"


def _constant(name: str, value: Any, reader: Any) -> str:
    if _is_plain(value):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f'__import__("numpy").array({value.tolist()!r}, dtype="{value.dtype.name}")'
    raise NotSerializable(
        f"{_what(reader)} reads the variable {name!r}, a {type(value).__name__}, which cannot be written as Python.",
        hint="Hand it over as an argument that `get_config` returns.",
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | str | bytes | None)


def _what(obj: Any) -> str:
    kind = "class" if isinstance(obj, type) else "function"
    return f"the {kind} {getattr(obj, '__name__', '?')!r}"
