"""Measuring can be switched off, from the environment and from a program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kerasmagic
from kerasmagic.core.tuning import start_tuning
from kerasmagic.foundation import options


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    kerasmagic.config.disable_tuning()
    yield
    kerasmagic.config.disable_tuning()


@pytest.mark.parametrize(
    ("setting", "enabled"),
    [({}, True), ({"KERASMAGIC_TUNING": "Off"}, False), ({"KERASMAGIC_TUNING": "on"}, True)],
)
def test_the_environment_decides(setting: dict[str, str], enabled: bool, tmp_path: Path) -> None:
    start_tuning({"XDG_CACHE_HOME": str(tmp_path), **setting})
    assert kerasmagic.config.is_tuning_enabled() is enabled
    assert not list(tmp_path.iterdir()), "nothing was measured yet"


def test_nothing_is_measured_where_output_is_the_same_everywhere(tmp_path: Path) -> None:
    with options.scoped(deterministic=True):
        start_tuning({"XDG_CACHE_HOME": str(tmp_path)})
    assert not kerasmagic.config.is_tuning_enabled()


def test_is_off_in_tests() -> None:
    start_tuning()
    assert not kerasmagic.config.is_tuning_enabled()


def test_is_switched_by_a_program(tmp_path: Path) -> None:
    kerasmagic.config.enable_tuning(tmp_path)
    assert kerasmagic.config.is_tuning_enabled()
    kerasmagic.config.disable_tuning()
    assert not kerasmagic.config.is_tuning_enabled()
