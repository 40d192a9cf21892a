"""How fluid napari stays: its start, the dock's opening, the gaps of the event loop during a job.

    python benchmarks/fluid.py [--data DIR] [--quick] [--json]

The image is the first one of DIR/images (else the sample of dark nuclei), repeated until it has
17 megapixels. Needs a screen, or xvfb-run.
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
    from numpy.typing import NDArray

STARTS = {
    "napari, plugin not used": "",
    "napari, dock opened": "viewer.window.add_plugin_dock_widget('napari-emcad', 'EMCAD')",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with images/")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, a smaller image")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    repeats = 2 if chosen.quick else 5
    figures = {name: _start(code, repeats) for name, code in STARTS.items()}
    figures |= _window(_slide(chosen.data, 2080 if chosen.quick else 6240))
    if chosen.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<48} {value:8.3f}")


def _start(code: str, repeats: int) -> float:
    """Return the median seconds until a new process has a viewer (and a dock)."""
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


def _slide(data: Path | None, height: int) -> NDArray[Any]:
    """Return an image repeated to a height, and a width of 2784 pixels."""
    import numpy as np

    from napari_emcad.io.images.read import read_image
    from napari_emcad.plugin.contributions import sample_dark

    image = sample_dark()[0][0]
    if data is not None:
        image = read_image(min((data / "images").iterdir())).pixels
    repeats = -(-height // image.shape[0]), -(-2784 // image.shape[1])
    return np.tile(image, (*repeats, 1) if image.ndim > 2 else repeats)[:height, :2784]


def _window(slide: NDArray[Any]) -> dict[str, float]:
    import napari
    import numpy as np
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    viewer.add_image(slide, name="slide")
    QApplication.processEvents()
    begun = time.perf_counter()
    _, panel = viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
    QApplication.processEvents()
    opened = time.perf_counter() - begun
    while panel.session.checkpoint is None or panel.runner.running:
        QApplication.processEvents()
    beats: list[float] = []
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append(time.perf_counter()))
    heart.start(1)
    gaps = {}
    for name in ("first job (imports torch)", "second job", "third job"):
        beats.clear()
        panel.segment.controller.run()
        while panel.runner.running:
            _rest()
        pauses = np.diff(beats)
        gaps[f"{name}: worst gap, s"] = float(pauses.max())
        gaps[f"{name}: 99th percentile of gaps, s"] = float(np.percentile(pauses, 99))
    heart.stop()
    seconds = _end_of_job(viewer, panel)
    return {"dock opens, s": opened, **gaps, "stop pressed to job ended, s": seconds}


def _rest() -> None:
    """Handle what has come, then sleep a moment, as an event loop does."""
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    time.sleep(0.0005)


def _end_of_job(viewer: object, panel: object) -> float:
    panel.segment.controller.run()
    while panel.job_bar._progress.value() < 2:
        _rest()
    begun = time.perf_counter()
    panel.runner.stop()
    while panel.runner.running:
        _rest()
    seconds = time.perf_counter() - begun
    viewer.close()
    return seconds


if __name__ == "__main__":
    main()
