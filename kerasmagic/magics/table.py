"""A model as the table that a ``%%model`` cell and ``model.show()`` display."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import sys
from typing import Any

import jax
from IPython.display import display

from kerasmagic.foundation import options
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.machine import memory_limit
from kerasmagic.magics.look import answer_for, linked
from kerasmagic.models.cost import step_memory
from kerasmagic.models.rows import calls, table_rows
from kerasmagic.widgets.shape_table import ShapeTable, Totals
from kerasmagic.widgets.shapes import DEFAULT_BATCH, bits
from kerasmagic.widgets.step_memory import StepMemory

LIMIT_VARIABLE = "KERASMAGIC_MEMORY_LIMIT"
_PLUGGED_IN = any(map(importlib.util.find_spec, ("jax_plugins", "libtpu")))
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def display_table(model: Any, batch: int = DEFAULT_BATCH) -> None:
    """Display the table of a model; where a kernel runs, its rows open to the histograms of their weights."""
    table = linked(model, table_of(model, batch))
    display(table)
    # After the table is on the page: it may import what makes widgets.
    answer_for(model, table)


def table_of(model: Any, batch: int = DEFAULT_BATCH) -> ShapeTable:
    """Return what to display for a model: its ``html()`` and its ``text()``.

    Args:
        model: Any model; one without a graph shows what its layers were built for.
        batch: The batch size to begin with.
    """
    return ShapeTable(
        rows=table_rows(model),
        title=model.name,
        totals=_totals(model),
        memory=_memory(model),
        batch=batch,
    )


def _memory(model: Any) -> StepMemory | None:
    found = calls(model)
    if not found:
        return None
    needed = step_memory(model, found)
    return StepMemory(**{f.name: getattr(needed, f.name) for f in dataclasses.fields(needed)}, limit=limit())


def bundle(model: Any, include: Any = None, exclude: Any = None) -> dict[str, str]:
    """Return what a notebook shows of a model at the end of a cell: nothing of one that has no shapes yet."""
    if not model.built or hasattr(type(model), "_repr_html_"):
        return {}
    table = linked(model, table_of(model))
    answer_for(model, table)
    return table._repr_mimebundle_(include, exclude)


def show(model: Any, batch: int | None = None) -> None:
    """Display the table of a model, or print it where nothing displays.

    Raises:
        InvalidArgument: If ``batch`` is no positive integer.
    """
    if batch is not None and (not isinstance(batch, int) or batch < 1):
        raise InvalidArgument(f"`batch` must be a positive integer. Received: batch={batch!r}")
    if sys.modules["IPython"].get_ipython() is None:
        sys.stdout.write(f"{table_of(model, batch or DEFAULT_BATCH).text()}\n")
    else:
        display_table(model, batch or DEFAULT_BATCH)


def limit() -> int | None:
    """Return the memory that training may use: of the accelerator, else of the container or the machine.

    The environment variable ``KERASMAGIC_MEMORY_LIMIT`` says another one, such as ``16G``, so that a saved
    notebook says the same on every machine. ``none`` says nothing, as deterministic output does.
    """
    said = os.environ.get(LIMIT_VARIABLE)
    if said is not None:
        return _read_size(said)
    if options.deterministic():
        return None
    # Devices that were asked for can no longer be configured, so they are not where there can be but one kind.
    if _PLUGGED_IN and (device := jax.devices()[0]).platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    return memory_limit()


def _read_size(text: str) -> int | None:
    """Return the bytes that a text such as ``16G`` or ``512 MiB`` says, or ``None``.

    >>> _read_size("16G") == 16 * 2**30, _read_size("none")
    (True, None)
    """
    match = re.fullmatch(r"(\d+)\s*([KMGT]?)(i?B)?", text.strip(), re.IGNORECASE)
    return None if match is None else int(match[1]) * _UNITS[match[2].upper()]


def _totals(model: Any) -> Totals:
    trainable = {id(v) for v in model.trainable_weights}
    weights = model.weights
    return Totals(
        trainable=sum(v.size for v in weights if id(v) in trainable),
        non_trainable=sum(v.size for v in weights if id(v) not in trainable),
        size=sum(v.size * bits(v.dtype) for v in weights) // 8,
    )
