"""Runs as long ones: what is tested here on few steps goes to the device as many steps do."""

from __future__ import annotations

import pytest

from kerasmagic.training import pace


@pytest.fixture(autouse=True)
def loops_cost_nothing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a loop over steps pay from the first step on, but in tests that are marked ``few_steps``."""
    if request.node.get_closest_marker("few_steps") is None:
        monkeypatch.setattr(pace, "LOOP_PER_OPERATION", 0.0)
