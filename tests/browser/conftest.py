"""One JupyterLab and one browser for all tests that look at pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import NOTEBOOKS, Lab, NotebookPage, opened, running_browser, running_lab

# The machine may have much else to do; who waits for what comes is not kept waiting by this.
expect.set_options(timeout=30_000)

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a JupyterLab on a copy of the project's notebooks."""
    with running_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Give a headless Chromium."""
    with running_browser() as started:
        yield started


@pytest.fixture
def quickstart(
    request: pytest.FixtureRequest, lab: Lab, browser: Browser, artifacts: Path
) -> Iterator[NotebookPage]:
    """Give the quickstart, fresh from the repository and not opened yet; its kernel ends with the test."""
    name = "01_quickstart.ipynb"
    (lab.notebooks / name).write_bytes((NOTEBOOKS / name).read_bytes())
    with opened(browser, lab, name) as page:
        yield page
        # Where the test stands at its end, in particular where it failed.
        page.screenshot(artifacts / f"{request.node.name}-end.png")
        page.stop_kernel()


@pytest.fixture
def artifacts() -> Path:
    """Return the folder where screenshots are left for a person to look at."""
    return ARTIFACTS
