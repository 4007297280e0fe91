"""A newcomer opens the quickstart in JupyterLab and runs all cells: what is on the page, while and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import recorder
from tests.browser.lab import NotebookPage, Theme
from tests.tools.run_notebook import ACCURACY

pytestmark = pytest.mark.browser

SHAPE_TABLE = ".km-shape-table"
TRAINING = ".km-training"


def check_page(notebook: NotebookPage) -> None:
    """Assert that the results of a whole run are on the page."""
    notebook.wait_for_output(SHAPE_TABLE, seconds=30)
    assert notebook.error_outputs() == []
    table = notebook.show(notebook.page.locator(SHAPE_TABLE))
    text = table.inner_text()
    assert "LearnedSwish" in text
    assert "10" in text
    training = notebook.show(notebook.page.locator(TRAINING))
    box = training.bounding_box()
    assert box is not None
    assert box["height"] > 100
    assert box["width"] > 300
    printed = "\n".join(notebook.page.locator(".jp-OutputArea-output pre").all_inner_texts())
    accuracy = ACCURACY.search(printed)
    assert accuracy
    assert float(accuracy[1]) >= 0.97


def take_pictures(notebook: NotebookPage, folder: Path, name: str) -> None:
    """Leave pictures of the shape table and the training view."""
    notebook.screenshot(folder / f"{name}-shapes.png", around=SHAPE_TABLE)
    notebook.screenshot(folder / f"{name}-training.png", around=TRAINING)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_run_all_cells(quickstart: NotebookPage, artifacts: Path, theme: Theme):
    quickstart.open()
    quickstart.set_theme(theme)
    recorder.start(quickstart.page)
    quickstart.run_all_cells()

    # In the middle of the training: the live widget, which a person watches.
    quickstart.wait_for_output(f"{TRAINING} [role=progressbar]")
    quickstart.page.wait_for_function(
        "selector => [...document.querySelectorAll(selector)].some("
        "bar => bar.checkVisibility() && Number(bar.getAttribute('aria-valuenow')) > 0)",
        arg=f"{TRAINING} [role=progressbar]",
        timeout=60_000,
    )
    quickstart.screenshot(artifacts / f"quickstart-{theme}-live.png", around=TRAINING)

    quickstart.wait_idle()
    seen = recorder.stop(quickstart.page)
    values = [value for _, value in seen.progress]
    assert len(values) >= 5, seen
    assert values == sorted(values), seen
    assert seen.progress[-1][0] - seen.progress[0][0] > 0.5, seen
    assert len(seen.histograms) >= 2, seen
    assert max(seen.histograms) >= 2, "no histogram ever changed"

    check_page(quickstart)
    assert quickstart.errors == []
    take_pictures(quickstart, artifacts, f"quickstart-{theme}")

    # The saved file alone, with no kernel to ask.
    quickstart.save()
    quickstart.stop_kernel()
    quickstart.open()
    check_page(quickstart)
    take_pictures(quickstart, artifacts, f"quickstart-{theme}-reloaded")
