"""What the user set in napari's preferences, and the files that were opened lately."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings
from qtpy.QtCore import QSettings

from napari_emcad.inference.events import InferenceSettings

_PLUGIN = "napari-emcad"


def inference_settings() -> InferenceSettings:
    """Return the settings that a new panel starts with."""
    chosen = _group("inference")
    names = ("device", "tile", "overlap", "full_precision")
    return InferenceSettings(**{name: getattr(chosen, name) for name in names if chosen})


def open_bundled_at_start() -> bool:
    """Whether the bundled model is opened with the panel."""
    return bool(getattr(_group("checkpoints"), "open_bundled", True))


def recent_files() -> list[Path]:
    """Return the checkpoints opened lately that are still there, the last one first."""
    stored = _store().value("recent", [], list) or []
    return [path for path in map(Path, stored) if path.is_file()][: _recent_count()]


def add_recent_file(path: Path) -> None:
    """Put a checkpoint in front of the recent ones."""
    others = [each for each in recent_files() if each != path]
    _store().setValue("recent", [str(each) for each in [path, *others]][: _recent_count()])


def _recent_count() -> int:
    return int(getattr(_group("checkpoints"), "recent_count", 8))


def _group(name: str) -> Any:
    """Return a group of napari's settings for this plugin; None where it is not installed in it."""
    try:
        return getattr(get_plugin_settings(_PLUGIN), name)
    except (KeyError, AttributeError):
        return None


def _store() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, _PLUGIN, _PLUGIN)
