"""Writing a model in JupyterLab: completion at the cursor, and a cell that is run again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser

from tests.browser.lab import Lab, NotebookPage, Theme, opened

pytestmark = pytest.mark.browser

NAME = "editing.ipynb"
MODEL = "%%model net\ninput 28x28x1\nconv 8 3 relu\nflatten\ndense 10 softmax"


@pytest.fixture
def notebook(lab: Lab, browser: Browser) -> Iterator[NotebookPage]:
    """A notebook whose last cell is a model, run once."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    fresh = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    fresh.cells = [nbformat.v4.new_code_cell(source) for source in ("%load_ext kerasmagic", MODEL)]
    nbformat.write(fresh, lab.notebooks / NAME)
    with opened(browser, lab, NAME) as page:
        page.open()
        page.run_all_cells()
        page.wait_idle()
        yield page
        page.stop_kernel()


def test_completion_fits_the_place(notebook: NotebookPage) -> None:
    page = notebook.page
    editor = page.locator(".jp-CodeCell .cm-content").nth(1)
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text(" -> re")
    page.keyboard.press("Tab")
    items = page.locator(".jp-Completer-item")
    items.first.wait_for(timeout=20_000)
    shown = items.all_inner_texts()
    assert any("relu" in text for text in shown), shown
    assert any("repeatvector" in text.lower().replace("_", "") for text in shown), shown
    # What the kernel's Python would offer has no place in a definition.
    assert not any("reversed" in text for text in shown), shown
    assert notebook.errors == []


def test_completion_tells_the_shape(notebook: NotebookPage, artifacts: Path) -> None:
    page = notebook.page
    editor = page.locator(".jp-CodeCell .cm-content").nth(1)
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("%%model net\ninput 28x28x1\nconv 8 3 relu\nmaxp")
    page.keyboard.press("Tab")
    item = page.locator(".jp-Completer-item", has_text="maxpool").first
    item.wait_for(timeout=20_000)
    notebook.screenshot(artifacts / "completion.png")
    assert "(batch, 13, 13, 8)" in item.inner_text().replace("\u00a0", " ")
    assert notebook.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_shift_tab_explains_a_word(notebook: NotebookPage, theme: Theme, artifacts: Path) -> None:
    page = notebook.page
    notebook.set_theme(theme)
    editor = page.locator(".jp-CodeCell .cm-content").nth(1)
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("%%model net\ninput 28x28x1\nconv")
    page.keyboard.press("Shift+Tab")
    tooltip = page.locator(".jp-Tooltip")
    tooltip.wait_for(timeout=20_000)
    notebook.screenshot(artifacts / f"help-{theme}.png")
    text = tooltip.inner_text()
    assert "conv FILTERS KERNEL_SIZE" in text
    assert "(batch, 28, 28, 1) -> (batch, 26, 26, 32)" in text
    assert notebook.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_cell_run_again_says_what_it_kept(notebook: NotebookPage, theme: Theme, artifacts: Path) -> None:
    page = notebook.page
    editor = page.locator(".jp-CodeCell .cm-content").nth(1)
    editor.click()
    page.keyboard.press("Control+A")
    # As pasted: typed lines would be indented by the editor.
    page.keyboard.insert_text(MODEL.replace("dense 10 softmax", "dense 32 relu\ndense 10 softmax"))
    page.keyboard.press("Control+Enter")
    table = page.locator(".km-shape-table")
    table.get_by_text("kept").first.wait_for(timeout=30_000)
    notebook.wait_kernel()
    text = table.inner_text()
    assert "new" in text or "changed" in text
    notebook.set_theme(theme)
    notebook.screenshot(artifacts / f"run-again-{theme}.png")
    assert notebook.errors == []
