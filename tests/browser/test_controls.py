"""A reader steers a run in JupyterLab and Notebook 7: the buttons and the slider, while the cell is busy."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator

from tests.browser.lab import FrontEnd, Lab, NotebookPage, opened

pytestmark = pytest.mark.browser

TRAINING = ".km-training:not(.km-static)"
# A run that would last for hours; its steps take some milliseconds.
MODEL = """\
%load_ext kerasmagic
import time, numpy as np, kerasmagic as keras
keras.utils.set_random_seed(1)
x = np.random.normal(size=(640, 8)).astype("float32")
y = (x.sum(1) > 0).astype(int)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(2)], name="steered")
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
slow = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.002))
options = dict(batch_size=32, epochs=100000, validation_data=(x[:64], y[:64]), callbacks=[slow])
"""
FOREGROUND = "history = model.fit(x, y, **options)\n"
BACKGROUND = "run = model.fit(x, y, background=True, **options)\n"
REPORT = """\
loss, accuracy = model.evaluate(x, y, verbose=0)
print("ACCURACY", accuracy)
print("KINDS", *[each.kind for each in history.interventions])
"""


def write(lab: Lab, name: str, *cells: str) -> None:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    fresh = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    fresh.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(fresh, lab.notebooks / name)


class Driver:
    """What a reader sees of the row of controls, and does to it."""

    def __init__(self, notebook: NotebookPage):
        self.notebook = notebook
        self.page = notebook.page
        self.page.set_default_timeout(30_000)

    def begin(self) -> None:
        """Run all cells and return when the run takes steps."""
        self.notebook.open()
        self.notebook.run_all_cells()
        self.notebook.wait_for_output(TRAINING)
        self.until(lambda: self.root.get_attribute("data-state") == "running" and self.steps()[0] > 1, 90)
        self.notebook.show(self.root)

    @property
    def root(self) -> Locator:
        return self.page.locator(TRAINING).last

    def button(self, name: str) -> Locator:
        return self.root.locator(f"[data-control={name}]")

    @property
    def note(self) -> str:
        return self.root.locator(".km-control-note").inner_text()

    def steps(self) -> tuple[int, int]:
        """The epoch and the batch that are shown."""
        texts = [
            self.root.locator(f"[data-figure={name}] .km-value").inner_text() for name in ("epoch", "batch")
        ]
        epoch, batch = (int(re.sub(r"\D", "", text) or 0) for text in texts)
        return epoch, batch

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if errors := self.notebook.error_outputs():
                raise AssertionError("\n".join(errors))
            assert time.monotonic() < deadline, f"it never came to be: {self.root.inner_text()}"
            self.page.wait_for_timeout(50)

    def pause(self) -> None:
        """Pause by a click, and see that the steps stand still."""
        self.button("pause").click()
        self.until(lambda: self.root.get_attribute("data-state") == "paused")
        # What was seen last may be late, but then nothing more comes.
        self.until(self._stands_still)
        assert self._stands_still()

    def _stands_still(self) -> bool:
        before = self.steps()
        self.page.wait_for_timeout(1000)
        return self.steps() == before

    def resume(self) -> None:
        """Go on, by the keyboard."""
        before = self.steps()
        self.button("resume").focus()
        self.page.keyboard.press("Enter")
        self.until(lambda: self.root.get_attribute("data-state") == "running" and self.steps() != before)
        # A button that changes keeps the focus.
        assert self.button("pause").evaluate("button => button === button.getRootNode().activeElement")

    def printed(self) -> str:
        return "\n".join(self.page.locator(".jp-OutputArea-output pre").all_inner_texts())


@pytest.fixture
def drive(
    lab: Lab, browser: Browser, request: pytest.FixtureRequest, artifacts: Path
) -> Iterator[Callable[..., Driver]]:
    """Open a notebook of the given cells in a front end, and end its kernel with the test."""
    pages: list[NotebookPage] = []
    contexts = []

    def start(front_end: FrontEnd, *cells: str) -> Driver:
        name = f"{request.node.name}.ipynb"
        write(lab, name, *cells)
        context = opened(browser, lab, name, front_end=front_end)
        contexts.append(context)
        pages.append(context.__enter__())
        return Driver(pages[-1])

    yield start
    for page, context in zip(pages, contexts, strict=True):
        page.screenshot(artifacts / f"{request.node.name}-end.png")
        page.stop_kernel()
        context.__exit__(None, None, None)


def move_the_slider(driver: Driver) -> None:
    """Lower the learning rate by the arrow keys, and read the new one beside the slider."""
    slider, field = driver.root.locator("[data-rate=slider]"), driver.root.locator("[data-rate=field]")
    assert field.input_value() == "0.01"
    slider.focus()
    for _ in range(20):
        driver.page.keyboard.press("ArrowLeft")
    driver.until(lambda: "learning rate" in driver.note and driver.note.endswith("0.001"))
    assert field.input_value() == "0.001"
    assert slider.get_attribute("aria-valuetext") == "0.001"
    field.fill("2e-3")
    field.press("Enter")
    driver.until(lambda: driver.note.endswith("→ 0.002"))
    field.fill("fast")
    assert field.get_attribute("aria-invalid") == "true"
    field.press("Escape")
    driver.until(lambda: field.input_value() == "0.002")


def steer(driver: Driver, artifacts: Path, name: str) -> None:
    """Do all that the row of controls offers, and leave the run going on."""
    move_the_slider(driver)
    driver.pause()
    driver.notebook.screenshot(artifacts / f"controls-{name}-paused.png", around=TRAINING)
    driver.resume()
    driver.button("checkpoint").click()
    driver.until(lambda: "checkpoint written to checkpoints/steered-step-" in driver.note)
    (written,) = (driver.notebook.lab.notebooks / "checkpoints").glob("steered-step-*.keras")
    written.unlink()
    driver.until(lambda: driver.button("rewind").get_attribute("aria-disabled") == "false")
    driver.button("rewind").click()
    driver.until(lambda: "went back to epoch" in driver.note)
    driver.notebook.screenshot(artifacts / f"controls-{name}.png", around=TRAINING)


def check_report(driver: Driver, *kinds: str) -> None:
    """Assert that the kept model has learned, and that the history tells what was done."""
    driver.notebook.wait_for_output(".jp-OutputArea-output pre >> text=KINDS", 120)
    printed = driver.printed()
    accuracy, asked = re.search(r"ACCURACY ([\d.]+)", printed), re.search(r"KINDS (.*)", printed)
    assert accuracy
    assert asked
    assert float(accuracy[1]) > 0.8
    # Keys that come slowly change the rate more than once.
    done = [kind for kind, _ in itertools.groupby(asked[1].split())]
    assert done == ["learning_rate", "pause", "resume", "checkpoint", "rewind", *kinds]


def run_cell(driver: Driver, source: str) -> None:
    """Write ``source`` into the last cell, and run that."""
    driver.page.locator(".jp-CodeCell").last.locator(".cm-content").click()
    driver.page.keyboard.press("Control+A")
    driver.page.keyboard.insert_text(source)
    driver.page.keyboard.press("Shift+Enter")


def test_steering_a_run_and_keeping_what_it_learned(drive: Callable[..., Driver], artifacts: Path):
    driver = drive("lab", MODEL, FOREGROUND, REPORT)
    driver.begin()
    steer(driver, artifacts, "lab")
    driver.button("stop").click()
    check_report(driver, "stop")
    picture = driver.notebook.show(driver.page.locator(".km-static"))
    assert "went back to epoch" in picture.inner_text()
    assert driver.notebook.error_outputs() == driver.notebook.errors == []


def test_steering_in_notebook_7_and_interrupting_in_a_pause(drive: Callable[..., Driver], artifacts: Path):
    fit = "try:\n    model.fit(x, y, **options)\nexcept KeyboardInterrupt:\n    history = model.history\n"
    driver = drive("notebook", MODEL, fit, REPORT)
    driver.begin()
    steer(driver, artifacts, "notebook")
    driver.pause()
    driver.notebook.command("notebook:interrupt-kernel")
    driver.page.locator(".km-static[data-state=interrupted]").wait_for(timeout=60_000)
    check_report(driver, "pause")
    assert driver.notebook.error_outputs() == driver.notebook.errors == []


def test_steering_in_the_background_through_a_lost_page_and_a_view_thrown_away(
    drive: Callable[..., Driver], artifacts: Path
):
    driver = drive("lab", MODEL, BACKGROUND, "run.status\n")
    driver.begin()
    driver.notebook.wait_idle(60)
    steer(driver, artifacts, "background")

    # A connection that is lost for a moment: the same view goes on.
    kernel = "window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel"
    driver.page.evaluate(f"() => {kernel}.reconnect()")
    before = driver.steps()
    driver.until(lambda: driver.steps() > before)
    driver.pause()
    driver.resume()

    # A page that is lost: it comes back, with the view in it, and the run has gone on.
    driver.notebook.save()
    before = driver.steps()
    driver.page.goto("about:blank")
    driver.page.wait_for_timeout(500)
    driver.notebook.open()
    driver.notebook.wait_for_output(TRAINING, 60)
    driver.until(lambda: driver.root.get_attribute("data-state") == "running" and driver.steps() > before)
    driver.pause()
    driver.resume()

    driver.notebook.command("notebook:clear-all-cell-outputs")
    driver.until(lambda: driver.page.locator(TRAINING).count() == 0)
    went_on = "epoch = run.epoch\nwhile run.epoch == epoch: time.sleep(0.1)\nrun.pause()\n"
    run_cell(
        driver,
        went_on + "paused = model.evaluate(x, y, verbose=0); run.stop(); history = run.join()\n" + REPORT,
    )
    check_report(driver, "pause", "resume", "pause", "resume", "pause", "stop")
    assert driver.notebook.error_outputs() == driver.notebook.errors == []
