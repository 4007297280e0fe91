"""Watch a page while it changes: what a person would see move is written down several times a second."""

from __future__ import annotations

import dataclasses
from typing import Any

from playwright.sync_api import Page

# Reads a canvas by its pixels and everything else by its markup; `ink` counts what is really drawn.
_START = """
() => {
    const look = (host) => {
        const shown = host.matches('canvas, svg') ? [host] : [...host.querySelectorAll('canvas, svg')];
        let ink = 0, digest = 0;
        for (const node of shown) {
            if (node.getBoundingClientRect().height < 4) continue;
            if (node instanceof HTMLCanvasElement) {
                if (!node.width || !node.height) continue;
                const data = node.getContext('2d').getImageData(0, 0, node.width, node.height).data;
                for (let i = 3; i < data.length; i += 4) {
                    if (data[i]) { ink += 1; digest = (digest * 31 + data[i - 3] * 7 + i) % 1000000007; }
                }
            } else {
                for (const mark of node.querySelectorAll('path, rect, polyline, polygon, line')) {
                    const box = mark.getBBox();
                    if (box.width + box.height > 0) ink += 1;
                }
                for (const c of node.innerHTML) digest = (digest * 31 + c.charCodeAt(0)) % 1000000007;
            }
        }
        return {ink, digest};
    };
    const seen = {progress: [], histograms: {}};
    window.kerasmagicSeen = seen;
    const begin = performance.now();
    window.kerasmagicWatch = setInterval(() => {
        // What the output keeps lies hidden under the view that is drawn over it.
        const bars = document.querySelectorAll('.km-training [role=progressbar]');
        const bar = [...bars].find((one) => one.checkVisibility());
        const value = bar && bar.getAttribute('aria-valuenow');
        if (value !== null && value !== '') {
            const last = seen.progress[seen.progress.length - 1];
            if (!last || last[1] !== Number(value)) {
                seen.progress.push([(performance.now() - begin) / 1000, Number(value)]);
            }
        }
        document.querySelectorAll('.km-histogram').forEach((host, index) => {
            const {ink, digest} = look(host);
            if (!ink) return;
            const pictures = seen.histograms[index] ??= [];
            if (pictures[pictures.length - 1] !== digest) pictures.push(digest);
        });
    }, 100);
}
"""
_STOP = "() => { clearInterval(window.kerasmagicWatch); return window.kerasmagicSeen; }"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What moved on the page.

    Args:
        progress: Seconds since the start and the progress bar's value, one for each change.
        histograms: For each histogram with something drawn, how many different pictures it showed.
    """

    progress: tuple[tuple[float, float], ...]
    histograms: tuple[int, ...]


def start(page: Page) -> None:
    """Begin to watch ``page``."""
    page.evaluate(_START)


def stop(page: Page) -> Seen:
    """Stop watching ``page`` and return what was seen."""
    found: dict[str, Any] = page.evaluate(_STOP)
    return Seen(
        progress=tuple((time, value) for time, value in found["progress"]),
        histograms=tuple(len(set(pictures)) for pictures in found["histograms"].values()),
    )
