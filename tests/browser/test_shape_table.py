"""The shape table where scripts run: in JupyterLab, in the saved file, in an exported page, beside its twin."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Locator, Page, expect

import kerasmagic
from kerasmagic.magics.table import table_of
from kerasmagic.widgets import units
from kerasmagic.widgets.shape_table import ShapeTable
from tests.browser.lab import Lab, NotebookPage, Theme, opened

pytestmark = pytest.mark.browser

TABLE = ".km-shape-table"
NAME = "shapes.ipynb"
# What the margins leave of a sheet, in pixels.
PAPER = 720
CELLS = (
    "%load_ext kerasmagic",
    "%%model shapes\ninput 28x28x1\nconv 32 3 relu\nmaxpool 2\nflatten\ndense 10 softmax\n",
    "shapes.predict(__import__('numpy').zeros((1, 28, 28, 1)), verbose=0).shape",
)


def row(name: str, shape: Any, **changes: Any) -> SimpleNamespace:
    values = {"line": None, "depth": 0, "kind": "Layer", "dtype": "float32", "parameters": 0}
    return SimpleNamespace(**values, name=name, output_shape=shape, trainable=True, status=None, **changes)


def cell(table: Locator, layer: str, key: str) -> str:
    return table.locator(f"tr[data-layer='{layer}'] .km-{key}").inner_text()


def total(table: Locator) -> str:
    return table.locator("[data-total=activations] b").inner_text()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture
def notebook(lab: Lab, browser: Browser) -> Iterator[NotebookPage]:
    """A notebook with one model, fresh and not opened yet."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    fresh = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    fresh.cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(fresh, lab.notebooks / NAME)
    with opened(browser, lab, NAME) as opened_page:
        yield opened_page
        opened_page.stop_kernel()


def test_expressions_follow_every_field(page: Page):
    rows = [
        row("a", ("batch", "5*t + 1", "max(0, floordiv(t - 3, 2))")),
        row("b", {"x": ("batch", "-t^2 + 2*t"), "y": [(None, 3), ("mod(t, 7)",)]}),
        row("c", "unknown"),
        row("d", ("t", "3 ? 4")),
    ]
    page.set_content(ShapeTable(rows).html())
    table = page.locator(TABLE)
    assert cell(table, "a", "shape") == "(32, 81, 6)"
    assert cell(table, "b", "shape") == "x: (32, -224) y: (?, 3) (2,)"
    assert [cell(table, "c", "shape"), cell(table, "d", "shape")] == ["unknown", "(16, 3 ? 4)"]
    assert [cell(table, name, "memory") for name in "abcd"] == ["60.8 KiB", "–", "–", "–"]
    page.get_by_label("size of t").fill("3")
    page.get_by_label("batch size").fill("1")
    assert cell(table, "a", "shape") == "(1, 16, 0)"
    assert total(table) == "–"


def test_equal_tables_are_live_apart(page: Page):
    html = ShapeTable([row("a", ("batch", 256))]).html()
    page.set_content(html + html + ShapeTable([row("a", ("batch", 512))]).html())
    tables = page.locator(f"{TABLE}[data-state=live]")
    assert tables.count() == 3
    assert page.locator("input").count() == page.locator("th.km-right:has-text('activations')").count() == 3
    tables.nth(1).locator("input").fill("64")
    assert [total(tables.nth(index)) for index in range(3)] == ["32.0 KiB", "64.0 KiB", "64.0 KiB"]


def test_what_is_no_size_changes_nothing(page: Page):
    page.set_content(ShapeTable([row("a", ("batch", 256))]).html())
    field = page.get_by_label("batch size")
    for text in ("0", "", "1.5", "-3"):
        field.fill(text)
        assert field.get_attribute("aria-invalid") == "true"
        assert total(page.locator(TABLE)) == "32.0 KiB"
    field.fill("2")
    assert field.get_attribute("aria-invalid") == "false"
    assert total(page.locator(TABLE)) == "2.0 KiB"


def test_rows_that_are_not_shown_count(page: Page):
    page.set_content(ShapeTable([row(f"layer_{index}", ("batch", 8)) for index in range(2000)]).html())
    assert page.locator("td.km-memory").count() == 1500
    assert page.locator("td[colspan]").evaluate("cell => cell.colSpan") == 6
    assert total(page.locator(TABLE)) == "2.0 MiB"


