"""The conformance table: the rows of every file ``cases_*.py`` beside this one."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.layers.case import Case

CASES: list[Case] = [
    case
    for path in sorted(Path(__file__).parent.glob("cases_*.py"))
    for case in importlib.import_module(f"tests.layers.{path.stem}").CASES
]

NO_GRAPH_IN_KERAS = {"Equalization": "Keras gives back the symbolic input itself, which then is a cycle"}
"""Layers that no functional model of Keras can hold, and why."""
