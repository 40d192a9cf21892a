"""How fluid napari stays: its start, the dock's opening, the gaps of the event loop during a job.

    python benchmarks/fluid.py [--quick] [--json]

Needs a screen, or xvfb-run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

STARTS = {
    "napari, plugin not used": "",
    "napari, dock opened": "viewer.window.add_plugin_dock_widget('napari-emcad', 'EMCAD')",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    repeats = 2 if chosen.quick else 5
    figures = {name: _start(code, repeats) for name, code in STARTS.items()}
    figures |= _window(4 if chosen.quick else 12)
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


def _window(tiles_high: int) -> dict[str, float]:
    import napari
    import numpy as np
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    viewer.open_sample("napari-emcad", "nuclei_dark")
    image = np.tile(viewer.layers[0].data, (tiles_high, 4))
    viewer.layers.clear()
    viewer.add_image(image, name="slide")
    QApplication.processEvents()
    begun = time.perf_counter()
    _, panel = viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
    QApplication.processEvents()
    opened = time.perf_counter() - begun
    while panel.session.checkpoint is None or panel.job_bar.running:
        QApplication.processEvents()
    beats: list[float] = []
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append(time.perf_counter()))
    heart.start(1)
    gaps = {}
    for name in ("first job (imports torch)", "second job", "third job"):
        beats.clear()
        panel.run()
        while panel.job_bar.running:
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
    panel.run()
    while panel.job_bar._progress.value() < 2:
        _rest()
    begun = time.perf_counter()
    panel.job_bar.stop()
    while panel.job_bar.running:
        _rest()
    seconds = time.perf_counter() - begun
    viewer.close()
    return seconds


if __name__ == "__main__":
    main()
