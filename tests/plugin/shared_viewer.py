"""One viewer for all tests of a process, as good as new for every one of them."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from napari.settings import get_settings
from napari.utils.events import EventedModel
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication, QDockWidget, QShortcut

from napari_emcad.plugin import widget
from napari_emcad.plugin.runner import thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.viewer import Viewer

_PER_VIEWER = (widget._SESSIONS, widget._PAIRS, widget._RESULTS, widget._MAPS)

_NO_VALUES = ("layers", "overlays")
"""Fields of models that contain other models."""


def make_viewer() -> Viewer:
    """Return a viewer whose window is never shown; a leak check of napari does not count it."""
    from napari import Viewer
    from napari._qt.qt_viewer import QtViewer

    get_settings().reset()
    get_settings()._save_on_change = False  # docking a panel would write all settings to disk
    viewer = Viewer(show=False, show_welcome_screen=False)
    QtViewer._instances.clear()
    # It shows a hidden menu bar, and would be called with every event of every widget.
    QApplication.instance().removeEventFilter(viewer.window._qt_window)
    return viewer


class SharedViewer:
    """A viewer, and the state in which it was made.

    Parameters
    ----------
    viewer
        A viewer that nothing was done with.
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._values = _values(viewer)
        self._settings = deepcopy(_values(get_settings()))
        self._size = viewer.window._qt_window.size()
        self._connected = [
            (emitter, callback)
            for _, emitter in _emitters(viewer)
            for callback in filter(_is_of_napari, emitter.callbacks)
        ]

    def reset(self) -> None:
        """Close the panel, release everything that belongs to the viewer, and undo all changes."""
        viewer = self.viewer
        viewer.window.remove_dock_widget("all")
        release(viewer)
        for _, emitter in _emitters(viewer):
            for callback in emitter.callbacks:
                if not _is_of_napari(callback):
                    emitter.disconnect(callback)
        viewer.canvas.grid.enabled = False  # every removal would draw it again
        with collected_once():
            viewer.layers.clear()
        viewer.keymap.clear()
        _restore(get_settings(), self._settings)
        handle_events()  # which may move camera and cursor
        _restore(viewer, self._values)
        viewer.window._qt_window.resize(self._size)
        handle_events()
        # The title of a map that is gone leaves a function of a dead object behind.
        for _, emitter in _emitters(viewer):
            for callback in emitter.callbacks:
                if isinstance(callback, tuple) and callback[0]() is None:
                    emitter.disconnect(callback)
        # An emitter drops a function that reached a deleted object of Qt, also one of napari.
        for emitter, callback in self._connected:
            if _is_of_napari(callback) and callback not in emitter.callbacks:
                emitter.connect(callback)


@contextmanager
def collected_once() -> Iterator[None]:
    """Collect garbage once, where napari does so with every layer.

    What survives must not be frozen: Qt deletes some of it later, and it would never be freed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari._vispy.canvas.gc.collect", lambda: 0)
        yield
    gc.collect()


def release(viewer: Viewer) -> None:
    """End the autosave of a viewer and its threads, and forget its session, as its end does."""
    unwrapped = widget.unwrap(viewer)
    saver = widget._SAVERS.pop(unwrapped, None)
    if saver is not None:
        saver.end()
        viewer.window._qt_window.removeEventFilter(saver)
        saver.deleteLater()
    for state in _PER_VIEWER:
        state.pop(unwrapped, None)
    for running in list(thread._THREADS):
        running.wait(60)
    handle_events()


def handle_events() -> None:
    """Handle all events, and delete what waits for it."""
    QApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def functions_of_napari(viewer: Viewer) -> set[tuple[str, str, str]]:
    """Return emitter, owner and name of all functions that napari connected to a viewer's emitters.

    napari connects some of them when they are needed.
    """
    functions = set()
    for emitter_name, emitter in _emitters(viewer):
        for callback in filter(_is_of_napari, emitter.callbacks):
            if isinstance(callback, tuple):
                owner, name = type(callback[0]()).__name__, callback[1]
            else:
                owner, name = type(callback).__name__, getattr(callback, "__name__", "")
            functions.add((emitter_name, owner, name))
    return functions


def _is_of_napari(callback: Any) -> bool:
    """Return whether napari connected a callback: a function, or a method of a weak reference."""
    owner = type(callback[0]()) if isinstance(callback, tuple) else callback
    return str(getattr(owner, "__module__", "")).startswith("napari.")


def _models(model: EventedModel, path: str = "") -> Iterator[tuple[str, EventedModel]]:
    """Yield a model and all models that are parts of it, with their paths."""
    yield path, model
    for name in type(model).model_fields:
        part = getattr(model, name)
        parts = (
            {f"{name}.{key}": value for key, value in part.items()}
            if name == "overlays"
            else {name: part}
        )
        for inner, value in parts.items():
            if isinstance(value, EventedModel):
                yield from _models(value, f"{path}{inner}.")


def _values(whole: EventedModel) -> dict[str, Any]:
    """Return all values of a model and its parts, but the layers of a viewer, by path."""
    values = {}
    for path, model in _models(whole):
        for name in type(model).model_fields:
            value = getattr(model, name)
            if name not in _NO_VALUES and not isinstance(value, EventedModel):
                values[path + name] = list(value) if isinstance(value, list) else value
    return values


def _restore(whole: EventedModel, values: dict[str, Any]) -> None:
    for path, model in _models(whole):
        for name in type(model).model_fields:
            if path + name in values and getattr(model, name) != values[path + name]:
                setattr(model, name, deepcopy(values[path + name]))


def observe(viewer: Viewer) -> dict[str, str]:
    """Return what can be seen of a viewer and its window, by name, as text."""
    window = viewer.window._qt_window
    docks = window.findChildren(QDockWidget)
    state = _values(viewer) | {
        "layers": [layer.name for layer in viewer.layers],
        "selection": (set(viewer.layers.selection), viewer.layers.selection.active),
        "size": window.size(),
        "title": window.windowTitle(),
        "status bar": window.statusBar().currentMessage(),
        "docks": sorted((dock.objectName(), dock.isHidden()) for dock in docks),
        "plugin docks": dict(viewer.window._wrapped_dock_widgets),
        "shortcuts": sorted(s.key().toString() for s in window.findChildren(QShortcut)),
        "keymap": dict(viewer.keymap),
        "children of the canvas": len(viewer.window._qt_viewer.canvas.view.scene.children),
        "sliders": viewer.window._qt_viewer.dims.nsliders,
        "session": [unwrapped for unwrapped in widget._SESSIONS if unwrapped is viewer],
    }
    state |= {
        f"callbacks of {name}": [each for each in emitter.callbacks if not _is_of_napari(each)]
        for name, emitter in _emitters(viewer)
    }
    return {name: repr(value) for name, value in state.items()}


def _emitters(viewer: Viewer) -> Iterator[tuple[str, Any]]:
    """Yield the emitters of a viewer's models and of its layer list, with their paths."""
    groups = [(path, model.events) for path, model in _models(viewer)]
    groups += [("layers.", viewer.layers.events)]
    groups += [("layers.selection.", viewer.layers.selection.events)]
    for path, group in groups:
        yield path, group
        for name, emitter in group.emitters.items():
            if emitter is not None:  # which are made when they are needed
                yield path + name, emitter
