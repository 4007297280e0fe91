"""What is left on the page and in the file when a kernel ends as no one wished: the last state, never an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, expect

from kerasmagic.widgets import sink
from tests.browser.lab import Lab, NotebookPage, opened

pytestmark = pytest.mark.browser

NAME = "kept.ipynb"
SETUP = f"""\
%load_ext kerasmagic
import os, signal, time, numpy as np, kerasmagic as keras
from kerasmagic.widgets import sink
assert sink.KEPT_INTERVAL == {sink.KEPT_INTERVAL}
sink.KEPT_INTERVAL = 0.5
x = np.random.normal(size=(640, 8)).astype("float32")
y = x.sum(1, keepdims=True)
class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.002)
"""
EDITOR = "%%model small --live\ninput 8\ndense 4 relu\ndense 1\n"
FIT = """\
small.compile("sgd", "mse")
run = small.fit(x, y, epochs=100_000, callbacks=[Slow()], background=True)
"""
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
LIVE = ".km-training:not(.km-static)"
SAVED = ".km-training.km-static"


IN_THE_CELL = FIT.replace("run = ", "").replace(", background=True", "")


@pytest.fixture
def notebook(
    request: pytest.FixtureRequest, lab: Lab, browser: Browser, artifacts: Path
) -> Iterator[NotebookPage]:
    """Give a notebook with an editor, a run in the background, a cell that kills the kernel, and a run in a cell."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    fresh = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    fresh.cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, EDITOR, FIT, DIE, IN_THE_CELL)]
    nbformat.write(fresh, lab.notebooks / NAME)
    with opened(browser, lab, NAME) as page:
        page.page.set_default_timeout(30_000)
        yield page
        page.screenshot(artifacts / f"{request.node.name}-end.png")
        page.stop_kernel()


def run(notebook: NotebookPage, place: int) -> None:
    notebook.page.evaluate(
        "place => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = place; }", place
    )
    # What follows comes into view: a front end may leave out what is not.
    notebook.command("notebook:run-cell-and-select-next")


def outputs(notebook: NotebookPage, place: int) -> list[dict[str, str]]:
    """Return the outputs of a cell as they would be saved now."""
    return notebook.page.evaluate(
        """place => window.jupyterapp.shell.currentWidget.content.model.cells.get(place).outputs.toJSON()
            .map(output => Object.fromEntries(Object.entries(output.data)))""",
        place,
    )


def check_left(notebook: NotebookPage) -> None:
    """Assert that the last text of the editor and the last picture of the run are on the page, and no widget."""
    page = notebook.page
    check_run_left(notebook, 2)
    expect(page.locator(".km-editor-kept")).to_contain_text("dense 6 relu")
    expect(page.locator(".km-shape-table").first).to_contain_text("dense_1")
    assert all(set(data) == {"text/html", "text/plain"} for data in outputs(notebook, 1))


def check_run_left(notebook: NotebookPage, place: int) -> None:
    """Assert that the last picture of the run of a cell is on the page, and no widget."""
    page = notebook.page
    expect(page.locator(SAVED)).to_be_visible()
    expect(page.locator(LIVE)).to_have_count(0)
    expect(page.locator(".km-training .km-status")).to_have_text("training, as last seen")
    expect(page.locator(".km-training .km-message")).to_contain_text(
        "while the run was on: its end was not seen"
    )
    assert notebook.error_outputs() == []
    assert all(set(data) == {"text/html", "text/plain"} for data in outputs(notebook, place))


def test_a_killed_kernel_leaves_the_last_state(notebook: NotebookPage, artifacts: Path):
    page = notebook.page
    notebook.open()
    notebook.wait_kernel()
    for place in (0, 1, 2):
        run(notebook, place)
    notebook.wait_for_output(f"{LIVE}[data-state=running]", 90)

    # What is kept changes behind the back of whoever types: the field keeps the focus and the place in it.
    editor = page.get_by_label("definition of small")
    editor.click()
    editor.press("Control+Home")
    editor.press("ArrowDown")
    editor.press("End")
    for _ in range(len("4 relu")):
        editor.press("Backspace")
    page.keyboard.type("6 ")
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.model.cells.get(1).outputs.toJSON()[0]
            .data['text/plain'].includes('dense 6')"""
    )
    page.keyboard.type("relu")
    assert editor.input_value().splitlines()[1] == "dense 6 relu"
    slider = page.locator(f"{LIVE} [data-rate=slider]")
    slider.focus()
    page.wait_for_timeout(1500)
    assert slider.evaluate("node => node === document.activeElement")
    slider.press("ArrowLeft")
    expect(page.locator(f"{LIVE} .km-control-note")).to_contain_text("learning rate 0.01 →")
    notebook.screenshot(artifacts / "kept-live.png", around=LIVE)

    run(notebook, 3)
    page.get_by_text("Kernel Restarting").first.wait_for(timeout=60_000)
    page.keyboard.press("Enter")
    check_left(notebook)
    notebook.screenshot(artifacts / "kept-killed.png", around=SAVED)
    notebook.save()
    notebook.stop_kernel()
    notebook.open()
    check_left(notebook)
    notebook.screenshot(artifacts / "kept-reloaded.png", around=".km-editor-kept")
    # JupyterLab misses answers of the kernel that was killed.
    lost = ("before replies were done", "Could not restore", "/static/lab/")
    assert [error for error in notebook.errors if not any(text in error for text in lost)] == []

    exported, _ = HTMLExporter().from_notebook_node(
        nbformat.read(notebook.lab.notebooks / NAME, as_version=4)
    )
    page.set_content(exported, wait_until="domcontentloaded")
    for text in ("dense 6 relu", "(32, 6)", "its end was not seen"):
        expect(page.get_by_text(text).first).to_be_visible()


def steps(notebook: NotebookPage) -> int:
    texts = notebook.page.locator(f"{LIVE} [data-figure=epoch] .km-value").all_inner_texts()
    return int(texts[0].replace(",", "").replace("–", "0")) if texts else 0


def wait_for_steps(notebook: NotebookPage) -> None:
    """Return when a run has gone on for a few epochs under the eyes of its reader."""
    notebook.wait_for_output(f"{LIVE}[data-state=running]", 60)
    deadline = time.monotonic() + 60
    while steps(notebook) < 10:
        assert time.monotonic() < deadline
        notebook.page.wait_for_timeout(100)


def test_a_restart_during_a_run_leaves_the_last_state_and_the_cell_runs_again(
    notebook: NotebookPage, artifacts: Path
):
    page = notebook.page
    notebook.open()
    notebook.wait_kernel()
    for place in (0, 1, 4):
        run(notebook, place)
    wait_for_steps(notebook)
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.model.cells.get(4).outputs.toJSON()
            .some(output => output.data?.['text/plain']?.startsWith('small: training'))""",
        timeout=60_000,
    )
    notebook.command("kernelmenu:restart")
    page.locator(".jp-Dialog .jp-mod-accept").click(timeout=30_000)
    expect(page.locator(LIVE)).to_have_count(0, timeout=60_000)
    notebook.wait_kernel()
    check_run_left(notebook, 4)
    notebook.screenshot(artifacts / "kept-restarted.png", around=SAVED)

    # The same cells again: a new view in the place of what was left, and it can be steered.
    for place in (0, 1, 4):
        run(notebook, place)
    wait_for_steps(notebook)
    expect(page.locator(f"{SAVED}:visible")).to_have_count(0)
    page.locator(f"{LIVE} [data-control=stop]").click()
    page.locator(f"{SAVED}[data-state=stopped]").wait_for(timeout=60_000)
    assert notebook.error_outputs() == []
