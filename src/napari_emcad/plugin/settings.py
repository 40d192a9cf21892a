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


def recent_files() -> list[Path]:
    """Return the recently opened checkpoints that still exist, the latest first."""
    stored = _store().value("recent", [], list) or []
    return [path for path in map(Path, stored) if path.is_file()][: _recent_count()]


def add_recent_file(path: Path) -> None:
    """Put a checkpoint at the front of the recent files."""
    others = [other for other in recent_files() if other != path]
    _store().setValue("recent", list(map(str, [path, *others]))[: _recent_count()])


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
