"""The live editor where it lives: typed in, broken, mended and built, while the kernel is free and while it is busy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import FrontEnd, Lab, NotebookPage, opened

pytestmark = pytest.mark.browser

NAME = "editor.ipynb"
TEXT = "input 8x8x1\nconv 4 3 relu\nflatten\ndense 10 softmax"
HOSTILE = "<img src=x onerror=window.hacked=1>"
CELLS = (
    "%load_ext kerasmagic",
    f"%%model small --live\n{TEXT}\n",
    "print(small.output_shape)",
    "import time\nwhile True:\n    time.sleep(0.1)",
)


@pytest.fixture(params=["lab", "notebook"])
def notebook(request: pytest.FixtureRequest, lab: Lab, browser: Browser) -> Iterator[NotebookPage]:
    """A notebook with the editor of one model, run up to it."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    fresh = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    fresh.cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(fresh, lab.notebooks / NAME)
    front_end: FrontEnd = request.param
    with opened(browser, lab, NAME, front_end=front_end, scale=2 if front_end == "notebook" else 1) as page:
        page.open()
        page.wait_kernel()
        for place in (0, 1):
            run(page, place)
        page.wait_for_output(".km-editor", 40)
        yield page
        page.stop_kernel()


def run(notebook: NotebookPage, place: int) -> None:
    """Run the cell at ``place`` as a person does."""
    cell = notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(place)
    cell.locator(".cm-content").click()
    notebook.page.keyboard.press("Shift+Enter")


def output(notebook: NotebookPage, place: int) -> Locator:
    return notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(place).locator(".jp-OutputArea-output")


def test_table_and_errors_follow_the_typing(notebook: NotebookPage, artifacts: Path):
    page = notebook.page
    editor = page.get_by_label("definition of small")
    shapes = page.locator(".km-editor .km-shape")
    mistakes = page.locator(".km-editor-mistakes li")
    expect(shapes).to_have_text(["(32, 8, 8, 1)", "(32, 6, 6, 4)", "(32, 144)", "(32, 10)"])

    editor.fill(TEXT.replace("10", "7"))
    expect(shapes.last).to_have_text("(32, 7)")
    page.locator(".km-editor input[data-dimension=batch]").fill("5")
    editor.fill(TEXT.replace("10", "6"))
    expect(shapes.last).to_have_text("(5, 6)")

    editor.fill(TEXT.replace("relu", "rleu"))
    expect(mistakes).to_have_count(1)
    expect(mistakes).to_contain_text("Did you mean 'relu'?")
    assert editor.get_attribute("aria-invalid") == "true"
    assert page.locator(".km-editor-marks mark").inner_text() == "rleu"
    assert page.locator(".km-editor .km-shape-table[data-stale]").count() == 1
    notebook.screenshot(artifacts / f"editor-mistake-{notebook.front_end}.png", around=".km-editor")
    page.locator(".km-editor-place").click()
    assert editor.evaluate("area => area.value.slice(area.selectionStart).split('\\n')[0]") == "rleu"

    editor.fill(TEXT.replace("conv 4", f'conv 4 name="{HOSTILE}"'))
    expect(page.locator(".km-editor .km-name").nth(1)).to_have_text(HOSTILE)
    assert page.evaluate("() => window.hacked") is None

    editor.fill(TEXT.replace("10", "3"))
    editor.press("Control+Enter")
    page.locator(".km-editor[data-state=built]").wait_for(timeout=20_000)
    run(notebook, 2)
    expect(output(notebook, 2)).to_contain_text("(None, 3)")
    notebook.screenshot(artifacts / f"editor-{notebook.front_end}.png", around=".km-editor")
    assert notebook.error_outputs() == notebook.errors == []


def test_it_answers_while_a_cell_runs(notebook: NotebookPage):
    run(notebook, 3)
    prompt = notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(3).locator(".jp-InputPrompt")
    expect(prompt).to_contain_text("*")
    notebook.page.get_by_label("definition of small").fill(TEXT.replace("10", "5"))
    expect(notebook.page.locator(".km-editor .km-shape").last).to_have_text("(32, 5)")
    expect(prompt).to_contain_text("*")


def test_keys_stay_in_the_editor(notebook: NotebookPage):
    cells = notebook.page.locator(".jp-Notebook .jp-CodeCell")
    before = cells.count()
    editor = notebook.page.get_by_label("definition of small")
    editor.click()
    # In the notebook these would add, cut and delete cells, or leave the field.
    notebook.page.keyboard.press("Control+End")
    notebook.page.keyboard.type(" -> relu", delay=5)
    notebook.page.keyboard.press("ArrowUp")
    notebook.page.keyboard.press("Shift+Enter")
    assert editor.input_value().count("\n") == TEXT.count("\n") + 1
    assert cells.count() == before
    editor.press("Tab")
    assert notebook.page.evaluate("() => document.activeElement.closest('.km-editor') !== null")
