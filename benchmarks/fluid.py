"""Measure the start of napari, the opening of the dock, and event loop gaps during a job.

    python benchmarks/fluid.py [--data DIR] [--quick] [--json]

The image is the first one of DIR/images (default: the sample of dark nuclei), repeated up to a size
of 17 megapixels. Needs a display, or xvfb-run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari
    from numpy.typing import NDArray

    from napari_emcad.plugin.widget import EmcadWidget

STARTS = {
    "napari, plugin not used": "",
    "napari, dock opened": "viewer.window.add_plugin_dock_widget('napari-emcad', 'EMCAD')",
}


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder that contains images/")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and a smaller image")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    repeats = 2 if options.quick else 5
    figures = {name: _startup_seconds(code, repeats) for name, code in STARTS.items()}
    figures |= _measure_window(_tiled_image(options.data, 2080 if options.quick else 6240))
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<48} {value:8.3f}")


def _startup_seconds(code: str, repeats: int) -> float:
    """Return the median seconds from the import of napari to an open viewer, in new processes."""
    script = (
        "import time, sys; begun = time.perf_counter(); import napari\n"
        f"viewer = napari.Viewer(show=True)\n{code}\n"
        "assert 'torch' not in sys.modules; print(time.perf_counter() - begun); viewer.close()"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(repeats)
    ]
    return statistics.median(float(run.stdout.split()[-1]) for run in runs)


def _tiled_image(data: Path | None, height: int) -> NDArray[Any]:
    """Return an image, repeated to a given height and a width of 2784 pixels."""
    import numpy as np

    from napari_emcad.io.images.read import read_image
    from napari_emcad.plugin.contributions import sample_dark

    image = sample_dark()[0][0]
    if data is not None:
        image = read_image(min((data / "images").iterdir())).pixels
    repeats = -(-height // image.shape[0]), -(-2784 // image.shape[1])
    return np.tile(image, (*repeats, 1) if image.ndim > 2 else repeats)[:height, :2784]


def _measure_window(pixels: NDArray[Any]) -> dict[str, float]:
    """Return seconds until the dock is open, gaps of the event loop, and seconds until a stop."""
    import napari
    import numpy as np
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    viewer.add_image(pixels, name="slide")
    QApplication.processEvents()
    start = time.perf_counter()
    _, panel = viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
    QApplication.processEvents()
    opened = time.perf_counter() - start
    while panel.session.checkpoint is None or panel.runner.running:
        QApplication.processEvents()
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(1)
    gaps = {}
    for name in ("first job (imports torch)", "second job", "third job"):
        ticks.clear()
        panel.segment.controller.run()
        while panel.runner.running:
            _process_events()
        intervals = np.diff(ticks)
        gaps[f"{name}: worst gap, s"] = float(intervals.max())
        gaps[f"{name}: 99th percentile of gaps, s"] = float(np.percentile(intervals, 99))
    timer.stop()
    seconds = _seconds_to_stop(viewer, panel)
    return {"dock opens, s": opened, **gaps, "stop pressed to job ended, s": seconds}


def _process_events() -> None:
    """Process pending events, then sleep for 0.5 ms so that worker threads get time."""
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    time.sleep(0.0005)


def _seconds_to_stop(viewer: napari.Viewer, panel: EmcadWidget) -> float:
    """Return the seconds from stopping a job, after two steps of its progress, to its end."""
    panel.segment.controller.run()
    while panel.job_bar._progress.value() < 2:
        _process_events()
    start = time.perf_counter()
    panel.runner.stop()
    while panel.runner.running:
        _process_events()
    seconds = time.perf_counter() - start
    viewer.close()
    return seconds


if __name__ == "__main__":
    main()
