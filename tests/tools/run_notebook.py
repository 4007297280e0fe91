"""Run notebooks from top to bottom without a person, and say what they reached.

The numbers come from the notebooks' own outputs: a line ``test accuracy: 0.987`` that a cell printed, and
the time that the kernel took for the cell tagged ``training``.

    python tests/tools/run_notebook.py notebooks/01_quickstart.ipynb --html build --accuracy-at-least 0.97
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbformat import NotebookNode

ACCURACY = re.compile(r"^test accuracy: (\d+(?:\.\d+)?)( ?%)?$", re.MULTILINE)
TRAINING_TAG = "training"


class Disappointing(Exception):
    """The notebook ran, and did not reach what was asked of it."""


def execute(notebook: NotebookNode, folder: Path, timeout: float) -> None:
    """Run every cell of ``notebook`` in a fresh kernel that starts in ``folder``; replace the outputs."""
    # Widget state would point at a kernel that is gone; what a run leaves in its outputs does not need it.
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()


def printed(notebook: NotebookNode) -> Iterator[str]:
    """Yield what each cell wrote to its standard output."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            outputs = [output.text for output in cell.outputs if output.get("name") == "stdout"]
            yield "".join(outputs)


def test_accuracy(notebook: NotebookNode) -> float:
    """Return the last test accuracy, between 0 and 1, that a cell of ``notebook`` printed.

    Raises:
        Disappointing: No cell printed a line like ``test accuracy: 0.987`` or ``test accuracy: 98.7 %``.
    """
    found = [match for text in printed(notebook) for match in ACCURACY.finditer(text)]
    if not found:
        raise Disappointing("no cell printed a line like 'test accuracy: 0.987'")
    value, percent = found[-1].groups()
    return float(value) / (100 if percent else 1)


def cell_seconds(cell: NotebookNode) -> float:
    """Return how long the kernel worked on ``cell``, by the times of its own messages."""
    times = cell.metadata["execution"]
    begin, end = (
        datetime.datetime.fromisoformat(times[key].replace("Z", "+00:00"))
        for key in ("iopub.execute_input", "iopub.status.idle")
    )
    return (end - begin).total_seconds()


def training_seconds(notebook: NotebookNode) -> float | None:
    """Return the seconds of all cells with the tag ``training``, or ``None`` where there is none."""
    cells = [cell for cell in notebook.cells if TRAINING_TAG in cell.metadata.get("tags", [])]
    return sum(map(cell_seconds, cells)) if cells else None


def without_times(notebook: NotebookNode) -> NotebookNode:
    """Return ``notebook`` with nothing in its metadata that differs from run to run."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernelspec, "language_info": {"name": "python"}})
    return notebook


def write_html(notebook: NotebookNode, path: Path) -> None:
    """Write ``notebook`` as one page."""
    page, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": path.stem}})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def check(notebook: NotebookNode, accuracy_at_least: float | None) -> None:
    """Print what ``notebook`` reached and hold it against what is asked.

    Raises:
        Disappointing: A number is missing or not good enough.
    """
    if accuracy_at_least is not None:
        accuracy = test_accuracy(notebook)
        print(f"test accuracy: {accuracy:.4f}")
        if accuracy < accuracy_at_least:
            raise Disappointing(f"the test accuracy is below {accuracy_at_least}")
    seconds = training_seconds(notebook)
    if seconds is not None:
        print(f"training took: {seconds:.1f} s")


def run(path: Path, options: argparse.Namespace) -> None:
    """Run one notebook as ``options`` say."""
    notebook = nbformat.read(path, as_version=4)
    begin = time.monotonic()
    try:
        execute(notebook, path.parent, options.timeout)
        print(f"{path}: ran in {time.monotonic() - begin:.0f} s")
        check(notebook, options.accuracy_at_least)
    finally:
        # A run that failed leaves its page too: it shows where.
        if options.html:
            page = options.html / f"{path.stem}.html"
            write_html(notebook, page)
            print(f"executed notebook: {page}")
    if options.in_place:
        nbformat.write(without_times(notebook), path)


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks that ``arguments`` name; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--html", type=Path, metavar="FOLDER", help="write each executed notebook there")
    parser.add_argument("--in-place", action="store_true", help="save the outputs in the notebook itself")
    parser.add_argument("--accuracy-at-least", type=float, metavar="FRACTION")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for one cell")
    options = parser.parse_args(arguments)
    for path in options.notebooks:
        try:
            run(path, options)
        except (Disappointing, CellExecutionError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
