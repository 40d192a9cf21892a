"""Examples that open a window; none calls napari.run."""

from __future__ import annotations

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "open_in_napari.py"


def test_open_in_napari(viewer, monkeypatch, qtbot):
    monkeypatch.setattr("napari.Viewer", lambda: viewer)
    runpy.run_path(str(EXAMPLE), run_name="example")
    assert viewer.layers[0].name == "nuclei_colour"
    (dock,) = viewer.window._wrapped_dock_widgets.values()
    panel = dock.inner_widget()
    qtbot.waitUntil(lambda: not panel.runner.running, timeout=60_000)