def test_costs_and_memory_follow_the_sizes(page: Page):
    model = kerasmagic.define("input time int32\nembed 1000 64 -> lstm 128 -> dense 10")
    table = dataclasses.replace(table_of(model), memory=None)
    memory = table_of(model).memory
    assert memory is not None
    memory = dataclasses.replace(memory, limit=10 * 2**20)
    page.set_content(dataclasses.replace(table, memory=memory).html())
    shown = page.locator(TABLE)

    def said(name: str) -> str:
        return shown.locator(f"[data-total={name}] b").inner_text()

    for batch, time in ((32, 16), (64, 16), (64, 7)):
        page.get_by_label("batch size").fill(str(batch))
        page.get_by_label("size of time").fill(str(time))
        sizes = {"batch": batch, "time": time}
        per_sample = table.multiply_adds().at({"batch": 1, "time": time})  # type: ignore[union-attr]
        assert said("multiply-adds").startswith(f"{units.magnitude(per_sample)} a sample")
        assert said("training-step").startswith(units.memory(memory.at(sizes)))
        assert said("limit") == memory.sentence(sizes)
    assert cell(shown, "lstm", "cost") == units.magnitude(7 * 4 * (64 + 128) * 128)
    assert cell(shown, "embedding", "cost") == ""


def test_blocks_fold_by_keyboard(page: Page):
    text = "block pair(n):\n    dense n -> dense n\ninput 4\npair 8 -> pair 8"
    page.set_content(table_of(kerasmagic.define(text)).html())
    buttons = page.locator("button.km-fold")
    assert [each.get_attribute("aria-expanded") for each in buttons.all()] == ["true", "true"]
    lines = page.locator(f"{TABLE} tbody tr:visible")
    assert lines.count() == 7
    buttons.first.focus()
    page.keyboard.press("Enter")
    assert buttons.first.get_attribute("aria-expanded") == "false"
    assert lines.count() == 5
    page.keyboard.press("Space")
    assert lines.count() == 7
    assert buttons.first.get_attribute("aria-label") == "layers of pair"


def test_the_graph_and_the_table_point_at_each_other(page: Page):
    text = "block skip(n):\n    dense n relu\n    + in\ninput 8\n(skip 8) * 40\nx = dense 4 -> dense 4\n+ x"
    page.set_content(table_of(kerasmagic.define(text)).html())
    lines = page.locator(f"{TABLE} tbody tr:visible")
    # So many rows begin folded, and the graph has one box for all of the blocks.
    assert lines.count() == 44
    page.locator(".km-graph summary").click()
    box = page.locator(".km-box", has_text="skip")
    assert "×40" in (box.text_content() or "")
    box.hover()
    assert page.locator("tr[data-lit]").count() == 120
    page.locator("tr[data-layer=dense_40]").hover()
    assert page.locator(".km-box[data-lit]").count() == 1
    # A row means itself, and not the others of its box.
    assert page.locator("tr[data-lit]").count() == 1
    box.click()
    assert page.locator("tr[data-layer=skip]").is_visible()


