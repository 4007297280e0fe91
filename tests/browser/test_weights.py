"""Histograms, gradients, warnings and looks into a model, as a reader meets them in JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator

from tests.browser.lab import Lab, NotebookPage, opened

pytestmark = pytest.mark.browser

START = """
import numpy as np
import kerasmagic as keras
%load_ext kerasmagic
L = keras.layers
random = np.random.default_rng(0)
x = random.normal(size=(6000, 10, 10, 1)).astype("float32")
y = (x.mean((1, 2, 3)) > 0).astype("int32")
"""
LONG_RUN = """
model = keras.Sequential([
    keras.Input((10, 10, 1)), L.Conv2D(8, 3, activation="relu", name="conv"), L.Flatten(name="flat"),
    L.Dense(32, activation="relu", name="hidden"), L.Dense(2, name="scores"),
])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.show()
history = model.fit(x, y, epochs=10_000, batch_size=64)
"""
LOST_RUN = """
class Logarithm(L.Layer):
    def call(self, x):
        return keras.ops.log(x)
lost = keras.Sequential([keras.Input((10, 10, 1)), L.Flatten(), L.Dense(1), Logarithm(name="logarithm")])
lost.compile("sgd", "mse")
history = lost.fit(x[:640], y[:640], epochs=3)
"""
LOOKS = [
    """
small = keras.Sequential([
    keras.Input((10, 10, 1)), L.Conv2D(8, 5, activation="relu", name="conv"), L.Flatten(), L.Dense(2, name="scores"),
])
small.show_activations(x[:32])
""",
    "small.show_weights()",
    'small.show_kernels("conv")',
    """
tokens = keras.Input((12, 4))
looking = keras.Model(tokens, L.MultiHeadAttention(4, 8, name="look")(tokens, tokens, use_causal_mask=True))
looking.show_attention(random.normal(size=(2, 12, 4)))
""",
]
DEEP = [
    """
layers = [L.Dense(4, name=f"layer_{number}") for number in range(100)]
deep = keras.Sequential([keras.Input((10, 10, 1)), L.Flatten(), *layers, L.Dense(1)], name="deep")
deep.compile("sgd", "mse")
deep.show()
""",
    "drawn = [layer.get_weights() for layer in deep.layers]",
    "_ = deep.fit(x[:64], y[:64], epochs=3)",
]
# Beneath the view lies what stays of it.
VIEW = ".km-training:not(.km-static)"
CELLS = f"{VIEW} .km-histogram"


@pytest.fixture
def notebook(
    request: pytest.FixtureRequest, lab: Lab, browser: Browser, artifacts: Path
) -> Iterator[NotebookPage]:
    """Give a notebook with the cells of the test's parameter; its kernel ends with the test."""
    name = f"{request.node.name.partition('[')[0]}.ipynb"
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in request.param]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), lab.notebooks / name
    )
    with opened(browser, lab, name, scale=2) as page:
        page.open(simple=True)
        yield page
        page.screenshot(artifacts / f"{request.node.name.partition('[')[0]}-end.png")
        page.stop_kernel()


def wait(notebook: NotebookPage, condition: str, seconds: float = 90) -> None:
    """Return when a condition in JavaScript holds."""
    notebook.page.wait_for_function(f"() => {condition}", timeout=1000 * seconds)


def notes(notebook: NotebookPage) -> list[str]:
    return notebook.page.locator(f"{CELLS} .km-histogram-note").all_inner_texts()


def ink(canvas: Locator) -> int:
    """Return how many pixels of a canvas have a colour."""
    return canvas.evaluate(
        """canvas => {
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return data.filter((value, i) => i % 4 === 3 && value > 0).length;
        }"""
    )


