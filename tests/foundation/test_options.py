"""Options of views as scoped values."""

from __future__ import annotations

from kerasmagic.foundation import options


def test_deterministic_comes_from_the_environment_too(monkeypatch):
    monkeypatch.delenv(options.ENVIRONMENT_VARIABLE, raising=False)
    assert not options.deterministic()
    monkeypatch.setenv(options.ENVIRONMENT_VARIABLE, "1")
    assert options.deterministic()
    with options.scoped(deterministic=False):
        assert not options.deterministic()
    monkeypatch.setenv(options.ENVIRONMENT_VARIABLE, "0")
    assert not options.deterministic()