def test_the_graph_is_walked_by_keyboard(page: Page):
    text = "block skip(n):\n    dense n relu\n    + in\ninput 8\nskip 8\nx = dense 4 -> dense 4\n+ x"
    page.set_content(table_of(kerasmagic.define(text, name="net")).html())
    drawing = page.locator(".km-graph svg")
    assert str(drawing.get_attribute("aria-label")).startswith("Graph of net: ")
    assert drawing.get_attribute("role") == "group"
    page.locator(".km-fold").click()
    page.locator(".km-graph summary").focus()
    page.keyboard.press("Enter")
    for _ in range(3):
        # The scrolled frame is a stop of its own where it scrolls.
        if not page.locator(".km-box:focus").count():
            page.keyboard.press("Tab")
    names = []
    for key in ("Home", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
        names.append(page.evaluate("() => document.activeElement.getAttribute('aria-label')"))
    assert names[1] == "skip (skip) 8, from input (InputLayer) 8"
    assert names[2].endswith("from skip (skip) 8")
    assert page.locator("tr[data-lit]").count() == 1
    page.keyboard.press("ArrowUp")
    assert page.locator("tr[data-layer=dense]").is_hidden()
    # The box of the block is that of its rows, too.
    assert page.locator("tr[data-lit]").count() == 3
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    label = page.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert label == "add_1 (Add) 4, from x (Dense) 4"
    page.keyboard.press("Tab")
    assert page.locator(".km-box[tabindex='0']").count() == 1


def test_without_scripts_it_is_the_plain_table(browser: Browser):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.set_content(ShapeTable([row("a", ("batch", 256))]).html())
        assert page.locator(f"{TABLE}[data-state=static] input").count() == 0
        assert cell(page.locator(TABLE), "a", "shape") == "(batch, 256)"


def check_details(notebook: NotebookPage) -> None:
    """Assert that rows open to histograms, by the pointer and by the keyboard, at a height that stays."""
    page = notebook.page
    table = page.locator(f"{TABLE}[data-linked]")
    table.wait_for(timeout=20_000)
    button = table.get_by_role("button", name="conv2d", exact=True)
    assert button.get_attribute("aria-expanded") == "false"
    table.locator("tr[data-layer=conv2d] .km-shape").click()
    detail = table.locator(".km-detail-box")
    height = detail.evaluate("box => box.offsetHeight")
    detail.locator("svg").first.wait_for()
    assert detail.evaluate("box => box.offsetHeight") == height
    assert detail.locator("figcaption").all_inner_texts() == [
        "kernel (3, 3, 1, 32) float32",
        "bias (32,) float32",
    ]
    assert "values from -0." in str(detail.locator("svg").first.get_attribute("aria-label"))
    assert detail.get_attribute("aria-label") == "histograms of conv2d"
    assert button.get_attribute("aria-expanded") == "true"
    button.focus()
    page.keyboard.press("Enter")
    assert detail.count() == 0
    page.keyboard.press("Space")
    detail.locator("svg").first.wait_for()
    assert button.evaluate("node => node === document.activeElement")


def check_live(page: Page) -> None:
    """Assert that the table follows typed and stepped batch sizes."""
    table = page.locator(f"{TABLE}[data-state=live]")
    table.wait_for(timeout=20_000)
    field = table.locator("input[data-dimension=batch]")
    field.fill("64")
    assert cell(table, "conv2d", "shape") == "(64, 26, 26, 32)"
    assert cell(table, "conv2d", "memory") == "5.3 MiB"
    field.press("ArrowUp")
    assert field.input_value() == "65"
    assert cell(table, "dense", "shape") == "(65, 10)"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_in_jupyterlab(notebook: NotebookPage, artifacts: Path, theme: Theme):
    notebook.open()
    notebook.set_theme(theme)
    notebook.run_all_cells()
    notebook.wait_idle()
    assert notebook.error_outputs() == []
    check_live(notebook.page)
    check_details(notebook)
    notebook.screenshot(artifacts / f"shapes-{theme}.png", around=TABLE)
    notebook.save()
    notebook.stop_kernel()
    # What was open can still be read, and no row says that it could be opened.
    expect(notebook.page.locator(f"{TABLE}[data-linked]")).to_have_count(0)
    expect(notebook.page.locator(".km-detail svg").first).to_be_visible()
    notebook.open()
    check_live(notebook.page)
    assert notebook.page.locator(".km-open").count() == 0
    assert notebook.error_outputs() == notebook.errors == []


def test_in_a_saved_notebook(notebook: NotebookPage, page: Page, artifacts: Path):
    notebook.open()
    notebook.run_all_cells()
    notebook.wait_idle()
    notebook.save()
    notebook.stop_kernel()
    path = notebook.lab.notebooks / NAME
    saved = nbformat.read(path, as_version=4)
    assert set(saved.cells[1].outputs[0].data) == {"text/html", "text/plain"}

    exported, _ = HTMLExporter().from_notebook_node(saved)
    page.set_content(exported, wait_until="domcontentloaded")
    check_live(page)
    page.screenshot(path=artifacts / "shapes-exported.png")
    page.set_viewport_size({"width": PAPER, "height": 900})
    page.emulate_media(media="print")
    widths = page.locator(TABLE).evaluate("table => [table.scrollWidth, table.clientWidth]")
    assert widths[0] <= widths[1], "columns are cut off on paper"
    page.screenshot(path=artifacts / "shapes-printed.png")

    # A file that came from elsewhere: JupyterLab runs none of its scripts.
    saved.cells[0].source += "  # changed by another hand"
    nbformat.write(saved, path)
    notebook.open()
    table = notebook.show(notebook.page.locator(TABLE))
    assert "(batch, 26, 26, 32)" in table.inner_text()
    assert table.locator("input").count() == 0
    assert "inline scripts" not in notebook.page.locator(".jp-OutputArea").last.inner_text()
    assert notebook.error_outputs() == notebook.errors == []
    notebook.screenshot(artifacts / "shapes-untrusted.png", around=TABLE)
