"""Every function of ``ops`` in a graph: its text reads back, its Python runs under Keras."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kerasmagic as km
from kerasmagic.foundation.errors import NotSerializable
from tests.assembly.agreement import reads_back
from tests.ops import rows
from tests.ops.row import Row

# What has no symbolic result, or none that a graph could hold.
NO_GRAPH = {
    *("convert_to_numpy", "dtype", "ndim", "shape", "is_tensor", "cond", "repeat"),
    *("fori_loop", "while_loop", "scan", "associative_scan", "switch", "vectorized_map", "map", "jvp"),
}


def _rows() -> dict[str, Row]:
    """Return the first row of each function that takes arrays."""
    lists = [v for v in vars(rows).values() if isinstance(v, list) and v and isinstance(v[0], Row)]
    found: dict[str, Row] = {}
    for row in (row for each in lists for row in each):
        if (
            row.name.rpartition(".")[2] not in NO_GRAPH
            and next(_arrays([row.args, row.kwargs]), None) is not None
        ):
            found.setdefault(row.name, row)
    return found


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape") and not isinstance(value, type)


def _arrays(value: Any) -> Iterator[Any]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for item in items:
        yield from [item] if _is_array(item) else _arrays(item)


ROWS = _rows()


def _model(row: Row) -> Any:
    inputs: list[Any] = []

    def symbolic(value: Any) -> Any:
        if _is_array(value):
            inputs.append(km.Input(batch_shape=value.shape, dtype=str(value.dtype)))
            return inputs[-1]
        if isinstance(value, list | tuple):
            return type(value)(map(symbolic, value))
        return {k: symbolic(v) for k, v in value.items()} if isinstance(value, dict) else value

    args, kwargs = symbolic(list(row.args)), symbolic(row.kwargs)
    function: Any = km.ops
    for part in row.name.split("."):
        function = getattr(function, part)
    return km.Model(inputs, function(*args, **kwargs))


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_function_reads_back(name):
    model = _model(ROWS[name])
    reads_back(model)
    compile(model.to_python(), "<written>", "exec")


def test_a_function_of_functions_is_refused():
    x = km.Input((4,))
    with pytest.raises(NotSerializable, match="lambda has no name"):
        km.Model(x, km.ops.fori_loop(0, 3, lambda i, y: y + i, x)).to_text()


def test_nearly_all_functions_are_there():
    assert len(ROWS) > 280
