"""Measure Live mode: seconds from a stroke to its updated prediction, and event loop gaps.

    python benchmarks/live.py [--data DIR] [--strokes 12] [--quick] [--json]

The image is the first one of DIR/images (default: the sample of dark nuclei), cropped to 512 × 512.
Strokes of the two classes alternate; they are drawn by mouse events on the canvas of a window.
Needs a display, or xvfb-run.
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
"""Height and width of the image, and length of a stroke, in pixels."""

TIMEOUT_S = 120
NONE, LEFT = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder that contains images/")
    parser.add_argument("--strokes", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="draw three strokes only")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        controller.recovery_root = lambda: Path(folder)
        figures = measure(load_image(options.data), 3 if options.quick else options.strokes)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<48} {value:8.3f}")


def load_image(data: Path | None) -> NDArray[Any]:
    """Return an image of 512 × 512 pixels; smaller images are repeated."""
    from napari_emcad.io.images.read import read_image
    from napari_emcad.plugin.contributions import sample_dark

    if data is None:
        pixels = sample_dark()[0][0]
    else:
        pixels = read_image(min((data / "images").iterdir())).pixels
    repeats = [-(-SIDE // size) for size in pixels.shape[:2]] + [1] * (pixels.ndim - 2)
    return np.tile(pixels, repeats)[:SIDE, :SIDE]


def measure(pixels: NDArray[Any], strokes: int) -> dict[str, float]:
    """Open a window, draw the strokes, and return the figures."""
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
    """Draw a stroke and return the seconds until the prediction includes it."""
    paint(viewer, panel, number % 2, number)
    start = time.perf_counter()
    pixel_count = int(np.count_nonzero(panel.teach.annotating.pair.labels.data))

    def is_learned() -> bool:
        recorded = sum(panel.session.project.record.pixel_counts.values()) == pixel_count
        return recorded and not panel.teach.training.pending and not panel.runner.running

    wait(is_learned)
    return time.perf_counter() - start


def paint(viewer: napari.Viewer, panel: EmcadWidget, k: int, number: int) -> None:
    """Draw a stroke of class k by mouse events, at a position that depends on its number."""
    panel.teach.annotating.paint(k)
    row = 60 + 28 * number % (SIDE - 120)
    column = 90 + 61 * number % (SIDE - 220)
    canvas = viewer.window._qt_viewer.canvas
    native, previous = canvas.native, panel.session.project.record
    positions = [canvas_position(canvas, row, column + step) for step in range(LENGTH)]
    send(native, QEvent.Type.MouseMove, positions[0], NONE, NONE)
    send(native, QEvent.Type.MouseButtonPress, positions[0], LEFT, LEFT)
    for position in positions[1:]:
        send(native, QEvent.Type.MouseMove, position, NONE, LEFT)
        QApplication.processEvents()
    send(native, QEvent.Type.MouseButtonRelease, positions[-1], LEFT, NONE)
    if panel.teach.training.live_state is LiveState.OFF:
        wait(lambda: panel.session.project.record is not previous)


def canvas_position(canvas: Any, row: float, column: float) -> QPoint:
    """Return the position of an image pixel on the canvas."""
    x, y, _, w = canvas.view.scene.transform.map([column, row, 0, 1])
    return QPoint(round(x / w), round(y / w))


def send(native: Any, kind: QEvent.Type, position: QPoint, button: Any, buttons: Any) -> None:
    """Send a mouse event."""
    global_position = QPointF(native.mapToGlobal(position))
    keys = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(
        native, QMouseEvent(kind, QPointF(position), global_position, button, buttons, keys)
    )


class Gaps:
    """Record the times between two ticks of a timer in the event loop, in seconds.

    Attributes
    ----------
    all
        Times so far.
    """

    def __init__(self) -> None:
        self.all: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(2)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.all.append(now - self._last)
        self._last = now


def wait(condition: Callable[[], bool]) -> None:
    """Process events until a condition is true."""
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not done within {TIMEOUT_S} s")
        QApplication.processEvents()
        time.sleep(0.001)


if __name__ == "__main__":
    main()
