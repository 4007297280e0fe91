"""What a long run leaves in the page, the kernel and the notebook: no more after many steps than after few."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser

from tests.browser.lab import Lab, NotebookPage, opened

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "long.ipynb"
EPOCHS = int(os.environ.get("KERASMAGIC_LONG_EPOCHS", "200"))
STEPS = 1000
RUN = f"""
import json, pathlib
import numpy as np
import kerasmagic as keras
from kerasmagic.foundation.machine import process_memory
x = np.random.default_rng(0).normal(size=({STEPS}, 4)).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
model.compile("sgd", "mse")
def tell(epoch, logs):
    if epoch % max(1, {EPOCHS} // 50) == 0:
        memory = process_memory().now
        pathlib.Path("long.json").write_text(json.dumps([epoch, memory]))
told = keras.callbacks.LambdaCallback(on_epoch_end=tell)
history = model.fit(x, x[:, :1], batch_size=1, epochs={EPOCHS}, validation_data=(x[:64], x[:64, :1]), callbacks=[told])
"""


@pytest.fixture
def notebook(lab: Lab, browser: Browser) -> Iterator[NotebookPage]:
    """A notebook with one long run, opened."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in ("%load_ext kerasmagic", RUN)]
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), lab.notebooks / NAME
    )
    with opened(browser, lab, NAME) as page:
        page.open(simple=True)
        yield page
        page.stop_kernel()


def reached(lab: Lab) -> tuple[int, int]:
    """Return the epoch that the run tells of, and the memory of the kernel in bytes."""
    try:
        epoch, memory = json.loads((lab.notebooks / "long.json").read_text())
    except (OSError, ValueError):
        return -1, 0
    return epoch, memory


def page_holds(notebook: NotebookPage) -> dict[str, float]:
    """Return what the page holds when its garbage is collected: nodes, listeners, bytes, and the notebook's letters."""
    session: Any = notebook.page.context.new_cdp_session(notebook.page)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    letters = notebook.page.evaluate(
        "() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON()).length"
    )
    names = {"nodes": "Nodes", "listeners": "JSEventListeners", "heap": "JSHeapUsedSize"}
    return {**{name: found[key] for name, key in names.items()}, "notebook": letters}


def wait_for_share(notebook: NotebookPage, lab: Lab, share: float) -> dict[str, float]:
    """Return what there is when so much of the run is done."""
    for _ in range(6000):
        epoch, memory = reached(lab)
        if epoch >= share * EPOCHS:
            return {"epoch": epoch, "kernel": memory, **page_holds(notebook)}
        assert notebook.error_outputs() == []
        notebook.page.wait_for_timeout(250)
    raise TimeoutError(f"the run stands at epoch {reached(lab)[0]}")


def test_neither_page_nor_kernel_nor_notebook_grows(notebook: NotebookPage, lab: Lab, artifacts: Path):
    notebook.run_all_cells()
    notebook.page.locator(".km-training:not(.km-static)").wait_for(timeout=90_000)
    early, middle, late = (wait_for_share(notebook, lab, share) for share in (0.2, 0.5, 0.9))
    notebook.screenshot(artifacts / "long-run.png")
    notebook.wait_idle(600)
    (artifacts / "long-run.json").write_text(
        json.dumps([early, middle, late, page_holds(notebook)], indent=1)
    )
    # Axis labels come and go: some nodes more or fewer. A leak of one node an update would be hundreds.
    assert late["nodes"] <= early["nodes"] + 200
    assert late["listeners"] <= middle["listeners"] + 20
    assert late["heap"] <= early["heap"] + 8e6
    assert late["notebook"] <= early["notebook"] + 100_000
    assert late["kernel"] <= middle["kernel"] + 50e6
    assert notebook.errors == []
