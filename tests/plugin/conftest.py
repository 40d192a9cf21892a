"""Fixtures: a real viewer with the panel docked, and waits for its background threads."""

from __future__ import annotations

import gc
import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.viewer import Viewer
    from shared_viewer import SharedViewer

    from napari_emcad.plugin.widget import EmcadWidget

TIMEOUT_MS = 60_000


@pytest.fixture(autouse=True)
def tiny_model(tiny_bundled):
    """Open a tiny model with the panel: the window's tests are not about the network."""


@pytest.fixture(autouse=True)
def short_updates(monkeypatch):
    """Let an update with new strokes take one step, instead of as many as fit into seconds."""
    for name in ("_LIVE_S", "_NOW_S"):
        monkeypatch.setattr(f"napari_emcad.plugin.teach.training_controller.{name}", 0.0)


@pytest.fixture(autouse=True)
def private_settings(tmp_path, monkeypatch):
    """Give every test its own recent files, settings and recovery folder."""
    from qtpy.QtCore import QSettings

    for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
        QSettings.setPath(QSettings.Format.IniFormat, scope, str(tmp_path / "config"))
    monkeypatch.setattr(
        "napari_emcad.plugin.autosave.controller.recovery_root", lambda: tmp_path / "recovery"
    )
    assert os.environ["NAPARI_CONFIG"]


@pytest.fixture
def nuclei():
    """Return a dark image with bright discs, (96, 128) uint8."""
    y, x = np.mgrid[:96, :128]
    image = np.full((96, 128), 12, np.uint8)
    for cy, cx, r in ((24, 30, 10), (50, 80, 12), (75, 40, 9), (30, 105, 11)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = 150
    return image


@pytest.fixture
def dock(qtbot) -> Callable[[Viewer], EmcadWidget]:
    """Return a function that docks the panel and waits for the bundled model."""
    from napari_emcad.plugin.widget import show_panel

    def dock(viewer: Viewer) -> EmcadWidget:
        panel = show_panel(viewer)
        qtbot.waitUntil(lambda: panel.session.checkpoint is not None, timeout=TIMEOUT_MS)
        qtbot.waitUntil(lambda: not panel.runner.running, timeout=TIMEOUT_MS)
        return panel

    return dock


@pytest.fixture(scope="session")
def shared_viewer(qapp) -> Iterator[SharedViewer]:
    """Return the viewer that the tests of this process share: making and closing one takes 1 s."""
    from shared_viewer import SharedViewer, make_viewer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari._qt.threads.status_checker.StatusChecker.start", lambda *_: None)
        shared = SharedViewer(make_viewer())
        gc.collect()
        gc.freeze()
        yield shared
        shared.viewer.close()


@pytest.fixture
def own_viewer(make_napari_viewer) -> Viewer:
    """Return a viewer of the test's own, which it may close; `viewer` is then the same."""
    return make_napari_viewer()


@pytest.fixture
def viewer(request, qtbot) -> Iterator[Viewer]:
    """Return a viewer as good as new whose window is never shown, and must not be closed."""
    if "own_viewer" in request.fixturenames:
        yield request.getfixturevalue("own_viewer")
        return
    shared = request.getfixturevalue("shared_viewer")
    yield shared.viewer
    shared.reset()


@pytest.fixture
def panel(viewer, dock, nuclei) -> EmcadWidget:
    """Return the panel of a viewer with one image open."""
    viewer.add_image(nuclei, name="nuclei")
    return dock(viewer)


@pytest.fixture
def finish(qtbot) -> Callable[[EmcadWidget], None]:
    """Return a function that waits until a panel's job has ended."""

    def finish(panel: EmcadWidget) -> None:
        qtbot.waitUntil(lambda: not panel.runner.running, timeout=TIMEOUT_MS)
        assert panel.session.running is None

    return finish


@pytest.fixture
def teach(panel, qtbot) -> EmcadWidget:
    """Return the panel with its Teach tab open, a quick training, and one annotation."""
    from driving import choose_quick_training, press, wait_until_idle

    panel._tabs.setCurrentWidget(panel.teach.panel)
    wait_until_idle(panel, qtbot)
    choose_quick_training(panel, steps=2)
    press(qtbot, panel.teach.panel._new)
    return panel


@pytest.fixture
def training_gate(monkeypatch):
    """Return an event that training steps wait for; the first of them sets its `begun`."""
    from napari_emcad.training.trainer import Trainer

    opened, step = threading.Event(), Trainer.step
    opened.begun = threading.Event()

    def waiting(self, *args, **kwargs):
        opened.begun.set()
        assert opened.wait(60)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "step", waiting)
    yield opened
    opened.set()


@pytest.fixture
def configured(viewer, dock, nuclei, tmp_path) -> EmcadWidget:
    """Return the panel with a stack from a file, and settings that are not the defaults."""
    import tifffile

    path = tmp_path / "my stack.tif"
    tifffile.imwrite(path, np.stack([nuclei, nuclei[::-1]] * 3), metadata={"axes": "ZYX"})
    viewer.open(path, plugin="napari")
    panel = dock(viewer)
    fields = panel.segment.panel
    fields._scope.setCurrentIndex(fields._scope.findData("layer"))
    fields._separate.setChecked(True)
    fields.clean_up._smallest.setValue(30)
    fields._advanced._tile.setValue(64)
    panel.session.override(intensity="percentile", low=2.0, high=98.0)
    return panel


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler with a worker in a thread of this process."""
    pytest.importorskip("distributed")
    from in_process_cluster import in_process_cluster

    with in_process_cluster(1) as address:
        yield address


@pytest.fixture
def preferred_scheduler(scheduler, monkeypatch) -> str:
    """Choose this scheduler in the preferences."""
    monkeypatch.setattr(
        "napari_emcad.plugin.segment.files_job.cluster_scheduler", lambda: scheduler
    )
    return scheduler
