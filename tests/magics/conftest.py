"""A terminal IPython with the extension loaded."""

import pytest
from IPython.testing.globalipapp import start_ipython

from kerasmagic.assembly import preview


@pytest.fixture(scope="session")
def shell():
    return start_ipython()


@pytest.fixture
def ip(shell):
    before = dict(shell.user_ns)
    shell.run_line_magic("load_ext", "kerasmagic")
    yield shell
    shell.run_line_magic("unload_ext", "kerasmagic")
    # As `reset`, which also looks for garbage: that takes seconds after some thousand tests.
    shell.user_ns.clear()
    shell.user_ns.update(before)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch):
    """Give completion all the time it needs: a reader would not wait on a busy machine, a test does."""
    monkeypatch.setattr(preview, "_SECONDS_FOR_LINES", 60.0)
    monkeypatch.setattr(preview, "_SECONDS_FOR_STEPS", 60.0)
