"""JupyterLab and Notebook 7 as a person meets them: a real server, a real browser, and what one does there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

from tests.tools import chromium

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
START_SECONDS = 60
IDLE_SECONDS = 180

FrontEnd = Literal["lab", "notebook"]
Theme = Literal["light", "dark"]
THEMES: dict[Theme, str] = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

# What JupyterLab would otherwise ask or tell on its first start, on top of the notebook.
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.password=",
    "--IdentityProvider.token=",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.expose_app_in_browser=True",
    "--JupyterNotebookApp.expose_app_in_browser=True",
    "--LabApp.extension_manager=readonly",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.news_url=",
    "--LabApp.collaborative=False",
)


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Lab:
    """A running JupyterLab, which serves Notebook 7 too.

    Args:
        folder: Its root; the notebooks lie in ``notebooks/`` below it, settings and log beside them.
        port: Where it listens.
    """

    def __init__(self, folder: Path, port: int):
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.url = f"http://127.0.0.1:{port}"

    def answers(self) -> bool:
        """Return whether the server takes requests."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/status", timeout=10) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the server answers.

        Raises:
            RuntimeError: It ended, or did not answer in time; the message holds its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if self.answers():
                return
            time.sleep(0.2)
        raise RuntimeError("JupyterLab did not start:\n" + (self.folder / "lab.log").read_text())


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing of the user's Jupyter or IPython is read or written."""
    own = {
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    return {**os.environ, **{name: str(folder / path) for name, path in own.items()}, "PYTHONWARNINGS": ""}


def _write_settings(folder: Path) -> None:
    for plugin, values in SETTINGS.items():
        package, name = plugin.split(":")
        path = folder / "settings" / package / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


@contextlib.contextmanager
def running_lab(folder: Path, notebooks: Path = NOTEBOOKS) -> Iterator[Lab]:
    """Run JupyterLab on a copy of ``notebooks`` in the empty ``folder``, and stop it with its kernels."""
    shutil.copytree(notebooks, folder / "notebooks", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    _write_settings(folder)
    port = free_port()
    lab = Lab(folder, port)
    command = [sys.executable, "-m", "jupyterlab", *OPTIONS, f"--ServerApp.port={port}"]
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={lab.notebooks}"],
            cwd=lab.notebooks,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            lab.wait_until_up(process)
            yield lab
        finally:
            # The server ends its kernels before itself.
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                # A server may wait for a kernel that is gone; nobody needs either any more.
                process.kill()
                process.wait()


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a headless Chromium of the system.

    Raises:
        chromium.NoBrowser: There is none.
    """
    executable = chromium.find()
    if executable is None:
        raise chromium.NoBrowser("no Chromium here: run `python tests/tools/chromium.py --install`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(chromium.FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class NotebookPage:
    """One notebook, open in JupyterLab or Notebook 7 on a browser's page.

    Args:
        page: The browser's page.
        lab: The server.
        name: The notebook's file name.
        front_end: Which of the two.
    """

    def __init__(self, page: Page, lab: Lab, name: str, front_end: FrontEnd = "lab"):
        self.front_end = front_end
        self.page = page
        self.lab = lab
        self.name = name
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self._note_error(f"{error}\n{error.stack}"))
        page.on("console", self._note)

    def _note_error(self, text: str) -> None:
        # Notebook 7 stumbles over settings of its own; a widget's script comes from elsewhere.
        if not (self.front_end == "notebook" and "/static/notebook/" in text):
            self.errors.append(text)

    def _note(self, message: ConsoleMessage) -> None:
        # A failed request names no cause here, and JupyterLab makes some: only what a program says counts.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def open(self, *, simple: bool = False) -> None:
        """Open the notebook; ``simple`` shows the document alone, without side bars (Notebook 7 has none)."""
        if self.front_end == "notebook":
            self.page.goto(f"{self.lab.url}/notebooks/{self.name}")
        else:
            interface = "doc" if simple else "lab"
            self.page.goto(f"{self.lab.url}/{interface}/tree/{self.name}?reset")
        self.page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=60_000)
        self.page.wait_for_function("() => window.jupyterapp && window.jupyterapp.restored.then(() => true)")

    def command(self, command: str, **arguments: Any) -> None:
        """Run one of JupyterLab's commands, as its menus do, without waiting for its end."""
        self.page.evaluate(
            "([name, values]) => { window.jupyterapp.commands.execute(name, values); }", [command, arguments]
        )

    def wait_kernel(self) -> None:
        """Return when a kernel is connected and has nothing to do."""
        # The page's own indicator says "idle" before there is a kernel.
        self.page.wait_for_function(
            """() => {
                const context = window.jupyterapp.shell.currentWidget?.context?.sessionContext;
                const kernel = context?.isReady ? context.session?.kernel : null;
                return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
            }""",
            timeout=60_000,
        )

    def run_all_cells(self) -> None:
        """Start the run of all cells, from the first to the last."""
        self.wait_kernel()
        self.command("notebook:run-all-cells")

    def wait_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Return when every code cell has run.

        Raises:
            playwright.sync_api.TimeoutError: Some did not within ``seconds``.
        """
        self.page.wait_for_function(
            """() => {
                const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
                return cells.length && cells.every(
                    cell => /^\\[\\d+\\]:$/.test(cell.querySelector('.jp-InputPrompt').textContent.trim())
                        || !cell.querySelector('.cm-content').textContent.trim());
            }""",
            timeout=seconds * 1000,
        )
        self.wait_kernel()

    def set_theme(self, theme: Theme) -> None:
        """Change JupyterLab's theme and return when the page shows it."""
        self.command("apputils:change-theme", theme=THEMES[theme])
        self.page.locator(f"body[data-jp-theme-name='{THEMES[theme]}']").wait_for(
            state="attached", timeout=10_000
        )
        # Widgets redraw in the next frames.
        self.page.wait_for_timeout(300)

    def stop_kernel(self) -> None:
        """Shut down the notebook's kernel: what is left is what was saved."""
        self.page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")

    def save(self) -> None:
        """Save the notebook and return when the server has written the file."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")

    def error_outputs(self) -> list[str]:
        """Return the message of every output that is an error, of a cell or of a widget that can't be shown."""
        # On the page an error looks like anything else that was written to stderr: ask the notebook itself.
        errors: list[str] = self.page.evaluate(
            """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
                .filter(cell => cell.type === 'code')
                .flatMap(cell => cell.outputs.toJSON())
                .filter(output => output.output_type === 'error')
                .map(output => `${output.ename}: ${output.evalue}`)"""
        )
        missing = self.page.locator(".jp-OutputArea-output", has_text="Error displaying widget")
        return errors + missing.all_inner_texts()

    def wait_for_output(self, selector: str, seconds: float = 120) -> None:
        """Return when an output that ``selector`` names is on the page.

        Raises:
            AssertionError: A cell failed before.
            TimeoutError: There was none within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while not self.page.locator(selector).count():
            if errors := self.error_outputs():
                raise AssertionError("\n".join(errors))
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {selector} on the page")
            self.page.wait_for_timeout(100)

    def show(self, locator: Locator) -> Locator:
        """Scroll the first match of ``locator`` into view and return it."""
        first = locator.first
        first.wait_for(state="attached", timeout=10_000)
        first.evaluate("element => element.scrollIntoView({block: 'center'})")
        first.wait_for(timeout=10_000)
        return first

    def screenshot(self, path: Path, *, around: str | None = None) -> Path:
        """Take a picture of the window, scrolled to the first match of the selector ``around``."""
        if around:
            self.show(self.page.locator(around))
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)
        return path


@contextlib.contextmanager
def opened(
    browser: Browser,
    lab: Lab,
    name: str,
    *,
    width: int = 1280,
    height: int = 1000,
    scale: float = 1,
    front_end: FrontEnd = "lab",
) -> Iterator[NotebookPage]:
    """Give a page for the notebook ``name``, not opened yet, in a browser without history."""
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)
    try:
        yield NotebookPage(context.new_page(), lab, name, front_end)
    finally:
        context.close()
