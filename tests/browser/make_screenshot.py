"""Take the picture of the README: the quickstart in JupyterLab, with the shape table and the training view.

python -m tests.browser.make_screenshot notebooks/images/quickstart.png
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.browser.lab import THEMES, opened, running_browser, running_lab

NOTEBOOK = "01_quickstart.ipynb"
MARGIN = 4


def main() -> None:
    """Run the quickstart and write the picture that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--theme", choices=list(THEMES), default="light")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_lab(Path(folder)) as lab,
        running_browser() as browser,
        opened(browser, lab, NOTEBOOK, width=960, height=4800, scale=2) as notebook,
    ):
        # The window is tall enough for all cells, so that they can be cut out in one piece.
        notebook.open(simple=True)
        notebook.set_theme(options.theme)
        notebook.run_all_cells()
        notebook.wait_idle()
        if notebook.error_outputs():
            raise SystemExit("\n".join(notebook.error_outputs()))
        first = notebook.show(
            notebook.page.locator(".jp-CodeCell", has=notebook.page.locator(".km-shape-table"))
        )
        last = notebook.page.locator(".jp-CodeCell", has=notebook.page.locator(".km-training")).last
        top, bottom = first.bounding_box(), last.bounding_box()
        assert top is not None
        assert bottom is not None
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        notebook.page.screenshot(
            path=options.picture,
            clip={
                "x": top["x"],
                "y": max(0, top["y"] - MARGIN),
                "width": top["width"],
                "height": bottom["y"] + bottom["height"] - top["y"] + MARGIN,
            },
        )
        print(options.picture)


if __name__ == "__main__":
    main()
