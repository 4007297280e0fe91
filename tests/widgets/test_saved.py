"""What is left of a notebook that was run and saved: read by nbconvert, by a page without style, and in a terminal."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter, LatexExporter
from nbformat import NotebookNode

from kerasmagic.widgets.place import WIDGET_VIEW
from tests.tools.run_notebook import execute
from tests.widgets.markup import Strict, Tags

ROOT = Path(__file__).resolve().parents[2]
SETUP = """
%load_ext kerasmagic
import numpy as np, kerasmagic as keras
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")
"""
MODEL = """%%model net
input 4
dense 8 relu
dense 2
"""
FIT = """
net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
history = net.fit(x, y, epochs=3, validation_split=0.25)
"""
OBJECTS = ["history", "net.layers[1]", "net.layers[1].kernel", "net", "history.plot()", "net.plot()"]
CELLS = [SETUP, MODEL, FIT, *OBJECTS]


def run(cells: list[str], folder: Path) -> NotebookNode:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip("\n")) for cell in cells])
    execute(notebook, folder, timeout=300)
    return notebook


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> NotebookNode:
    return run(CELLS, tmp_path_factory.mktemp("notebook"))


def bundles(notebook: NotebookNode, cell: int) -> list[NotebookNode]:
    return [output.data for output in notebook.cells[cell].outputs if "data" in output]


def test_no_output_needs_a_widget(saved):
    shown = [data for cell in range(len(CELLS)) for data in bundles(saved, cell)]
    assert len(shown) == 2 + len(OBJECTS)
    assert not any(WIDGET_VIEW in data for data in shown)
    assert all("text/plain" in data for data in shown)
    assert "widgets" not in saved.metadata


def test_a_run_is_left_as_html_picture_and_text(saved):
    (data,) = bundles(saved, 2)
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert re.match(r"net: finished, 3 of 3 epochs, ", data["text/plain"])
    assert data["text/html"].count('<figure class="km-chart"') == 2
    assert sum(len(cell.outputs) for cell in saved.cells[2:3]) == 1


def test_html_of_nbconvert_can_be_read_offline(saved):
    exporter = HTMLExporter()
    page, _ = exporter.from_notebook_node(saved)
    assert "model not found" not in page
    assert "Error displaying widget" not in page
    body = page[page.index("<body") :]
    assert body.count('data-metric="loss"') >= 2
    assert body.count("<table") >= 4
    # The curves are in the page, whatever of it is loaded from elsewhere.
    curves = re.findall(r'<img[^>]*"km-plot"[^>]*src="data:image/svg\+xml;base64,([^"]*)"', body)
    assert len(curves) == 4
    assert all(b'<path d="M' in base64.b64decode(curve) for curve in curves)
    assert "require.min.js" not in re.sub(r"(?s).*?<body", "<body", page, count=1)


def test_latex_of_nbconvert_takes_the_pictures(saved):
    _, resources = LatexExporter().from_notebook_node(saved)
    pictures = [name for name in resources["outputs"] if name.endswith(".png")]
    # The run, the history and the two figures.
    assert len(pictures) == 4


def test_without_style_and_script_the_text_still_reads_well(saved):
    for cell in (2, 3, 4, 5, 6):
        (data,) = bundles(saved, cell)
        bare = re.sub(r"(?s)<(style|script)>.*?</\1>", "", data["text/html"])
        assert not re.search(r"<(style|script)", bare)
        # Everything drawn says its size and its colours itself.
        for tag, attributes in Tags(bare).found:
            if tag == "svg":
                assert {"width", "height", "viewbox", "aria-label"} <= set(attributes), (cell, attributes)
            if tag == "img":
                assert {"width", "height", "alt"} <= set(attributes), (cell, attributes)
                assert str(attributes["src"]).startswith("data:")
    (data,) = bundles(saved, 2)
    text = re.sub(r"\s+", " ", re.sub(r"(?s)<(style|script|svg)[ >].*?</\1>|<[^>]+>", " ", data["text/html"]))
    assert re.search(r"validation accuracy 0\.\d+ best 0\.\d+ at epoch \d", text)
    assert re.search(r"values by epoch epoch loss validation loss accuracy validation accuracy 1 \d", text)


def test_the_numbers_are_there_on_github(saved):
    """No style, no script, no drawing, no attribute but harmless ones: as pages show what they do not trust."""
    (table,), (fit,), *others = (bundles(saved, cell) for cell in range(1, 9))
    seen = Strict(table["text/html"]).text
    for name, shape, parameters in (
        ("input", "(batch, 4)", "0"),
        ("dense", "(batch, 8)", "40"),
        ("dense_1", "(batch, 2)", "18"),
    ):
        assert re.search(rf"\t{name}\t\w+\t{re.escape(shape)}\tfloat32\t{parameters}\t", seen), seen
    assert re.search(r"trainable 58\s+non-trainable 0", seen)
    (history,), (layer,), (variable,), (model,), (curves,), (graph,) = others
    for bundle in (fit, history):
        seen = Strict(bundle["text/html"]).text
        assert re.search(r"validation accuracy\s+0\.\d+\s+(· )?best 0\.\d+ at epoch \d", seen), seen
        # The curves themselves are in the picture beside, and each value in a table.
        assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
        assert len(re.findall(r"\n\t\d(\t\d+\.\d+){4}\n", seen)) == 3
    assert re.search(r"kernel\t\(4, 8\)\tfloat32\t32\t-0\.\d+\t0\.\d+", Strict(layer["text/html"]).text)
    assert re.search(r"min\t-0\.\d+\s+max\t0\.\d+\s+mean", Strict(variable["text/html"]).text)
    assert "(batch, 8)" in Strict(model["text/html"]).text
    assert "image/png" in curves
    assert "image/png" in graph
    for bundle in (table, fit, *(each for (each,) in others)):
        assert "text/plain" in bundle
        assert "http" not in Strict(bundle.get("text/html", "")).html


@pytest.mark.slow
def test_equal_outputs_twice_in_a_deterministic_kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASMAGIC_DETERMINISTIC", "1")
    cells = [SETUP, MODEL, FIT, *OBJECTS[:4]]
    first, second = run(cells, tmp_path), run(cells, tmp_path)
    for cell in range(len(cells)):
        one, other = bundles(first, cell), bundles(second, cell)
        assert [set(data) for data in one] == [set(data) for data in other]
        # nbval compares all but pictures.
        for data, again in zip(one, other, strict=True):
            assert data.get("text/plain") == again.get("text/plain")
            assert data.get("text/html") == again.get("text/html")


def test_the_terminal_shows_the_progress_as_text(tmp_path):
    code = (
        SETUP
        + f"get_ipython().run_cell_magic('model', 'net', {MODEL.partition(chr(10))[2]!r})\n"
        + FIT
        + "history\n"
    )
    script = tmp_path / "cells.ipy"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path), "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", str(script)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=120,
        check=True,
    )
    assert re.search(r"^line +layer +kind +output shape", done.stdout, re.MULTILINE)
    lines = [line for line in done.stdout.splitlines() if line.startswith("Epoch ")]
    assert len(lines) == 3
    assert re.match(r"Epoch 3/3 - 3/3 - .*accuracy: 0\.\d+ - loss: \d\.\d+ - val_accuracy", lines[2])
    assert "<" not in done.stdout.replace("<=", "")
