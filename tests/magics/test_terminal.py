"""IPython as it stands in a terminal: cells, their errors, help, Tab."""

from __future__ import annotations

import os
import re
import sys
import time
import warnings
from collections.abc import Iterator

import pytest

pexpect = pytest.importorskip("pexpect")

_CONTROL = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]")


class Terminal:
    """A person at a terminal, who types line after line and ends a cell with two empty ones."""

    def __init__(self) -> None:
        command = ["-m", "IPython", "--no-banner", "--colors=NoColor", "--no-confirm-exit"]
        environment = {**os.environ, "TERM": "xterm"}
        with warnings.catch_warnings():
            # JAX warns of a fork of its threads; what is forked here becomes another program at once.
            warnings.simplefilter("ignore")
            self.child = pexpect.spawn(
                sys.executable, command, encoding="utf-8", timeout=90, dimensions=(60, 200), env=environment
            )
        self.count = 1
        self.child.expect(r"In \[1\]")

    def keys(self, text: str) -> None:
        """Type, not faster than a person: what comes at once counts as pasted."""
        for line in text.splitlines(keepends=True):
            self.child.send(line.replace("\n", "\r"))
            time.sleep(0.2)

    def run(self, text: str) -> str:
        """Return what is on the screen when the next prompt comes."""
        self.count += 1
        self.keys(text)
        self.child.expect(rf"In \[{self.count}\]")
        return _CONTROL.sub("", self.child.before)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    started = Terminal()
    yield started
    started.child.close(force=True)


@pytest.mark.slow
def test_the_terminal(terminal: Terminal) -> None:
    terminal.run("%load_ext kerasmagic\n")
    assert "conv FILTERS KERNEL_SIZE" in terminal.run("%%model m\ninput 28x28x1\nconv?\n\n\n")
    shown = terminal.run("%%model m\ninput 4\ndens 3\n\n\n")
    assert "%%model m, line 3" in shown
    assert "Did you mean 'dense'?" in shown
    terminal.run("%%model m\ninput 4\ndense 3\ncompile sgd, mse\n\n\n")
    terminal.run("import numpy as np\n")
    shown = terminal.run("m.fit(np.zeros((4, 5)), np.zeros((4, 3)), verbose=0)\n")
    assert "The data has the shape (4, 5); this input takes (batch, 4)." in shown
    assert "(None, 3) $HOME {m}" in terminal.run("print(m.output_shape, '$HOME {m}')\n")
    terminal.keys("%%model n\ninput 8x8x1\nmaxp\t")
    terminal.child.expect("maxpooling2d")
