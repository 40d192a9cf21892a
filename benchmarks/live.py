"""Live mode: seconds from a stroke to the refreshed prediction, and gaps of the event loop.

    python benchmarks/live.py [--data DIR] [--strokes 12] [--quick] [--json]

The image is the first one of DIR/images (else the sample of dark nuclei), cut to 512 × 512. Strokes
of both classes take turns; each is painted with the mouse on the canvas of the real window. Needs a
screen, or xvfb-run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before the first canvas)
import napari
import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_emcad.plugin.autosave import controller
from napari_emcad.plugin.teach.training_controller import LiveState
from napari_emcad.plugin.widget import EmcadWidget, show_panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SIDE, LENGTH = 512, 24
PATIENCE_S = 120
NONE, LEFT = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with images/")
    parser.add_argument("--strokes", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="three strokes")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    with TemporaryDirectory() as nowhere:
        controller.recovery_root = lambda: Path(nowhere)
        figures = measured(image(chosen.data), 3 if chosen.quick else chosen.strokes)
    if chosen.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<48} {value:8.3f}")


def image(data: Path | None) -> NDArray[Any]:
    """Return 512 × 512 pixels, repeated where the image is smaller."""
    from napari_emcad.io.images.read import read_image
    from napari_emcad.plugin.contributions import sample_dark

    if data is None:
        pixels = sample_dark()[0][0]
    else:
        pixels = read_image(min((data / "images").iterdir())).pixels
    repeats = [-(-SIDE // size) for size in pixels.shape[:2]] + [1] * (pixels.ndim - 2)
    return np.tile(pixels, repeats)[:SIDE, :SIDE]


def measured(pixels: NDArray[Any], strokes: int) -> dict[str, float]:
    """Return the figures of one window."""
    viewer = napari.Viewer(show=True)
    viewer.add_image(pixels, name="image", rgb=pixels.ndim == 3)
    panel = show_panel(viewer)
    wait(lambda: panel.session.checkpoint is not None and not panel.runner.running)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    panel.teach.panel._new.click()
    for k in (1, 0):
        paint(viewer, panel, k, k)
    panel.teach.panel._live.click()
    wait(lambda: len(panel.session.versions) > 1 and not panel.runner.running)
    gaps = Gaps()
    seconds = [one_stroke(viewer, panel, number) for number in range(2, 2 + strokes)]
    figures = {
        "stroke to prediction, median (s)": statistics.median(seconds),
        "stroke to prediction, longest (s)": max(seconds),
        "event loop, longest gap (ms)": 1000 * max(gaps.all),
        "event loop, 99th percentile of gaps (ms)": 1000 * float(np.percentile(gaps.all, 99)),
    }
    viewer.close()
    return figures


def one_stroke(viewer: napari.Viewer, panel: EmcadWidget, number: int) -> float:
    """Paint a stroke and return how long its prediction takes."""
    paint(viewer, panel, number % 2, number)
    begun = time.perf_counter()
    painted = int(np.count_nonzero(panel.teach.annotating.pair.labels.data))

    def learned() -> bool:
        known = sum(panel.session.project.record.pixel_counts.values()) == painted
        return known and not panel.teach.training.pending and not panel.runner.running

    wait(learned)
    return time.perf_counter() - begun


def paint(viewer: napari.Viewer, panel: EmcadWidget, k: int, number: int) -> None:
    """Draw a stroke with the mouse, along a row of its own."""
    panel.teach.annotating.paint(k)
    row = 60 + 28 * number % (SIDE - 120)
    column = 90 + 61 * number % (SIDE - 220)
    canvas = viewer.window._qt_viewer.canvas
    native, seen = canvas.native, panel.session.project.record
    places = [spot(canvas, row, column + step) for step in range(LENGTH)]
    send(native, QEvent.Type.MouseMove, places[0], NONE, NONE)
    send(native, QEvent.Type.MouseButtonPress, places[0], LEFT, LEFT)
    for place in places[1:]:
        send(native, QEvent.Type.MouseMove, place, NONE, LEFT)
        QApplication.processEvents()
    send(native, QEvent.Type.MouseButtonRelease, places[-1], LEFT, NONE)
    if panel.teach.training.live_state is LiveState.OFF:
        wait(lambda: panel.session.project.record is not seen)


def spot(canvas: Any, row: float, column: float) -> QPoint:
    """Return where a pixel of the image is on the canvas."""
    x, y, _, w = canvas.view.scene.transform.map([column, row, 0, 1])
    return QPoint(round(x / w), round(y / w))


def send(native: Any, kind: QEvent.Type, place: QPoint, button: Any, buttons: Any) -> None:
    """Send a mouse event."""
    everywhere = QPointF(native.mapToGlobal(place))
    keys = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(
        native, QMouseEvent(kind, QPointF(place), everywhere, button, buttons, keys)
    )


class Gaps:
    """Times between two turns of the event loop, in seconds."""

    def __init__(self) -> None:
        self.all: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._turn)
        self._timer.start(2)

    def _turn(self) -> None:
        now = time.perf_counter()
        self.all.append(now - self._last)
        self._last = now


def wait(condition: Callable[[], bool]) -> None:
    """Let the window live until something has happened."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the program did not get there")
        QApplication.processEvents()
        time.sleep(0.001)


if __name__ == "__main__":
    main()
