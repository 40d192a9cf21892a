"""The plugin's settings in napari's preferences, and the recently opened files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings
from qtpy.QtCore import QSettings

from napari_emcad.inference.events import InferenceSettings

_PLUGIN = "napari-emcad"


def inference_settings() -> InferenceSettings:
    """Return the initial settings of a new panel."""
    group = _group("inference")
    names = ("device", "tile", "overlap", "full_precision")
    return InferenceSettings(**{name: getattr(group, name) for name in names if group})


def open_bundled_at_start() -> bool:
    """Return whether the bundled model is opened together with the panel."""
    return bool(getattr(_group("checkpoints"), "open_bundled", True))


def cluster_scheduler() -> str:
    """Return the address of the dask scheduler that segments files; "" for this computer."""
    return str(getattr(_group("cluster"), "scheduler", "") or "").strip()


def recent_files() -> list[Path]:
    """Return the recently opened checkpoints that still exist, the latest first."""
    return [path for path in listed_files() if is_file(path)]


def listed_files() -> list[Path]:
    """Return the recently opened checkpoints, the latest first; some may be missing now."""
    try:
        stored = _store().value("recent", [], list) or []
    except TypeError:  # someone else has written another type
        stored = []
    return [Path(path) for path in stored][: _recent_count()]


def remove_recent_file(path: Path) -> None:
    """Do not list a checkpoint any more."""
    store = _store()
    store.setValue("recent", [str(other) for other in listed_files() if other != path])
    store.sync()


def add_recent_file(path: Path) -> str:
    """Put a checkpoint at the front of the recent files; return why that failed, or ""."""
    others, store = [other for other in listed_files() if other != path], _store()
    store.setValue("recent", list(map(str, [path, *others]))[: _recent_count()])
    store.sync()
    if store.status() == QSettings.Status.NoError:
        return ""
    return f"It is not listed among the recent files: {store.fileName()} cannot be written."


def training_pace() -> float:
    """Return the seconds that a training step took per pixel of its batch; 0 if not known yet."""
    try:
        return max(float(_store().value("training_pace", 0.0)), 0.0)
    except (TypeError, ValueError):  # someone else has written another type
        return 0.0


def set_training_pace(seconds: float) -> None:
    """Remember the seconds that a training step takes per pixel of its batch."""
    _store().setValue("training_pace", seconds)


def is_file(path: Path) -> bool:
    """Return whether a file exists and can be seen."""
    try:
        return path.is_file()
    except OSError:  # of a folder that may not be searched
        return False


def _recent_count() -> int:
    return int(getattr(_group("checkpoints"), "recent_count", 8))


def _group(name: str) -> Any:
    """Return a group of the plugin's settings in napari; None if napari does not have them."""
    try:
        return getattr(get_plugin_settings(_PLUGIN), name)
    except (KeyError, AttributeError):
        return None


def _store() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, _PLUGIN, _PLUGIN)