@pytest.mark.parametrize("notebook", [[START, LONG_RUN]], indirect=True)
def test_a_reader_chooses_what_the_histograms_show(notebook, artifacts):
    page = notebook.page
    notebook.run_all_cells()
    page.locator(CELLS).first.wait_for(timeout=90_000)
    assert page.locator(CELLS).count() == 6
    height = page.locator(VIEW).bounding_box()["height"]
    notebook.screenshot(artifacts / "weights-now.png", around=f"{VIEW} .km-weights")

    # With the keyboard alone: the arrow goes from weights to gradients, and the notebook keeps its mode.
    page.locator(f"{VIEW} .km-weights-kinds input[value=weights]").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(f"{VIEW} .km-weights-kinds input[value=gradients]").is_checked()
    wait(notebook, f"document.querySelector('{VIEW} .km-histogram-note')?.textContent.startsWith('step ')")
    assert all(note.endswith("%") for note in notes(notebook))
    notebook.screenshot(artifacts / "weights-gradients.png", around=f"{VIEW} .km-weights")

    page.locator(f"{VIEW} .km-weights-kinds input[value=outputs]").check()
    wait(notebook, f"document.querySelector('{VIEW} .km-histogram-note')?.textContent.endsWith('dead')")
    names = page.locator(f"{CELLS} .km-histogram-name").evaluate_all("all => all.map(one => one.title)")
    assert names == ["conv", "flat", "hidden", "scores"]

    page.locator(f"{VIEW} .km-weights-kinds input[value=weights]").check()
    page.get_by_label("over time").check()
    wait(notebook, f"document.querySelectorAll('{VIEW} canvas.km-strip').length === 6")
    strip = page.locator(f"{VIEW} canvas.km-strip").first
    wait(notebook, f"document.querySelector('{VIEW} canvas.km-strip').width > 3")
    assert ink(strip) > 20
    assert "from step 1 to" in strip.get_attribute("aria-label")

    words = page.get_by_label("Show only names that hold these words")
    words.fill("conv kernel")
    wait(notebook, f"document.querySelectorAll('{CELLS}').length === 1")
    assert "1 of 6 fit" in page.locator(f"{VIEW} .km-weights-note").inner_text()
    # The row of a layer opens to its histograms as they are now, and the view follows.
    page.locator("tr[data-layer=hidden] .km-open").click()
    wait(notebook, "document.querySelectorAll('.km-detail svg').length >= 2")
    wait(notebook, f"document.querySelectorAll('{CELLS}').length === 2")
    assert words.input_value() == "hidden/"
    first = page.locator(".km-detail-box > p").inner_text()
    assert first.startswith("after step ")
    wait(notebook, f"document.querySelector('.km-detail-box > p').textContent !== '{first}'")
    notebook.screenshot(artifacts / "weights-of-a-row.png", around=".km-detail")

    words.fill("")
    wait(notebook, f"document.querySelectorAll('{CELLS}').length === 6")
    assert page.locator(VIEW).bounding_box()["height"] == height, "the view jumps"
    notebook.set_theme("dark")
    notebook.screenshot(artifacts / "weights-over-time-dark.png", around=f"{VIEW} .km-weights")
    notebook.set_theme("light")

    page.get_by_role("button", name="Stop").click()
    notebook.wait_idle()
    saved = page.locator(".km-static")
    saved.locator("img.km-strip").first.wait_for(timeout=60_000)
    assert saved.locator(".km-weights-head > span:first-child").all_inner_texts() == [
        "weights",
        "gradients",
        "layer outputs",
    ]
    assert saved.locator(".km-histogram").count() == 6 + 6 + 4
    assert saved.locator("img.km-strip").first.evaluate("image => image.complete && image.naturalWidth > 3")
    notebook.screenshot(artifacts / "weights-saved.png", around=".km-static .km-weights")
    assert notebook.errors == []
    assert notebook.error_outputs() == []


@pytest.mark.parametrize("notebook", [[START, *DEEP]], indirect=True)
def test_a_row_that_was_opened_early_shows_weights_when_they_are_there(notebook, artifacts):
    page = notebook.page
    notebook.wait_kernel()
    for _ in range(2):
        notebook.command("notebook:run-cell-and-select-next")
    row = page.locator("tr[data-layer=layer_70] .km-open")
    row.wait_for(timeout=90_000)
    notebook.wait_kernel()
    notebook.show(row).click()
    page.get_by_text("no values yet").first.wait_for()
    # A click into an output chooses its cell.
    page.locator(".jp-CodeCell .cm-content").nth(2).click()
    notebook.command("notebook:run-cell-and-select-next")
    page.locator(".km-detail svg").first.wait_for()
    assert page.get_by_text("no values yet").count() == 0
    drawn = page.locator(".km-detail-box").inner_html()
    notebook.screenshot(artifacts / "weights-early-row.png", around=".km-detail")
    notebook.command("notebook:run-cell-and-select-next")
    notebook.wait_idle()
    page.wait_for_function(
        "before => { const box = document.querySelector('.km-detail-box');"
        " return box.querySelector('svg') && box.innerHTML !== before; }",
        arg=drawn,
    )
    assert notebook.errors == []
    assert notebook.error_outputs() == []


@pytest.mark.parametrize("notebook", [[START, LOST_RUN]], indirect=True)
def test_a_lost_run_says_where_it_was_lost(notebook, artifacts):
    notebook.run_all_cells()
    notebook.wait_idle()
    advice = notebook.show(notebook.page.locator(".km-static .km-advice li"))
    assert "the output of layer 'logarithm' is the first that is not finite" in advice.inner_text()
    notebook.screenshot(artifacts / "weights-lost.png", around=".km-advice")
    assert notebook.error_outputs() == []


@pytest.mark.parametrize("notebook", [[START, *LOOKS]], indirect=True)
def test_looks_open_and_show_pictures(notebook, artifacts):
    page = notebook.page
    notebook.run_all_cells()
    notebook.wait_idle()
    assert notebook.error_outputs() == []
    row = notebook.show(page.locator("details.km-look-row"))
    assert "dead" in row.locator("summary").inner_text()
    assert not row.locator(".km-look-open svg").is_visible()
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    row.locator(".km-look-open svg").wait_for()
    assert "standard deviation" in row.locator(".km-look-open svg").get_attribute("aria-label")
    notebook.screenshot(artifacts / "looks-activations.png", around="details.km-look-row")
    pictures = page.locator("img.km-look-picture")
    assert pictures.count() == 1 + 4
    assert all(
        pictures.evaluate_all("all => all.map(one => one.complete && one.naturalWidth > 1 && one.alt)")
    )
    notebook.screenshot(artifacts / "looks-pictures.png", around="img.km-look-picture")
    notebook.set_theme("dark")
    notebook.screenshot(artifacts / "looks-pictures-dark.png", around="img.km-look-picture")
