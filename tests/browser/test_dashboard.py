"""The training view as a reader meets it: it moves, it can be read, and what stays needs no kernel and no trust."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import Lab, NotebookPage, opened

pytestmark = pytest.mark.browser

LIVE = ".km-training:not(.km-static)"
SAVED = ".km-training.km-static"
SETUP = """\
%load_ext kerasmagic
import time, numpy as np, kerasmagic as keras
keras.utils.set_random_seed(1)
x = np.random.normal(size=(256, 8)).astype("float32")
y = (x.sum(1) > 0).astype(int)
slow = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.015))
"""
FIT = """\
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(2)], name="watched")
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
history = model.fit(x, y, batch_size=32, epochs=100, validation_split=0.25, callbacks=[slow])
"""
OBJECTS = ["history", "model.layers[0]", "model.layers[0].kernel", "model", "history.plot()"]
# Every letter and dot that is drawn, as one number.
DIGEST = """canvas => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return data.reduce((sum, value, index) => (sum * 31 + value * (index % 7 + 1)) % 1000000007, 0);
}"""


@pytest.fixture
def notebook(lab: Lab, browser: Browser, artifacts: Path) -> Iterator[NotebookPage]:
    """Give a notebook of a short run, on a page with two pixels in each."""
    name = "dashboard.ipynb"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    fresh = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    fresh.cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, FIT, *OBJECTS)]
    nbformat.write(fresh, lab.notebooks / name)
    with opened(browser, lab, name, scale=2) as page:
        page.page.set_default_timeout(30_000)
        yield page
        page.screenshot(artifacts / "dashboard-end.png")
        page.stop_kernel()


def until(notebook: NotebookPage, condition: str, argument: str, seconds: float = 60) -> None:
    notebook.page.wait_for_function(condition, arg=argument, timeout=1000 * seconds)


def wait_for_another(canvas: Locator, picture: int) -> None:
    """Return when a canvas shows another picture than the one of this digest."""
    deadline = time.monotonic() + 30
    while canvas.evaluate(DIGEST) == picture:
        assert time.monotonic() < deadline
        canvas.page.wait_for_timeout(50)


def progress(root: Locator) -> int:
    return int(root.locator("[data-bar=run]").get_attribute("aria-valuenow") or -1)


def watch_it_move(notebook: NotebookPage) -> None:
    """See the bar and the curves move, at the same height all along."""
    root = notebook.page.locator(LIVE)
    canvas = root.locator("canvas").first
    until(notebook, "s => document.querySelector(`${s} [data-bar=run]`)?.ariaValueNow > 5", LIVE)
    until(notebook, "s => document.querySelector(`${s} canvas`)?.clientWidth > 0", LIVE)
    values, heights, pictures = [], set(), set()
    # A view is free to draw rarely where the machine is busy, and never stays behind for long.
    deadline = time.monotonic() + 30
    while len(set(values)) < 3 or len(pictures) < 2:
        box = root.bounding_box()
        assert box is not None
        assert time.monotonic() < deadline
        if root.get_attribute("data-state") != "running":
            break
        values.append(progress(root))
        heights.add(round(box["height"]))
        pictures.add(canvas.evaluate(DIGEST))
        notebook.page.wait_for_timeout(60)
    assert values == sorted(values)
    assert values[-1] > values[0]
    assert len(heights) == 1
    assert len(pictures) > 1
    assert canvas.evaluate("c => [c.width / c.clientWidth, c.height / c.clientHeight]") == [2, 2]


def read_values(notebook: NotebookPage, root: Locator) -> None:
    """Read a chart by the pointer and by the keyboard."""
    chart = root.locator("[data-metric=loss]").first
    name, canvas = chart.locator(".km-chart-name"), chart.locator("canvas")
    canvas.hover(position={"x": 150, "y": 60})
    until(notebook, "s => document.querySelector(s).textContent.startsWith('loss · epoch')", ".km-chart-name")
    notebook.page.mouse.move(5, 5)
    until(notebook, "s => document.querySelector(s).textContent === 'loss'", ".km-chart-name")
    canvas.focus()
    for _ in range(2):
        canvas.press("ArrowRight")
    assert chart.locator("[role=status]").inner_text().startswith("epoch 2, training 0.")
    canvas.press("Escape")
    assert "lowest" in str(canvas.get_attribute("aria-label")) or "training" in str(
        canvas.get_attribute("aria-label")
    )
    assert name.inner_text() == "loss"


def scale_by_keyboard(root: Locator) -> None:
    """Smooth, and take a logarithmic scale, without a mouse."""
    canvas, slider = root.locator("canvas").first, root.locator("input[type=range]").first
    slider.focus()
    before = canvas.evaluate(DIGEST)
    for _ in range(5):
        slider.press("ArrowRight")
    assert root.locator("output").inner_text() == "0.10"
    box = root.get_by_label("log scale")
    box.focus()
    box.press("Space")
    assert box.is_checked()
    wait_for_another(canvas, before)


def check_saved(notebook: NotebookPage) -> Locator:
    """Assert that the run and the objects are on the page as they were left."""
    assert notebook.error_outputs() == []
    root = notebook.show(notebook.page.locator(SAVED))
    assert root.get_attribute("data-state") == "finished"
    assert progress(root) == 100
    assert root.locator("[data-figure=epoch] .km-value").inner_text() == "100"
    expect(notebook.page.locator(".km-object")).to_have_count(2)
    assert notebook.page.locator(".km-shape-table").count() == 1
    return root


def test_a_run_from_its_first_step_to_another_day(notebook: NotebookPage, lab: Lab, artifacts: Path):
    notebook.open()
    # JupyterLab keeps the theme of the test before.
    notebook.set_theme("light")
    notebook.run_all_cells()
    notebook.wait_for_output(LIVE)
    notebook.show(notebook.page.locator(LIVE))
    watch_it_move(notebook)
    notebook.screenshot(artifacts / "dashboard-live.png", around=LIVE)
    notebook.wait_idle()

    root = check_saved(notebook)
    read_values(notebook, root)
    scale_by_keyboard(root)
    light = root.locator("canvas").first.evaluate(DIGEST)
    notebook.screenshot(artifacts / "dashboard-light.png", around=SAVED)
    notebook.set_theme("dark")
    wait_for_another(root.locator("canvas").first, light)
    notebook.screenshot(artifacts / "dashboard-dark.png", around=SAVED)
    notebook.screenshot(artifacts / "dashboard-objects-dark.png", around=".km-object")
    notebook.set_theme("light")
    notebook.screenshot(artifacts / "dashboard-objects.png", around=".km-object")

    # The same cell again: the run before is behind, and nothing of its view is left.
    notebook.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1; }")
    notebook.command("notebook:run-cell")
    notebook.wait_for_output(LIVE)
    until(notebook, "s => !document.querySelector(s)", LIVE)
    until(notebook, "s => document.querySelector(s)?.textContent === '1 earlier run'", ".km-toolbar-note")
    assert notebook.page.locator(LIVE).count() == 0
    notebook.screenshot(artifacts / "dashboard-earlier.png", around=SAVED)

    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()"
    )
    notebook.wait_kernel()
    check_saved(notebook)
    notebook.save()
    notebook.stop_kernel()
    notebook.open()
    root = check_saved(notebook)
    assert root.locator("canvas").count() == 2
    assert notebook.errors == []
    read_without_trust(notebook, lab, artifacts)


def read_without_trust(notebook: NotebookPage, lab: Lab, artifacts: Path) -> None:
    """Open what somebody else's machine would show: no script of the notebook runs, and its style is gone."""
    document = json.loads((lab.notebooks / notebook.name).read_text())
    document["cells"][0]["source"] = "# not as it was signed"
    (lab.notebooks / "stranger.ipynb").write_text(json.dumps(document))
    other = NotebookPage(notebook.page, lab, "stranger.ipynb")
    other.open()
    other.page.get_by_text("values by epoch").first.wait_for()
    text = other.page.locator(".jp-OutputArea-output").all_inner_texts()
    assert any("validation accuracy" in part and "best " in part for part in text)
    assert other.page.locator(".jp-OutputArea-output canvas, .jp-OutputArea-output script").count() == 0
    curves = other.page.locator(".jp-OutputArea-output img[alt^=loss]").first
    assert curves.evaluate("image => image.complete && image.naturalWidth") == 440
    other.page.get_by_text("validation accuracy").first.scroll_into_view_if_needed()
    other.page.screenshot(path=artifacts / "dashboard-untrusted.png")
