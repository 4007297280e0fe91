"""``jupyter nbconvert --to webpdf`` of a notebook with a finished run: a table and curves on paper."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import nbformat
import pytest

from tests.tools import chromium
from tests.tools.pdf import Pdf
from tests.tools.run_notebook import execute

pytestmark = pytest.mark.browser

CELLS = (
    "%load_ext kerasmagic\nimport numpy as np\nx = np.random.default_rng(0).normal(size=(96, 4))",
    "%%model paper\ninput 4\ndense 8 relu\ndense 1\n",
    'paper.compile("sgd", "mse", metrics=["mae"])\n_ = paper.fit(x, x[:, :1], epochs=120, validation_split=0.25)',
)
LAUNCH = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    playwright.chromium.launch()
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give an environment in which the system's Chromium stands where Playwright keeps its own."""
    system = chromium.find()
    if system is None:
        pytest.skip("there is no Chromium here")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    # Playwright runs once in a process, and in this one it may run already.
    missing = subprocess.run([sys.executable, "-c", LAUNCH], capture_output=True, text=True, timeout=60)
    wanted = re.search(r"doesn't exist at (\S+)", missing.stderr)
    assert wanted is not None, missing.stderr
    executable = Path(wanted[1])
    executable.parent.mkdir(parents=True)
    executable.write_text(f'#!/bin/sh\nexec "{system}" {" ".join(chromium.FLAGS)} "$@"\n')
    executable.chmod(0o755)
    return dict(os.environ)


def test_a_finished_run_on_paper(environment: dict[str, str], tmp_path: Path, artifacts: Path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    execute(notebook, tmp_path, timeout=300)
    nbformat.write(notebook, tmp_path / "paper.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "webpdf", "--WebPDFExporter.disable_sandbox=True"]
    subprocess.run([*command, "paper.ipynb"], cwd=tmp_path, env=environment, check=True, timeout=300)
    raw = (tmp_path / "paper.pdf").read_bytes()
    artifacts.mkdir(exist_ok=True)
    (artifacts / "paper.pdf").write_bytes(raw)
    pdf = Pdf(raw)
    # Where letters stand close, a word is in pieces; and "fi" is one letter.
    text = re.sub(r"\s", "", unicodedata.normalize("NFKC", pdf.text()))
    # Of the shape table, and of the run.
    for words in (
        "output shape",
        "dense_1",
        "(32, 8)",
        "trainable 49",
        "finished",
        "120 of 120",
        "validation",
    ):
        assert words.replace(" ", "") in text, words
    # A point for each epoch; histograms have fewer.
    assert pdf.longest_line() >= 119
