"""The dock widget: the panels composed around one Session per viewer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox, QScrollArea, QTabWidget, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_emcad.imaging.slices import Scope
from napari_emcad.inference.events import Notice, Region
from napari_emcad.io.checkpoint import bundled_checkpoint, read_checkpoint, write_checkpoint
from napari_emcad.io.recognise import CheckpointError, EncoderOnlyError
from napari_emcad.io.start import start_checkpoint
from napari_emcad.jobs import segment_job, slices_for
from napari_emcad.plugin.device_combo import torch_is_loaded
from napari_emcad.plugin.job_bar import JobBar, JobThread, Outcome
from napari_emcad.plugin.layers import levels, slice_index, visible_range
from napari_emcad.plugin.model_panel import ModelPanel
from napari_emcad.plugin.preferences import inference_settings, opens_bundled, remember
from napari_emcad.plugin.results import Result, Results, Target
from napari_emcad.plugin.segment_panel import SegmentPanel
from napari_emcad.session import Session, Ticket

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.checkpoint import Checkpoint

_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()


def session_of(viewer: Viewer) -> Session:
    """Return the one session of a viewer, whichever proxy of it is handed in."""
    real = getattr(viewer, "__wrapped__", viewer)
    return _SESSIONS.setdefault(real, Session())
